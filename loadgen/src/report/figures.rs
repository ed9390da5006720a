//! Figures of a window: handshakes, throughput and times, as the JSON file has them.

use std::time::Duration;

use serde::Serialize;

use super::counts::Operations;
use super::facts::Late;
use super::latency::Latency;
use super::merged::Merged;
use crate::plan::Plan;

/// TLS handshakes of the window; of the whole run where connections stay open.
#[derive(Debug, Serialize)]
pub struct Handshakes {
    /// Full handshakes, those with a HelloRetryRequest among them.
    pub full: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Full handshakes with a HelloRetryRequest.
    pub hello_retry_requests: u64,
    /// Handshakes in which the server asked for a client certificate.
    pub client_certificate_requested: u64,
}

impl Handshakes {
    /// Handshakes of the window; of the whole run where connections stay open, because they are opened before
    /// it.
    pub fn of(plan: &Plan, merged: &Merged) -> Self {
        let mut all = merged.window.handshakes.clone();
        if !plan.mode().opens_a_connection_per_operation() {
            all.full += merged.warm_up.handshakes.full;
            all.resumed += merged.warm_up.handshakes.resumed;
            all.retry_requests += merged.warm_up.handshakes.retry_requests;
            all.certificate_requested += merged.warm_up.handshakes.certificate_requested;
        }
        Handshakes {
            full: all.full,
            resumed: all.resumed,
            hello_retry_requests: all.retry_requests,
            client_certificate_requested: all.certificate_requested,
        }
    }
}

/// Amounts of the window, and per second of it. Bytes are those on the wire: with TLS, without TCP and IP.
#[derive(Debug, Serialize)]
pub struct Throughput {
    /// Operations that ended as expected.
    pub operations_per_s: f64,
    /// Received per second of the window.
    pub received_bytes_per_s: f64,
    /// Sent per second of the window.
    pub sent_bytes_per_s: f64,
    /// Received in the window.
    pub received_bytes: u64,
    /// Sent in the window.
    pub sent_bytes: u64,
}

impl Throughput {
    /// Amounts of a window of `length`; the rates are 0 where it has none.
    pub fn of(operations: &Operations, merged: &Merged, length: Duration) -> Self {
        let per_second = |count: u64| {
            if length.is_zero() {
                0.0
            } else {
                count as f64 / length.as_secs_f64()
            }
        };
        Throughput {
            operations_per_s: per_second(operations.ok),
            received_bytes_per_s: per_second(merged.received),
            sent_bytes_per_s: per_second(merged.sent),
            received_bytes: merged.received,
            sent_bytes: merged.sent,
        }
    }
}

/// Distributions of times in microseconds; `None`: no value was recorded.
#[derive(Debug, Serialize)]
pub struct Latencies {
    /// Latency of operations; in an open loop from the time they were due.
    pub operation: Option<Latency>,
    /// Open loop: without the time between schedule and start. It hides queueing; for comparison only.
    pub from_actual_start: Option<Latency>,
    /// Operations that were to resume a session and did not.
    pub not_resumed: Option<Latency>,
    /// Opening of the TCP connection.
    pub tcp_connect: Option<Latency>,
    /// Handshake, from the open TCP connection to the client's end of it.
    pub tls_handshake: Option<Latency>,
    /// Modes with a connection per operation: from the client's end of the handshake to the response.
    pub request: Option<Latency>,
    /// Time from the start of the request to the first byte of the response.
    pub first_byte: Option<Latency>,
    /// Modes with a connection per operation: from its end to the server's close.
    pub close: Option<Latency>,
}

impl Latencies {
    /// Distributions of the times that a run of this plan has: each `None` where it recorded none.
    pub fn of(plan: &Plan, merged: &Merged) -> Self {
        let per_operation = plan.mode().opens_a_connection_per_operation();
        Latencies {
            operation: Latency::of(&merged.latency),
            from_actual_start: plan.rate().and_then(|_| Latency::of(&merged.service)),
            not_resumed: Latency::of(&merged.not_resumed),
            tcp_connect: Latency::of(&merged.connect),
            tls_handshake: Latency::of(&merged.handshake),
            request: if per_operation {
                Latency::of(&merged.request)
            } else {
                None
            },
            first_byte: Latency::of(&merged.first_byte),
            close: Latency::of(&merged.close),
        }
    }
}

/// Figures of a run whose measured phases are open loops.
#[derive(Debug, Serialize)]
pub struct OpenLoop {
    /// Mean of the rates that were asked for.
    pub asked_per_s: f64,
    /// Operations per second that ended, as expected or not.
    pub done_per_s: f64,
    /// Due but not started when the window ended.
    pub backlog_at_end: u64,
    /// Time for which the oldest of the backlog had been due.
    pub oldest_wait_ms: f64,
    /// Started after they were due, although a connection was free: the generator's own doing.
    pub late_by_generator: Late,
    /// Started after they were due, because every connection was busy.
    pub late_for_connection: Late,
}

impl OpenLoop {
    /// Figures of an open loop that asked for `rate` operations per second over `length`.
    pub fn of(rate: f64, operations: &Operations, merged: &Merged, length: Duration) -> Self {
        OpenLoop {
            asked_per_s: rate,
            done_per_s: if length.is_zero() {
                0.0
            } else {
                operations.total as f64 / length.as_secs_f64()
            },
            backlog_at_end: merged.backlog,
            oldest_wait_ms: merged.oldest_wait.as_secs_f64() * 1e3,
            late_by_generator: Late::of(&merged.late_by_generator),
            late_for_connection: Late::of(&merged.late_for_connection),
        }
    }
}
