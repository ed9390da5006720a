//! Thresholds beside what was measured.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::account::AccountReport;
use super::counts::Operations;
use super::merged::Merged;
use super::text::{count, time};
use crate::plan::threshold::{Figure, Measure, Scale, Threshold, Time};

/// A threshold, and how the run did by it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ThresholdReport {
    /// The threshold as it was written, with single spaces.
    pub threshold: String,
    /// `null`: there is nothing to measure it by, and it does not hold.
    pub measured: Option<f64>,
    /// Unit of `measured`: us, %, operations or op/s.
    pub unit: String,
    /// The run kept to it.
    pub held: bool,
    /// A threshold about failures, or about operations never started, decides in place of the rule that there
    /// be none.
    #[serde(skip)]
    pub about: About,
}

/// The subject of a threshold: figures, or a rule that it takes the place of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum About {
    #[default]
    Figures,
    Failures,
    NotStarted,
}

/// The counts that thresholds are about.
pub struct Counts<'a> {
    pub operations: &'a Operations,
    pub account: &'a AccountReport,
    /// Operations a second that ended as expected.
    pub rate: f64,
}

impl ThresholdReport {
    /// Measures a threshold's figure and compares.
    pub fn of(threshold: &Threshold, merged: &Merged, counts: &Counts<'_>) -> Self {
        let (measured, unit, about) = match threshold.measure {
            Measure::Time(time, figure) => (figure_of(histogram(merged, time), figure), "us", About::Figures),
            Measure::Rate => (Some(counts.rate), "op/s", About::Figures),
            Measure::Failed(scale) => {
                let operations = counts.operations;
                let failed = operations.failed + operations.not_resumed;
                (
                    scaled(failed, operations.total, scale),
                    unit_of(scale),
                    About::Failures,
                )
            }
            Measure::NotStarted(scale) => {
                let account = counts.account;
                (
                    scaled(account.not_started, account.asked, scale),
                    unit_of(scale),
                    About::NotStarted,
                )
            }
        };
        ThresholdReport {
            threshold: threshold.text.clone(),
            measured,
            unit: unit.to_owned(),
            held: measured.is_some_and(|measured| threshold.order.holds(measured, threshold.value)),
            about,
        }
    }

    /// The measured value for people.
    pub fn shown(&self) -> String {
        match (self.measured, self.unit.as_str()) {
            (None, _) => "unknown".to_owned(),
            (Some(us), "us") => time(Some(us)),
            (Some(number), "operations") => count(number as u64),
            (Some(percent), "%") => format!("{percent:.3}%"),
            (Some(rate), _) => format!("{rate:.1} op/s"),
        }
    }
}

fn histogram(merged: &Merged, time: Time) -> &Histogram<u64> {
    match time {
        Time::Operation => &merged.latency,
        Time::FromActualStart => &merged.service,
        Time::TcpConnect => &merged.connect,
        Time::TlsHandshake => &merged.handshake,
        Time::Request => &merged.request,
        Time::FirstByte => &merged.first_byte,
        Time::Close => &merged.close,
    }
}

/// A percentile of few operations is their maximum: no less can be promised.
fn figure_of(times: &Histogram<u64>, figure: Figure) -> Option<f64> {
    let nanos = match figure {
        Figure::Percentile(percent) => times.value_at_percentile(percent).min(times.max()) as f64,
        Figure::Mean => times.mean(),
        Figure::Max => times.max() as f64,
    };
    (!times.is_empty()).then_some(nanos / 1e3)
}

fn scaled(part: u64, all: u64, scale: Scale) -> Option<f64> {
    match scale {
        Scale::Number => Some(part as f64),
        Scale::Percent => (all > 0).then(|| 100.0 * part as f64 / all as f64),
    }
}

fn unit_of(scale: Scale) -> &'static str {
    match scale {
        Scale::Number => "operations",
        Scale::Percent => "%",
    }
}
