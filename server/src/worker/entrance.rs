//! Listeners of a core, and what is known of each for the connections that come in by it.

use std::net::{IpAddr, SocketAddr, TcpListener};

use bothways_config::Protocol;

use crate::runtime::Stream;

/// Socket of one core: bound and listening, all in core order before any core starts.
pub struct ListenerSetup {
    pub socket: TcpListener,
    pub address: SocketAddr,
    pub protocol: Protocol,
    /// Port to which an `http` listener redirects its clients.
    pub https_port: u16,
}

/// Address of a listener, and what is spoken there.
#[derive(Clone, Copy)]
pub(super) struct Entrance {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    /// Port to which an `http` listener redirects its clients.
    pub(super) https_port: u16,
}

impl Entrance {
    /// The address that the client of `stream` connected to. It costs a system call where the listener is
    /// bound to no address of its own.
    pub(super) fn server_ip(&self, stream: &Stream) -> IpAddr {
        let bound = self.address.ip();
        if !bound.is_unspecified() {
            return bound;
        }
        stream
            .local_addr()
            .map_or(bound, |address| address.ip().to_canonical())
    }
}
