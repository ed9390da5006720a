//! Shares of clients in a core's origins, so that no client takes all the connections there.
//!
//! A client is known by its certificate where a trust store vouches for that, else by its address: whoever
//! may make certificates could be as many clients as it likes. Plain counts of one core. A client that has no
//! request at an origin is forgotten with its last connection.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::{Rc, Weak};

/// Identity of a client, as far as shares go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// The fingerprint of a leaf whose chain was verified.
    Certificate(Box<str>),
    Address(IpAddr),
}

impl ClientKey {
    /// Key of a client without a verified certificate. A single host has 64 bits of IPv6 to itself.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        })
    }
}

/// All clients of a core.
#[derive(Default)]
pub struct Shares {
    clients: Rc<RefCell<HashMap<ClientKey, Weak<Client>>>>,
}

/// Share of one client, the same value on each of the client's connections.
pub struct Share(Rc<Client>);

struct Client {
    key: ClientKey,
    taken: Cell<usize>,
    clients: Weak<RefCell<HashMap<ClientKey, Weak<Client>>>>,
}

impl Shares {
    /// The share of `key`.
    pub fn of(&self, key: ClientKey) -> Share {
        let mut clients = self.clients.borrow_mut();
        if let Some(client) = clients.get(&key).and_then(Weak::upgrade) {
            return Share(client);
        }
        let client = Rc::new(Client {
            key: key.clone(),
            taken: Cell::new(0),
            clients: Rc::downgrade(&self.clients),
        });
        clients.insert(key, Rc::downgrade(&client));
        Share(client)
    }
}

impl Share {
    /// Takes a part for one more request, unless the client has `requests_max` already.
    pub fn take(&self, requests_max: usize) -> Option<Rc<Taken>> {
        let taken = self.0.taken.get();
        if taken >= requests_max {
            return None;
        }
        self.0.taken.set(taken + 1);
        Some(Rc::new(Taken(self.0.clone())))
    }
}

/// Part of one request in its client's share. Every origin connection that has anything of the request holds
/// this part.
pub struct Taken(Rc<Client>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(clients) = self.clients.upgrade() {
            clients.borrow_mut().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> ClientKey {
        ClientKey::of_address(address.parse().expect("an address"))
    }

    #[test]
    fn a_client_has_one_share_on_all_its_connections_and_is_forgotten_with_the_last() {
        let shares = Shares::default();
        let (first, second) = (shares.of(key("192.0.2.1")), shares.of(key("192.0.2.1")));
        let taken = first.take(2);
        let again = second.take(2);
        assert!(taken.is_some() && again.is_some());
        assert!(first.take(2).is_none() && second.take(2).is_none());
        assert!(shares.of(key("192.0.2.2")).take(2).is_some(), "another client");
        drop(again);
        assert!(first.take(2).is_some(), "there is room again");
        drop((first, second));
        assert_eq!(shares.clients.borrow().len(), 1, "a request is still there");
        drop(taken);
        assert!(shares.clients.borrow().is_empty());
    }

    #[test]
    fn a_host_is_one_client_whichever_of_its_ipv6_addresses_it_takes() {
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
