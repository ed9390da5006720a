//! The admin endpoint: its address, its start and its end.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt, io};

use super::driver::Driver;
use crate::listening::{Listening, Stopping};
use crate::metrics::Registry;

/// The bound socket, before anything is served; its address is known and a bad one was refused.
#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminListener {
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|source| BindError { address, source })
    }

    /// Address with the real port, where 0 was asked for.
    #[cfg(test)]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// # Errors
    /// There is no thread or no descriptor to be had.
    pub fn serve(self, registry: Arc<Registry>) -> io::Result<AdminServer> {
        self.serve_within(registry, TIME_LIMIT)
    }

    pub(super) fn serve_within(self, registry: Arc<Registry>, limit: Duration) -> io::Result<AdminServer> {
        self.listener.set_nonblocking(true)?;
        let stopping = Stopping::default();
        let driver = Driver::new(registry, limit, stopping.clone())?;
        let serve = move |listener: &TcpListener| driver.run(listener);
        Ok(AdminServer {
            address: self.address,
            _thread: Listening::start("admin", self.listener, &stopping, serve)?,
        })
    }
}

/// An address that cannot be listened on; the caller puts the configuration file's name in front.
#[derive(Debug)]
pub struct BindError {
    pub address: SocketAddr,
    pub source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        let (why, remedy) = match source.kind() {
            io::ErrorKind::AddrInUse => (
                "another process listens there already".to_owned(),
                "end it, or choose another port",
            ),
            _ => (
                source.to_string(),
                "choose an address of this machine and a free port",
            ),
        };
        write!(f, "admin.address: cannot listen on {address}: {why}; {remedy}")
    }
}

impl error::Error for BindError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The running endpoint. Dropped, it stops listening and cuts what goes on, well under a second.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    _thread: Listening<TcpListener>,
}

impl AdminServer {
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Time for a request to come in, and again for its response to go out. A scraper is near.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(2);
