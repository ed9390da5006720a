//! The values that labels take, spelt once for metrics and for records.
//!
//! The connection status belongs here rather than to `logs`, so that the counter and the record of one
//! connection cannot disagree about it; `logs` re-exports it.

use std::fmt;
use std::ops::Index;

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// Every value, in the order of the exposition; `ALL[v.index()]` is `v`.
    const ALL: &'static [Self];

    /// An array with a place for each value.
    type Cells<C: Default>: Index<usize, Output = C>;

    fn cells<C: Default>() -> Self::Cells<C>;

    /// Place of the value in such an array.
    fn index(self) -> usize;

    /// The value as Prometheus and the record show it.
    fn text(self) -> &'static str;
}

macro_rules! label {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            pub const COUNT: usize = <Self as Label>::ALL.len();

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            type Cells<C: Default> = [C; Self::COUNT];

            fn cells<C: Default>() -> Self::Cells<C> {
                std::array::from_fn(|_| C::default())
            }

            fn index(self) -> usize {
                self as usize
            }

            fn text(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

macro_rules! failure_code {
    ($($(#[$meta:meta])* $code:ident),+ $(,)?) => {
        /// Reason for which a connection failed, in the managed service's words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FailureCode { $($(#[$meta])* $code),+ }

        impl ConnectionStatus {
            pub const COUNT: usize = <Self as Label>::ALL.len();

            /// `Success` or `Failed:<code>`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Success => "Success",
                    $(Self::Failed(FailureCode::$code) => concat!("Failed:", stringify!($code))),+
                }
            }
        }

        impl Label for ConnectionStatus {
            const ALL: &'static [Self] = &[Self::Success, $(Self::Failed(FailureCode::$code)),+];

            type Cells<C: Default> = [C; Self::COUNT];

            fn cells<C: Default>() -> Self::Cells<C> {
                std::array::from_fn(|_| C::default())
            }

            fn index(self) -> usize {
                match self {
                    Self::Success => 0,
                    Self::Failed(code) => code as usize + 1,
                }
            }

            fn text(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

/// End of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionStatus {
    Success,
    Failed(FailureCode),
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

failure_code! {
    ClientCertMaxChainDepthExceeded,
    ClientCertMaxSizeExceeded,
    ClientCertUntrusted,
    ClientCertNotYetValid,
    ClientCertExpired,
    ClientCertTypeUnsupported,
    ClientCertInvalid,
    ClientCertIntentInvalid,
    /// Refused by custom validation, which revocation is here.
    ClientCertRejected,
    ClientCertMissing,
    TcpError,
    TcpTimeout,
    ConnectionFunctionError,
    ConnectionFunctionDenied,
    Internal,
    UnmappedConnectionError,
}

label! {
    /// Kind of a completed handshake: it proved the client's key, or redeemed a ticket.
    HandshakeKind { Full = "full", Resumed = "resumed" }
}

label! {
    /// The class of a final response.
    StatusClass {
        Success = "2xx",
        Redirection = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
    }
}

label! {
    /// Result of a request for an origin.
    OriginResult {
        Response = "response",
        ConnectFailed = "connect_failed",
        Timeout = "timeout",
        /// No response, or none that HTTP/1.1 knows.
        BadResponse = "bad_response",
        /// All connections that may be open to it were taken.
        NoConnectionFree = "no_connection_free",
        /// The client had as many requests at origins as one may have.
        ClientLimited = "client_limited",
        /// The client broke off, or sent what is no body.
        ClientFailed = "client_failed",
    }
}

impl StatusClass {
    /// The class of an HTTP status code; one that HTTP does not define counts with its nearest neighbour.
    pub const fn of(status: u16) -> Self {
        match status {
            0..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

label! {
    /// Source of a verdict on a client's chain: remembered, or made from scratch.
    MemoResult { Hit = "hit", Miss = "miss" }
}

label! {
    /// Decision of a connection function.
    FunctionResult {
        Allow = "allow",
        /// It said so, or said nothing.
        Deny = "deny",
        /// It threw, or ran out of time or memory.
        Error = "error",
    }
}

label! {
    /// Result of a viewer function's call.
    ViewerFunctionResult {
        /// The request or the response goes on.
        Continue = "continue",
        /// It made a response.
        Respond = "respond",
        /// It threw, or never ended.
        Error = "error",
        /// It ran out of time or memory.
        Limit = "limit",
        /// It returned what cannot or may not be sent.
        Invalid = "invalid",
    }
}

label! {
    /// Reason for which an offered ticket led to a full handshake.
    TicketDecline {
        /// Never issued, already redeemed, or forgotten for lack of room.
        Unknown = "unknown",
        Expired = "expired",
        /// Issued under a policy that is not today's.
        Policy = "policy",
        Revoked = "revoked",
        CertificateExpired = "certificate_expired",
    }
}

label! {
    /// The limit at which a connection was closed unserved.
    ShedReason { Connections = "connections", Handshakes = "handshakes" }
}

label! {
    /// Property for which a request was refused, whoever sent it.
    RequestRefusal {
        AmbiguousPath = "ambiguous_path",
        Framing = "framing",
        HeaderFields = "header_fields",
        WebSocket = "websocket",
        Grpc = "grpc",
    }
}

label! {
    /// The time limit for which an open connection was cut.
    CutReason {
        /// A request's head was not whole in `header_timeout_ms`.
        Head = "header_timeout",
        /// A response was not read, or too slowly.
        Response = "response_stalled",
        /// Nothing moved, and it did not end when it was asked to.
        Idle = "idle_timeout",
    }
}

label! {
    /// The body for which a viewer was waited for too long.
    StalledBody { Request = "request", Response = "response" }
}

label! {
    /// The bound at which a request was answered 503.
    RequestLimit {
        /// `origin_connections_per_core`.
        Origin = "origin_connections_per_core",
        /// `origin_requests_per_client`.
        Client = "origin_requests_per_client",
    }
}

label! {
    /// Reason for which a connection to an origin was not used again, though the response on it came whole.
    OriginFault {
        /// The origin answered before it had the whole request, whose rest it may take for another one.
        EarlyAnswer = "early_answer",
        /// It said something that nobody had asked for.
        UnaskedBytes = "unasked_bytes",
    }
}

label! {
    /// Reason for which the client of an open connection is no longer admitted.
    CloseReason {
        Revocation = "revocation",
        /// The only one that needs no reload.
        Expiry = "expiry",
        /// Nothing leads from the client's chain to the trust store any more.
        TrustStore = "trust_store",
        /// The mode or a switch.
        Policy = "policy",
        /// The name leads to another distribution, or to none.
        Distribution = "distribution",
    }
}

label! {
    /// A trust store's decision beside its candidate's.
    Agreement {
        BothAdmit = "both_admit",
        BothRefuse = "both_refuse",
        /// Admitted, but not by the candidate.
        CandidateWouldRefuse = "candidate_would_refuse",
        /// Refused, but not by the candidate.
        CandidateWouldAdmit = "candidate_would_admit",
    }
}

impl Agreement {
    /// Agreement of two decisions, each true if it admits.
    pub const fn of(decision: bool, candidate: bool) -> Self {
        match (decision, candidate) {
            (true, true) => Self::BothAdmit,
            (false, false) => Self::BothRefuse,
            (true, false) => Self::CandidateWouldRefuse,
            (false, true) => Self::CandidateWouldAdmit,
        }
    }
}

label! {
    /// Reason for which a connection record or a message was lost.
    DropReason {
        /// The shipper was too slow, or stuck in a write.
        QueueFull = "queue_full",
        /// The sink refused it, or nobody was left to write it.
        SinkError = "sink_error",
    }
}

label! {
    /// Result of a look-up of an origin's name.
    ResolveResult { Same = "same", Changed = "changed", Failed = "failed" }
}

label! {
    /// End of a reload.
    ReloadResult { Published = "published", Refused = "refused" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_consistent<L: Label + PartialEq + std::fmt::Debug>() {
        for (index, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), index, "{label:?}");
        }
    }

    #[test]
    fn every_label_is_listed_at_its_own_index() {
        assert_consistent::<ConnectionStatus>();
        assert_consistent::<HandshakeKind>();
        assert_consistent::<StatusClass>();
        assert_consistent::<FunctionResult>();
        assert_consistent::<ViewerFunctionResult>();
        assert_consistent::<TicketDecline>();
        assert_consistent::<ShedReason>();
        assert_consistent::<OriginFault>();
        assert_consistent::<ResolveResult>();
        assert_consistent::<CutReason>();
        assert_consistent::<StalledBody>();
        assert_consistent::<RequestLimit>();
        assert_consistent::<CloseReason>();
        assert_consistent::<Agreement>();
        assert_consistent::<DropReason>();
        assert_consistent::<ReloadResult>();
        assert_consistent::<OriginResult>();
        assert_consistent::<MemoResult>();
        assert_consistent::<RequestRefusal>();
    }

    #[test]
    fn there_are_sixteen_failure_codes_and_success() {
        assert_eq!(ConnectionStatus::COUNT, 17);
        assert_eq!(ConnectionStatus::Success.as_str(), "Success");
        assert_eq!(
            ConnectionStatus::Failed(FailureCode::ClientCertExpired).as_str(),
            "Failed:ClientCertExpired"
        );
    }

    #[test]
    fn a_status_code_has_the_class_of_its_first_digit() {
        let classes = [200, 204, 301, 421, 499, 500, 504].map(StatusClass::of);
        let texts = classes.map(StatusClass::as_str);
        assert_eq!(texts, ["2xx", "2xx", "3xx", "4xx", "4xx", "5xx", "5xx"]);
    }
}
