//! Every bound that a peer, an origin or an operator can run into: its unit, its default, and why it is what
//! it is.
//!
//! Owns the numbers, not their enforcement. Runs nowhere; copied into each core at start.

mod reading;

use std::ops::RangeInclusive;
use std::time::Duration;

pub(crate) use reading::limits;

/// The bounds of one running server, from `[limits]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Open connections a core holds; one more is closed at once and counted. Bounds memory.
    pub connections_per_core: usize,
    /// Handshakes a core works on at a time, from their first octet on; one more is closed at once and
    /// counted. Bounds the work, and the memory of clients that nobody knows: 100 KiB each at most.
    pub handshakes_per_core: usize,
    /// From accept to the end of the handshake, whatever the client does in between.
    pub handshake_timeout: Duration,
    /// From the first byte of an HTTP/1 request head to its last.
    pub header_timeout: Duration,
    /// A connection without a request is closed when nothing has moved for so long. Within a request: how
    /// long its viewer may be waited for, to send or to read its body, before the stream is reset (HTTP/2) or
    /// the connection closed. Never ends a wait for an origin.
    pub idle_timeout: Duration,
    /// Bytes of a body that a viewer has to move, in either direction, for each second that the viewer is
    /// waited for. A viewer who moves less uses up `idle_timeout`, however often an octet comes. 0: any octet
    /// is enough.
    pub body_bytes_per_s_min: u64,
    /// Bounds on what a viewer still sends of a request that has been answered.
    pub lingering: Lingering,
    /// From SIGTERM to the drain, in which connections are still accepted and `/healthz` fails already.
    pub drain_delay: Duration,
    /// From the beginning of the drain to the moment when what is still open is cut.
    pub drain_timeout: Duration,
    /// An HTTP/1 request head or an HTTP/2 header list, in bytes.
    pub header_bytes_max: usize,
    /// Header fields of a request. Up to the default hyper reads them without an allocation.
    pub header_fields_max: usize,
    /// Header fields of an origin's response, which may set many cookies.
    pub origin_header_fields_max: usize,
    /// Buffer for what an origin sends, in bytes, and so its response's head: kept for each of its
    /// connections while a viewer reads slowly, so `origin_connections_per_core` times this is what slow
    /// readers can pile up.
    pub origin_buffer_bytes: usize,
    /// Concurrent HTTP/2 streams on one connection.
    pub streams_per_connection_max: u32,
    /// The import file of a key-value store, in bytes: the managed service's quota. It bounds what a write
    /// rewrites, too.
    pub key_value_store_bytes_max: usize,
    /// A key of a store, in bytes: the managed service's quota.
    pub key_bytes_max: usize,
    /// A value of a store, in bytes: the managed service's quota.
    pub value_bytes_max: usize,
    /// Verdicts on client chains that a core remembers, about 3 KB each; 0 verifies every chain from scratch.
    pub verdicts_per_core: usize,
    /// Connections a core holds to one origin; a request that would need one more is answered 503. Bounds
    /// descriptors, and what a stalled origin can pile up.
    pub origin_connections_per_core: usize,
    /// Requests of one client that a core has at origins at a time; one more is answered 503. A client is its
    /// verified certificate chain, else its address (of IPv6 the first 64 bits). A quarter of
    /// `origin_connections_per_core` unless said otherwise: no single client can take them all.
    pub origin_requests_per_client: usize,
    /// Between two look-ups of an origin's name. One follows soon after a connection could not be made,
    /// whatever this says.
    pub resolve_interval: Duration,
    /// Session tickets outstanding per core; the oldest is forgotten first.
    pub tickets_per_core: usize,
    /// How long a ticket can be redeemed, counted from the full handshake.
    pub ticket_lifetime: Duration,
    /// Connection records waiting for the shipper; further ones are dropped and counted.
    pub record_queue: usize,
    /// CPU time of one call of a function; its core does nothing else meanwhile.
    pub function_time: Duration,
    /// What one call of a function may allocate.
    pub function_memory_bytes: usize,
    /// The code of a function.
    pub function_code_bytes: usize,
    /// A CRL or serial list, in bytes. While a file is read, memory for twice as much may be held beside the
    /// set that is in use; a CRL of ten million entries has 400 MB.
    pub revocation_file_bytes_max: u64,
}

/// How long, and how much, a viewer is listened to that sends the rest of a request which has been answered
/// already. Closing at once would destroy the answer on its way (RFC 9112 §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lingering {
    /// In all.
    pub time: Duration,
    /// Without a byte.
    pub silence: Duration,
    pub bytes_max: u64,
}

impl Limits {
    /// The share of one client where nobody has said it.
    pub fn origin_requests_per_client_of(origin_connections_per_core: usize) -> usize {
        (origin_connections_per_core / 4).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_core: 100_000,
            handshakes_per_core: 4_096,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_bytes_per_s_min: 240,
            lingering: Lingering {
                time: Duration::from_secs(30),
                silence: Duration::from_secs(5),
                bytes_max: 128 * 1024 * 1024,
            },
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            header_bytes_max: 32_768,
            header_fields_max: 100,
            origin_header_fields_max: 256,
            origin_buffer_bytes: 65_536,
            streams_per_connection_max: 128,
            key_value_store_bytes_max: 5_242_880,
            key_bytes_max: 512,
            value_bytes_max: 1_024,
            verdicts_per_core: 8_192,
            origin_connections_per_core: 1_024,
            origin_requests_per_client: Self::origin_requests_per_client_of(1_024),
            resolve_interval: Duration::from_secs(30),
            tickets_per_core: 65_536,
            ticket_lifetime: Duration::from_secs(3_600),
            record_queue: 65_536,
            function_time: Duration::from_millis(5),
            function_memory_bytes: 2 * 1024 * 1024,
            function_code_bytes: 10_240,
            revocation_file_bytes_max: 512 * 1024 * 1024,
        }
    }
}

/// Ranges that the configuration may set each bound to, in the unit of the bound's key. Outside its range, a
/// bound bounds nothing or lets nothing through.
pub mod accepted {
    use super::RangeInclusive;

    pub const CONNECTIONS_PER_CORE: RangeInclusive<i64> = 1..=10_000_000;
    pub const HANDSHAKES_PER_CORE: RangeInclusive<i64> = 1..=1_000_000;
    pub const HANDSHAKE_TIMEOUT_MS: RangeInclusive<i64> = 10..=600_000;
    pub const HEADER_TIMEOUT_MS: RangeInclusive<i64> = 10..=600_000;
    pub const IDLE_TIMEOUT_MS: RangeInclusive<i64> = 10..=86_400_000;
    /// Zero: no least rate.
    pub const BODY_BYTES_PER_S_MIN: RangeInclusive<i64> = 0..=1_000_000_000;
    pub const LINGERING_TIME_MS: RangeInclusive<i64> = 0..=3_600_000;
    pub const LINGERING_TIMEOUT_MS: RangeInclusive<i64> = 0..=600_000;
    /// Zero: nothing is read behind an answer.
    pub const LINGERING_BYTES_MAX: RangeInclusive<i64> = 0..=1_099_511_627_776;
    pub const DRAIN_DELAY_MS: RangeInclusive<i64> = 0..=3_600_000;
    /// Zero cuts what is open at once.
    pub const DRAIN_TIMEOUT_MS: RangeInclusive<i64> = 0..=3_600_000;
    /// The HTTP library needs a buffer of 8 KiB at least.
    pub const HEADER_BYTES_MAX: RangeInclusive<i64> = 8_192..=1_048_576;
    /// Each costs 64 bytes while a head is read, sent or not.
    pub const HEADER_FIELDS_MAX: RangeInclusive<i64> = 16..=4_096;
    /// The HTTP library's least.
    pub const ORIGIN_BUFFER_BYTES: RangeInclusive<i64> = 8_192..=16_777_216;
    pub const STREAMS_PER_CONNECTION_MAX: RangeInclusive<i64> = 1..=10_000;
    pub const KEY_VALUE_STORE_BYTES: RangeInclusive<i64> = 1_024..=1_073_741_824;
    pub const KEY_BYTES: RangeInclusive<i64> = 1..=65_536;
    pub const VALUE_BYTES: RangeInclusive<i64> = 1..=16_777_216;
    pub const VERDICTS_PER_CORE: RangeInclusive<i64> = 0..=16_777_216;
    pub const ORIGIN_CONNECTIONS_PER_CORE: RangeInclusive<i64> = 1..=1_000_000;
    pub const ORIGIN_REQUESTS_PER_CLIENT: RangeInclusive<i64> = 1..=1_000_000;
    pub const RESOLVE_INTERVAL_S: RangeInclusive<i64> = 1..=86_400;
    pub const TICKETS_PER_CORE: RangeInclusive<i64> = 1..=16_777_216;
    /// RFC 8446 §4.6.1 allows seven days.
    pub const TICKET_LIFETIME_S: RangeInclusive<i64> = 1..=604_800;
    pub const RECORD_QUEUE: RangeInclusive<i64> = 1..=16_777_216;
    /// A core serves nobody else for so long.
    pub const FUNCTION_TIME_MS: RangeInclusive<i64> = 1..=1_000;
    pub const FUNCTION_MEMORY_BYTES: RangeInclusive<i64> = 65_536..=268_435_456;
    pub const FUNCTION_CODE_BYTES: RangeInclusive<i64> = 1..=1_048_576;
    /// DER is read here up to 4 GiB.
    pub const REVOCATION_FILE_BYTES: RangeInclusive<i64> = 1_024..=4_294_967_295;
}
