//! The listening sockets: one for each core and address, in core order, before any core starts.
//!
//! An address belongs to one server. SO_REUSEPORT, by which the cores share it, would let another process of
//! the same user in as well, with its own trust stores and revocations. So the first socket of an address is
//! bound and listens without it, which the kernel grants only where nobody listens there, whoever that is;
//! SO_REUSEPORT is switched on after that, for the sockets of the other cores. The claim lasts as long as the
//! sockets do, within one network namespace, as the address itself does. `runtime.reuse_port` gives it up.
//!
//! Sockets of one address are numbered within their group as they are bound, so that the kernel's number is
//! the core's.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bothways_config::{Config, Listener, Protocol};
use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use super::error::AppError;
use super::holder::{self, Holder};
use crate::worker::{ListenerSetup, QUEUED_MAX};

/// All sockets, by core.
pub(super) struct Bound {
    pub by_core: Vec<Vec<ListenerSetup>>,
    /// The address of each listener of the configuration, with its real port.
    pub addresses: Vec<SocketAddr>,
}

/// Binds every listener of `config` once for each core.
///
/// # Errors
/// An address cannot be listened on.
pub(super) fn bind(config: &Config, cores: usize) -> Result<Bound, AppError> {
    let mut sockets: Vec<Vec<TcpListener>> = Vec::with_capacity(config.listeners.len());
    let mut addresses = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let claim = Claim::of(config.runtime.reuse_port);
        let (address, of_cores) = bind_one(listener.address, cores, claim).map_err(|error| {
            let holder = holder::of_port(listener.address.port());
            let (fault, remedy) = explain(listener.address, &error, holder.as_ref());
            AppError::from(config.source.error(&listener.key.child("address"), fault, remedy))
        })?;
        addresses.push(address);
        sockets.push(of_cores);
    }
    let https_port = https_port(&config.listeners, &addresses);
    let mut by_core: Vec<Vec<ListenerSetup>> = (0..cores).map(|_| Vec::new()).collect();
    for ((listener, &address), of_cores) in config.listeners.iter().zip(&addresses).zip(sockets) {
        for (core, socket) in by_core.iter_mut().zip(of_cores) {
            core.push(ListenerSetup {
                socket,
                address,
                protocol: listener.protocol,
                https_port,
            });
        }
    }
    Ok(Bound { by_core, addresses })
}

/// The first https listener's port: where plain clients are sent.
fn https_port(listeners: &[Listener], addresses: &[SocketAddr]) -> u16 {
    let mut both = listeners.iter().zip(addresses);
    both.find(|(listener, _)| listener.protocol == Protocol::Https)
        .map_or(443, |(_, address)| address.port())
}

/// Says whether other processes may listen on an address too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Tried for so long where the address is taken.
    Exclusive { patience: Duration },
    /// Other processes of the same user may listen too, if they share the address as well.
    Shared,
}

/// Says whether a socket is bound as one of several of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Yes,
    No,
}

impl Claim {
    fn of(reuse_port: bool) -> Self {
        match reuse_port {
            true => Self::Shared,
            false => Self::Exclusive { patience: PATIENCE },
        }
    }
}

fn bind_one(address: SocketAddr, cores: usize, claim: Claim) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = match claim {
        Claim::Shared => listen(address, Sharing::Yes)?,
        Claim::Exclusive { patience } => listen_alone(address, patience)?,
    };
    let bound = TcpListener::from(first.try_clone()?).local_addr()?;
    if cores > 1 {
        first.set_reuse_port(true)?;
    }
    let mut sockets = vec![first.into()];
    for _ in 1..cores {
        sockets.push(listen(bound, Sharing::Yes)?.into());
    }
    Ok((bound, sockets))
}

/// Listens at `address`. Tries again for `patience` where no process is seen to listen, for two reasons. The
/// kernel takes the rings of a process that was killed apart in its own time, and with them goes the socket
/// that an accept waits on: a server that is started at once behind it would find the address taken. And two
/// servers that start at once can both bind, and then each refuse the other the right to listen: whoever
/// finds itself in such a tie tries again after a time of its own.
fn listen_alone(address: SocketAddr, patience: Duration) -> io::Result<Socket> {
    let deadline = Instant::now() + patience;
    loop {
        match listen(address, Sharing::No) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && Instant::now() < deadline
                    && holder::of_port(address.port()).is_none() =>
            {
                sleep(Duration::from_micros(pause_micros()));
            }
            result => return result,
        }
    }
}

/// Random pause of one to five milliseconds, by the standard library's random keys.
fn pause_micros() -> u64 {
    1_000 + RandomState::new().build_hasher().finish() % 4_000
}

fn listen(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = bound(address, sharing)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(SocketProtocol::TCP),
    )?;
    // Connections of an earlier server that are still being closed do not stand in the way of the next one.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Yes {
        socket.set_reuse_port(true)?;
    }
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // [::] means IPv4 too, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit it: no system call for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Fault and remedy of an address that cannot be listened on.
fn explain(address: SocketAddr, error: &io::Error, holder: Option<&Holder>) -> (String, String) {
    let port = address.port();
    let named = holder.map_or_else(String::new, |holder| format!(" ({holder})"));
    match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!(
                "cannot listen on {address}: another process{named} listens there already, \
                 or on an address that includes it"
            ),
            format!(
                "end that process (`ss -ltnp 'sport = :{port}'` shows it), or choose another address; \
                 two servers share one only where both have runtime.reuse_port = true"
            ),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("cannot listen on {address}: this user may not open port {port}"),
            "ports below net.ipv4.ip_unprivileged_port_start (1024) need CAP_NET_BIND_SERVICE: \
             in a systemd unit AmbientCapabilities=CAP_NET_BIND_SERVICE; or choose a port from there on"
                .to_owned(),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("cannot listen on {address}: this machine has no such address"),
            "choose one that `ip address` shows, or 0.0.0.0 for all of them".to_owned(),
        ),
        _ => (
            format!("cannot listen on {address}: {error}"),
            "choose another address".to_owned(),
        ),
    }
}

/// Connections that wait to be accepted, for each core; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4_096;

// A core that drains takes in all that may wait.
const _: () = assert!(BACKLOG as usize <= QUEUED_MAX);

/// Time for a ring that is still being taken apart, and for ties. Some tens of milliseconds were seen.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
#[path = "listeners_tests.rs"]
mod tests;
