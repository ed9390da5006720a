//! The connection log, opened anew after rotation has renamed it.

use std::time::Duration;

use super::asker::Asker;
use crate::logs::ShipperRemote;

/// Sentence about what has become of the log, or why it was not opened.
pub type Reopened = Result<String, String>;

/// Order to open the log anew. All askers that wait for their turn are served by one reopening.
pub(super) struct ReopenOrder(Vec<Asker<Reopened>>);

impl ReopenOrder {
    pub(super) fn of(asker: Asker<Reopened>) -> Self {
        Self(vec![asker])
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn tell(self, reopened: &Reopened) {
        for asker in self.0 {
            asker.tell(reopened.clone());
        }
    }
}

/// Waits for the shipper, and so for the log's sink.
pub(super) fn reopen(log: &ShipperRemote) -> Reopened {
    log.reopen(REOPEN_WAIT)
}

/// Time for what is queued to be written first.
const REOPEN_WAIT: Duration = Duration::from_secs(10);
