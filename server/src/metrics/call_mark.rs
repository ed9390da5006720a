//! Mark of the function that a core is calling, and since when, for another thread to see. A core that
//! hangs in a call cannot say so itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustix::time::{ClockId, clock_gettime};

/// Written by one core, read by anybody. A core calls one function at a time.
#[derive(Debug, Default)]
pub struct CallMark {
    /// Begin of the call on the clock of [`monotonic`], in nanoseconds; 0: no call is going on.
    since_ns: AtomicU64,
    /// Function of the call that is going on, or of the last.
    function: ArcSwapOption<Arc<str>>,
}

/// A call that has not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    pub function: Arc<str>,
    /// On the clock of [`monotonic`].
    pub since: Duration,
}

/// The mark stands while this lives.
#[must_use]
pub struct Marked<'a>(&'a CallMark);

impl CallMark {
    /// A call of `function` begins, at `now` on the clock of [`monotonic`].
    pub fn begin(&self, function: &Arc<str>, now: Duration) -> Marked<'_> {
        let is_known = matches!(&*self.function.load(), Some(known) if Arc::ptr_eq(&**known, function));
        if !is_known {
            self.function.store(Some(Arc::new(Arc::clone(function))));
        }
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.since_ns.store(now, Ordering::Release);
        Marked(self)
    }

    /// The call that is going on, if any.
    pub fn open(&self) -> Option<OpenCall> {
        let since_ns = self.since_ns.load(Ordering::Acquire);
        let function = self.function.load_full()?;
        // Else another call has begun meanwhile, and the name may be its.
        (since_ns != 0 && since_ns == self.since_ns.load(Ordering::Acquire)).then(|| OpenCall {
            function: Arc::clone(&function),
            since: Duration::from_nanos(since_ns),
        })
    }
}

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        self.0.since_ns.store(0, Ordering::Release);
    }
}

/// A clock that all threads share and nobody sets.
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_seen_while_it_lasts_and_under_its_name() {
        let mark = CallMark::default();
        assert_eq!(mark.open(), None);
        for (name, at) in [("a", 5), ("b", 7), ("b", 9)] {
            let (function, now) = (Arc::from(name), Duration::from_secs(at));
            let marked = mark.begin(&function, now);
            assert_eq!(mark.open(), Some(OpenCall { function, since: now }));
            drop(marked);
            assert_eq!(mark.open(), None);
        }
    }
}
