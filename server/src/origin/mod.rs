//! The way to the origin: what is sent on, over which connection, within which time.
//!
//! Owns: origins as the snapshot holds them, the per-core pool of connections to them with its bound, the
//! rules for headers that end at a proxy (RFC 9110 §7.6.1) and for those that frame a body (RFC 9112 §6).
//! Does not own: certificate headers (`http`), when names are looked up (the snapshot's build and the
//! resolver's thread; cores read the addresses that were found last, and wait for no resolver).

mod address_table;
mod addresses;
mod beginning;
mod body;
mod complaint;
mod destination;
mod exchange;
mod forward;
mod framing;
mod greeting;
mod hop_by_hop;
mod kinds;
mod pace;
mod plain;
mod pool;
mod share;
mod upload;
mod wire;

pub use self::address_table::{AddressTable, NamedAddresses};
pub use self::addresses::{Addresses, Found, Lookup, Name, look_up};
pub use self::body::{BodyError, Mark, RequestBody, ResponseBody};
pub use self::complaint::Complaint;
pub use self::destination::{Destination, Identity, Scheme, Trust};
pub use self::forward::{Exit, ForwardError, forward};
pub use self::framing::{BadFraming, check_request, frame_request, settle_response};
pub use self::hop_by_hop::remove_hop_by_hop;
pub use self::kinds::{FixedResponse, HttpOrigin, Origin, ResponseBounds};
pub use self::pace::Pace;
pub use self::plain::PlainStream;
pub use self::pool::OriginPool;
pub use self::share::{ClientKey, Share, Shares};
pub use self::upload::Upload;
