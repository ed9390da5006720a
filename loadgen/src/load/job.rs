//! An entry of the mix as one thread works on it: its requests ready to be sent, its clients' TLS, and how an
//! answer is judged.

use std::rc::Rc;

use bytes::Bytes;

use super::links::Links;
use super::tally::{Answer, Done, Outcome};
use super::template::Template;
use crate::failure::{Failure, Stage};
use crate::identity::{Clients, Party};
use crate::plan::{Entry, Plan};
use crate::wire::http1;

/// The work of one entry of the mix on one thread, with its requests made beforehand.
pub struct Job {
    /// Its number in the plan.
    pub index: usize,
    /// The entry of the plan.
    pub entry: Entry,
    /// Identities and TLS configuration of the entry's connections.
    pub party: Party,
    /// The head of an HTTP/1.1 request after which the connection goes on, or ends.
    pub request: Vec<u8>,
    /// The head of a request that asks the server to close after its response.
    pub last_request: Vec<u8>,
    /// The body that follows it, empty where there is none.
    pub body: Bytes,
    /// The request as hyper takes it, for h2.
    pub template: Template,
    /// Connections that this thread's clients share, where the work is h2.
    pub links: Links,
}

impl Job {
    /// Makes the requests of entry number `index`, and the identities of `thread`.
    pub fn new(plan: &Plan, index: usize, entry: &Entry, party: &Party, thread: usize) -> Rc<Self> {
        Rc::new(Job {
            index,
            entry: entry.clone(),
            party: party.clone(),
            request: http1::request(entry, false),
            last_request: http1::request(entry, true),
            body: entry
                .body
                .as_ref()
                .map(|body| body.wire.clone())
                .unwrap_or_default(),
            template: Template::new(entry),
            links: Links::new(party.clients(thread, plan.cores.len())),
        })
    }

    /// The identities that client number `client` of the plan takes in turn.
    pub fn clients(&self, plan: &Plan, client: usize) -> Clients {
        self.party.clients(client, plan.clients)
    }

    /// `true`: the method is HEAD, and responses have no body.
    pub fn is_head(&self) -> bool {
        self.entry.method == http::Method::HEAD
    }

    /// The end of an operation that should succeed.
    pub fn judge(&self, result: Result<Answer, Failure>) -> Done {
        let answer = result.as_ref().ok().copied();
        let outcome = match result.and_then(|answer| self.check(answer)) {
            Ok(()) => Outcome::Ok,
            Err(failure) => Outcome::Failed(failure),
        };
        Done { outcome, answer }
    }

    /// `true`: on an idle connection this means that the server had given it up, and the request may be sent
    /// on another.
    pub fn may_repeat(&self, result: &Result<Answer, Failure>) -> bool {
        let idempotent = self.entry.method.is_idempotent();
        match result {
            // Nothing was sent yet.
            Err(Failure::Closed(Stage::Idle) | Failure::Reset(Stage::Idle)) => true,
            Err(Failure::Closed(Stage::Response) | Failure::Reset(Stage::Response)) => idempotent,
            Ok(answer) => idempotent && answer.status == 408 && !self.entry.expect_status.contains(&408),
            Err(_) => false,
        }
    }

    /// Checks an answer to an operation that should succeed: its status, then the length of its body.
    pub fn check(&self, answer: Answer) -> Result<(), Failure> {
        let expected = match self.entry.expect_status.as_slice() {
            [] => answer.status < 400,
            some => some.contains(&answer.status),
        };
        if !expected {
            return Err(Failure::Status(answer.status));
        }
        match &self.entry.response_bytes {
            Some(range) if !range.contains(&answer.body_bytes) => Err(Failure::Size(answer.body_bytes)),
            _ => Ok(()),
        }
    }
}
