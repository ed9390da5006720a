//! Thresholds: what a run has to reach to pass, `p99 < 20ms` say.
//!
//! `MEASURE < VALUE`, or `<=`, `>`, `>=`. Measures are `p50`, `p99.9` (any percentile), `mean` and `max` of
//! the latency, or of another time by its name before a dot (`first_byte.p99`); `failed` and `not_started`,
//! in percent or as a number; `rate`, operations a second that ended as expected.

use crate::options::parse_duration;

/// A limit that a figure of the run has to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The threshold as it was written, with single spaces.
    pub text: String,
    /// Figure that is compared.
    pub measure: Measure,
    /// Side of `value` on which the figure has to be.
    pub order: Order,
    /// Microseconds, operations, percent, or operations a second, as the measure is.
    pub value: f64,
}

/// A figure of the report that a threshold is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    Time(Time, Figure),
    Failed(Scale),
    NotStarted(Scale),
    Rate,
}

/// The times of a report (`latency_us`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Operation,
    FromActualStart,
    TcpConnect,
    TlsHandshake,
    Request,
    FirstByte,
    Close,
}

/// A figure of a distribution of times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// 0 to 100.
    Percentile(f64),
    Mean,
    Max,
}

/// A scale for counts: the number itself, or percent of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Number,
    Percent,
}

/// The comparison of a measured value with that of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Order {
    /// `true`: `measured` keeps to `value`.
    pub fn holds(self, measured: f64, value: f64) -> bool {
        match self {
            Order::Below => measured < value,
            Order::AtMost => measured <= value,
            Order::Above => measured > value,
            Order::AtLeast => measured >= value,
        }
    }
}

impl Threshold {
    /// Parses `MEASURE ORDER VALUE`. The error quotes the text and says how to write one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let orders = [
            ("<=", Order::AtMost),
            (">=", Order::AtLeast),
            ("<", Order::Below),
            (">", Order::Above),
        ];
        let split = orders
            .iter()
            .find_map(|(sign, order)| Some((text.split_once(sign)?, *order)));
        let ((measure, value), order) = split.ok_or_else(|| not_one(text))?;
        let (measure, value) = parts(measure.trim(), value.trim()).ok_or_else(|| not_one(text))?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Threshold {
            text,
            measure,
            order,
            value,
        })
    }
}

fn not_one(text: &str) -> String {
    format!(
        "{text:?} is no threshold; write \"p99 < 20ms\", \"first_byte.p50 < 5ms\", \"failed < 0.1%\" or \"rate > 1000\""
    )
}

fn parts(measure: &str, value: &str) -> Option<(Measure, f64)> {
    match measure {
        "rate" => Some((Measure::Rate, number(value)?)),
        "failed" => scaled(value).map(|(scale, value)| (Measure::Failed(scale), value)),
        "not_started" => scaled(value).map(|(scale, value)| (Measure::NotStarted(scale), value)),
        other => {
            let (time, name) = other
                .split_once('.')
                .map_or((None, other), |(time, name)| (time_of(time), name));
            // The dot of p99.9 is none between two names.
            let (time, name) = time.map_or((Time::Operation, other), |time| (time, name));
            Some((Measure::Time(time, figure(name)?), micros(value)?))
        }
    }
}

fn time_of(name: &str) -> Option<Time> {
    let times = [
        ("operation", Time::Operation),
        ("from_actual_start", Time::FromActualStart),
        ("tcp_connect", Time::TcpConnect),
        ("tls_handshake", Time::TlsHandshake),
        ("request", Time::Request),
        ("first_byte", Time::FirstByte),
        ("close", Time::Close),
    ];
    times
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, time)| *time)
}

fn figure(name: &str) -> Option<Figure> {
    match name {
        "mean" => Some(Figure::Mean),
        "max" => Some(Figure::Max),
        percentile => {
            let percent = number(percentile.strip_prefix('p')?)?;
            (0.0..=100.0)
                .contains(&percent)
                .then_some(Figure::Percentile(percent))
        }
    }
}

fn scaled(value: &str) -> Option<(Scale, f64)> {
    match value.strip_suffix('%') {
        Some(percent) => Some((Scale::Percent, number(percent.trim())?)),
        None => Some((Scale::Number, number(value)?)),
    }
}

/// With its unit: a bare number would be seconds to some and milliseconds to others.
fn micros(value: &str) -> Option<f64> {
    if let Some(micros) = value.strip_suffix("us") {
        return number(micros.trim());
    }
    let has_unit = value.ends_with(|last: char| last.is_ascii_alphabetic());
    let time = has_unit.then(|| parse_duration(value).ok()).flatten()?;
    Some(time.as_secs_f64() * 1e6)
}

fn number(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_with_their_units() {
        let percentile = |percent| Measure::Time(Time::Operation, Figure::Percentile(percent));
        for (text, measure, order, value) in [
            ("p99 < 20ms", percentile(99.0), Order::Below, 20_000.0),
            ("p99.9<=1.5s", percentile(99.9), Order::AtMost, 1_500_000.0),
            (
                "first_byte.p50 < 500us",
                Measure::Time(Time::FirstByte, Figure::Percentile(50.0)),
                Order::Below,
                500.0,
            ),
            (
                "tls_handshake.p99.99 < 1m",
                Measure::Time(Time::TlsHandshake, Figure::Percentile(99.99)),
                Order::Below,
                6e7,
            ),
            (
                "max < 1s",
                Measure::Time(Time::Operation, Figure::Max),
                Order::Below,
                1e6,
            ),
            (
                "close.mean < 1ms",
                Measure::Time(Time::Close, Figure::Mean),
                Order::Below,
                1e3,
            ),
            (
                "failed < 0.1%",
                Measure::Failed(Scale::Percent),
                Order::Below,
                0.1,
            ),
            ("failed <= 3", Measure::Failed(Scale::Number), Order::AtMost, 3.0),
            (
                "not_started <= 1 %",
                Measure::NotStarted(Scale::Percent),
                Order::AtMost,
                1.0,
            ),
            ("rate  >=  1000", Measure::Rate, Order::AtLeast, 1000.0),
        ] {
            let read = Threshold::parse(text).unwrap();
            assert_eq!(
                (read.measure, read.order, read.value),
                (measure, order, value),
                "{text}"
            );
        }
        assert_eq!(Threshold::parse("rate  >=  1000").unwrap().text, "rate >= 1000");
    }

    #[test]
    fn others_are_refused_with_an_example() {
        for text in [
            "",
            "p99",
            "p99 = 3ms",
            "p99 < 20",
            "p101 < 1ms",
            "latency < 1ms",
            "x.p99 < 1ms",
            "failed < x",
            "rate > -1",
            "p99 < 20ms ms",
        ] {
            let fault = Threshold::parse(text).unwrap_err();
            assert!(fault.contains("p99 < 20ms"), "{text}: {fault}");
        }
    }
}
