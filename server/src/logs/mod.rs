//! Connection records: what they say, their way off the cores, and where they are written.
//!
//! A core builds one [`ConnectionRecord`] for each connection attempt and hands it to its [`RecordSender`],
//! which never blocks: what the bounded queue cannot take is dropped and counted. One plain thread, the
//! [`Shipper`], takes records off the queue and offers each to every [`Lane`]. A lane is one destination: its
//! format, its bounded batches, its counters, and a thread that appends them to its [`Sink`].
//!
//! Invariants: every record sent is counted once for each lane, as written or as dropped with a reason; one
//! that reaches no lane is counted once. A line in a sink is never joined with another. A slow or broken sink
//! costs records of its lane, never a core's time nor another lane's records.
//!
//! Messages for the operator are not records: they go through `tracing` into [`Messages`]. A [`Console`]
//! bounds those of functions, a [`Throttle`] any that clients or origins cause.

mod complaint;
mod connection_id;
mod console;
mod field;
mod json;
mod lane;
mod lane_writer;
mod line_writer;
mod messages;
mod queue;
mod record;
mod room;
mod shipper;
mod shipping;
mod sink;
mod throttle;

pub use connection_id::{ConnectionId, ConnectionIds};
pub use console::Console;
pub use lane::Lane;
pub use messages::Messages;
pub use queue::RecordSender;
pub use record::ConnectionRecord;
pub use shipper::{Shipper, ShipperRemote, StopError};
pub use sink::Sink;
pub use throttle::Throttle;
