//! An entry of the mix as one thread works on it: its requests ready to be sent, its clients' TLS, and how an answer is
//! judged.

use std::rc::Rc;

use super::h2::Template;
use super::links::Links;
use crate::failure::Failure;
use crate::identity::{Clients, Party};
use crate::plan::{Entry, Plan};
use crate::wire::http1;

pub struct Job {
    /// Its number in the plan.
    pub index: usize,
    pub entry: Entry,
    pub party: Party,
    /// An HTTP/1.1 request after which the connection goes on, or ends.
    pub request: Vec<u8>,
    pub last_request: Vec<u8>,
    pub template: Template,
    /// Where the work is h2: the connections that this thread's clients share.
    pub links: Links,
}

/// What an answer was.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub status: u16,
    pub body_bytes: u64,
}

impl Job {
    pub fn new(plan: &Plan, index: usize, entry: &Entry, party: &Party, thread: usize) -> Rc<Self> {
        Rc::new(Job {
            index,
            entry: entry.clone(),
            party: party.clone(),
            request: http1::request(entry, false),
            last_request: http1::request(entry, true),
            template: Template::new(entry),
            links: Links::new(party.clients(thread, plan.cores.len())),
        })
    }

    /// The identities that client number `client` of the plan takes in turn.
    pub fn clients(&self, plan: &Plan, client: usize) -> Clients {
        self.party.clients(client, plan.clients)
    }

    pub fn is_head(&self) -> bool {
        self.entry.method == http::Method::HEAD
    }

    /// Whether a connection that has carried so many requests is to be closed.
    pub fn is_worn(&self, requests: u64) -> bool {
        self.entry
            .requests_per_connection
            .is_some_and(|limit| requests >= limit.get())
    }

    /// What an answer makes of an operation that should succeed.
    pub fn check(&self, answer: Answer) -> Result<(), Failure> {
        if answer.status >= 400 {
            return Err(Failure::Status(answer.status));
        }
        match &self.entry.response_bytes {
            Some(range) if !range.contains(&answer.body_bytes) => Err(Failure::Size(answer.body_bytes)),
            _ => Ok(()),
        }
    }
}
