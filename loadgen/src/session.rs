//! The sessions that one logical client may resume.
//!
//! TLS 1.3 tickets are used once, the newest first, as RFC 8446 §C.4 recommends: single-use tickets work, and
//! so do servers that allow reuse. A TLS 1.2 session is kept until the server replaces or refuses it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

use crate::identity;

/// A store for a single server name: a run has only one.
#[derive(Default)]
pub struct Sessions(RefCell<Held>);

#[derive(Default)]
struct Held {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    /// `true`: there is a ticket or a session to resume with.
    pub fn can_resume(&self) -> bool {
        let held = self.0.borrow();
        held.tls12.is_some() || !held.tickets.is_empty()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} tickets)", self.0.borrow().tickets.len())
    }
}

/// The store of whichever client acts on this thread ([`identity::acting_as`]): so that thousands of clients
/// share one configuration.
#[derive(Debug)]
pub struct SessionsOfTheActing;

impl SessionsOfTheActing {
    fn held<T>(use_it: impl FnOnce(&mut Held) -> T) -> Option<T> {
        let sessions: Option<Rc<Sessions>> = identity::acting().and_then(|client| client.sessions.clone());
        sessions.map(|sessions| use_it(&mut sessions.0.borrow_mut()))
    }
}

impl ClientSessionStore for SessionsOfTheActing {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        Self::held(|held| held.group = Some(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        Self::held(|held| held.group)?
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        Self::held(|held| held.tls12 = Some(session));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        Self::held(|held| held.tls12.clone())?
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        Self::held(|held| held.tls12 = None);
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        Self::held(|held| {
            if held.tickets.len() == TICKETS_MAX {
                held.tickets.pop_front();
            }
            held.tickets.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        Self::held(|held| held.tickets.pop_back())?
    }
}

/// Servers send up to two or four tickets per connection; older ones would only grow stale.
const TICKETS_MAX: usize = 4;
