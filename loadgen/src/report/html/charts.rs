//! Charts of the pages: one run by its percentiles, several runs beside each other.

use super::Run;
use super::format::{bytes, percent, rate, round_number, round_time, time};
use super::over_time::{HIGH, middles, over_time, steps};
use super::plot::{Axis, Chart, Series, Spot};
use super::scale::Scale;
use super::scenario::has_several_phases;
use crate::report::curve::Point;
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
        && run
            .document
            .timeline
            .intervals
            .iter()
            .any(|interval| failed(interval) > 0)
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
        y: Axis::new(Scale::from_zero(values(&series), 1.0), "", round_number),
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
        y: Axis::new(Scale::logarithmic(values(&series)), "", round_time),
        ..over_time(std::slice::from_ref(run), series)
    }
}

fn one_percentile(runs: &[Run], title: &'static str, value: fn(&Percentiles) -> Option<f64>) -> Chart {
    let series = by_run(runs, |run| middles(run, value));
    Chart {
        title,
        subtitle: "latency by interval; logarithmic".to_owned(),
        description: format!("{title}, one line for each run."),
        y: Axis::new(Scale::logarithmic(values(&series)), "", round_time),
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
        y: Axis::new(Scale::from_zero(values(&series), 100.0), "", percent),
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
        y: Axis::new(Scale::from_zero(values(&series), 100.0), "", percent),
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
            y: Axis::new(Scale::from_zero(values(&series), 4.0), "", round_number),
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
        y: Axis::new(Scale::from_zero(values(&series), 1e6), "", bytes),
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
        y: Axis::new(Scale::fitting(values(&series)), "", round_time),
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

fn list(runs: &[Run], text: impl Fn(&Run) -> String) -> String {
    runs.iter().map(text).collect::<Vec<_>>().join(", ")
}

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
