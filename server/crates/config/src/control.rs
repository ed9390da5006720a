//! `[control]`: the socket through which commands reach a running server.
//!
//! Owns what a command needs of the configuration, too: a command works while another part of the file is
//! wrong.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::key::KeyPath;
use super::limits::Limits;
use super::raw::{RawControl, RawControlOnly};
use super::reference::FileRef;
use super::source::Source;

/// The part of the configuration that a command to a running server needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlAccess {
    /// Path of the socket of the running server.
    pub socket: PathBuf,
    pub limits: Limits,
}

/// Reads `[control]` and `[limits]` of the configuration `text`, and nothing else: an operator may write a
/// revocation while the file is being edited. `path` is not opened.
///
/// # Errors
/// The text is not TOML, one of the two tables is wrong, or there is no `[control]`.
pub fn read_control(path: &Path, text: &str) -> Result<ControlAccess, ConfigError> {
    let source = Source::new(path, text);
    let raw: RawControlOnly = source.parse()?;
    access(&source, &raw).map_err(|problem| source.locate(problem))
}

fn access(source: &Source, raw: &RawControlOnly) -> Result<ControlAccess, Problem> {
    let limits = Limits::check(&raw.limits)?;
    match control(source, raw.control.as_ref())? {
        Some(control) => Ok(ControlAccess {
            socket: control.socket.path,
            limits,
        }),
        None => {
            let fault = "there is no control socket to reach the server through";
            let remedy = "add [control] with socket = \"bothways.sock\" and restart the server";
            Err(Problem::new(&KeyPath::root().child("control"), fault, remedy))
        }
    }
}

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

/// The kernel takes 108 with the NUL (unix(7)); the rest is for the name that the socket has until it can be
/// used.
const SOCKET_PATH_BYTES_MAX: usize = 100;
