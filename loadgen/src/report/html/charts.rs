//! Charts of the pages: one run by its percentiles, several runs beside each other.

use super::Run;
use super::format::{bytes, count, or_unknown, percent, rate, round_number, round_time, seconds, time};
use super::plot::{Axis, Band, Chart, Series, Spot};
use super::scale::Scale;
use super::scenario::has_several_phases;
use crate::report::curve::Point;
use crate::report::document::{Document, Phase};
use crate::report::timeline::{Interval, Percentiles};

/// All charts of a page in their order.
pub fn charts(runs: &[Run]) -> Vec<Chart> {
    let mut charts = Vec::new();
    if !runs.iter().all(|run| run.document.is_idle_only()) {
        charts.push(throughput(runs));
    }
    match runs {
        [run] => {
            if !run.document.is_idle_only() {
                charts.push(latency(run));
            }
            charts.push(percentiles(runs));
            charts.push(load(run));
            charts.extend(connections(run));
            charts.extend(memory(runs));
        }
        several => {
            charts.push(one_percentile(several, "Median over time", |p| p.p50));
            charts.push(one_percentile(several, "99th percentile over time", |p| p.p99));
            charts.push(percentiles(several));
            charts.extend(server_load(several));
            charts.extend(memory(several));
        }
    }
    charts
}

fn throughput(runs: &[Run]) -> Chart {
    let of = |run: &Run, value: fn(&Interval) -> u64| {
        steps(run, |interval| {
            Some(value(interval) as f64 / interval.length_s.max(1e-9))
        })
    };
    let failed = |interval: &Interval| interval.failed + interval.not_resumed;
    let mut series: Vec<Series> = match runs {
        [run] => vec![named("ok", "ok", true, of(run, |interval| interval.ok))],
        several => by_run(several, |run| of(run, |interval| interval.ok)),
    };
    if let [run] = runs
        && intervals(run).iter().any(|interval| failed(interval) > 0)
    {
        series.push(named("failed", "bad", true, of(run, failed)));
    }
    Chart {
        title: "Throughput",
        subtitle: "operations per second that ended as expected, and those that did not".to_owned(),
        description: format!(
            "Operations per second over time; {} on average in the window.",
            list(runs, |run| rate(run.document.throughput.operations_per_s))
        ),
        y: axis(Scale::from_zero(values(&series), 1.0), "", round_number),
        ..over_time(runs, series)
    }
}

fn latency(run: &Run) -> Chart {
    let of = |value: fn(&Percentiles) -> Option<f64>| middles(run, value);
    let series = vec![
        named("p50", "p50", false, of(|p| p.p50)),
        named("p90", "p90", false, of(|p| p.p90)),
        named("p99", "p99", false, of(|p| p.p99)),
        named("max", "max", false, of(|p| Some(p.max))),
    ];
    let from = if run.document.open_loop.is_some() {
        "from the time each operation was due"
    } else {
        "of the operations that ended as expected"
    };
    Chart {
        title: "Latency",
        subtitle: format!("{from}, by interval; logarithmic"),
        description: format!(
            "Latency percentiles over time. In the whole window: median {}, 99th percentile {}.",
            run.percentile(|l| l.p50),
            run.percentile(|l| l.p99)
        ),
        y: axis(Scale::logarithmic(values(&series)), "", round_time),
        ..over_time(std::slice::from_ref(run), series)
    }
}

fn one_percentile(runs: &[Run], title: &'static str, value: fn(&Percentiles) -> Option<f64>) -> Chart {
    let series = by_run(runs, |run| middles(run, value));
    Chart {
        title,
        subtitle: "latency by interval; logarithmic".to_owned(),
        description: format!("{title}, one line for each run."),
        y: axis(Scale::logarithmic(values(&series)), "", round_time),
        ..over_time(runs, series)
    }
}

fn load(run: &Run) -> Chart {
    let mut series = Vec::new();
    if run.document.server.is_some() {
        series.push(named(
            "server",
            "server",
            false,
            steps(run, |i| i.server_busy_percent),
        ));
    }
    series.push(named(
        "loadgen",
        "generator",
        false,
        steps(run, |i| i.generator_busy_percent),
    ));
    Chart {
        title: "CPU",
        subtitle: "server: percent of one core; loadgen: percent of its own cores".to_owned(),
        description: "CPU time of the server and of the load generator over time.".to_owned(),
        y: axis(Scale::from_zero(values(&series), 100.0), "", percent),
        height: LOW,
        ..over_time(std::slice::from_ref(run), series)
    }
}

fn server_load(runs: &[Run]) -> Option<Chart> {
    let series = by_run(runs, |run| steps(run, |interval| interval.server_busy_percent));
    values(&series).next()?;
    Some(Chart {
        title: "Server CPU",
        subtitle: "percent of one core".to_owned(),
        description: "CPU time of the server over time, one line for each run.".to_owned(),
        y: axis(Scale::from_zero(values(&series), 100.0), "", percent),
        height: LOW,
        ..over_time(runs, series)
    })
}

/// Chart for runs where operations can queue, or phases change the load.
fn connections(run: &Run) -> Option<Chart> {
    let document = &run.document;
    (document.open_loop.is_some() || has_several_phases(document)).then(|| {
        let open = steps(run, |interval| Some(interval.connections_open as f64));
        let backlog = steps(run, |interval| Some(interval.backlog as f64));
        let series = vec![
            named("open", "server", false, open),
            named("waiting", "bad", false, backlog),
        ];
        Chart {
            title: "Connections",
            subtitle: "open connections, and operations that were due and waited for one".to_owned(),
            description: "Open connections and waiting operations over time.".to_owned(),
            y: axis(Scale::from_zero(values(&series), 4.0), "", round_number),
            height: LOW,
            ..over_time(std::slice::from_ref(run), series)
        }
    })
}

/// Chart for runs where connections are held open to learn what they take.
fn memory(runs: &[Run]) -> Option<Chart> {
    let holds = |run: &Run| run.document.phases.iter().any(|phase| phase.idle.is_some());
    let of = |run: &Run| {
        steps(run, |interval| {
            interval.server_resident_bytes.map(|bytes| bytes as f64)
        })
    };
    let series = match runs {
        [run] => vec![named("server", "server", false, of(run))],
        several => by_run(several, of),
    };
    values(&series).next().filter(|_| runs.iter().any(holds))?;
    Some(Chart {
        title: "Server memory",
        subtitle: "resident (RSS)".to_owned(),
        description: "Resident memory of the server over time.".to_owned(),
        y: axis(Scale::from_zero(values(&series), 1e6), "", bytes),
        height: LOW,
        ..over_time(runs, series)
    })
}

/// Latency by percentile, as HdrHistogram's plots have it: each step to the right has a tenth of the
/// operations.
fn percentiles(runs: &[Run]) -> Chart {
    let points = |curve: &[Point]| {
        curve
            .iter()
            .map(|point| Some((rarity(point), point.us)))
            .collect()
    };
    let series = match runs {
        [run] => {
            let curves = &run.document.latency_curves;
            let operation = if run.document.open_loop.is_some() {
                "scheduled"
            } else {
                "operation"
            };
            [
                (operation, "p50", &curves.operation),
                ("started", "p90", &curves.from_actual_start),
                ("handshake", "max", &curves.tls_handshake),
            ]
            .into_iter()
            .filter(|(_, _, curve)| !curve.is_empty())
            .map(|(name, class, curve)| named(name, class, false, points(curve)))
            .collect()
        }
        several => by_run(several, |run| points(&run.document.latency_curves.operation)),
    };
    let most = series.iter().flat_map(|series: &Series| &series.points).flatten();
    let most = most.map(|point| point.0).fold(1.0, f64::max);
    Chart {
        title: "Latency by percentile",
        subtitle: match runs {
            [run] if run.document.open_loop.is_some() => {
                "from the time it was due (scheduled) and from its start (started), and of the TLS handshake"
            }
            _ => "of the whole window",
        }
        .to_owned(),
        description: format!(
            "Latency by percentile: 99 percent took at most {}.",
            list(runs, |run| run.percentile(|l| l.p99))
        ),
        x: Axis {
            scale: Scale::exact(0.0, most),
            label: "percentile",
            text: round_number,
            marks: Some(
                NINES
                    .iter()
                    .map(|(x, name)| (*x, (*name).to_owned()))
                    .filter(|mark| mark.0 <= most)
                    .collect(),
            ),
        },
        y: axis(Scale::fitting(values(&series)), "", round_time),
        bands: Vec::new(),
        spots: match runs {
            [run] => percentile_spots(&run.document.latency_curves.operation),
            _ => Vec::new(),
        },
        series,
        height: HIGH,
    }
}

/// Rarity of a point, in powers of ten: operations for one that takes longer. The maximum is put where its
/// own count ends.
fn rarity(point: &Point) -> f64 {
    let above = (1.0 - point.percentile / 100.0).max(0.0);
    let finest = 1.0 / (point.count.max(1) as f64);
    -above.max(finest).min(1.0).log10()
}

fn percentile_spots(curve: &[Point]) -> Vec<Spot> {
    let pairs = curve.iter().zip(curve.iter().skip(1));
    pairs
        .map(|(from, to)| Spot {
            start: rarity(from),
            end: rarity(to),
            text: format!("{} % took at most {}", to.percentile, time(to.us)),
        })
        .filter(|spot| spot.end > spot.start)
        .collect()
}

/// The parts that all charts over time share; the vertical axis is the caller's.
fn over_time(runs: &[Run], series: Vec<Series>) -> Chart {
    let all = || runs.iter().flat_map(intervals);
    let start = all().map(|interval| interval.start_s).fold(0.0, f64::min);
    let end = all()
        .map(|interval| interval.start_s + interval.length_s)
        .fold(0.0, f64::max);
    Chart {
        title: "",
        subtitle: String::new(),
        description: String::new(),
        x: axis(
            Scale::exact(start, end),
            "seconds from the start of the window",
            round_number,
        ),
        y: axis(Scale::exact(0.0, 1.0), "", round_number),
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

fn intervals(run: &Run) -> &[Interval] {
    &run.document.timeline.intervals
}

/// A value that holds for the whole of an interval.
fn steps(run: &Run, value: impl Fn(&Interval) -> Option<f64>) -> Vec<Option<(f64, f64)>> {
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
fn middles(run: &Run, value: impl Fn(&Percentiles) -> Option<f64>) -> Vec<Option<(f64, f64)>> {
    let point = |interval: &Interval| {
        let value = interval.latency_us.as_ref().and_then(&value)?;
        Some((interval.start_s + interval.length_s / 2.0, value))
    };
    intervals(run).iter().map(point).collect()
}

fn by_run(runs: &[Run], points: impl Fn(&Run) -> Vec<Option<(f64, f64)>>) -> Vec<Series> {
    let series =
        |(index, run): (usize, &Run)| named(&run.letter, &super::run_class(index), false, points(run));
    runs.iter().enumerate().map(series).collect()
}

fn named(name: &str, class: &str, filled: bool, points: Vec<Option<(f64, f64)>>) -> Series {
    Series {
        name: name.to_owned(),
        class: class.to_owned(),
        filled,
        points,
    }
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> + Clone {
    series
        .iter()
        .flat_map(|series| &series.points)
        .flatten()
        .map(|point| point.1)
}

fn axis(scale: Scale, label: &'static str, text: fn(f64) -> String) -> Axis {
    Axis {
        scale,
        label,
        text,
        marks: None,
    }
}

fn list(runs: &[Run], text: impl Fn(&Run) -> String) -> String {
    runs.iter().map(text).collect::<Vec<_>>().join(", ")
}

const HIGH: f64 = 270.0;
const LOW: f64 = 180.0;
const NINES: [(f64, &str); 9] = [
    (0.0, "0 %"),
    (std::f64::consts::LOG10_2, "50 %"),
    (1.0, "90 %"),
    (2.0, "99 %"),
    (3.0, "99.9 %"),
    (4.0, "99.99 %"),
    (5.0, "99.999 %"),
    (6.0, "99.9999 %"),
    (7.0, "99.99999 %"),
];
