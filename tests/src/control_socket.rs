//! A client of the control socket that speaks its documented form, and no more of it than a test says.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::PATIENCE;

/// Sends these octets and reads the one reply.
///
/// # Errors
/// Nobody is there, or the connection ended without a reply.
pub fn exchange(socket: &Path, request: impl AsRef<[u8]>) -> io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A server that has heard enough reads no further, and its reply says why.
    let _ = stream.write_all(request.as_ref());
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    Ok(serde_json::from_slice(&reply)?)
}
