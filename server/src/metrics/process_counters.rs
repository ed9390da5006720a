//! Counters of the process beside its cores, and their families on the page. Any thread may write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::cells::{Family, SharedCounter, SharedGauge};
use super::labels::{DropReason, Label as _, ReloadResult, ResolveResult};
use super::page::Page;
use super::records::RecordCounters;
use super::table::counters;

counters! {
    #[derive(Debug, Default)]
    pub struct ProcessCounters {
        unshown {
            pub records: RecordCounters,
            /// Counted where messages are queued and written, before there is a registry.
            pub messages_dropped: Arc<MessageDrops>,
            /// Start of the reload, or publication of a function, that is under way: nanoseconds of
            /// [`super::monotonic`]; 0: none is.
            pub job_began: SharedGauge,
            revocation_entries: Mutex<BTreeMap<String, u64>>,
        }
        show_changes {
            origin_lookups: Family<ResolveResult, SharedCounter>, "bothways_origin_lookups_total" ["result"],
                "Look-ups of origins' names while running, by what they have brought.";
            reloads: Family<ReloadResult, SharedCounter>, "bothways_reloads_total" ["result"],
                "Reloads by result.";
            reloads_deferred: SharedCounter, "bothways_reloads_deferred_total",
                "Reloads asked for while one was under way; one more follows it for all of them.";
        }
        show_state {
            draining: SharedGauge, "bothways_draining",
                "1 from SIGTERM on, when /healthz fails.";
            function_calls_stuck: SharedCounter, "bothways_function_calls_stuck_total",
                "Calls of functions that held their core for seconds; the log says which.";
            snapshot_generation: SharedGauge, "bothways_snapshot_generation",
                "Generation of the published snapshot.";
        }
    }
}

impl ProcessCounters {
    /// Zeroed counters, but for one that has begun already.
    pub(super) fn with_messages(messages_dropped: Arc<MessageDrops>) -> Self {
        Self {
            messages_dropped,
            ..Self::default()
        }
    }

    /// Replaces the sizes of the revocation sets, by trust store; a store that is gone is shown no longer.
    pub fn set_revocation_entries(&self, entries: impl IntoIterator<Item = (String, u64)>) {
        *self
            .revocation_entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = entries.into_iter().collect();
    }

    /// Sizes of the revocation sets, by trust store.
    pub fn revocation_entries(&self) -> BTreeMap<String, u64> {
        self.revocation_entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Messages for the operator that were lost.
#[derive(Debug, Default)]
pub struct MessageDrops(Family<DropReason, SharedCounter>);

impl MessageDrops {
    pub fn of(&self, reason: DropReason) -> &SharedCounter {
        self.0.of(reason)
    }

    pub fn total(&self) -> u64 {
        let lost = DropReason::ALL.iter().map(|reason| self.of(*reason).get());
        lost.sum()
    }
}
