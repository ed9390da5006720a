//! A function's call on a core, watched: seen by another thread while it runs, counted and told when it is
//! over.
//!
//! Owns the frame around each call, whichever kind of function it is of. Does not own the event that a
//! function is called with, nor the meaning of its outcome for a request or a client.

use std::sync::Arc;

use bothways_functions::Function;

use super::viewer::CoreResources;
use crate::metrics::{CoreCounters, monotonic};

/// Outcome of a call, as the frame around it needs it.
pub trait CallOutcome {
    /// Counts the call and the time that it took.
    fn count(&self, counters: &CoreCounters);

    /// Tells the operator what `function` said in the call for the connection or request `id`, and how it
    /// failed, if it did.
    fn tell(&self, core: &CoreResources, id: &str, function: &str);
}

/// Calls `function` on the core of `core`, for the connection or request `id`.
///
/// The mark stands for the call alone. A core that hangs while it counts or tells is not the function's
/// fault.
pub fn watched<O: CallOutcome>(
    core: &CoreResources,
    id: &str,
    function: &Arc<Function>,
    call: impl FnOnce(&Arc<Function>) -> O,
) -> O {
    let marked = core.counters.function_call.begin(function.name(), monotonic());
    let outcome = call(function);
    drop(marked);
    outcome.count(&core.counters);
    outcome.tell(core, id, function.name());
    outcome
}
