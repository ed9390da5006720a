//! Origins: a client that knows no viewer, and above it the rules of a viewer's request.
//!
//! Owns: origins as a snapshot holds them, the per-core pool of connections with its bound, the client that
//! sends a request over one of them ([`client`]), the addresses at which origins are found. Above the client
//! ([`forward`]): the share of each viewer, bodies at their viewer's pace, the rules for headers that end at
//! a proxy (RFC 9110 §7.6.1) and for those that frame a body (RFC 9112 §6).
//! Does not own: certificate headers (`http`); when names are looked up again (`backstage`'s resolver). Cores
//! read the addresses that were found last, and wait for no resolver.
//!
//! No connection carries a second request but on two proofs ([`spare`]).

mod address_table;
mod addresses;
mod client;
mod complaints;
mod destination;
mod dial;
mod fetch_error;
mod fetched_body;
mod forward;
mod framing;
mod greeting;
mod hop_by_hop;
mod incoming;
mod kinds;
mod lease;
mod pace;
mod plain;
mod pool;
mod request_body;
mod response_body;
mod share;
mod spare;
mod upload;
mod upload_reader;
mod upload_rest;
mod wire;

pub use self::address_table::{AddressTable, NamedAddresses};
pub use self::addresses::{Addresses, Found, Name, look_up};
pub use self::destination::Destination;
pub use self::fetch_error::FetchError;
pub use self::forward::{Exit, ForwardError, OriginBody, OriginPool, forward};
pub use self::framing::{BadFraming, check_request, frame_request, settle_response};
pub use self::hop_by_hop::remove_hop_by_hop;
pub use self::kinds::{FixedResponse, HttpOrigin, Origin, ResponseBounds};
pub use self::pace::Pace;
pub use self::plain::PlainStream;
pub use self::response_body::{Mark, ResponseBody};
pub use self::share::{ClientKey, Share, Shares};
pub use self::upload::Upload;
