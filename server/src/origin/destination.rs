//! Destination of a request: all that decides whether a kept connection may carry it.
//!
//! The pool keeps connections by destination. Two destinations are equal where a connection to one may serve
//! the other: the same scheme and authority, the same identity shown, the same trust in who answers.
//! Addresses have no part in that, since those of a name change: the pool compares a connection's address
//! with them each time.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::addresses::Addresses;

/// Server to which requests are sent, and how.
#[derive(Debug)]
pub struct Destination {
    scheme: Scheme,
    /// `host:port`.
    authority: Arc<str>,
    /// Tried in order; never empty.
    addresses: Arc<Addresses>,
    identity: Option<Identity>,
    trust: Option<Trust>,
}

/// Protocol below HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// TCP without TLS.
    Http,
}

/// Certificate that is shown to the server. Has no values as long as TLS is not spoken to origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {}

/// Authorities whose word is taken for the server's name. Has no values as long as TLS is not spoken to
/// origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {}

impl Destination {
    /// A destination of plain HTTP: nobody proves an identity there.
    pub fn http(authority: impl Into<Arc<str>>, addresses: Arc<Addresses>) -> Arc<Self> {
        Arc::new(Self {
            scheme: Scheme::Http,
            authority: authority.into(),
            addresses,
            identity: None,
            trust: None,
        })
    }

    /// Addresses at which it is found.
    pub(super) fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.authority == other.authority
            && self.scheme == other.scheme
            && self.identity == other.identity
            && self.trust == other.trust
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    // The authority is enough: few destinations differ in nothing but the rest, and equality looks at all.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.hash(state);
    }
}
