//! `[limits]`: the bounds of one running server. The parent has the defaults, the ranges and the reasons.

use super::{Limits, Lingering, accepted};
use crate::error::Problem;
use crate::key::KeyPath;
use crate::number::{milliseconds, number, seconds};
use crate::raw::RawLimits;

pub(crate) fn limits(raw: &RawLimits) -> Result<Limits, Problem> {
    let default = Limits::default();
    let origin_connections_per_core = number(
        &at("origin_connections_per_core"),
        raw.origin_connections_per_core,
        default.origin_connections_per_core,
        &accepted::ORIGIN_CONNECTIONS_PER_CORE,
    )?;
    Ok(Limits {
        connections_per_core: number(
            &at("connections_per_core"),
            raw.connections_per_core,
            default.connections_per_core,
            &accepted::CONNECTIONS_PER_CORE,
        )?,
        handshakes_per_core: number(
            &at("handshakes_per_core"),
            raw.handshakes_per_core,
            default.handshakes_per_core,
            &accepted::HANDSHAKES_PER_CORE,
        )?,
        handshake_timeout: milliseconds(
            &at("handshake_timeout_ms"),
            raw.handshake_timeout_ms,
            default.handshake_timeout,
            &accepted::HANDSHAKE_TIMEOUT_MS,
        )?,
        header_timeout: milliseconds(
            &at("header_timeout_ms"),
            raw.header_timeout_ms,
            default.header_timeout,
            &accepted::HEADER_TIMEOUT_MS,
        )?,
        idle_timeout: milliseconds(
            &at("idle_timeout_ms"),
            raw.idle_timeout_ms,
            default.idle_timeout,
            &accepted::IDLE_TIMEOUT_MS,
        )?,
        body_bytes_per_s_min: number(
            &at("body_bytes_per_s_min"),
            raw.body_bytes_per_s_min,
            default.body_bytes_per_s_min,
            &accepted::BODY_BYTES_PER_S_MIN,
        )?,
        lingering: lingering(raw, default.lingering)?,
        drain_delay: milliseconds(
            &at("drain_delay_ms"),
            raw.drain_delay_ms,
            default.drain_delay,
            &accepted::DRAIN_DELAY_MS,
        )?,
        drain_timeout: milliseconds(
            &at("drain_timeout_ms"),
            raw.drain_timeout_ms,
            default.drain_timeout,
            &accepted::DRAIN_TIMEOUT_MS,
        )?,
        header_bytes_max: number(
            &at("header_bytes_max"),
            raw.header_bytes_max,
            default.header_bytes_max,
            &accepted::HEADER_BYTES_MAX,
        )?,
        header_fields_max: number(
            &at("header_fields_max"),
            raw.header_fields_max,
            default.header_fields_max,
            &accepted::HEADER_FIELDS_MAX,
        )?,
        origin_header_fields_max: number(
            &at("origin_header_fields_max"),
            raw.origin_header_fields_max,
            default.origin_header_fields_max,
            &accepted::HEADER_FIELDS_MAX,
        )?,
        origin_buffer_bytes: number(
            &at("origin_buffer_bytes"),
            raw.origin_buffer_bytes,
            default.origin_buffer_bytes,
            &accepted::ORIGIN_BUFFER_BYTES,
        )?,
        streams_per_connection_max: number(
            &at("streams_per_connection_max"),
            raw.streams_per_connection_max,
            default.streams_per_connection_max,
            &accepted::STREAMS_PER_CONNECTION_MAX,
        )?,
        verdicts_per_core: number(
            &at("verdicts_per_core"),
            raw.verdicts_per_core,
            default.verdicts_per_core,
            &accepted::VERDICTS_PER_CORE,
        )?,
        origin_connections_per_core,
        origin_requests_per_client: number(
            &at("origin_requests_per_client"),
            raw.origin_requests_per_client,
            Limits::origin_requests_per_client_of(origin_connections_per_core),
            &accepted::ORIGIN_REQUESTS_PER_CLIENT,
        )?,
        key_value_store_bytes_max: number(
            &at("key_value_store_bytes"),
            raw.key_value_store_bytes,
            default.key_value_store_bytes_max,
            &accepted::KEY_VALUE_STORE_BYTES,
        )?,
        key_bytes_max: number(
            &at("key_bytes"),
            raw.key_bytes,
            default.key_bytes_max,
            &accepted::KEY_BYTES,
        )?,
        value_bytes_max: number(
            &at("value_bytes"),
            raw.value_bytes,
            default.value_bytes_max,
            &accepted::VALUE_BYTES,
        )?,
        resolve_interval: seconds(
            &at("resolve_interval_s"),
            raw.resolve_interval_s,
            default.resolve_interval,
            &accepted::RESOLVE_INTERVAL_S,
        )?,
        tickets_per_core: number(
            &at("tickets_per_core"),
            raw.tickets_per_core,
            default.tickets_per_core,
            &accepted::TICKETS_PER_CORE,
        )?,
        ticket_lifetime: seconds(
            &at("ticket_lifetime_s"),
            raw.ticket_lifetime_s,
            default.ticket_lifetime,
            &accepted::TICKET_LIFETIME_S,
        )?,
        record_queue: number(
            &at("record_queue"),
            raw.record_queue,
            default.record_queue,
            &accepted::RECORD_QUEUE,
        )?,
        function_time: milliseconds(
            &at("function_time_ms"),
            raw.function_time_ms,
            default.function_time,
            &accepted::FUNCTION_TIME_MS,
        )?,
        function_memory_bytes: number(
            &at("function_memory_bytes"),
            raw.function_memory_bytes,
            default.function_memory_bytes,
            &accepted::FUNCTION_MEMORY_BYTES,
        )?,
        function_code_bytes: number(
            &at("function_code_bytes"),
            raw.function_code_bytes,
            default.function_code_bytes,
            &accepted::FUNCTION_CODE_BYTES,
        )?,
        revocation_file_bytes_max: number(
            &at("revocation_file_bytes"),
            raw.revocation_file_bytes,
            default.revocation_file_bytes_max,
            &accepted::REVOCATION_FILE_BYTES,
        )?,
    })
}

fn lingering(raw: &RawLimits, default: Lingering) -> Result<Lingering, Problem> {
    Ok(Lingering {
        time: milliseconds(
            &at("lingering_time_ms"),
            raw.lingering_time_ms,
            default.time,
            &accepted::LINGERING_TIME_MS,
        )?,
        silence: milliseconds(
            &at("lingering_timeout_ms"),
            raw.lingering_timeout_ms,
            default.silence,
            &accepted::LINGERING_TIMEOUT_MS,
        )?,
        bytes_max: number(
            &at("lingering_bytes_max"),
            raw.lingering_bytes_max,
            default.bytes_max,
            &accepted::LINGERING_BYTES_MAX,
        )?,
    })
}

fn at(name: &'static str) -> KeyPath {
    KeyPath::root().child("limits").child(name)
}
