//! The state of one call: the store's generation, the time, its decision, its log lines.
//!
//! Native functions write here and read from here; between calls it is empty.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bothways_state::key_values::KeyValues;

use super::certificate_renames::CertificateRenames;

/// `cf.edgeLocation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeLocation {
    pub name: String,
    /// The address that the client has connected to.
    pub server_ip: String,
    pub region: String,
}

#[derive(Default)]
pub(super) struct Call {
    now_ms: Cell<f64>,
    store: RefCell<Option<Arc<KeyValues>>>,
    allowed: Cell<bool>,
    denied: Cell<bool>,
    custom_data: RefCell<Option<Box<str>>>,
    console: RefCell<Console>,
    edge_location: RefCell<Option<Rc<EdgeLocation>>>,
    renames: RefCell<CertificateRenames>,
    /// Promises rejected so far that nobody has asked about.
    unhandled: Cell<usize>,
}

#[derive(Default)]
struct Console {
    lines: Vec<String>,
    bytes: usize,
}

/// Results that a call has left, taken out of it.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) allowed: bool,
    pub(super) denied: bool,
    pub(super) custom_data: Option<Box<str>>,
    pub(super) console: Vec<String>,
    pub(super) renames: CertificateRenames,
}

impl Call {
    pub(super) fn begin(&self, now: SystemTime, store: Option<Arc<KeyValues>>) {
        self.take();
        self.now_ms.set(milliseconds(now));
        self.store.replace(store);
        self.unhandled.set(0);
    }

    pub(super) fn take(&self) -> Said {
        self.store.take();
        self.edge_location.take();
        Said {
            renames: self.renames.take(),
            allowed: self.allowed.take(),
            denied: self.denied.take(),
            custom_data: self.custom_data.take(),
            console: self.console.take().lines,
        }
    }

    pub(super) fn now_ms(&self) -> f64 {
        self.now_ms.get()
    }

    pub(super) fn allow(&self) {
        self.allowed.set(true);
    }

    pub(super) fn deny(&self) {
        self.denied.set(true);
    }

    /// The last one counts, cut at a character.
    pub(super) fn log_custom_data(&self, text: &str) {
        let end = text.floor_char_boundary(CUSTOM_DATA_BYTES_MAX);
        let kept = text.get(..end).unwrap_or_default();
        self.custom_data.replace(Some(kept.into()));
    }

    /// A line of `console.log`; what is beyond the bound of a call is cut and not told.
    pub(super) fn log(&self, line: &str) {
        let mut console = self.console.borrow_mut();
        let room = CONSOLE_BYTES_MAX.saturating_sub(console.bytes);
        if room == 0 {
            return;
        }
        let kept = line.get(..line.floor_char_boundary(room)).unwrap_or_default();
        // An empty line is not free, or there could be any number of them.
        console.bytes += kept.len().max(1);
        console.lines.push(kept.to_owned());
    }

    pub(super) fn set_edge_location(&self, location: Option<Rc<EdgeLocation>>) {
        self.edge_location.replace(location);
    }

    pub(super) fn edge_location(&self) -> Option<Rc<EdgeLocation>> {
        self.edge_location.borrow().clone()
    }

    pub(super) fn rename<T>(&self, wish: impl FnOnce(&mut CertificateRenames) -> T) -> T {
        wish(&mut self.renames.borrow_mut())
    }

    pub(super) fn with_store<T>(&self, read: impl FnOnce(&KeyValues) -> T) -> Option<T> {
        self.store.borrow().as_deref().map(read)
    }

    pub(super) fn note_rejection(&self, is_handled: bool) {
        let unhandled = self.unhandled.get();
        self.unhandled.set(match is_handled {
            true => unhandled.saturating_sub(1),
            false => unhandled.saturating_add(1),
        });
    }

    pub(super) fn has_unhandled_rejection(&self) -> bool {
        self.unhandled.get() > 0
    }
}

/// Since 1970, as `Date` counts.
pub(super) fn milliseconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as f64,
        Err(before) => -(before.duration().as_millis() as f64),
    }
}

/// The service's bound on `logCustomData` (reference §2.4).
const CUSTOM_DATA_BYTES_MAX: usize = 800;
/// The service's bound on the log of one call (reference §2.4).
const CONSOLE_BYTES_MAX: usize = 10 * 1024;
