//! Connection functions: the `connection` object, and what the function's answer means.
//!
//! Security closes. What counts, in this order: an error (thrown, out of time or memory, a promise that never
//! ends or whose failure nothing awaited) is an error, whatever was said before; `deny()` denies, and no
//! later `allow()` takes it back; `allow()` allows; and whoever says neither has denied.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bothways_trust::CertificateFacts;
use rquickjs::function::Args;
use rquickjs::{Array, Value};

use super::call::Said;
use super::engine::{Called, Event, Makers};
use super::fault::Fault;
use super::function::Function;

/// The facts that a connection function is told.
pub struct ConnectionEvent<'a> {
    /// The id that every log has: base64url of 40 octets.
    pub connection_id: &'a str,
    pub client_ip: IpAddr,
    /// The distribution's name that the client connected to.
    pub endpoint: &'a str,
    pub distribution_id: &'a str,
    /// The leaf; `None`: the client has presented no certificate.
    pub leaf: Option<&'a CertificateFacts>,
    /// Certificates from the leaf's issuer upwards. For a verified client: those of the path, without the
    /// anchor. For an unchecked client: those presented.
    pub intermediates: &'a [Arc<CertificateFacts>],
    pub tls: TlsFacts<'a>,
}

/// `connection.tls`, an addition to the managed service's fields.
#[derive(Clone, Copy, Debug)]
pub struct TlsFacts<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: Option<&'static str>,
    /// The name that the record's `tlsCipher` has.
    pub cipher: Option<&'static str>,
    pub sni: Option<&'a str>,
    pub resumed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// `deny()`, or neither was called.
    Deny(Denial),
    /// It threw, ran out of time or memory, or never ended: a sentence with the function's name, line and
    /// column where known.
    Error(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    Called,
    NeitherCalled,
}

/// The result of a call.
#[derive(Debug)]
pub struct ConnectionOutcome {
    pub decision: Decision,
    /// `logCustomData`, cut to 800 octets at a character.
    pub custom_data: Option<Box<str>>,
    /// Lines of `console.log`, `CONSOLE_BYTES_MAX` octets in all.
    pub console: Vec<String>,
    /// CPU time taken.
    pub elapsed: Duration,
}

/// Calls `function` on this core.
pub fn call_connection(function: &Arc<Function>, event: &ConnectionEvent<'_>) -> ConnectionOutcome {
    call_connection_at(function, event, SystemTime::now())
}

/// The same, with the time that the function is told.
pub fn call_connection_at(
    function: &Arc<Function>,
    event: &ConnectionEvent<'_>,
    now: SystemTime,
) -> ConnectionOutcome {
    outcome(function, function.call(event, now))
}

pub(super) fn outcome(function: &Function, called: Called<()>) -> ConnectionOutcome {
    ConnectionOutcome {
        decision: decide(function, &called.result, &called.said),
        custom_data: called.said.custom_data,
        console: called.said.console,
        elapsed: called.elapsed,
    }
}

fn decide(function: &Function, result: &Result<(), Fault>, said: &Said) -> Decision {
    match (result, said.denied, said.allowed) {
        (Err(fault), _, _) => Decision::Error(fault.sentence(function.name())),
        (Ok(()), true, _) => Decision::Deny(Denial::Called),
        (Ok(()), false, true) => Decision::Allow,
        (Ok(()), false, false) => Decision::Deny(Denial::NeitherCalled),
    }
}

impl Event for ConnectionEvent<'_> {
    type Answer = ();
    type Built<'js> = ();

    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<(Value<'js>, ())> {
        let ctx = makers.ctx();
        let mut args = Args::new(ctx.clone(), 10);
        args.push_arg(self.connection_id)?;
        args.push_arg(self.client_ip.to_string())?;
        args.push_arg(self.endpoint)?;
        args.push_arg(self.distribution_id)?;
        args.push_arg(self.leaf.map(|leaf| certificate(makers, leaf)).transpose()?)?;
        args.push_arg(self.intermediates(makers)?)?;
        args.push_arg(self.tls.protocol)?;
        args.push_arg(self.tls.cipher)?;
        args.push_arg(self.tls.sni)?;
        args.push_arg(self.tls.resumed)?;
        Ok((args.apply(&makers.maker(CONNECTION)?)?, ()))
    }

    /// Reads nothing: the value that the handler returns means nothing.
    fn read<'js>(&self, (): &(), _returned: &Value<'js>) -> rquickjs::Result<()> {
        Ok(())
    }
}

impl ConnectionEvent<'_> {
    fn intermediates<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<Option<Array<'js>>> {
        if self.intermediates.is_empty() {
            return Ok(None);
        }
        let array = Array::new(makers.ctx().clone())?;
        for (index, facts) in self.intermediates.iter().enumerate() {
            array.set(index, certificate(makers, facts)?)?;
        }
        Ok(Some(array))
    }
}

fn certificate<'js>(makers: &Makers<'_, 'js>, facts: &CertificateFacts) -> rquickjs::Result<Value<'js>> {
    let details = facts.details();
    let mut args = Args::new(makers.ctx().clone(), 10);
    args.push_arg(&facts.serial_number)?;
    args.push_arg(&facts.issuer)?;
    args.push_arg(&facts.subject)?;
    args.push_arg(&details.not_before)?;
    args.push_arg(&details.not_after)?;
    args.push_arg(&details.sha256_base64url)?;
    args.push_arg(details.ocsp_endpoint.as_deref())?;
    args.push_arg(details.san.as_deref())?;
    args.push_arg(&details.spki_hex)?;
    args.push_arg(details.san_hex.as_deref())?;
    args.apply(&makers.maker(CERTIFICATE)?)
}

/// Places in `makers` of `prelude/connection.js`.
const CONNECTION: usize = 0;
const CERTIFICATE: usize = 1;
