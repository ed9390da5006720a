//! What the server counts, and the page that shows it.
//!
//! Owns the counters of each core and of the process, the vocabulary of their labels, and the Prometheus
//! text. Does not decide *when* something counts: the worker, the shipper and the reloader do.
//!
//! Invariants: a [`CoreCounters`] has one writer, its core, so that counting is a load and a store without a
//! locked instruction; the reader sums over the cores and may see one counter a moment before another. Other
//! cores read how many connections it holds. What more than one thread counts lives in [`ProcessCounters`].
//! Counters only grow; durations are kept in nanoseconds and shown in seconds.

pub mod build;
mod call_mark;
mod cells;
mod exposition;
mod labels;
mod named;
mod named_exposition;
mod records;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub use call_mark::{CallMark, Marked, OpenCall, monotonic};
pub use cells::{Counter, Family, FunctionScale, Gauge, Histogram, SharedCounter};
pub use exposition::render;
pub use labels::{
    Agreement, CloseReason, ConnectionStatus, CutReason, DropReason, FailureCode, FunctionResult,
    HandshakeKind, Label, MemoResult, OriginFault, OriginResult, ReloadResult, RequestLimit, RequestRefusal,
    ResolveResult, ShedReason, StalledBody, StatusClass, TicketDecline, ViewerFunctionResult,
};
pub use named::{
    CrlDates, Dates, Directory, DistributionCells, DistributionCounters, DistributionName, OriginCells,
    OriginCounters, OriginName, PerCore, count,
};
pub use records::{LaneCounters, RecordCounters, RecordDrops};

/// Everything that can be read about the running server.
#[derive(Debug)]
pub struct Registry {
    /// Start of the process, as exactly as it matters.
    pub started: SystemTime,
    pub cores: Vec<Arc<CoreCounters>>,
    pub process: Arc<ProcessCounters>,
    pub named: Arc<Directory>,
}

impl Registry {
    /// Zeroed counters for so many cores.
    pub fn new(cores: usize) -> Self {
        Self::with_messages(cores, Arc::default())
    }

    /// The same, with a counter that has begun already.
    pub fn with_messages(cores: usize, messages_dropped: Arc<MessageDrops>) -> Self {
        Self {
            started: SystemTime::now(),
            cores: (0..cores).map(|_| Arc::default()).collect(),
            process: Arc::new(ProcessCounters {
                messages_dropped,
                ..ProcessCounters::default()
            }),
            named: Arc::new(Directory::new(cores)),
        }
    }
}

/// What one core counts. Only that core writes; whole cache lines, so that no other core's counting slows it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CoreCounters {
    /// Finished connections, counted with their record.
    pub connections: Family<ConnectionStatus, { ConnectionStatus::COUNT }>,
    /// By the core that serves the connection, whichever accepted it.
    pub connections_accepted: Counter,
    /// Accepted, and given to a core that holds fewer.
    pub connections_handed_over: Counter,
    pub connections_open: Gauge,
    /// Closed by their client before it sent an octet; they have no record.
    pub connections_unused: Counter,
    /// Idle connections that gave back the buffers of HTTP.
    pub connection_rests: Counter,
    pub handshakes_open: Gauge,
    /// Completed handshakes.
    pub handshakes: Family<HandshakeKind, { HandshakeKind::COUNT }>,
    /// Clients that a candidate trust store judged too.
    pub candidate_decisions: Family<Agreement, { Agreement::COUNT }>,
    /// Accept to handshake done, of the completed ones.
    pub handshake_duration: Histogram,
    /// The function's call that is going on, of either kind.
    pub function_call: CallMark,
    /// Calls of connection functions.
    pub connection_functions: Family<FunctionResult, { FunctionResult::COUNT }>,
    /// CPU time of these calls.
    pub connection_function_duration: Histogram<FunctionScale>,
    /// Calls of viewer functions, for requests and for responses.
    pub viewer_request_functions: Family<ViewerFunctionResult, { ViewerFunctionResult::COUNT }>,
    pub viewer_response_functions: Family<ViewerFunctionResult, { ViewerFunctionResult::COUNT }>,
    /// CPU time of both.
    pub viewer_function_duration: Histogram<FunctionScale>,
    /// Requests by the class of their response.
    pub requests: Family<StatusClass, { StatusClass::COUNT }>,
    /// Requests refused for what they are, by reason; each is among `requests` too.
    pub requests_refused: Family<RequestRefusal, { RequestRefusal::COUNT }>,
    /// Open connections that did not keep a time limit.
    pub connections_cut: Family<CutReason, { CutReason::COUNT }>,
    /// Bodies that were ended because their viewer was too slow.
    pub bodies_stalled: Family<StalledBody, { StalledBody::COUNT }>,
    /// Requests answered 503 at a bound.
    pub requests_limited: Family<RequestLimit, { RequestLimit::COUNT }>,
    /// Connections to origins that were not used again because of what the origin did.
    pub origin_faults: Family<OriginFault, { OriginFault::COUNT }>,
    /// Verdicts on client chains, by whether they were remembered.
    pub verdicts: Family<MemoResult, { MemoResult::COUNT }>,
    pub verdicts_evicted: Counter,
    pub tickets_issued: Counter,
    pub tickets_redeemed: Counter,
    pub tickets_declined: Family<TicketDecline, { TicketDecline::COUNT }>,
    /// Open connections closed because their client would not be admitted any more.
    pub no_longer_admitted: Family<CloseReason, { CloseReason::COUNT }>,
    /// Walks over the open connections after a reload.
    pub sweeps: Counter,
    /// Connections closed at a limit, before any work was done for them.
    pub shed: Family<ShedReason, { ShedReason::COUNT }>,
    /// Connection tasks that panicked; each cost its connection only.
    pub panics: Counter,
}

/// What the process counts beside its cores; any thread may write.
#[derive(Debug, Default)]
pub struct ProcessCounters {
    /// Names of origins that were looked up again.
    pub origin_lookups: Family<ResolveResult, { ResolveResult::COUNT }, SharedCounter>,
    pub records: RecordCounters,
    /// Counted where they are queued and written, before there is a registry.
    pub messages_dropped: Arc<MessageDrops>,
    pub reloads: Family<ReloadResult, { ReloadResult::COUNT }, SharedCounter>,
    /// Asked for while another was under way.
    pub reloads_deferred: SharedCounter,
    /// When the reload, or publication of a function, that is under way began: nanoseconds of [`monotonic`];
    /// 0: none is.
    pub job_began: SharedCounter,
    /// 1 from SIGTERM on.
    pub draining: SharedCounter,
    /// Calls of functions that held a core longer than any may.
    pub function_calls_stuck: SharedCounter,
    /// Generation of the published snapshot.
    pub snapshot_generation: SharedCounter,
    revocation_entries: Mutex<BTreeMap<String, u64>>,
}

/// Messages for the operator that were lost.
#[derive(Debug, Default)]
pub struct MessageDrops(Family<DropReason, { DropReason::COUNT }, SharedCounter>);

impl MessageDrops {
    pub fn of(&self, reason: DropReason) -> &SharedCounter {
        self.0.of(reason)
    }

    pub fn total(&self) -> u64 {
        let lost = DropReason::ALL.iter().map(|reason| self.of(*reason).get());
        lost.sum()
    }
}

impl ProcessCounters {
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
