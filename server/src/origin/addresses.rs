//! Addresses at which an origin is found. The origin's name is looked up off the cores, and the addresses are
//! swapped while the cores read them.
//!
//! Owns: the addresses of a name that cores read, and one look-up at a time for each name. A look-up has a
//! thread of its own, since a resolver may hang and cannot be interrupted. Does not decide when a name is
//! looked up: the table does for new names (`address_table`), and then `backstage`'s resolver. The
//! addresses that were found last stay where a look-up fails.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, bounded};

/// Addresses of one origin. Never empty once a snapshot has a handle to them.
pub struct Addresses {
    /// None where the configuration says the address itself.
    name: Option<Name>,
    current: ArcSwap<Vec<SocketAddr>>,
    /// A connection could not be made: they may have changed.
    is_doubted: AtomicBool,
    /// A look-up is under way.
    is_looked_up: AtomicBool,
}

/// Name that has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub host: String,
    pub port: u16,
}

/// A function that looks a name up: the system's resolver, or a test's.
pub type Lookup = fn(&Name) -> io::Result<Vec<SocketAddr>>;

/// Result of a look-up: the addresses that were known before, or others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Same,
    Other,
}

impl Addresses {
    /// An address that needs no looking up.
    pub fn known(address: SocketAddr) -> Arc<Self> {
        Self::new(None, vec![address])
    }

    /// Addresses of a name that nobody has looked up.
    pub fn of(name: Name) -> Arc<Self> {
        Self::new(Some(name), Vec::new())
    }

    fn new(name: Option<Name>, current: Vec<SocketAddr>) -> Arc<Self> {
        Arc::new(Self {
            name,
            current: ArcSwap::from_pointee(current),
            is_doubted: AtomicBool::new(false),
            is_looked_up: AtomicBool::new(false),
        })
    }

    /// Addresses now in force, to be tried in this order.
    pub fn current(&self) -> Arc<Vec<SocketAddr>> {
        self.current.load_full()
    }

    pub fn contains(&self, address: SocketAddr) -> bool {
        self.current.load().contains(&address)
    }

    /// Name that is looked up, where the origin has a name.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Notes that no connection could be made, so that the name is looked up before its time.
    pub fn doubt(&self) {
        self.is_doubted.store(true, Relaxed);
    }

    /// True if a connection could not be made since this was asked last.
    pub fn take_doubt(&self) -> bool {
        self.is_doubted.swap(false, Relaxed)
    }

    /// Begins a look-up on a thread of its own. Its addresses are in force before the channel gives the
    /// result. None: there is no name, a look-up is under way already, or no thread could be had.
    pub fn begin(self: &Arc<Self>, lookup: Lookup) -> Option<Receiver<io::Result<Found>>> {
        let name = self.name.clone()?;
        if self.is_looked_up.swap(true, Relaxed) {
            return None;
        }
        let (tell, told) = bounded(1);
        let addresses = self.clone();
        let look = move || {
            let found = lookup(&name).and_then(|found| addresses.replace(found));
            addresses.is_looked_up.store(false, Relaxed);
            // Whoever asked may have given up waiting.
            let _heard = tell.send(found);
        };
        let thread = std::thread::Builder::new().name("look-up".to_owned());
        if thread.spawn(look).is_err() {
            self.is_looked_up.store(false, Relaxed);
            return None;
        }
        Some(told)
    }

    fn replace(&self, mut found: Vec<SocketAddr>) -> io::Result<Found> {
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let current = self.current.load();
        // Resolvers turn their answers, so that they are tried in turn: the same addresses in another order
        // are no news.
        let mut known = (**current).clone();
        known.sort_unstable();
        let in_order = found.clone();
        found.sort_unstable();
        if known == found {
            return Ok(Found::Same);
        }
        self.current.store(Arc::new(in_order));
        Ok(Found::Other)
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.name, self.current.load())
    }
}

/// Asks the system's resolver, for as long as that takes.
///
/// # Errors
/// As `getaddrinfo(3)`.
pub fn look_up(name: &Name) -> io::Result<Vec<SocketAddr>> {
    Ok((name.host.as_str(), name.port).to_socket_addrs()?.collect())
}

/// Begins to look all of these up, and waits until `until` at most. Those of which nothing is known then,
/// with the reason.
pub(super) fn look_up_all(
    all: &[Arc<Addresses>],
    until: Instant,
    lookup: Lookup,
) -> Vec<(Arc<Addresses>, io::Error)> {
    let begun: Vec<_> = all
        .iter()
        .filter_map(|addresses| Some((addresses, addresses.begin(lookup)?)))
        .collect();
    let mut failed = Vec::new();
    for (addresses, told) in begun {
        let found = told
            .recv_deadline(until)
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = found {
            failed.push((addresses.clone(), error));
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(host: &str) -> Name {
        let host = host.to_owned();
        Name { host, port: 80 }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Answers by the name's first word: with an address, a failure, or never.
    fn of_the_test(name: &Name) -> io::Result<Vec<SocketAddr>> {
        match name.host.as_str() {
            "hangs" => loop {
                std::thread::park();
            },
            "fails" => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(vec![address("192.0.2.2:80"), address("192.0.2.1:80")]),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn what_a_look_up_finds_is_in_force_and_the_same_in_another_order_is_no_news() {
        let addresses = Addresses::of(name("app"));
        let told = addresses.begin(of_the_test).expect("a first look-up");
        assert_eq!(told.recv().expect("an end").ok(), Some(Found::Other));
        assert!(addresses.contains(address("192.0.2.1:80")));
        addresses
            .current
            .store(Arc::new(vec![address("192.0.2.1:80"), address("192.0.2.2:80")]));
        let told = addresses.begin(of_the_test).expect("a second look-up");
        assert_eq!(told.recv().expect("an end").ok(), Some(Found::Same));
    }

    #[test]
    fn a_look_up_that_fails_or_hangs_leaves_what_was_found_last_and_holds_up_nothing() {
        for host in ["fails", "hangs"] {
            let addresses = Addresses::of(name(host));
            addresses.current.store(Arc::new(vec![address("192.0.2.9:80")]));
            let until = if host == "hangs" { Instant::now() } else { soon() };
            let failed = look_up_all(std::slice::from_ref(&addresses), until, of_the_test);
            assert_eq!(failed.len(), 1, "{host}");
            assert!(addresses.contains(address("192.0.2.9:80")), "{host}");
        }
        let hanging = Addresses::of(name("hangs"));
        assert!(hanging.begin(of_the_test).is_some());
        assert!(hanging.begin(of_the_test).is_none(), "one look-up at a time");
        let all = [hanging, Addresses::of(name("app"))];
        assert!(look_up_all(&all, soon(), of_the_test).is_empty(), "others go on");
    }
}
