//! Handshake of one connection: from its first octet to a client that has come in, or to the last word to one
//! that has not.
//!
//! Owns the order of what a handshake leaves behind: counters, record, grounds, farewell. Does not own TLS
//! ([`crate::admission`]), the connection function ([`super::connection_function`]), the words of a failure
//! ([`super::outcome`]), nor what becomes of an admitted client ([`super::connection`]). Runs in the
//! connection's own task.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bothways_config::HostName;
use hyper::rt::Write as _;
use rustls::ServerConfig;

use super::attempt::Attempt;
use super::core::Core;
use super::drive::unless_closed;
use super::grounds::{Chosen, Contact};
use super::outcome::Outcome;
use super::registry::Open;
use super::{connection_function, sweep};
use crate::admission::{
    self, Accepted, HandshakeError, HandshakeErrorKind, HandshakeFacts, HandshakeNotes, HelloRefused,
};
use crate::metrics::MemoResult;
use crate::runtime::{Duplex, Stream, timeout};
use crate::tls::{ServerSide, TlsStream};

/// Client that has come in.
pub(super) struct Admitted {
    pub(super) accepted: Accepted<Chosen>,
    pub(super) contact: Contact,
    /// Address that the client connected to; known only where a viewer function may ask for it.
    pub(super) server_ip: Option<IpAddr>,
}

/// End of a handshake.
enum HandshakeEnd {
    Accepted(Accepted<Chosen>),
    /// The client closed before it sent an octet.
    Unused,
    Failed(HandshakeError),
    /// It took longer than `handshake_timeout_ms`.
    TimedOut,
    /// The core told the connection to close.
    Cut,
}

/// Handshake in progress and what is learnt in it. It outlives the handshake's future, which may be cut at
/// any time.
struct Admission<'a> {
    core: &'a Rc<Core>,
    attempt: &'a mut Attempt,
    peer: SocketAddr,
    facts: HandshakeFacts,
    notes: HandshakeNotes,
}

/// Runs the handshake on `stream` to its end. A client that is refused has been told so when this ends.
pub(super) async fn handshake(
    core: &Rc<Core>,
    open: &Open,
    stream: Stream,
    peer: SocketAddr,
    attempt: &mut Attempt,
) -> Option<Admitted> {
    let server_ip = server_ip(core, &stream);
    let mut admission = Admission {
        core,
        attempt,
        peer,
        facts: HandshakeFacts::default(),
        notes: HandshakeNotes::default(),
    };
    let io = Duplex::new(stream, open.stats.clone());
    let end = admission.run(open, io).await;
    admission.note_decisions();
    match end {
        HandshakeEnd::Accepted(accepted) => {
            let contact = admission.contact();
            if admission.succeed(open, &accepted, contact) {
                return Some(Admitted {
                    accepted,
                    contact,
                    server_ip,
                });
            }
            close(accepted.stream).await;
        }
        HandshakeEnd::Unused => admission.attempt.forget(),
        HandshakeEnd::Failed(error) => {
            let outcome = Outcome::of_handshake(&error.kind, &admission.facts, &admission.notes);
            admission.fail(outcome);
            if let Some(farewell) = error.farewell {
                unless_closed(open, pin!(farewell.say())).await;
            }
        }
        HandshakeEnd::TimedOut => {
            let outcome = Outcome::timed_out(&admission.facts);
            admission.fail(outcome);
        }
        HandshakeEnd::Cut => admission.fail(Outcome::cut()),
    }
    None
}

impl Admission<'_> {
    async fn run(&mut self, open: &Open, io: Duplex) -> HandshakeEnd {
        let limit = self.core.snapshot().limits.handshake_timeout;
        match unless_closed(open, pin!(timeout(limit, self.accept(io)))).await {
            Some(Ok(Ok(accepted))) => HandshakeEnd::Accepted(accepted),
            Some(Ok(Err(error))) if matches!(error.kind, HandshakeErrorKind::Unused) => HandshakeEnd::Unused,
            Some(Ok(Err(error))) => HandshakeEnd::Failed(error),
            Some(Err(_elapsed)) => HandshakeEnd::TimedOut,
            None => HandshakeEnd::Cut,
        }
    }

    /// Goes from stage to stage of the handshake: count, choose, build the gate, and let TLS do the rest.
    async fn accept(&mut self, io: Duplex) -> Result<Accepted<Chosen>, HandshakeError> {
        let (core, facts) = (self.core, &mut self.facts);
        let begun = admission::first_octet(io, facts).await?;
        let Some(_slot) = core.begin_handshake() else {
            return Err(begun.refuse(HelloRefused::Busy));
        };
        let greeted = begun.read_hello(facts, |host| choose(core, host)).await?;
        self.attempt.note_distribution(&greeted.chosen.distribution);
        let gate = connection_function::gate(
            core,
            self.attempt.connection_id(),
            self.peer.ip().to_canonical(),
            &greeted.chosen,
            facts.server_name.as_deref(),
        );
        greeted
            .admit(gate, &core.shared.vault, facts, &mut self.notes)
            .await
    }

    /// Counts and notes what was decided on the way, however the handshake ended.
    fn note_decisions(&mut self) {
        count(self.core, &self.notes);
        if let Some(decision) = self.notes.candidate.take() {
            self.attempt.compare(decision);
        }
        self.attempt.remark(&mut self.notes);
    }

    fn contact(&self) -> Contact {
        Contact {
            id: self.attempt.connection_id(),
            client: self.peer,
            since: SystemTime::now(),
        }
    }

    /// Notes the success and the grounds of it. `false`: a reload since the ClientHello has made the client
    /// inadmissible; it must be closed.
    fn succeed(self, open: &Open, accepted: &Accepted<Chosen>, contact: Contact) -> bool {
        self.attempt.succeed(accepted, self.facts);
        open.activity.settle();
        sweep::note_grounds(self.core, open, &accepted.chosen, &accepted.client, contact)
    }

    fn fail(self, outcome: Outcome) {
        self.attempt.fail(outcome, self.facts, &self.notes);
    }
}

/// Finds the distribution for the host that a ClientHello names, and its TLS.
fn choose(core: &Core, host: Option<HostName>) -> Option<(Arc<ServerConfig>, Chosen)> {
    let snapshot = core.snapshot();
    let distribution = snapshot.distribution_for(host.as_ref())?.clone();
    let chosen = Chosen {
        name: host,
        snapshot,
        distribution,
    };
    Some((chosen.distribution.tls.clone(), chosen))
}

fn count(core: &Core, notes: &HandshakeNotes) {
    let counters = &core.counters;
    if let Some(memo) = notes.memo {
        let result = if memo.hit {
            MemoResult::Hit
        } else {
            MemoResult::Miss
        };
        counters.verdicts.of(result).add(1);
        counters.verdicts_evicted.add(memo.evicted as u64);
    }
    counters.tickets_issued.add(u64::from(notes.issued.is_some()));
    counters.tickets_redeemed.add(u64::from(notes.tickets_redeemed));
    for reason in &notes.declined {
        counters.tickets_declined.of(*reason).add(1);
    }
}

/// Address that the client of `stream` connected to, which costs a system call: made only where a viewer
/// function may ask for it.
fn server_ip(core: &Core, stream: &Stream) -> Option<IpAddr> {
    let is_asked_for = core.snapshot().functions.has_viewer_functions();
    let address = is_asked_for.then(|| stream.local_addr().ok()).flatten()?;
    Some(address.ip())
}

/// Tells a client in its own words of TLS that its connection ends. It is closed whether it hears that or
/// not.
async fn close(mut stream: Box<TlsStream<ServerSide>>) {
    let ending = poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx));
    let _ended = timeout(sweep::CLOSE_GRACE, ending).await;
}
