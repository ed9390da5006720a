//! Numbers of the configuration: each has a range, and the message says which.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Problem;
use super::key::KeyPath;

/// `given` as a `T`, or `default`. `accepted` must fit `T`.
pub(super) fn number<T: TryFrom<i64>>(
    key: &KeyPath,
    given: Option<i64>,
    default: T,
    accepted: &RangeInclusive<i64>,
) -> Result<T, Problem> {
    let Some(given) = given else { return Ok(default) };
    let number = if accepted.contains(&given) {
        T::try_from(given).ok()
    } else {
        None
    };
    number.ok_or_else(|| out_of_range(key, given, accepted))
}

/// `given` in seconds, or `default`.
pub(super) fn seconds(
    key: &KeyPath,
    given: Option<i64>,
    default: Duration,
    accepted: &RangeInclusive<i64>,
) -> Result<Duration, Problem> {
    let Some(given) = given else { return Ok(default) };
    number(key, Some(given), 0, accepted).map(Duration::from_secs)
}

/// `given` in milliseconds, or `default`.
pub(super) fn milliseconds(
    key: &KeyPath,
    given: Option<i64>,
    default: Duration,
    accepted: &RangeInclusive<i64>,
) -> Result<Duration, Problem> {
    let Some(given) = given else { return Ok(default) };
    number(key, Some(given), 0, accepted).map(Duration::from_millis)
}

fn out_of_range(key: &KeyPath, given: i64, accepted: &RangeInclusive<i64>) -> Problem {
    let remedy = format!("give a number from {} to {}", accepted.start(), accepted.end());
    Problem::new(key, format!("{given} is out of range"), remedy)
}
