//! Attempt of one client, from accept to close, and its record.
//!
//! The record is written when the attempt is dropped, so also after a panic. Until something else is noted it
//! says that the server has failed. Runs on the connection's core.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::grounds::Chosen;
use super::outcome::Outcome;
use super::registry::{Entry, Phase, reason_of};
use crate::admission::{Accepted, CandidateDecision, Consequence, HandshakeFacts, HandshakeNotes};
use crate::logs::{ConnectionId, ConnectionRecord};
use crate::metrics::{Agreement, ConnectionStatus, DistributionCounters, FailureCode, HandshakeKind, count};
use crate::snapshot::Distribution;
use crate::tls::{cipher_name, protocol_name};

/// Attempt in progress. Dropping it ends it: the record goes out, the counters follow.
pub(super) struct Attempt {
    core: Rc<Core>,
    entry: Entry,
    id: ConnectionId,
    record: Option<Box<ConnectionRecord>>,
    /// Counters of the distribution to which the client's ClientHello led.
    counters: Option<Arc<DistributionCounters>>,
    started: Instant,
}

impl Attempt {
    /// Begins with a failure on the record: a connection that cannot say how it ended is not taken for a
    /// success.
    pub(super) fn begin(core: Rc<Core>, peer: SocketAddr, server_ip: IpAddr) -> Self {
        let cut = "the connection was cut by the server before its handshake was over";
        let record = record(
            &core,
            peer,
            server_ip,
            Outcome::failed(FailureCode::Internal, cut),
        );
        let entry = core.registry.enter(Phase::Handshake);
        core.counters.connections_open.increment();
        Self {
            core,
            entry,
            id: record.connection_id,
            record: Some(record),
            counters: None,
            started: Instant::now(),
        }
    }

    /// Place of the connection among those of its core.
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Name of the connection in every log.
    pub(super) fn connection_id(&self) -> ConnectionId {
        self.id
    }

    /// Notes what the connection function wants in the record, whatever it has decided.
    pub(super) fn remark(&mut self, notes: &mut HandshakeNotes) {
        let data = notes.take_custom_data();
        if let (Some(record), Some(data)) = (&mut self.record, data) {
            record.custom_data = Some(data);
        }
    }

    /// Drops the record: the client has closed before it sent an octet. Health checks do so every second, and
    /// it is no failure.
    pub(super) fn forget(&mut self) {
        self.record = None;
        self.core.counters.connections_unused.add(1);
    }

    /// Notes a failure.
    pub(super) fn fail(&mut self, outcome: Outcome, facts: HandshakeFacts, notes: &HandshakeNotes) {
        let resumed = facts.resumed;
        self.note(outcome, facts);
        if let Some(record) = &mut self.record {
            record.resumed = resumed;
            record.leaf = notes.leaf(resumed);
        }
    }

    /// Notes a handshake that succeeded.
    pub(super) fn succeed(&mut self, accepted: &Accepted<Chosen>, facts: HandshakeFacts) {
        self.note(Outcome::success(), facts);
        let kind = if accepted.resumed {
            HandshakeKind::Resumed
        } else {
            HandshakeKind::Full
        };
        self.core.counters.handshakes.of(kind).add(1);
        self.core
            .counters
            .handshake_duration
            .record(self.started.elapsed());
        if let Some(record) = &mut self.record {
            record.leaf = accepted.client.facts().cloned();
            record.resumed = accepted.resumed;
            // The trust store lets this client in nevertheless; the record says why it would not have to.
            let caveat = accepted.client.caveat();
            record.reason = caveat.map(|caveat| caveat.to_owned().into());
        }
    }

    fn note(&mut self, outcome: Outcome, facts: HandshakeFacts) {
        if let Some(record) = &mut self.record {
            record.status = outcome.status;
            record.reason = outcome.reason;
            record.tls_handshake_duration = facts.complete.then(|| self.started.elapsed());
            record.tls_protocol = facts.negotiated.protocol.and_then(protocol_name);
            record.tls_cipher = facts.negotiated.cipher.and_then(cipher_name);
            record.tls_sni = facts.server_name;
        }
    }

    /// Notes what a candidate trust store would have done.
    pub(super) fn compare(&mut self, decision: CandidateDecision) {
        let CandidateDecision { admitted, candidate } = decision;
        let agreement = Agreement::of(admitted, candidate.is_ok());
        self.core.counters.candidate_decisions.of(agreement).add(1);
        if let Some(record) = &mut self.record {
            record.candidate_decision = Some(match &candidate {
                Ok(()) => ConnectionStatus::Success,
                Err(rejected) => ConnectionStatus::Failed(Consequence::of(rejected.kind).code),
            });
            record.candidate_reason = candidate.err().map(|rejected| rejected.reason.into());
        }
    }

    /// Notes the distribution that the ClientHello named.
    pub(super) fn note_distribution(&mut self, distribution: &Distribution) {
        self.counters = Some(distribution.counters.clone());
        if let Some(record) = &mut self.record {
            record.distribution_id = Some(distribution.id.clone());
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.core.counters.connections_open.decrement();
        self.core.ended.set(self.core.ended.get() + 1);
        if let Some(mut record) = self.record.take() {
            let open = self.entry.open();
            record.bytes_in = open.stats.bytes_in.get();
            record.bytes_out = open.stats.bytes_out.get();
            record.requests = open.activity.requests();
            if let Some(closing) = open.closing.get() {
                self.core.counters.no_longer_admitted.of(closing.reason).add(1);
                record.closed_by = Some(closing.reason.as_str());
                record.reason = Some(closing.text.clone().into());
            } else if let Some(cut) = open.cut.get() {
                record.closed_by = Some(cut.as_str());
                record.reason = Some(reason_of(*cut).into());
            }
            if let Some(counters) = &self.counters {
                count(counters, self.core.index, |cells| {
                    cells.connections.of(record.status)
                });
            }
            self.core.finish(record);
        }
    }
}

/// Leaves the record of a client that is closed before anything was begun for it.
pub(super) fn close_at_once(core: &Core, client: SocketAddr, server_ip: IpAddr, why: Cow<'static, str>) {
    let outcome = Outcome::failed(FailureCode::Internal, why);
    core.finish(record(core, client, server_ip, outcome));
}

/// Makes a record that knows nothing but its two ends and its outcome.
fn record(core: &Core, client: SocketAddr, server_ip: IpAddr, outcome: Outcome) -> Box<ConnectionRecord> {
    let id = core.ids.borrow_mut().next();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    let mut record = Box::new(ConnectionRecord::new(
        timestamp_ms,
        id,
        outcome.status,
        client,
        server_ip,
    ));
    record.reason = outcome.reason;
    record
}
