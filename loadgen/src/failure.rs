//! Failures of operations, in a form that can be counted.
//!
//! A failure is a small value with a stable text: equal failures are one line of the report.

use std::fmt;
use std::io;

/// The step that an operation had reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Connect,
    Handshake,
    /// The handshake is done as far as the client knows; no byte of a response has come.
    Response,
    /// Within a response.
    Body,
    /// Between two requests on a connection that stays open.
    Idle,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Connect => "while connecting",
            Stage::Handshake => "during the handshake",
            Stage::Response => "before a response",
            Stage::Body => "within a response",
            Stage::Idle => "while idle",
        })
    }
}

/// The reason why an operation did not end as expected. Its text (`Display`) is the `kind` in the report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// No TCP connection.
    Connect(ConnectError),
    /// The server sent this fatal TLS alert.
    Alert(u8),
    /// Our own TLS refused the server, or the server broke the protocol.
    Tls(String),
    Closed(Stage),
    Reset(Stage),
    Timeout(Stage),
    Io(Stage, String),
    /// A response whose status is an error (400 and above).
    Status(u16),
    /// A response that is not HTTP.
    Malformed(&'static str),
    /// Bytes that came before a request was sent, or after a response: they answer nothing.
    Unsolicited,
    /// A response that ends with the connection, and a connection that ended without close_notify: anybody on
    /// the way can cut it so (RFC 9112 §9.8).
    Truncated,
    Http2(String),
    /// The server did not agree to h2 by ALPN.
    NotHttp2,
    /// A connection that should have been refused got a response.
    Admitted(u16),
    /// A body of so many bytes, which the scenario does not expect.
    Size(u64),
    /// Nothing to resume with: the server gave no ticket or session.
    NoTicket,
}

/// The reason why a TCP connection could not be opened, by its error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnectError {
    Refused,
    Unreachable,
    /// EADDRNOTAVAIL: every local port is taken or in TIME_WAIT.
    NoLocalPort,
    NoDescriptor,
    Other(i32),
}

impl Failure {
    /// Sorts the error of a `connect` call: no free port or descriptor is told apart from a refusal.
    pub fn from_connect(error: &io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => ConnectError::Refused,
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => ConnectError::Unreachable,
            Some(libc::EADDRNOTAVAIL) => ConnectError::NoLocalPort,
            Some(libc::EMFILE | libc::ENFILE) => ConnectError::NoDescriptor,
            Some(libc::ETIMEDOUT) => return Failure::Timeout(Stage::Connect),
            Some(libc::ECONNRESET) => return Failure::Reset(Stage::Connect),
            code => ConnectError::Other(code.unwrap_or(0)),
        };
        Failure::Connect(kind)
    }

    /// Sorts an error of the socket that came at `stage`: an end, a reset, or something else by its text.
    pub fn from_io(error: &io::Error, stage: Stage) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Failure::Reset(stage)
            }
            io::ErrorKind::UnexpectedEof => Failure::Closed(stage),
            io::ErrorKind::TimedOut => Failure::Timeout(stage),
            _ => Failure::Io(stage, error.to_string()),
        }
    }

    /// Sorts an error of our TLS: an alert that the server sent, or our own refusal by its text.
    pub fn from_tls(error: rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Failure::Alert(u8::from(alert)),
            other => Failure::Tls(other.to_string()),
        }
    }

    /// `true`: the peer ended the connection without a word.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Failure::Closed(_) | Failure::Reset(_))
    }

    /// `true`: a server refuses a client's certificate in this way, given that it had asked for one.
    ///
    /// Alerts about anything else (protocol version, unknown name, internal error) are not refusals of a
    /// certificate.
    pub fn is_refusal(&self, certificate_was_requested: bool) -> bool {
        let refusal = match self {
            Failure::Alert(code) => REFUSALS.contains(code),
            Failure::Closed(stage) | Failure::Reset(stage) => {
                matches!(stage, Stage::Handshake | Stage::Response)
            }
            _ => false,
        };
        refusal && certificate_was_requested
    }

    /// The TLS alert's code, when that is what the failure is.
    pub fn alert(&self) -> Option<u8> {
        match self {
            Failure::Alert(code) => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect(kind) => write!(f, "connect: {kind}"),
            Failure::Alert(code) => write!(f, "alert {} ({code})", alert_name(*code)),
            Failure::Tls(text) => write!(f, "tls: {text}"),
            Failure::Closed(stage) => write!(f, "closed by the server {stage}"),
            Failure::Reset(stage) => write!(f, "reset by the server {stage}"),
            Failure::Timeout(stage) => write!(f, "timed out {stage}"),
            Failure::Io(stage, text) => write!(f, "{text} {stage}"),
            Failure::Status(code) => write!(f, "http status {code}"),
            Failure::Unsolicited => f.write_str("unsolicited bytes from the server"),
            Failure::Truncated => {
                f.write_str("closed without close_notify within a response that ends with the connection")
            }
            Failure::Malformed(what) => write!(f, "malformed response: {what}"),
            Failure::Http2(text) => write!(f, "h2: {text}"),
            Failure::NotHttp2 => f.write_str("the server did not agree to h2 (ALPN)"),
            Failure::Size(bytes) => write!(f, "a body of {bytes} bytes"),
            Failure::Admitted(status) => write!(f, "unexpectedly admitted (http status {status})"),
            Failure::NoTicket => f.write_str("nothing to resume: the server gave no ticket"),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Refused => f.write_str("refused"),
            ConnectError::Unreachable => f.write_str("host unreachable"),
            ConnectError::NoLocalPort => f.write_str("no local port free (EADDRNOTAVAIL)"),
            ConnectError::NoDescriptor => f.write_str("no file descriptor free (see ulimit -n)"),
            ConnectError::Other(code) => write!(f, "{}", io::Error::from_raw_os_error(*code)),
        }
    }
}

/// The name of a TLS alert as the RFCs spell it (RFC 8446 §6, RFC 5246 §7.2, RFC 6066, RFC 7301, RFC 4279).
fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unassigned",
    }
}

/// Alerts with which servers refuse a client certificate or the lack of one.
/// (50, decode_error, is among them: some servers answer a certificate that they cannot parse with it.)
const REFUSALS: [u8; 12] = [40, 41, 42, 43, 44, 45, 46, 48, 49, 50, 51, 116];

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn alerts_are_named_as_the_rfcs_name_them() {
        for (alert, name) in [
            (AlertDescription::CertificateRequired, "certificate_required"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::CertificateRevoked, "certificate_revoked"),
            (AlertDescription::CertificateExpired, "certificate_expired"),
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
        ] {
            assert_eq!(alert_name(u8::from(alert)), name);
        }
        assert_eq!(
            Failure::Alert(116).to_string(),
            "alert certificate_required (116)"
        );
        assert_eq!(Failure::Alert(201).to_string(), "alert unassigned (201)");
    }

    #[test]
    fn only_certificate_alerts_and_disconnects_after_a_request_for_one_are_refusals() {
        assert!(Failure::Alert(116).is_refusal(true));
        assert!(Failure::Closed(Stage::Response).is_refusal(true));
        assert!(Failure::Reset(Stage::Handshake).is_refusal(true));
        assert!(!Failure::Alert(116).is_refusal(false));
        assert!(
            !Failure::Alert(112).is_refusal(true),
            "unrecognized_name is about the SNI"
        );
        assert!(
            !Failure::Alert(80).is_refusal(true),
            "internal_error is a broken server"
        );
        assert!(!Failure::Closed(Stage::Body).is_refusal(true));
        assert!(!Failure::Timeout(Stage::Response).is_refusal(true));
        assert!(!Failure::Status(400).is_refusal(true));
    }

    #[test]
    fn a_full_port_range_is_told_apart_from_a_refused_connection() {
        let failure = Failure::from_connect(&io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
        assert_eq!(failure.to_string(), "connect: no local port free (EADDRNOTAVAIL)");
        let failure = Failure::from_connect(&io::Error::from_raw_os_error(libc::ECONNREFUSED));
        assert_eq!(failure.to_string(), "connect: refused");
    }
}
