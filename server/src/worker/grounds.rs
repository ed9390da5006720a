//! Grounds on which a client came in, and what a later snapshot makes of them.
//!
//! Owns the judgement of an open connection: whether a handshake with the same name and the same client would
//! be admitted now. Does not own when that is asked, nor what is done with a connection that fails
//! ([`super::sweep`]). Pure: the snapshot and the time are arguments.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bothways_config::{HostName, OnRevocation};
use rustls_pki_types::UnixTime;

use crate::admission::{ClientAuth, Consequence, Inadmissible};
use crate::logs::ConnectionId;
use crate::metrics::CloseReason;
use crate::snapshot::{Distribution, Snapshot};

/// Distribution that a ClientHello's name led to, under the snapshot of that moment.
pub(super) struct Chosen {
    /// Name by which the client called this server.
    pub(super) name: Option<HostName>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) distribution: Arc<Distribution>,
}

/// Id, address and beginning of a connection whose client has come in.
#[derive(Clone, Copy)]
pub(super) struct Contact {
    pub(super) id: ConnectionId,
    pub(super) client: SocketAddr,
    pub(super) since: SystemTime,
}

/// Grounds on which a client came in.
pub(super) struct Grounds {
    /// Generation of the snapshot at its ClientHello.
    generation: u64,
    name: Option<HostName>,
    pub(super) distribution_id: Arc<str>,
    pub(super) client: ClientAuth,
    pub(super) contact: Contact,
}

/// Reason for which an open connection is closed.
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    /// A sentence for the record.
    pub(super) text: String,
}

impl Grounds {
    /// Makes the grounds of a client that has come in by what its ClientHello led to.
    pub(super) fn new(chosen: &Chosen, client: &ClientAuth, contact: Contact) -> Self {
        Self {
            generation: chosen.snapshot.generation,
            name: chosen.name.clone(),
            distribution_id: chosen.distribution.id.clone(),
            client: client.clone(),
            contact,
        }
    }

    /// Judges the client anew if there was a reload since it came in.
    pub(super) fn reassess(&self, snapshot: &Snapshot, now: UnixTime) -> Option<Closing> {
        let reloaded = self.generation != snapshot.generation;
        let closing = reloaded.then(|| self.inadmissible(snapshot, now)).flatten();
        closing.map(|closing| closing.after("closed after a reload"))
    }

    /// Judges the client anew if its chain is over by its dates. Today's policy may ignore expiry.
    pub(super) fn expired(&self, snapshot: &Snapshot, now: UnixTime) -> Option<Closing> {
        let is_over = matches!(&self.client, ClientAuth::Verified(client) if client.is_over(now));
        let closing = is_over.then(|| self.inadmissible(snapshot, now)).flatten();
        let expired = closing.filter(|closing| closing.reason == CloseReason::Expiry);
        expired.map(|closing| closing.after("closed"))
    }

    fn inadmissible(&self, snapshot: &Snapshot, now: UnixTime) -> Option<Closing> {
        let Some(distribution) = snapshot.distribution_for(self.name.as_ref()) else {
            return Some(self.elsewhere("no distribution"));
        };
        if distribution.id != self.distribution_id {
            return Some(self.elsewhere(&format!("distribution {}", distribution.id)));
        }
        let refused = distribution.client_policy.reassess(&self.client, now).err()?;
        closing(refused, distribution)
    }

    fn elsewhere(&self, now: &str) -> Closing {
        let name = self.name.as_ref().map_or("clients without SNI", HostName::as_str);
        Closing {
            reason: CloseReason::Distribution,
            text: format!("{name} is now served by {now}"),
        }
    }
}

impl Closing {
    fn after(self, occasion: &str) -> Self {
        let text = format!("{occasion}: {}", self.text);
        Self { text, ..self }
    }
}

fn closing(refused: Inadmissible, distribution: &Distribution) -> Option<Closing> {
    let (reason, text) = match refused {
        Inadmissible::Rejected(rejected) => (Consequence::of(rejected.kind).closed, rejected.reason),
        Inadmissible::Changed(what) => (CloseReason::Policy, what.to_owned()),
    };
    let kept = reason == CloseReason::Revocation && distribution.on_revocation == OnRevocation::Keep;
    (!kept).then_some(Closing { reason, text })
}
