//! The listening sockets: one for each core and address, in core order, before any core starts.
//!
//! SO_REUSEPORT sockets are numbered within their group as they are bound, so that the kernel's number is the core's.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};

use super::error::AppError;
use crate::config::{Config, Listener, Protocol};
use crate::worker::ListenerSetup;

/// All sockets, by core.
pub struct Bound {
    pub by_core: Vec<Vec<ListenerSetup>>,
    /// The address of each listener of the configuration, with its real port.
    pub addresses: Vec<SocketAddr>,
}

/// Binds every listener of `config` once for each core.
///
/// # Errors
/// An address cannot be listened on.
pub fn bind(config: &Config, cores: usize) -> Result<Bound, AppError> {
    let mut sockets: Vec<Vec<TcpListener>> = Vec::with_capacity(config.listeners.len());
    let mut addresses = Vec::with_capacity(config.listeners.len());
    for listener in &config.listeners {
        let (address, of_cores) = bind_one(listener.address, cores).map_err(|error| {
            let fault = format!("cannot listen on {}: {error}", listener.address);
            let remedy = "free the address, or choose another";
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

fn bind_one(address: SocketAddr, cores: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    let first = listen(address)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..cores {
        sockets.push(listen(bound)?);
    }
    Ok((bound, sockets))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(SocketProtocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit it: no system call for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Connections that wait to be accepted, for each core; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4_096;
