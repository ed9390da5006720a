//! `[control]`: the socket through which commands reach a running server.

use super::error::Problem;
use super::key::KeyPath;
use super::raw::RawControl;
use super::source::{FileRef, Source};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    pub socket: FileRef,
}

pub(super) fn control(source: &Source, raw: Option<&RawControl>) -> Result<Option<ControlConfig>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let key = KeyPath::root().child("control").child("socket");
    let socket = source.file_ref(&key, &raw.socket)?;
    let bytes = socket.path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let fault = format!(
            "{} has {bytes} bytes; a socket's path has {SOCKET_PATH_BYTES_MAX} at most",
            socket.path.display()
        );
        return Err(Problem::new(
            &key,
            fault,
            "name a shorter one, such as /run/bothways/control.sock",
        ));
    }
    match socket.path.file_name() {
        Some(_) => Ok(Some(ControlConfig { socket })),
        None => {
            let fault = format!("{:?} names no file", raw.socket);
            Err(Problem::new(
                &key,
                fault,
                "give the path of a socket, relative to the folder of this file or absolute",
            ))
        }
    }
}

/// The kernel takes 108 with the NUL (unix(7)); the rest is for the name that the socket has until it can be used.
const SOCKET_PATH_BYTES_MAX: usize = 100;
