//! Jobs that read files while the server runs. Each job has a thread of its own, and one job runs at a time.
//! Otherwise a function could be published while a snapshot is being built, and the snapshot would undo that.
//!
//! Owns whose turn it is, who waits for the end, and an eye on the job that is under way: files may lie on a
//! network file system that hangs, and names may be asked of a resolver that does not answer. Such a job
//! cannot be ended, but it is told and counted, and what is asked for meanwhile is told, counted and done
//! after it. Runs on the control thread.

use std::collections::VecDeque;
use std::time::Duration;

use bothways_state::files::Progress;
use crossbeam_channel::Sender;

use super::publish::PublishOrder;
use crate::metrics::ProcessCounters;

/// Result of a reload, for whoever asked for it.
pub type Reloaded = Result<ReloadReport, String>;

/// Report on the snapshot that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    pub generation: u64,
    pub distributions: usize,
    /// By trust store: the size of its revocation set, and what it was before.
    pub revocation_entries: Vec<(String, u64, Option<u64>)>,
}

/// The jobs that wait, and the one that is under way.
#[derive(Default)]
pub(super) struct Jobs {
    under_way: Option<UnderWay>,
    /// Asked for since the last reload began; however often, it is one more.
    reload_wanted: bool,
    reload_orders: Vec<Sender<Reloaded>>,
    publish: VecDeque<PublishOrder>,
    progress: Progress,
}

struct UnderWay {
    what: &'static str,
    began: Duration,
    /// When it is spoken of next.
    word_due: Duration,
    orders: Vec<Sender<Reloaded>>,
}

/// Job that is to be begun now.
pub(super) enum Job {
    Reload,
    Publish(PublishOrder),
}

impl Jobs {
    /// Place where the file that is being read can be seen.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    pub(super) fn want_reload(&mut self, order: Option<Sender<Reloaded>>, counters: &ProcessCounters) {
        self.reload_orders.extend(order);
        if let Some(under_way) = &self.under_way {
            counters.reloads_deferred.add(1);
            if !self.reload_wanted {
                let what = under_way.what;
                tracing::info!("{what} is under way; the reload that was asked for follows it");
            }
        }
        self.reload_wanted = true;
    }

    pub(super) fn want_publish(&mut self, order: PublishOrder) {
        self.publish.push_back(order);
    }

    /// The job to begin at `now`, on the clock of [`crate::metrics::monotonic`]; none while one is under way.
    pub(super) fn next(&mut self, counters: &ProcessCounters, now: Duration) -> Option<Job> {
        if self.under_way.is_some() {
            return None;
        }
        let (job, what, orders) = if std::mem::take(&mut self.reload_wanted) {
            (Job::Reload, "a reload", std::mem::take(&mut self.reload_orders))
        } else {
            let order = self.publish.pop_front()?;
            (Job::Publish(order), "the publication of a function", Vec::new())
        };
        self.under_way = Some(UnderWay {
            what,
            began: now,
            word_due: now + LONG,
            orders,
        });
        counters.job_began.set(nanoseconds(now));
        Some(job)
    }

    /// The job has ended. Yields who waited for it.
    pub(super) fn done(&mut self, counters: &ProcessCounters) -> Vec<Sender<Reloaded>> {
        counters.job_began.set(0);
        let ended = self.under_way.take();
        ended.map(|job| job.orders).unwrap_or_default()
    }

    /// Says that a job takes long, at intervals that double.
    pub(super) fn look(&mut self, now: Duration) {
        let Some(job) = self.under_way.as_mut().filter(|job| now >= job.word_due) else {
            return;
        };
        let taken = now.saturating_sub(job.began);
        job.word_due = now + taken;
        let (what, seconds) = (job.what, taken.as_secs());
        let file = self.progress.last_opened();
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
    use crossbeam_channel::bounded;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_asked_for_while_a_reload_is_under_way_is_one_more_after_it_and_is_counted() {
        let (mut jobs, counters) = (Jobs::default(), ProcessCounters::default());
        jobs.want_reload(None, &counters);
        assert!(matches!(jobs.next(&counters, at(1)), Some(Job::Reload)));
        assert_eq!(counters.job_began.get(), 1_000_000_000);
        let (sender, answer) = bounded(1);
        for _ in 0..3 {
            jobs.want_reload(None, &counters);
        }
        jobs.want_reload(Some(sender), &counters);
        assert!(jobs.next(&counters, at(2)).is_none());
        assert_eq!(counters.reloads_deferred.get(), 4);

        assert!(jobs.done(&counters).is_empty(), "it began before the order");
        assert_eq!(counters.job_began.get(), 0);
        assert!(matches!(jobs.next(&counters, at(3)), Some(Job::Reload)));
        for order in jobs.done(&counters) {
            order.send(Err("broken".to_owned())).unwrap();
        }
        assert_eq!(answer.recv().unwrap(), Err("broken".to_owned()));
        assert!(jobs.next(&counters, at(4)).is_none());
    }

    #[test]
    fn a_job_that_takes_long_is_spoken_of_at_intervals_that_double() {
        let (mut jobs, counters) = (Jobs::default(), ProcessCounters::default());
        jobs.want_reload(None, &counters);
        let _begun = jobs.next(&counters, at(100));
        let mut spoken = Vec::new();
        for second in 100..200 {
            let due = jobs.under_way.as_ref().map(|job| job.word_due);
            jobs.look(at(second));
            if jobs.under_way.as_ref().map(|job| job.word_due) != due {
                spoken.push(second - 100);
            }
        }
        assert_eq!(spoken, [5, 10, 20, 40, 80]);
    }
}
