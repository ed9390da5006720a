//! The parts of a chart over time that follow from its runs: the horizontal axis, the phases behind the
//! lines, the tooltips of intervals, and the points of lines.
//!
//! Times are seconds from the start of the window; the warm-up lies below zero.

use super::Run;
use super::format::{bytes, count, or_unknown, percent, rate, round_number, seconds, time};
use super::plot::{Axis, Band, Chart, Series, Spot};
use super::scale::Scale;
use super::scenario::has_several_phases;
use crate::report::document::{Document, Phase};
use crate::report::timeline::{Interval, Percentiles};

/// The parts that all charts over time share; the vertical axis is the caller's.
pub fn over_time(runs: &[Run], series: Vec<Series>) -> Chart {
    let all = || runs.iter().flat_map(intervals);
    let start = all().map(|interval| interval.start_s).fold(0.0, f64::min);
    let end = all()
        .map(|interval| interval.start_s + interval.length_s)
        .fold(0.0, f64::max);
    Chart {
        title: "",
        subtitle: String::new(),
        description: String::new(),
        x: Axis::new(
            Scale::exact(start, end),
            "seconds from the start of the window",
            round_number,
        ),
        y: Axis::new(Scale::exact(0.0, 1.0), "", round_number),
        bands: bands(runs),
        spots: match runs {
            [run] => intervals(run).iter().map(spot).collect(),
            _ => Vec::new(),
        },
        series,
        height: HIGH,
    }
}

/// The phases where all runs say the same of them, else the warm-up.
fn bands(runs: &[Run]) -> Vec<Band> {
    let mut phases = runs.iter().map(|run| phase_bands(&run.document));
    if let Some(first) = phases.next().filter(|first| !first.is_empty())
        && phases.all(|other| other == first)
    {
        return first;
    }
    let starts = runs.iter().flat_map(intervals).map(|interval| interval.start_s);
    let first = starts.fold(0.0, f64::min);
    let warm_up = Band {
        name: "warm-up".to_owned(),
        start: first,
        end: 0.0,
        shaded: true,
    };
    (first < 0.0).then_some(warm_up).into_iter().collect()
}

/// Phases count from the start of the run, and pages from the start of the window. The only measured one
/// needs no name.
fn phase_bands(run: &Document) -> Vec<Band> {
    let (warm_up, several) = (run.warm_up_s(), has_several_phases(run));
    let band = |phase: &Phase| Band {
        name: if several || !phase.measured {
            phase.name.clone()
        } else {
            String::new()
        },
        start: phase.start_s - warm_up,
        end: phase.end_s - warm_up,
        shaded: !phase.measured,
    };
    let lasted = run.phases.iter().filter(|phase| phase.end_s > phase.start_s);
    lasted.map(band).collect()
}

fn spot(interval: &Interval) -> Spot {
    let end = interval.start_s + interval.length_s;
    let failed = interval.failed + interval.not_resumed;
    let mut text = format!(
        "{} to {}\n{} op/s, {} failed",
        seconds(interval.start_s),
        seconds(end),
        rate(interval.ok as f64 / interval.length_s.max(1e-9)),
        count(failed)
    );
    if let Some(latency) = &interval.latency_us {
        let [p50, p90, p99] = [latency.p50, latency.p90, latency.p99].map(|value| or_unknown(value, time));
        text.push_str(&format!(
            "\np50 {p50}, p90 {p90}, p99 {p99}, max {}",
            time(latency.max)
        ));
    }
    text.push_str(&format!(
        "\nserver {}, loadgen {}\n{} connections open, received {}",
        or_unknown(interval.server_busy_percent, percent),
        or_unknown(interval.generator_busy_percent, percent),
        count(interval.connections_open),
        bytes(interval.received_bytes as f64)
    ));
    Spot {
        start: interval.start_s,
        end,
        text,
    }
}

/// A value that holds for the whole of an interval.
pub fn steps(run: &Run, value: impl Fn(&Interval) -> Option<f64>) -> Vec<Option<(f64, f64)>> {
    let interval = |interval: &Interval| {
        let end = interval.start_s + interval.length_s;
        match value(interval).filter(|_| interval.length_s > 0.0) {
            Some(value) => vec![Some((interval.start_s, value)), Some((end, value))],
            None => vec![None],
        }
    };
    intervals(run).iter().flat_map(interval).collect()
}

/// A value of an interval's operations, put in its middle.
pub fn middles(run: &Run, value: impl Fn(&Percentiles) -> Option<f64>) -> Vec<Option<(f64, f64)>> {
    let point = |interval: &Interval| {
        let value = interval.latency_us.as_ref().and_then(&value)?;
        Some((interval.start_s + interval.length_s / 2.0, value))
    };
    intervals(run).iter().map(point).collect()
}

fn intervals(run: &Run) -> &[Interval] {
    &run.document.timeline.intervals
}

/// Height of a chart that has the page to itself, in units of the picture.
pub const HIGH: f64 = 270.0;
