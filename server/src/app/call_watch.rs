//! The control thread's eye on the cores' function calls. A call's own limits end it long before; one that
//! hangs all the same holds its core, which then can neither log nor count, so that somebody else must.

use std::time::Duration;

use bothways_config::accepted;

use crate::metrics::{OpenCall, Registry};

/// Time after which a call is stuck: more than any call may take.
const STUCK_AFTER: Duration = Duration::from_secs(2);
/// Time between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

const _: () = assert!(STUCK_AFTER.as_millis() > *accepted::function_time_ms.end() as u128);
const _: () = assert!(LOOK_EVERY.as_millis() < STUCK_AFTER.as_millis());

/// Calls that were told of already, by core.
#[derive(Debug, Default)]
pub(super) struct CallWatch {
    told: Vec<Option<OpenCall>>,
}

impl CallWatch {
    /// Logs and counts each call that is stuck at `now`, on the clock of [`crate::metrics::monotonic`]; each
    /// once.
    pub(super) fn look(&mut self, registry: &Registry, now: Duration) {
        self.told.resize(registry.cores.len(), None);
        for (core, (counters, told)) in registry.cores.iter().zip(&mut self.told).enumerate() {
            let open = counters.function_call.open();
            let stuck = open.filter(|call| now.saturating_sub(call.since) >= STUCK_AFTER);
            if let Some(call) = stuck.as_ref().filter(|call| told.as_ref() != Some(call)) {
                registry.process.function_calls_stuck.add(1);
                tracing::error!(
                    core,
                    function = &*call.function,
                    for_ms = now.saturating_sub(call.since).as_millis(),
                    "a core hangs in a function's call and serves nobody: take the function out and restart"
                );
            }
            *told = stuck;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_call_that_does_not_come_back_is_counted_once() {
        let registry = Registry::new(2);
        let stuck = || registry.process.function_calls_stuck.get();
        let mut watch = CallWatch::default();
        let at = Duration::from_secs;
        let function: Arc<str> = Arc::from("judge");
        let mark = &registry.cores.last().expect("two cores").function_call;

        watch.look(&registry, at(10));
        let call = mark.begin(&function, at(10));
        watch.look(&registry, at(11));
        assert_eq!(stuck(), 0);
        watch.look(&registry, at(12));
        watch.look(&registry, at(13));
        assert_eq!(stuck(), 1);
        drop(call);
        watch.look(&registry, at(14));

        let _another = mark.begin(&function, at(14));
        watch.look(&registry, at(15));
        assert_eq!(stuck(), 1);
        watch.look(&registry, at(17));
        assert_eq!(stuck(), 2);
    }
}
