//! The engines of this thread: one for each function and version that runs here.
//!
//! An engine is out of the pool while it runs, so one that panics or runs out of something is simply not put
//! back.

use std::cell::RefCell;
use std::sync::Arc;

use super::engine::Engine;
use super::source::FunctionKind;

thread_local! {
    static ENGINES: RefCell<Vec<Pooled>> = const { RefCell::new(Vec::new()) };
}

struct Pooled {
    name: Arc<str>,
    kind: FunctionKind,
    version: u64,
    engine: Engine,
}

/// Takes this thread's engine of a version out of the pool.
pub(super) fn take(version: u64) -> Option<Engine> {
    ENGINES.with_borrow_mut(|engines| {
        let found = engines.iter().position(|pooled| pooled.version == version)?;
        Some(engines.remove(found).engine)
    })
}

/// Keeps an engine for the next call. The one that was used longest ago goes when there are too many, and
/// those of older versions of the same function: nobody calls them any more.
pub(super) fn put(name: &Arc<str>, kind: FunctionKind, version: u64, engine: Engine) {
    ENGINES.with_borrow_mut(|engines| {
        engines.retain(|pooled| {
            let is_same = pooled.kind == kind && pooled.name == *name;
            !is_same || pooled.version > version
        });
        if engines.len() >= ENGINES_PER_THREAD_MAX {
            engines.remove(0);
        }
        engines.push(Pooled {
            name: Arc::clone(name),
            kind,
            version,
            engine,
        });
    });
}

/// Drops this thread's engines but for the versions that `keep` says are still in use.
pub fn retire(keep: impl Fn(u64) -> bool) {
    ENGINES.with_borrow_mut(|engines| engines.retain(|pooled| keep(pooled.version)));
}

/// An engine holds about half a megabyte.
const ENGINES_PER_THREAD_MAX: usize = 64;
