//! The other side of the socket: one request, one reply.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::message::{Reply, Request};

/// Sends `request`, and `payload` after it, to the server of this socket.
///
/// # Errors
/// No server is there, or it has not answered. The command may have been carried out then.
pub fn send(socket: &Path, request: &Request, payload: &[u8]) -> Result<Reply, ClientError> {
    send_within(socket, request, payload, PATIENCE)
}

/// The same; the server is waited for so long.
pub fn send_within(
    socket: &Path,
    request: &Request,
    payload: &[u8],
    patience: Duration,
) -> Result<Reply, ClientError> {
    let mut stream = connect(socket, patience).map_err(|error| ClientError::NoServer {
        socket: socket.to_owned(),
        error,
    })?;
    let mut text = serde_json::to_vec(request).map_err(|error| ClientError::NoReply(error.into()))?;
    text.push(b'\n');
    // A server that refuses early reads no further, and its reply says why.
    let sent = stream.write_all(&text).and_then(|()| stream.write_all(payload));
    let mut reply = Vec::new();
    let received = stream.read_to_end(&mut reply);
    match serde_json::from_slice(&reply) {
        Ok(reply) => Ok(reply),
        Err(fault) => {
            let fault = sent.and(received.map(drop)).err().unwrap_or(fault.into());
            Err(ClientError::NoReply(fault))
        }
    }
}

fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_read_timeout(Some(patience))?;
    // Of the connection too, while the server's queue is full.
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// Reason why there is no reply.
#[derive(Debug)]
pub enum ClientError {
    NoServer { socket: PathBuf, error: io::Error },
    NoReply(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer { socket, error } => write!(
                f,
                "no server can be reached at {}: {error}; start one with `bothways serve`, as the same user",
                socket.display()
            ),
            Self::NoReply(error) => write!(
                f,
                "the server has not answered: {error}; whether it has done what was asked, \
                 `describe` and its log tell"
            ),
        }
    }
}

impl std::error::Error for ClientError {}

/// Longest wait for an answer. A write of a large store to a slow disk takes its time.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
