//! Message of a server when some thread of it panics: a message like any other. The standard library's own
//! hook writes to standard error. That hook would wait for standard error, or panic because of it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;
use std::thread;

/// Takes the place of the standard library's hook.
pub(super) fn tell() {
    panic::set_hook(Box::new(|panicked| {
        let why = panicked.payload_as_str().unwrap_or("no reason given");
        let place = panicked.location().map(ToString::to_string);
        let thread = thread::current();
        // Where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(thread = thread.name(), place, why, backtrace, "panicked");
    }));
}
