//! An eye on the reload or the publication that is under way. Files may lie on a network file system that
//! hangs, and names may be asked of a resolver that does not answer. Such a job cannot be ended, but it is
//! told and counted.

use std::time::Duration;

use bothways_state::files::Progress;

use crate::metrics::ProcessCounters;

/// The job under way, if there is one.
#[derive(Default)]
pub(super) struct Watch {
    under_way: Option<UnderWay>,
}

struct UnderWay {
    what: &'static str,
    began: Duration,
    /// Time of the next word about it.
    word_due: Duration,
}

impl Watch {
    /// Job in words.
    pub(super) fn what(&self) -> Option<&'static str> {
        self.under_way.as_ref().map(|job| job.what)
    }

    /// A job begins at `now`, on the clock of [`crate::metrics::monotonic`].
    pub(super) fn begin(&mut self, what: &'static str, now: Duration, counters: &ProcessCounters) {
        self.under_way = Some(UnderWay {
            what,
            began: now,
            word_due: now + LONG,
        });
        counters.job_began.set(nanoseconds(now));
    }

    pub(super) fn end(&mut self, counters: &ProcessCounters) {
        self.under_way = None;
        counters.job_began.set(0);
    }

    /// Says that a job takes long, at intervals that double.
    pub(super) fn look(&mut self, now: Duration, progress: &Progress) {
        let Some(job) = self.under_way.as_mut().filter(|job| now >= job.word_due) else {
            return;
        };
        let taken = now.saturating_sub(job.began);
        job.word_due = now + taken;
        let (what, seconds) = (job.what, taken.as_secs());
        let file = progress.last_opened();
        let reading = file.map_or_else(|| "no file yet".to_owned(), |file| file.display().to_string());
        tracing::warn!(
            reading,
            "{what} has been under way for {seconds} s; what is asked for meanwhile waits"
        );
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Much longer than the largest files take on a slow machine.
const LONG: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_job_is_counted_for_as_long_as_it_is_under_way() {
        let (mut watch, counters) = (Watch::default(), ProcessCounters::default());
        watch.begin("a reload", at(1), &counters);
        assert_eq!(
            (watch.what(), counters.job_began.get()),
            (Some("a reload"), 1_000_000_000)
        );
        watch.end(&counters);
        assert_eq!((watch.what(), counters.job_began.get()), (None, 0));
    }

    #[test]
    fn a_job_that_takes_long_is_spoken_of_at_intervals_that_double() {
        let (mut watch, counters) = (Watch::default(), ProcessCounters::default());
        watch.begin("a reload", at(100), &counters);
        let mut spoken = Vec::new();
        for second in 100..200 {
            let due = watch.under_way.as_ref().map(|job| job.word_due);
            watch.look(at(second), &Progress::default());
            if watch.under_way.as_ref().map(|job| job.word_due) != due {
                spoken.push(second - 100);
            }
        }
        assert_eq!(spoken, [5, 10, 20, 40, 80]);
    }
}
