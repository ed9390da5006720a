//! `[limits]`: every bound that a peer, an origin or an operator can run into, with its unit, its default,
//! its range and the reason for it.
//!
//! Owns the numbers, in one table: the key in the file, the field of [`Limits`], the check of the range and
//! the default all come from a row of it. Enforces nothing. Runs nowhere; copied into each core at start.

mod define;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use self::define::{limits, unit};
use crate::error::Problem;
use crate::key::KeyPath;
use crate::number::{milliseconds, number, seconds};

limits! {
    // field: key, unit, default, range. Outside its range a bound bounds nothing, or lets nothing through.

    /// Open connections a core holds. One more is closed at once and counted. Bounds memory.
    connections_per_core: connections_per_core, count, 100_000, 1..=10_000_000;

    /// Handshakes a core works on at a time, from their first octet on. One more is closed at once and
    /// counted. Bounds the work, and the memory of clients that nobody knows: 100 KiB each at most.
    handshakes_per_core: handshakes_per_core, count, 4_096, 1..=1_000_000;

    /// Time from accept to the end of the handshake, whatever the client does in between.
    handshake_timeout: handshake_timeout_ms, milliseconds, 10_000, 10..=600_000;

    /// Time from the first byte of an HTTP/1 request head to its last.
    header_timeout: header_timeout_ms, milliseconds, 10_000, 10..=600_000;

    /// Silence after which a connection without a request is closed. Within a request: how long its viewer
    /// may be waited for, to send or to read its body, before the stream is reset (HTTP/2) or the connection
    /// closed. Never ends a wait for an origin.
    idle_timeout: idle_timeout_ms, milliseconds, 60_000, 10..=86_400_000;

    /// Bytes of a body that a viewer has to move, in either direction, for each second that the viewer is
    /// waited for. A viewer who moves less uses up `idle_timeout`, however often an octet comes. 0: any octet
    /// is enough.
    body_bytes_per_s_min: body_bytes_per_s_min, bytes_per_second, 240, 0..=1_000_000_000;

    /// Time for the rest of a request that has been answered, in all: see [`Lingering`].
    lingering_time: lingering_time_ms, milliseconds, 30_000, 0..=3_600_000;

    /// Silence that ends the wait for such a rest.
    lingering_silence: lingering_timeout_ms, milliseconds, 5_000, 0..=600_000;

    /// Bytes of such a rest. 0: nothing is read behind an answer.
    lingering_bytes_max: lingering_bytes_max, bytes_64, 134_217_728, 0..=1_099_511_627_776;

    /// Time from SIGTERM to the drain, in which connections are still accepted and `/healthz` fails already.
    drain_delay: drain_delay_ms, milliseconds, 0, 0..=3_600_000;

    /// Time from the beginning of the drain to the moment when what is still open is cut. 0: at once.
    drain_timeout: drain_timeout_ms, milliseconds, 30_000, 0..=3_600_000;

    /// Bytes of an HTTP/1 request head or an HTTP/2 header list. The HTTP library needs a buffer of 8 KiB at
    /// least.
    header_bytes_max: header_bytes_max, bytes, 32_768, 8_192..=1_048_576;

    /// Header fields of a request. Each costs 64 bytes while a head is read, sent or not. Up to the default
    /// hyper reads them without an allocation.
    header_fields_max: header_fields_max, count, 100, 16..=4_096;

    /// Header fields of an origin's response, which may set many cookies.
    origin_header_fields_max: origin_header_fields_max, count, 256, 16..=4_096;

    /// Bytes of the buffer for what an origin sends, and so of its response's head. It is kept for each
    /// connection to an origin while a viewer reads slowly, so `origin_connections_per_core` times this is
    /// what slow readers can pile up. The least is the HTTP library's.
    origin_buffer_bytes: origin_buffer_bytes, bytes, 65_536, 8_192..=16_777_216;

    /// Concurrent HTTP/2 streams on one connection.
    streams_per_connection_max: streams_per_connection_max, count_32, 128, 1..=10_000;

    /// Bytes of the import file of a key-value store: the managed service's quota. Bounds what a write
    /// rewrites, too.
    key_value_store_bytes_max: key_value_store_bytes, bytes, 5_242_880, 1_024..=1_073_741_824;

    /// Bytes of a key of a store: the managed service's quota.
    key_bytes_max: key_bytes, bytes, 512, 1..=65_536;

    /// Bytes of a value of a store: the managed service's quota.
    value_bytes_max: value_bytes, bytes, 1_024, 1..=16_777_216;

    /// Verdicts on client chains that a core remembers, about 3 KB each. 0: every chain is verified from
    /// scratch.
    verdicts_per_core: verdicts_per_core, count, 8_192, 0..=16_777_216;

    /// Connections a core holds to one origin. A request that would need one more is answered 503. Bounds
    /// descriptors, and what a stalled origin can pile up.
    origin_connections_per_core: origin_connections_per_core, count, 1_024, 1..=1_000_000;

    /// Requests of one client that a core has at origins at a time. One more is answered 503. A client is its
    /// verified certificate chain, else its address (of IPv6 the first 64 bits). A quarter of
    /// `origin_connections_per_core` unless said otherwise: no single client can take them all.
    origin_requests_per_client: origin_requests_per_client, count, 256, 1..=1_000_000;

    /// Time between two look-ups of an origin's name. A look-up follows soon after a connection could not be
    /// made, whatever this says.
    resolve_interval: resolve_interval_s, seconds, 30, 1..=86_400;

    /// Session tickets outstanding per core. The oldest is forgotten first.
    tickets_per_core: tickets_per_core, count, 65_536, 1..=16_777_216;

    /// Time in which a ticket can be redeemed, counted from the full handshake. RFC 8446 §4.6.1 allows seven
    /// days.
    ticket_lifetime: ticket_lifetime_s, seconds, 3_600, 1..=604_800;

    /// Connection records waiting for the shipper. Further ones are dropped and counted.
    record_queue: record_queue, count, 65_536, 1..=16_777_216;

    /// CPU time of one call of a function. Its core does nothing else meanwhile.
    function_time: function_time_ms, milliseconds, 5, 1..=1_000;

    /// Bytes that one call of a function may allocate.
    function_memory_bytes: function_memory_bytes, bytes, 2_097_152, 65_536..=268_435_456;

    /// Bytes of the code of a function.
    function_code_bytes: function_code_bytes, bytes, 10_240, 1..=1_048_576;

    /// Bytes of a CRL or serial list. While a file is read, memory for twice as much may be held beside the
    /// set that is in use; a CRL of ten million entries has 400 MB. DER is read here up to 4 GiB.
    revocation_file_bytes_max: revocation_file_bytes, bytes_64, 536_870_912, 1_024..=4_294_967_295;
}

impl Limits {
    /// Reads the table, and derives the one default that depends on another bound.
    pub(crate) fn check(raw: &RawLimits) -> Result<Self, Problem> {
        let mut limits = Self::read(raw)?;
        if raw.origin_requests_per_client.is_none() {
            limits.origin_requests_per_client = share_of_one_client(limits.origin_connections_per_core);
        }
        Ok(limits)
    }

    /// Bounds on the rest of a request that has been answered.
    pub fn lingering(&self) -> Lingering {
        Lingering {
            time: self.lingering_time,
            silence: self.lingering_silence,
            bytes_max: self.lingering_bytes_max,
        }
    }
}

/// Bounds on how long, and how much, a viewer is listened to that sends the rest of a request which has been
/// answered already. Closing at once would destroy the answer on its way (RFC 9112 §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lingering {
    /// Time in all.
    pub time: Duration,
    /// Time without a byte.
    pub silence: Duration,
    pub bytes_max: u64,
}

/// The share of one client of the connections to an origin, unless the configuration names one.
const fn share_of_one_client(origin_connections_per_core: usize) -> usize {
    match origin_connections_per_core / 4 {
        0 => 1,
        quarter => quarter,
    }
}

const _: () = assert!(
    share_of_one_client(1_024) == 256,
    "two rows of the table of limits disagree"
);

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
