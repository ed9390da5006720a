//! Connection function of a distribution, called for one client: what the function is told, and what its
//! answer means for the handshake, the record, the counters and the operator's log.
//!
//! The function is today's: the version in force in the current snapshot when the client comes to the gate,
//! whatever was in force at its ClientHello.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bothways_config::HostName;
use bothways_functions::{
    ConnectionEvent, ConnectionOutcome, Decision, Denial, Function, TlsFacts, call_connection,
};
use bothways_trust::CertificateFacts;

use super::core::Core;
use super::grounds::Chosen;
use crate::admission::{Applicant, Barred, ClientAuth, Gate, Ruling};
use crate::http::{CallOutcome, CoreResources, watched};
use crate::logs::ConnectionId;
use crate::metrics::{CoreCounters, FailureCode, FunctionResult};
use crate::snapshot::Distribution;
use crate::tls::{cipher_name, protocol_name};

/// Call for one connection, to be made once.
struct FunctionCall {
    core: Rc<Core>,
    id: ConnectionId,
    client_ip: IpAddr,
    name: Option<HostName>,
    /// Name in the form in which the client sent it.
    sni: Option<Box<str>>,
    distribution: Arc<Distribution>,
}

/// Makes the gate for the connection `id` that a ClientHello with this `sni` has led to `chosen`.
pub(super) fn gate(
    core: &Rc<Core>,
    id: ConnectionId,
    client_ip: IpAddr,
    chosen: &Chosen,
    sni: Option<&str>,
) -> Gate {
    let call = FunctionCall {
        core: core.clone(),
        id,
        client_ip,
        name: chosen.name.clone(),
        // An address is not a name, though a client may send one.
        sni: sni.filter(|_| chosen.name.is_some()).map(Box::from),
        distribution: chosen.distribution.clone(),
    };
    Box::new(move |applicant| call.make(applicant))
}

impl FunctionCall {
    fn make(self, applicant: &Applicant<'_>) -> Ruling {
        let distribution = self.distribution_of_today();
        let Some(function) = &distribution.connection_function else {
            return Ruling::default();
        };
        let function = function.current();
        let id = self.id.to_string();
        let event = self.event(&id, &distribution, applicant);
        let outcome = watched(&self.core.resources, &id, &function, |function| {
            call_connection(function, &event)
        });
        Ruling {
            barred: barred(&function, outcome.decision),
            custom_data: outcome.custom_data,
        }
    }

    /// Today's form of the distribution. If the name leads to another one today, the old one counts: the
    /// connection is closed at the end of its handshake.
    fn distribution_of_today(&self) -> Arc<Distribution> {
        let snapshot = self.core.snapshot();
        let today = snapshot.distribution_for(self.name.as_ref());
        today
            .filter(|today| today.id == self.distribution.id)
            .unwrap_or(&self.distribution)
            .clone()
    }

    fn event<'a>(
        &'a self,
        id: &'a str,
        distribution: &'a Distribution,
        applicant: &Applicant<'a>,
    ) -> ConnectionEvent<'a> {
        let client = applicant.client;
        let negotiated = applicant.negotiated;
        ConnectionEvent {
            connection_id: id,
            client_ip: self.client_ip,
            endpoint: distribution.called(self.name.as_ref()),
            distribution_id: &distribution.id,
            leaf: client.facts().map(|facts| &**facts),
            intermediates: intermediates(client),
            tls: TlsFacts {
                protocol: negotiated.protocol.and_then(protocol_name),
                cipher: negotiated.cipher.and_then(cipher_name),
                sni: self.sni.as_deref(),
                resumed: applicant.resumed,
            },
        }
    }
}

impl CallOutcome for ConnectionOutcome {
    fn count(&self, counters: &CoreCounters) {
        let result = match self.decision {
            Decision::Allow => FunctionResult::Allow,
            Decision::Deny(_) => FunctionResult::Deny,
            Decision::Error(_) => FunctionResult::Error,
        };
        counters.connection_functions.of(result).add(1);
        counters.connection_function_duration.record(self.elapsed);
    }

    fn tell(&self, core: &CoreResources, id: &str, function: &str) {
        let (mut console, now) = (core.console.borrow_mut(), Instant::now());
        for line in &self.console {
            console.line(id, function, line, now);
        }
        if let Decision::Error(error) = &self.decision {
            console.failed(id, function, error, now);
        }
    }
}

/// Intermediates that a connection function is told of.
pub fn intermediates(client: &ClientAuth) -> &[Arc<CertificateFacts>] {
    match client {
        ClientAuth::Verified(client) => client.intermediates(),
        ClientAuth::Unchecked(client) => client.intermediates(),
        ClientAuth::NotPresented => &[],
    }
}

/// Meaning of a connection function's decision for its client.
pub fn barred(function: &Function, decision: Decision) -> Option<Barred> {
    let name = function.name();
    let (code, reason) = match decision {
        Decision::Allow => return None,
        Decision::Deny(Denial::Called) => (
            FailureCode::ConnectionFunctionDenied,
            format!("connection function {name:?} denied the client"),
        ),
        Decision::Deny(Denial::NeitherCalled) => (
            FailureCode::ConnectionFunctionDenied,
            format!("connection function {name:?} called neither allow() nor deny()"),
        ),
        Decision::Error(error) => (
            FailureCode::ConnectionFunctionError,
            format!("connection function failed: {error}"),
        ),
    };
    Some(Barred { code, reason })
}
