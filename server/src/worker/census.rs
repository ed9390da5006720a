//! Census of the clients that are connected at this moment, for an operator who asks.
//!
//! Owns the walk over a core's open connections that answers one question, and what is told of each. The walk
//! is cut into slices, as a sweep is. It keeps a bounded number of rows and counts all connections. A
//! connection that is still in its handshake has no client yet: it is counted and not listed. A core sends
//! its page and forgets the question.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bothways_trust::CertificateFacts;
use crossbeam_channel::Sender;

use super::core::Core;
use super::grounds::Grounds;
use super::registry::{Open, Phase};
use crate::logs::ConnectionId;
use crate::runtime::{sleep, spawn_guarded};

/// Conditions that a connection has to meet, all of them.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Serial number of the leaf: hexadecimal digits in lower case, without separators and leading zeros.
    pub serial_number: Option<String>,
    /// Part of the leaf's subject, in lower case.
    pub subject: Option<String>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    pub distribution_id: Option<String>,
}

/// Question to every core.
#[derive(Debug)]
pub struct Census {
    pub wanted: Wanted,
    /// Rows of one core at most.
    pub rows_max: usize,
    /// Takes one page of each core. Not bounded by itself: a core sends one message.
    pub pages: Sender<Page>,
}

/// Answer of one core.
#[derive(Debug, Default)]
pub struct Page {
    pub connections: Vec<Connected>,
    /// Number of connections that met the conditions, listed or not.
    pub matched: u64,
    /// Connections without a client yet.
    pub handshakes: u64,
}

/// Connection that is open.
#[derive(Debug)]
pub struct Connected {
    pub id: ConnectionId,
    pub client: SocketAddr,
    pub since: SystemTime,
    pub distribution_id: Arc<str>,
    pub http_version: &'static str,
    pub requests: u64,
    pub requests_in_flight: u32,
    /// `None`: it has presented no certificate.
    pub leaf: Option<Arc<CertificateFacts>>,
    /// Reason for which it is being closed, as its record will tell it.
    pub closing: Option<String>,
}

/// Answers `census` beside what the core does.
pub(super) fn begin(core: &Rc<Core>, census: Arc<Census>) {
    spawn_guarded(take(core.clone(), census), |message| {
        tracing::error!(message, "telling who is connected panicked; the core goes on");
    });
}

async fn take(core: Rc<Core>, census: Arc<Census>) {
    let mut page = Page::default();
    let mut from = Some(0);
    while let Some(start) = from {
        let (slice, next) = core.registry.slice(start, SLICE);
        slice.iter().for_each(|open| page.look(open, &census));
        from = next;
        if from.is_some() {
            sleep(REST).await;
        }
    }
    let _nobody_waits_any_more = census.pages.send(page);
}

impl Page {
    fn look(&mut self, open: &Open, census: &Census) {
        let Some(grounds) = open.grounds.get() else {
            self.handshakes += u64::from(open.phase.get() == Phase::Handshake);
            return;
        };
        if !census.wanted.is_met_by(grounds) {
            return;
        }
        self.matched += 1;
        if self.connections.len() < census.rows_max {
            self.connections.push(Connected::of(open, grounds));
        }
    }
}

impl Wanted {
    fn is_met_by(&self, grounds: &Grounds) -> bool {
        let leaf = grounds.client.facts();
        let serial_number = self
            .serial_number
            .as_ref()
            .is_none_or(|wanted| leaf.is_some_and(|leaf| serial_number_is(wanted, &leaf.serial_number)));
        let subject = self
            .subject
            .as_ref()
            .is_none_or(|part| leaf.is_some_and(|leaf| leaf.subject.to_lowercase().contains(part)));
        let client = grounds.contact.client.ip().to_canonical();
        let distribution = &*grounds.distribution_id;
        serial_number
            && subject
            && self.client_ip.is_none_or(|wanted| wanted == client)
            && self
                .distribution_id
                .as_deref()
                .is_none_or(|wanted| wanted == distribution)
    }
}

/// True if `told`, in lower case and joined by colons, is `wanted`.
fn serial_number_is(wanted: &str, told: &str) -> bool {
    let digits = told.bytes().filter(|octet| *octet != b':');
    digits.skip_while(|octet| *octet == b'0').eq(wanted.bytes())
}

impl Connected {
    fn of(open: &Open, grounds: &Grounds) -> Self {
        let contact = grounds.contact;
        Self {
            id: contact.id,
            client: SocketAddr::new(contact.client.ip().to_canonical(), contact.client.port()),
            since: contact.since,
            distribution_id: grounds.distribution_id.clone(),
            http_version: match open.phase.get() {
                Phase::Http2 => "HTTP/2",
                Phase::Handshake | Phase::Http1 | Phase::Plain => "HTTP/1.1",
            },
            requests: open.activity.requests(),
            requests_in_flight: open.activity.in_flight(),
            leaf: grounds.client.facts().cloned(),
            closing: open.closing.get().map(|closing| closing.text.clone()),
        }
    }
}

/// Connections looked at without letting others run.
const SLICE: usize = 256;
/// Pause between two slices.
const REST: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_compared_by_their_value() {
        assert!(serial_number_is("9e2a", "00:9e:2a"));
        assert!(serial_number_is("9e2a", "9e:2a"));
        assert!(!serial_number_is("9e2a", "9e:2a:00"));
        assert!(!serial_number_is("e2a", "9e:2a"));
        assert!(serial_number_is("", "00"));
    }
}
