//! Instants as certificates, the managed service and people write them.
//!
//! Owns the text forms (`2026-11-20T00:00:00Z`, `3 days`) and the two of ASN.1. Reads no clock. Seconds are
//! counted from 1970-01-01T00:00:00Z, without leap seconds, and may be negative: a certificate can claim any
//! date between the years 0 and 9999.

use std::time::Duration;

use rustls_pki_types::UnixTime;

use super::der::{self, Element};

/// Seconds since 1970, negative before.
pub(super) type Seconds = i64;

pub(super) fn seconds(time: UnixTime) -> Seconds {
    Seconds::try_from(time.as_secs()).unwrap_or(Seconds::MAX)
}

/// A UTCTime of 1950 to 2049 or a GeneralizedTime of the years 0 to 9999, to the second and in UTC (RFC 5280
/// §4.1.2.5.1 and §4.1.2.5.2). `None`: another form, or no such moment.
pub(super) fn read(time: &Element<'_>) -> Option<Seconds> {
    let (year, rest) = match time.tag {
        der::UTC_TIME => {
            let (year, rest) = digits(time.value, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        der::GENERALIZED_TIME => digits(time.value, 4)?,
        _ => return None,
    };
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, zone) = digits(rest, 2)?;
    let is_time = hour < 24 && minute < 60 && second < 60 && zone == b"Z";
    let days = days_since_1970(year, month, day).filter(|_| is_time)?;
    Some(days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second)
}

/// A number of so many digits, and what follows.
fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let number = number.iter().try_fold(0, |number, digit| {
        let is_digit = digit.is_ascii_digit();
        is_digit.then(|| number * 10 + i64::from(digit - b'0'))
    });
    Some((number?, rest))
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

/// Writes the form that [`parse_rfc3339`] reads.
pub fn format_rfc3339(time: UnixTime) -> String {
    format_utc(seconds(time))
}

/// RFC 3339 §5.6 to the second: `2026-11-20T00:00:00Z`, `2026-11-20T01:00:00+01:00`; fractions are dropped.
/// `None`: not that, or before 1970.
pub fn parse_rfc3339(text: &str) -> Option<UnixTime> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, zone) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    let days = days_since_1970(year, month, day)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    let since_1970 = u64::try_from(local - offset(zone)?).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(since_1970)))
}

fn offset(zone: &str) -> Option<Seconds> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// The inverse of [`civil_date`]; `None`: no such day.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let year_from_march = year - i64::from(month <= 2);
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * DAYS_PER_ERA + day_of_era - DAYS_FROM_YEAR_0_TO_1970;
    (civil_date(days) == (year, month, day)).then_some(days)
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

/// Days since 1970 to the proleptic Gregorian date. Years are counted from March, so that a leap day ends its
/// year, in eras of 400 years = 146,097 days.
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
/// Days from 0000-03-01 to 1970-01-01.
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
    fn an_instant_is_read_as_it_is_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-09-21T01:50:17Z", 1_695_261_017),
            ("2023-09-21t03:50:17.25+02:00", 1_695_261_017),
            ("2023-09-20 20:50:17-05:00", 1_695_261_017),
            ("2000-02-29T00:00:00z", 951_782_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let read = parse_rfc3339(text).map(|time| time.as_secs());
            assert_eq!(read, Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_not_guessed_at() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T00:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T00:60:00Z",
            "2026-1-20T00:00:000Z",
            "+026-11-20T00:00:00Z",
            "2026-11-20T00:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "2026-11-2éT00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
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
