//! The line that is shown each second while the run goes on: in place on a terminal, one below the other
//! elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::latency::Latency;
use super::text::{count, time};
use crate::load::second::Second;

/// Collects each thread's seconds and shows a second when all threads have given theirs.
pub struct Live {
    threads: usize,
    warm_up: Duration,
    /// Seconds that begin later are not shown: only the last operations end in them.
    end: Duration,
    open: BTreeMap<u64, (usize, Second)>,
    output: Output,
}

enum Output {
    None,
    Lines,
    Bar(ProgressBar),
}

impl Live {
    /// A display for `threads` load threads; it shows nothing where `quiet`.
    pub fn new(threads: usize, warm_up: Duration, duration: Option<Duration>, quiet: bool) -> Self {
        let output = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Output::None,
            (false, false) => Output::Lines,
            (false, true) => Output::Bar(bar(warm_up, duration)),
        };
        let end = duration.map_or(Duration::MAX, |duration| warm_up + duration);
        Live {
            threads,
            warm_up,
            end,
            open: BTreeMap::new(),
            output,
        }
    }

    /// Takes a second of one thread; shows that second when it was the last thread's.
    pub fn take(&mut self, interval: Second) {
        let second = interval.second;
        let entry = self.open.entry(second).and_modify(|(threads, all)| {
            *threads += 1;
            all.add(&interval);
        });
        let (threads, _) = entry.or_insert((1, interval));
        if *threads == self.threads
            && let Some((_, all)) = self.open.remove(&second)
        {
            self.show(&all);
        }
    }

    /// Takes the progress bar away.
    pub fn finish(self) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }

    fn show(&self, second: &Second) {
        if Duration::from_secs(second.second) >= self.end {
            return;
        }
        let text = line(second, second.second < self.warm_up.as_secs());
        match &self.output {
            Output::None => {}
            Output::Lines => eprintln!("{:>4} s  {text}", second.second + 1),
            Output::Bar(bar) => {
                bar.set_position(second.second + 1);
                bar.set_message(text);
            }
        }
    }
}

fn line(second: &Second, warming_up: bool) -> String {
    let latency = Latency::of(&second.latency);
    let (p50, p99) = latency.map_or((None, None), |latency| {
        (latency.p50, Some(latency.p99.unwrap_or(latency.max)))
    });
    let mut text = format!(
        "{:>9} op/s  p50 {:>8}  p99 {:>8}",
        count(second.ok),
        time(p50),
        time(p99)
    );
    if second.failed > 0 {
        text.push_str(&format!("  {} not as expected", count(second.failed)));
    }
    if second.backlog > 0 {
        text.push_str(&format!("  backlog {}", count(second.backlog)));
    }
    if warming_up {
        text.push_str("  (warm-up)");
    }
    text
}

fn bar(warm_up: Duration, duration: Option<Duration>) -> ProgressBar {
    let (bar, template) = match duration {
        Some(duration) => (
            ProgressBar::new((warm_up + duration).as_secs()),
            "{bar:20} {pos:>3}/{len} s  {wide_msg}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {pos:>3} s  {wide_msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
