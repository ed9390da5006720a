//! The slow clock of a core: who has been quiet or slow for too long.
//!
//! One walk over all connections, in slices, instead of a timer for each request. It is therefore late by up to its
//! own period, which is a tenth of the shortest limit and a second at most.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::registry::{Open, Phase, Rest, Watch};
use crate::limits::Limits;
use crate::runtime::{SignalKind, give_back_free_pages, sleep};

/// Connections looked at without letting others run.
const SLICE: usize = 1_024;
/// While draining, a connection that has not sent its first request for so long is not waited for.
const DRAIN_FIRST_REQUEST: Duration = Duration::from_secs(2);

/// Silence after which a connection gives back what only HTTP needs.
const REST_AFTER: Duration = Duration::from_secs(1);

/// How long the allocator keeps what was freed, since it may be wanted again, and a little more.
const FREED_AFTER: Duration = Duration::from_millis(1_200);
/// How long a core that is never quiet keeps what was freed.
const FREED_AT_LATEST: Duration = Duration::from_secs(10);

/// Watches `core`'s connections for as long as it runs.
pub async fn tick(core: Rc<Core>) {
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
                .for_each(|open| watch(open, limits, core.registry.is_draining(), now));
            from = next;
            if from.is_some() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        freed.look(
            core.counters.connection_rests.get() + core.ended.get(),
            Instant::now(),
        );
        core.edge.pool.expire(Instant::now());
        core.edge.console.borrow_mut().tell_untold(Instant::now());
    }
}

/// What connections have freed that rest or have ended, and the operating system has not got back yet.
#[derive(Default)]
struct Freed {
    /// Rests and ends so far.
    events: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Freed {
    /// Gives it back once nothing was freed for a while, or has been for long: whether that is now. `events`: so many there were until `now`.
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

/// Of the tick.
pub fn period(limits: &Limits) -> Duration {
    let shortest = limits.header_timeout.min(limits.idle_timeout);
    (shortest / 10).clamp(Duration::from_millis(10), Duration::from_secs(1))
}

fn watch(open: &Open, limits: &Limits, draining: bool, now: Instant) {
    let phase = open.phase.get();
    if phase == Phase::Handshake {
        return;
    }
    let seen = look(open, open.watch.get(), now);
    open.watch.set(seen);
    let overdue = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
    if seen
        .head_since
        .is_some_and(|since| overdue(since, limits.header_timeout))
    {
        open.signal.raise(SignalKind::Close);
    } else if overdue(seen.quiet_since, limits.idle_timeout) {
        let asked_already = open.signal.kind() == SignalKind::Finish;
        let stalled = open.activity.is_busy() || asked_already;
        open.signal.raise(if stalled {
            SignalKind::Close
        } else {
            SignalKind::Finish
        });
        // One that was asked to finish and does not gets as long again, then it is closed.
        open.watch.set(Watch {
            quiet_since: now,
            ..seen
        });
    } else if draining && seen.requests == 0 && overdue(seen.quiet_since, DRAIN_FIRST_REQUEST) {
        open.signal.raise(SignalKind::Finish);
    } else if open.may_rest() && seen.head_since.is_none() && overdue(seen.quiet_since, REST_AFTER) {
        open.rest.set(Rest::Due);
        open.signal.nudge();
    } else if open.activity.is_busy() && overdue(seen.quiet_since, REST_AFTER) {
        // Nobody was woken for the end of a send: if it has failed, its connection has to hear of that while an origin is waited for.
        open.signal.nudge();
    }
}

/// What has changed since the last look. On HTTP/2 only requests count as life: pings and window updates are free.
fn look(open: &Open, last: Watch, now: Instant) -> Watch {
    let activity = &open.activity;
    let (bytes_moved, requests) = (activity.bytes_moved(), activity.requests());
    let http2_idle = open.phase.get() == Phase::Http2 && !activity.is_busy();
    let moved = requests != last.requests || (!http2_idle && bytes_moved != last.bytes_moved);
    let head_pending = open.phase.get() != Phase::Http2 && activity.is_head_pending();
    let same_head = requests == last.requests;
    Watch {
        bytes_moved,
        requests,
        quiet_since: if moved { now } else { last.quiet_since },
        head_since: head_pending.then(|| last.head_since.filter(|_| same_head).unwrap_or(now)),
    }
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
