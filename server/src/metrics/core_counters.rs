//! Counters of one core, and their families on the page. A counter that is added to the table is shown.

use std::sync::Arc;

use super::call_mark::CallMark;
use super::cells::{Counter, Family, FunctionScale, Gauge, Histogram};
use super::labels::{
    Agreement, CloseReason, ConnectionStatus, CutReason, FunctionResult, HandshakeKind, MemoResult,
    OriginFault, RequestLimit, RequestRefusal, ShedReason, StalledBody, StatusClass, TicketDecline,
    ViewerFunctionResult,
};
use super::page::Page;
use super::table::counters;

counters! {
    /// Counters with one writer, their core. They fill whole cache lines, so that no other core's counting
    /// slows it.
    #[derive(Debug, Default)]
    #[repr(align(128))]
    pub struct CoreCounters {
        unshown {
            /// Call of a function that is going on, of either kind.
            pub function_call: CallMark,
            /// Connections accepted, and given to a core that holds fewer.
            pub connections_handed_over: Counter,
        }
        show_connections {
            connections: Family<ConnectionStatus>, "bothways_connections_total" ["status"],
                "Finished connections by status, counted with their record.";
            connections_unused: Counter, "bothways_connections_unused_total",
                "Connections that their client closed before it sent an octet, health checks most often; \
                 they have no record.";
            connections_accepted: Counter, "bothways_connections_accepted_total",
                "Connections accepted.";
            connections_open: Gauge, "bothways_connections_open",
                "Connections open now.";
            connection_rests: Counter, "bothways_connection_rests_total",
                "Times that an HTTP/1.1 connection had been idle for a second and gave back its buffers, \
                 until its client spoke again.";
            shed: Family<ShedReason>, "bothways_shed_total" ["reason"],
                "Connections closed unserved at a limit.";
            no_longer_admitted: Family<CloseReason>,
                "bothways_connections_no_longer_admitted_total" ["reason"],
                "Open connections closed because a reload no longer admits their client or it has expired, \
                 counted with their record.";
            connections_cut: Family<CutReason>, "bothways_connections_cut_total" ["reason"],
                "Open connections closed because they did not keep a time limit.";
            bodies_stalled: Family<StalledBody>, "bothways_bodies_stalled_total" ["body"],
                "Bodies ended because the client sent or read them too slowly.";
            requests_limited: Family<RequestLimit>, "bothways_requests_limited_total" ["limit"],
                "Requests answered 503 at a limit.";
            origin_faults: Family<OriginFault>, "bothways_origin_connections_spoilt_total" ["reason"],
                "Connections to origins that were not used again because of what the origin did.";
            sweeps: Counter, "bothways_sweeps_total",
                "Walks of a core over its open connections after a reload.";
            panics: Counter, "bothways_panics_total",
                "Connection tasks that panicked.";
        }
        show_handshakes {
            handshakes_open: Gauge, "bothways_handshakes_open",
                "Handshakes going on now.";
            handshakes: Family<HandshakeKind>, "bothways_handshakes_total" ["kind"],
                "Completed handshakes.";
            candidate_decisions: Family<Agreement>, "bothways_candidate_decisions_total" ["decision"],
                "Clients that a candidate trust store judged too, by what both would do with them.";
            handshake_duration: Histogram, "bothways_handshake_seconds",
                "Duration of completed handshakes.";
            connection_functions: Family<FunctionResult>,
                "bothways_connection_function_calls_total" ["result"],
                "Calls of connection functions by what came of them.";
            connection_function_duration: Histogram<FunctionScale>, "bothways_connection_function_seconds",
                "CPU time of a connection function's call.";
            viewer_request_functions: Family<ViewerFunctionResult>,
                "bothways_viewer_request_function_calls_total" ["result"],
                "Calls of viewer-request functions by what came of them.";
            viewer_response_functions: Family<ViewerFunctionResult>,
                "bothways_viewer_response_function_calls_total" ["result"],
                "Calls of viewer-response functions by what came of them.";
            viewer_function_duration: Histogram<FunctionScale>, "bothways_viewer_function_seconds",
                "CPU time of a viewer function's call.";
        }
        show_requests {
            requests: Family<StatusClass>, "bothways_requests_total" ["class"],
                "Requests by class of their response.";
            requests_refused: Family<RequestRefusal>, "bothways_requests_refused_total" ["reason"],
                "Requests refused for what they are, whoever sent them; each is among \
                 bothways_requests_total too.";
            verdicts: Family<MemoResult>, "bothways_verdicts_total" ["memo"],
                "Verdicts on client chains, remembered (hit) or made from scratch (miss).";
            verdicts_evicted: Counter, "bothways_verdicts_evicted_total",
                "Remembered verdicts forgotten to make room.";
            tickets_issued: Counter, "bothways_tickets_issued_total",
                "Session tickets issued.";
            tickets_redeemed: Counter, "bothways_tickets_redeemed_total",
                "Session tickets redeemed.";
            tickets_declined: Family<TicketDecline>, "bothways_tickets_declined_total" ["reason"],
                "Session tickets offered that led to a full handshake.";
        }
    }
}

impl CoreCounters {
    /// Shows whether the kernel shares clients out evenly, and what the cores do about it. Cores are numbered
    /// as their threads are named.
    pub(super) fn show_by_core(page: &mut Page, cores: &[Arc<Self>]) {
        page.by_core(
            "bothways_core_connections_accepted_total",
            "Connections accepted, by the core that serves them, also where another core accepted and handed \
             them over.",
            cores.iter().map(|core| &core.connections_accepted),
        );
        page.by_core(
            "bothways_core_connections_handed_over_total",
            "Connections that each core accepted and handed over to one with fewer, which counts them as \
             accepted; the sum of both is what the kernel gave the core.",
            cores.iter().map(|core| &core.connections_handed_over),
        );
        page.by_core(
            "bothways_core_connections_open",
            "Connections open now on each core.",
            cores.iter().map(|core| &core.connections_open),
        );
    }
}
