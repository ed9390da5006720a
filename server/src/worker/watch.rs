//! Judgement of the tick on one connection: what it sees, and what follows.
//!
//! Owns the rules about time that hold for a connection from the end of its handshake on. Does not own bodies
//! on their way, each of which has its own time ([`crate::http::Activity`]), nor what is done about a
//! connection ([`super::tick`]). [`decide`] is pure: what was seen, the limits and the time are arguments.

use std::time::{Duration, Instant};

use bothways_config::Limits;

use super::registry::{Open, Phase, Watch};
use crate::metrics::CutReason;

/// Connection as one look of the tick finds it.
pub(super) struct Seen {
    pub(super) watch: Watch,
    /// A request is being answered, or the rest of an answered request read.
    is_busy: bool,
    /// The connection was asked to finish and still is open.
    is_finishing: bool,
    /// The core drains.
    is_draining: bool,
    /// HTTP holds buffers, and no request is under way that needs them.
    may_rest: bool,
}

/// Action that follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing is due.
    Wait,
    /// Requests are under way: judge each body by its own time.
    JudgeBodies,
    /// Close the connection now.
    Cut(CutReason),
    /// Ask the connection to finish, and give it `idle_timeout_ms` again for that.
    AskToFinish,
    /// Ask the connection to finish, since the core drains and no request has come.
    Drain,
    /// Have the connection give back what only HTTP needs.
    Rest,
}

impl Seen {
    /// Looks at `open`, of which `last` was seen before.
    pub(super) fn now(open: &Open, last: Watch, is_draining: bool, now: Instant) -> Self {
        Self {
            watch: look(open, last, now),
            is_busy: open.activity.is_busy(),
            is_finishing: open.is_finishing(),
            is_draining,
            may_rest: open.may_rest(),
        }
    }
}

/// Watch of a connection after the changes since the last look.
fn look(open: &Open, last: Watch, now: Instant) -> Watch {
    let activity = &open.activity;
    let (bytes_moved, requests) = (activity.bytes_moved(), activity.requests());
    let is_http2 = open.phase.get() == Phase::Http2;
    // A request is a sign of life. Between the requests of HTTP/2 only a next request is one: pings and
    // window updates are free.
    let is_alive = activity.is_busy() || requests != last.requests;
    let moved = is_alive || (!is_http2 && bytes_moved != last.bytes_moved);
    // A client of an http listener has nothing else to wait for than its next redirect.
    let is_plain = open.phase.get() == Phase::Plain && !activity.is_busy();
    let head_pending = !is_http2 && (is_plain || activity.is_head_pending());
    let same_head = requests == last.requests;
    let quiet_since = if moved { now } else { last.quiet_since };
    Watch {
        looked_at: now,
        bytes_moved,
        requests,
        quiet_since,
        head_since: head_pending.then(|| last.head_since.filter(|_| same_head).unwrap_or(quiet_since)),
    }
}

/// Decides what follows from a look at a connection in `phase`. The first rule that applies counts.
pub(super) fn decide(seen: &Seen, limits: &Limits, phase: Phase, now: Instant) -> Action {
    let is_over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
    let quiet_for = |limit| is_over(seen.watch.quiet_since, limit);
    let head_since = seen.watch.head_since;
    if seen.is_busy {
        Action::JudgeBodies
    } else if head_since.is_some_and(|since| is_over(since, limits.header_timeout)) {
        Action::Cut(CutReason::Head)
    } else if quiet_for(limits.idle_timeout) {
        match seen.is_finishing {
            true => Action::Cut(CutReason::Idle),
            false => Action::AskToFinish,
        }
    } else if seen.is_draining && seen.watch.requests == 0 && quiet_for(DRAIN_FIRST_REQUEST) {
        Action::Drain
    } else if phase == Phase::Http1 && seen.may_rest && head_since.is_none() && quiet_for(REST_AFTER) {
        Action::Rest
    } else {
        Action::Wait
    }
}

/// Silence of a connection without a first request that a draining core waits for.
const DRAIN_FIRST_REQUEST: Duration = Duration::from_secs(2);
/// Silence after which a connection gives back what only HTTP needs.
const REST_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits of this table: a head within 10 s, silence for 60 s.
    fn limits() -> Limits {
        Limits {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            ..Limits::default()
        }
    }

    /// Look at a connection that has answered a request and was quiet for `quiet_ms` since `start`.
    fn quiet(start: Instant, quiet_ms: u64) -> (Seen, Instant) {
        let now = start + Duration::from_millis(quiet_ms);
        let watch = Watch {
            looked_at: now,
            bytes_moved: 1_000,
            requests: 1,
            quiet_since: start,
            head_since: None,
        };
        let seen = Seen {
            watch,
            is_busy: false,
            is_finishing: false,
            is_draining: false,
            may_rest: true,
        };
        (seen, now)
    }

    type Change = fn(&mut Seen);

    fn head(seen: &mut Seen) {
        seen.watch.head_since = Some(seen.watch.quiet_since);
    }

    /// A core that drains, and no request yet.
    fn unasked(seen: &mut Seen) {
        (seen.is_draining, seen.watch.requests, seen.may_rest) = (true, 0, false);
    }

    #[test]
    fn each_look_leads_to_the_first_rule_that_applies() {
        use Action::{AskToFinish, Cut, Drain, JudgeBodies, Rest, Wait};
        use Phase::{Http1, Http2, Plain};
        let as_it_is: Change = |_| {};
        let busy: Change = |seen| seen.is_busy = true;
        let finishing: Change = |seen| seen.is_finishing = true;
        let asleep: Change = |seen| seen.may_rest = false;
        let drained: Change = |seen| seen.is_draining = true;
        let cases: [(&str, Phase, u64, Change, Action); 21] = [
            ("a request under way", Http1, 90_000, busy, JudgeBodies),
            ("a stream under way", Http2, 0, busy, JudgeBodies),
            ("quiet for a moment", Http1, 999, as_it_is, Wait),
            ("quiet for a second", Http1, 1_000, as_it_is, Rest),
            ("resting already", Http1, 1_000, asleep, Wait),
            ("HTTP/2 never rests", Http2, 1_000, as_it_is, Wait),
            ("nor does a plain connection", Plain, 1_000, as_it_is, Wait),
            ("the front of a head", Http1, 1_000, head, Wait),
            ("a head that is nearly late", Http1, 9_999, head, Wait),
            ("a head that is late", Http1, 10_000, head, Cut(CutReason::Head)),
            ("a plain client's head", Plain, 10_000, head, Cut(CutReason::Head)),
            ("late before idle", Http1, 90_000, head, Cut(CutReason::Head)),
            ("nearly idle", Http2, 59_999, as_it_is, Wait),
            ("idle", Http2, 60_000, as_it_is, AskToFinish),
            ("idle and resting", Http1, 60_000, asleep, AskToFinish),
            ("idle before rest", Http1, 60_000, as_it_is, AskToFinish),
            (
                "asked, idle again",
                Http1,
                60_000,
                finishing,
                Cut(CutReason::Idle),
            ),
            ("asked, and with time left", Http2, 59_999, finishing, Wait),
            ("drain, no request yet", Http2, 1_999, unasked, Wait),
            ("drain, no request", Http2, 2_000, unasked, Drain),
            ("drain, a request done", Http2, 2_000, drained, Wait),
        ];
        for (case, phase, quiet_ms, change, expected) in cases {
            let (mut seen, now) = quiet(Instant::now(), quiet_ms);
            change(&mut seen);
            assert_eq!(decide(&seen, &limits(), phase, now), expected, "{case}");
        }
    }
}
