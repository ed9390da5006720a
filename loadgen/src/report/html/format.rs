//! Numbers as a reader wants them: few digits, a unit that fits, the same width in a column.

pub use crate::report::text::count;

/// Text in place of a number that is not known.
pub const UNKNOWN: &str = "–";

/// Microseconds in the unit that fits.
pub fn time(us: f64) -> String {
    match us {
        us if !us.is_finite() => UNKNOWN.to_owned(),
        us if us < 999.5 => format!("{} µs", digits(us)),
        us if us < 999_500.0 => format!("{} ms", digits(us / 1e3)),
        us => format!("{} s", digits(us / 1e6)),
    }
}

/// A round time, for an axis: no more digits than it needs.
pub fn round_time(us: f64) -> String {
    let unit = |number: f64, unit: &str| format!("{} {unit}", (number * 1e3).round() / 1e3);
    match us {
        us if us < 999.5 => unit(us, "µs"),
        us if us < 999_500.0 => unit(us / 1e3, "ms"),
        us => unit(us / 1e6, "s"),
    }
}

/// A round number, for an axis.
pub fn round_number(number: f64) -> String {
    if number >= 1000.0 {
        count(number.round() as u64)
    } else {
        ((number * 1e3).round() / 1e3).to_string()
    }
}

/// A duration in seconds, with as many digits as it needs.
pub fn seconds(s: f64) -> String {
    if !s.is_finite() {
        return UNKNOWN.to_owned();
    }
    let text = format!("{s:.3}");
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number of bytes in the unit that fits.
pub fn bytes(bytes: f64) -> String {
    match bytes {
        n if !n.is_finite() => UNKNOWN.to_owned(),
        n if n < 999.5 => format!("{n:.0} B"),
        n if n < 999.5e3 => format!("{} kB", digits(n / 1e3)),
        n if n < 999.5e6 => format!("{} MB", digits(n / 1e6)),
        n => format!("{} GB", digits(n / 1e9)),
    }
}

/// A rate: with thousands separated from a hundred on, with decimals below.
pub fn rate(per_s: f64) -> String {
    match per_s {
        n if !n.is_finite() => UNKNOWN.to_owned(),
        n if n < 99.95 => digits(n),
        n => count(n.round() as u64),
    }
}

/// A percentage with its sign, with two decimals below ten.
pub fn percent(percent: f64) -> String {
    match percent {
        p if !p.is_finite() => UNKNOWN.to_owned(),
        p if p != 0.0 && p.abs() < 0.01 => "< 0.01 %".to_owned(),
        p if p.abs() < 9.995 && p != 0.0 => format!("{p:.2} %"),
        p => format!("{p:.0} %"),
    }
}

/// The value as `format` writes it, or [`UNKNOWN`].
pub fn or_unknown(value: Option<f64>, format: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), format)
}

/// Three significant digits.
fn digits(number: f64) -> String {
    match number.abs() {
        n if n >= 99.95 || n == 0.0 => format!("{number:.0}"),
        n if n >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(time(4.237), "4.24 µs");
        assert_eq!(time(999.7), "1.00 ms");
        assert_eq!(time(52_340.0), "52.3 ms");
        assert_eq!(time(12_000_000.0), "12.0 s");
        assert_eq!(time(f64::NAN), UNKNOWN);
        assert_eq!(bytes(1_234_567.0), "1.23 MB");
        assert_eq!(rate(12_345.6), "12,346");
        assert_eq!(rate(3.0), "3.00");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0001), "< 0.01 %");
        assert_eq!(percent(12.3), "12 %");
        assert_eq!(seconds(0.5), "0.5 s");
        assert_eq!(seconds(10.0), "10 s");
        assert_eq!(round_time(10_000.0), "10 ms");
        assert_eq!(round_time(0.5), "0.5 µs");
        assert_eq!(round_number(0.2), "0.2");
        assert_eq!(round_number(2_000.0), "2,000");
    }
}
