//! Processes that listen at a TCP port, as /proc shows them: to name one where a port is taken, and to tell a
//! server that runs from one that was killed and whose socket the kernel has not closed yet.
//!
//! Sees what this process may see: the descriptors of its own user, or of all of them as root, in its own PID
//! namespace. Runs at start alone.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirEntry};
use std::path::Path;

use bothways_state::files;

/// A process that listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pid: u32,
    name: String,
}

/// Finds a process that listens at `port`, whatever the address.
pub(super) fn of_port(port: u16) -> Option<Holder> {
    let sockets = listening(port);
    if sockets.is_empty() {
        return None;
    }
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| holding(&entry, &sockets))
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, name } = self;
        write!(f, "{}, process {pid}", name.escape_debug())
    }
}

/// The sockets of this network namespace that listen at `port`, by the names that descriptors show them
/// under.
fn listening(port: u16) -> Vec<String> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let tables = tables.map(|path| files::read_text(Path::new(path), TABLE_BYTES_MAX).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines());
    lines.filter_map(|line| socket_listening(line, port)).collect()
}

/// Reads a line of proc(5)'s net/tcp. Gives the name of the line's socket, if the socket listens at `port`.
fn socket_listening(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_whitespace();
    let (local, state) = (fields.nth(1)?, fields.nth(1)?);
    let (_, local_port) = local.rsplit_once(':')?;
    let is_listening = state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port);
    let inode = fields.nth(FIELDS_FROM_STATE_TO_INODE)?;
    is_listening.then(|| format!("socket:[{inode}]"))
}

fn holding(entry: &DirEntry, sockets: &[String]) -> Option<Holder> {
    let pid = entry.file_name().to_str()?.parse().ok()?;
    let is_one = |target: &OsStr| sockets.iter().any(|socket| target == socket.as_str());
    let mut descriptors = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
    descriptors
        .find(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| is_one(target.as_os_str())))?;
    let name = files::read_text(&entry.path().join("comm"), NAME_BYTES_MAX).unwrap_or_default();
    Some(Holder {
        pid,
        name: name.trim_end().to_owned(),
    })
}

/// Some 400,000 connections; beyond that nobody is seen.
const TABLE_BYTES_MAX: u64 = 64 << 20;
/// The kernel keeps 16.
const NAME_BYTES_MAX: u64 = 64;
const LISTEN: &str = "0A";
/// Queues, timer, retransmits, uid and time-out stand between.
const FIELDS_FROM_STATE_TO_INODE: usize = 5;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn who_listens_is_found_and_who_is_connected_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let holder = of_port(address.port()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(
            holder
                .to_string()
                .ends_with(&format!(", process {}", std::process::id()))
        );
        drop(listener);
        assert_eq!(of_port(address.port()), None);
        assert_eq!(of_port(client.local_addr().unwrap().port()), None);
        assert_eq!(of_port(0), None);
    }

    #[test]
    fn lines_of_the_table_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                    0        0 12345 1 0000000000000000 100 0 0 10 0";
        assert_eq!(socket_listening(line, 8080).as_deref(), Some("socket:[12345]"));
        assert_eq!(socket_listening(line, 8081), None);
        assert_eq!(socket_listening(&line.replace(" 0A ", " 01 "), 8080), None);
        for broken in [
            "",
            "sl  local_address",
            "0: x 0 0A",
            "   0: 0100007F:1F90 00000000:0000 0A",
        ] {
            assert_eq!(socket_listening(broken, 8080), None, "{broken}");
        }
    }
}
