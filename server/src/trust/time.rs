//! Instants as the managed service and people write them.
//!
//! Owns the two text forms (`2026-11-20T00:00:00Z`, `3 days`). Reads no clock. Seconds are counted from 1970-01-01T00:00:00Z,
//! without leap seconds, and may be negative: a certificate can claim any date between the years 0 and 9999.

use rustls_pki_types::UnixTime;

/// Seconds since 1970, negative before.
pub(super) type Seconds = i64;

pub(super) fn seconds(time: UnixTime) -> Seconds {
    Seconds::try_from(time.as_secs()).unwrap_or(Seconds::MAX)
}

/// ISO 8601 in UTC, to the second, as the service writes validity.
pub(super) fn format_utc(seconds: Seconds) -> String {
    let (year, month, day) = civil_date(seconds.div_euclid(SECONDS_PER_DAY));
    let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60
    )
}

/// A span in its largest whole unit: "3 days", "1 hour".
pub(super) fn format_span(seconds: Seconds) -> String {
    let (count, unit) = match seconds {
        SECONDS_PER_DAY.. => (seconds / SECONDS_PER_DAY, "day"),
        3_600.. => (seconds / 3_600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Days since 1970 to the proleptic Gregorian date. Years are counted from March, so that a leap day ends its year, in eras
/// of 400 years = 146,097 days.
fn civil_date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970.saturating_add(DAYS_FROM_YEAR_0_TO_1970);
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

const SECONDS_PER_DAY: Seconds = 86_400;
const DAYS_PER_ERA: i64 = 146_097;
/// From 0000-03-01.
const DAYS_FROM_YEAR_0_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_service_writes_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_695_261_017, "2023-09-21T01:50:17Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(format_utc(seconds), text);
        }
    }

    #[test]
    fn a_span_is_told_in_its_largest_unit() {
        assert_eq!(format_span(1), "1 second");
        assert_eq!(format_span(119), "1 minute");
        assert_eq!(format_span(7_200), "2 hours");
        assert_eq!(format_span(86_400 * 3 + 5), "3 days");
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        format_utc(Seconds::MAX);
        format_utc(Seconds::MIN);
    }
}
