//! Connection functions: the `connection` object, and what the function's answer means.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::function::Function;
use crate::trust::CertificateFacts;

/// What a connection function is told.
pub struct ConnectionEvent<'a> {
    /// The id that every log has: base64url of 40 octets.
    pub connection_id: &'a str,
    pub client_ip: IpAddr,
    /// The distribution's name that the client connected to.
    pub endpoint: &'a str,
    pub distribution_id: &'a str,
    /// The leaf; `None`: the client has presented no certificate.
    pub leaf: Option<&'a CertificateFacts>,
    /// From the leaf's issuer upwards. Of a verified client: those of the path, the anchor not among them; of an unchecked one: as presented.
    pub intermediates: &'a [Arc<CertificateFacts>],
    pub tls: TlsFacts<'a>,
}

/// `connection.tls`, an addition to the managed service's fields.
#[derive(Clone, Copy, Debug)]
pub struct TlsFacts<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: Option<&'static str>,
    /// As in the record's `tlsCipher`.
    pub cipher: Option<&'static str>,
    pub sni: Option<&'a str>,
    pub resumed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// `deny()`, or neither was called.
    Deny(Denial),
    /// It threw, ran out of time or memory, or never ended: a sentence with the function's name, line and column where known.
    Error(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    Called,
    NeitherCalled,
}

/// What a call has brought.
#[derive(Debug)]
pub struct ConnectionOutcome {
    pub decision: Decision,
    /// `logCustomData`, cut to 800 octets at a character.
    pub custom_data: Option<Box<str>>,
    /// `console.log`, bounded.
    pub console: Vec<String>,
    /// CPU time taken.
    pub elapsed: Duration,
}

/// Calls `function` on this core.
pub fn call_connection(_function: &Arc<Function>, _event: &ConnectionEvent<'_>) -> ConnectionOutcome {
    ConnectionOutcome {
        decision: Decision::Error("functions cannot run yet".to_owned()),
        custom_data: None,
        console: Vec::new(),
        elapsed: Duration::ZERO,
    }
}
