//! Connection records: what they say, their way off the cores, and where they are written.
//!
//! A core builds one [`ConnectionRecord`] for each connection attempt and hands it to its [`RecordSender`],
//! which never blocks: what the bounded queue cannot take is dropped and counted. One plain thread, the
//! [`Shipper`], takes records off the queue in batches, encodes them as JSON lines and appends them to the
//! [`Sink`].
//!
//! Invariants: every record sent is counted once, as written or as dropped with a reason; a line in the sink
//! is never joined with another; a slow or broken sink costs records, never a core's time. Messages for the
//! operator are not records: they go through `tracing` into [`Messages`], those of functions by way of a
//! [`Console`], which bounds them.

mod complaint;
mod connection_id;
mod console;
mod field;
mod json;
mod line_writer;
mod messages;
mod queue;
mod record;
mod shipper;
mod sink;
mod throttle;

pub use connection_id::{ConnectionId, ConnectionIds};
pub use console::Console;
pub use messages::{Messages, Unwritten};
pub use queue::RecordSender;
pub use record::ConnectionRecord;
pub use shipper::{Shipper, ShipperRemote, StopError};
pub use sink::{OpenSink, Sink, SinkError};
pub use throttle::Throttle;
