//! Counters of the server, and the page that shows them.
//!
//! Owns the counters of each core and of the process, the vocabulary of their labels, and the Prometheus
//! text. Does not decide *when* something counts: the worker, the shipper and the reloader do.
//!
//! Invariants: a [`CoreCounters`] has one writer, its core, so that counting is a load and a store without a
//! locked instruction; the reader sums over the cores and may see one counter a moment before another. Other
//! cores read how many connections it holds. What more than one thread counts lives in [`ProcessCounters`].
//! Counters only grow; durations are kept in nanoseconds and shown in seconds.
//!
//! A counter is added as a row of `core_counters` or `process_counters`, with its values in `labels` where
//! they are new. The row is the cell, its documentation and its family on the page; `config/metrics.md` lists
//! it, held by a test.

pub mod build;
mod call_mark;
mod cells;
mod core_counters;
mod exposition;
mod labels;
mod named;
mod named_exposition;
mod page;
mod process_counters;
mod records;
mod registry;
mod table;

pub use call_mark::{OpenCall, monotonic};
pub use core_counters::CoreCounters;
pub use exposition::render;
pub use labels::{
    Agreement, CloseReason, ConnectionStatus, CutReason, DropReason, FailureCode, FunctionResult,
    HandshakeKind, Label, MemoResult, OriginFault, OriginResult, ReloadResult, RequestLimit, RequestRefusal,
    ResolveResult, ShedReason, StalledBody, StatusClass, TicketDecline, ViewerFunctionResult,
};
pub use named::{
    CrlDates, Dates, Directory, DistributionCounters, DistributionName, OriginCounters, OriginName, count,
};
pub use process_counters::{MessageDrops, ProcessCounters};
pub use records::{LaneCounters, RecordDrops};
pub use registry::Registry;
