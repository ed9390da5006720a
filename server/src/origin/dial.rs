//! New connections to an origin: which address is tried, and who moves the connection's bytes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use hyper::client::conn::http1;

use super::fetch_error::FetchError;
use super::kinds::{HttpOrigin, ResponseBounds};
use super::pool::Room;
use super::request_body::BodyStream;
use super::spare::Spare;
use super::wire::{OriginStream, Wire};
use crate::runtime::{Duplex, spawn_guarded, timeout};

/// Connects to `origin`. The connection keeps its `room` and its `bounds`.
///
/// # Errors
/// [`FetchError::Connect`].
pub(super) async fn dial<S: BodyStream>(
    origin: &HttpOrigin,
    room: Room,
    bounds: ResponseBounds,
) -> Result<Spare<S>, FetchError> {
    let (io, address) = connect(origin).await?;
    start(io, address, room, bounds).await.map_err(FetchError::Http)
}

/// Connects in as many attempts as the origin is given, one address after the other.
async fn connect(origin: &HttpOrigin) -> Result<(Duplex, SocketAddr), FetchError> {
    let mut last = FetchError::Connect(UNSPECIFIED, io::ErrorKind::AddrNotAvailable.into());
    let addresses = origin.destination.addresses().current();
    for attempt in 0..origin.limits.connection_attempts as usize {
        let Some(address) = addresses.get(attempt % addresses.len().max(1)) else {
            break;
        };
        let connecting = Duplex::connect(*address, Rc::default());
        last = match timeout(origin.limits.connection_timeout, connecting).await {
            Ok(Ok(io)) => return Ok((io, *address)),
            Ok(Err(error)) => FetchError::Connect(*address, error),
            Err(_elapsed) => FetchError::Connect(*address, io::ErrorKind::TimedOut.into()),
        };
    }
    origin.destination.addresses().doubt();
    Err(last)
}

/// Speaks HTTP/1.1 over `io`. A task of its own moves the bytes of the connection until either side closes,
/// and then gives `room` back.
async fn start<S: BodyStream>(
    io: Duplex,
    peer: SocketAddr,
    room: Room,
    bounds: ResponseBounds,
) -> Result<Spare<S>, hyper::Error> {
    let wire = Rc::new(Wire::new(&io, peer));
    let stream = OriginStream::new(io, wire.clone());
    let (sender, connection) = http1::Builder::new()
        .max_headers(bounds.header_fields_max)
        .max_buf_size(bounds.buffer_bytes)
        .handshake(stream)
        .await?;
    let driver = async move {
        let _room = room;
        // Whoever waits for a response on this connection gets the error; there is nobody else to tell.
        let _told_to_the_waiting_request = connection.await;
    };
    spawn_guarded(driver, |message| {
        tracing::error!(message, "an origin connection panicked")
    });
    Ok(Spare::fresh(sender, wire))
}

/// Address to which an origin without addresses would be connected.
const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
