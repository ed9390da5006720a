//! Slow clock of a core, for connections that are quiet or slow for too long.
//!
//! It walks over all connections, in slices, instead of setting a timer for each request. So it is late by up
//! to its own period, which is a tenth of the shortest limit and a second at most. Owns what is done about a
//! connection; [`super::watch`] decides.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bothways_config::Limits;

use super::core::Core;
use super::registry::{Open, Phase, Watch};
use super::watch::{Action, Seen, decide};
use crate::http::Patience;
use crate::metrics::{CutReason, StalledBody};
use crate::runtime::{SignalKind, give_back_free_pages, sleep};

/// Connections looked at without letting others run.
const SLICE: usize = 1_024;
/// Time for which the allocator keeps what was freed, since it may be wanted again, and a little more.
const FREED_AFTER: Duration = Duration::from_millis(1_200);
/// Time for which a core that is never quiet keeps what was freed.
const FREED_AT_LATEST: Duration = Duration::from_secs(10);

/// Watches `core`'s connections for as long as it runs.
pub(super) async fn tick(core: Rc<Core>) {
    let mut freed = Freed::default();
    loop {
        let snapshot = core.snapshot();
        let limits = &snapshot.limits;
        sleep(period(limits)).await;
        let mut from = Some(0);
        while let Some(start) = from {
            let (slice, next) = core.registry.slice(start, SLICE);
            let now = Instant::now();
            slice
                .iter()
                .for_each(|open| watch(&core, open, limits, core.registry.is_draining(), now));
            from = next;
            if from.is_some() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        freed.look(
            core.counters.connection_rests.get() + core.ended.get(),
            Instant::now(),
        );
        core.resources.pool.expire(Instant::now());
        core.resources.console.borrow_mut().tell_untold(Instant::now());
    }
}

/// Memory that the operating system has not got back yet. Connections that rest or have ended have freed it.
#[derive(Default)]
struct Freed {
    /// Rests and ends of connections so far.
    events: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Freed {
    /// Gives free memory back to the operating system when nothing was freed for `FREED_AFTER`, at the latest
    /// `FREED_AT_LATEST` after the first. True if it has done so now. `events`: number of rests and ends
    /// until `now`.
    fn look(&mut self, events: u64, now: Instant) -> bool {
        if events != std::mem::replace(&mut self.events, events) {
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
        let is_over = |since: Option<Instant>, time: Duration| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= time)
        };
        let is_due = is_over(self.last, FREED_AFTER) || is_over(self.first, FREED_AT_LATEST);
        if is_due {
            (self.first, self.last) = (None, None);
            give_back_free_pages();
        }
        is_due
    }
}

/// Period of the tick.
pub(super) fn period(limits: &Limits) -> Duration {
    let shortest = limits.header_timeout.min(limits.idle_timeout);
    (shortest / 10).clamp(Duration::from_millis(10), Duration::from_secs(1))
}

fn watch(core: &Core, open: &Open, limits: &Limits, draining: bool, now: Instant) {
    let phase = open.phase.get();
    if phase == Phase::Handshake {
        // A handshake has a timer of its own.
        return;
    }
    let last = open.watch.get();
    let seen = Seen::now(open, last, draining, now);
    open.watch.set(seen.watch);
    let action = decide(&seen, limits, phase, now);
    if matches!(action, Action::Cut(CutReason::Idle) | Action::AskToFinish) {
        // A connection that was asked to finish and does not gets as long again, then it is closed.
        open.watch.set(Watch {
            quiet_since: now,
            ..seen.watch
        });
    }
    match action {
        Action::Wait => {}
        Action::JudgeBodies => watch_bodies(core, open, limits, last, seen.watch),
        Action::Cut(reason) => cut(core, open, reason),
        Action::AskToFinish | Action::Drain => open.signal.raise(SignalKind::Finish),
        Action::Rest => {
            open.rest.note_quiet();
            open.signal.nudge();
        }
    }
}

/// Judges the bodies of the requests under way, each by its own time. An origin that is waited for has the
/// clock of `origin`. No other bytes of the connection, a PING say, are a sign of life.
fn watch_bodies(core: &Core, open: &Open, limits: &Limits, last: Watch, seen: Watch) {
    let elapsed = seen.looked_at.saturating_duration_since(last.looked_at);
    let patience = Patience {
        time: limits.idle_timeout,
        bytes_per_s_min: limits.body_bytes_per_s_min,
    };
    let is_http2 = open.phase.get() == Phase::Http2;
    let stalled = open.activity.end_stalled(elapsed, patience, is_http2);
    let counters = &core.counters.bodies_stalled;
    counters.of(StalledBody::Request).add(stalled.uploads);
    counters.of(StalledBody::Response).add(stalled.streams);
    if stalled.response {
        counters.of(StalledBody::Response).add(1);
        cut(core, open, CutReason::Response);
    } else if seen.bytes_moved == last.bytes_moved {
        // No task was woken for the end of a send: if it has failed, the connection has to hear of that while
        // it waits for an origin.
        open.signal.nudge();
    }
}

/// Ends a connection that has not kept a time limit.
fn cut(core: &Core, open: &Open, cut: CutReason) {
    let _first_time = open.cut.set(cut);
    tracing::debug!(why = cut.as_str(), "a connection did not keep its time");
    core.counters.connections_cut.of(cut).add(1);
    open.signal.raise(SignalKind::Close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_freed_is_given_back_once_when_no_more_come_to_rest() {
        let start = Instant::now();
        let mut freed = Freed::default();
        let mut look = |rests, after_ms| freed.look(rests, start + Duration::from_millis(after_ms));
        assert!(!look(0, 0) && !look(0, 5_000), "nothing has rested");
        assert!(!look(3, 6_000) && !look(3, 7_000), "too early");
        assert!(!look(4, 7_500), "another one");
        assert!(!look(4, 8_500) && look(4, 9_000), "a while after the last");
        assert!(!look(4, 20_000), "once");
    }

    #[test]
    fn a_core_that_is_never_quiet_gives_back_too() {
        let start = Instant::now();
        let mut freed = Freed::default();
        let mut look = |second: u64| freed.look(second + 1, start + Duration::from_secs(second));
        let given_back: Vec<u64> = (0..25).filter(|second| look(*second)).collect();
        assert_eq!(given_back, [10, 21]);
    }
}
