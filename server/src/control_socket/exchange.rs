//! Exchange of one connection: a line in, its payload in, a line out. Each is bounded in length and time.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

use bothways_state::key_values::StoreLimits;

use super::answer::answer;
use super::backend::Backend;
use super::message::{RefusalCode, Reply, Request};
use super::refused::CommandRefused;
use super::waiting::Waiting;
use crate::listening::Stopping;

/// Serves the whole of a connection. What goes wrong with it is the client's to notice.
pub(super) fn serve(stream: &UnixStream, backend: &Backend, limit: Duration, stopping: &Stopping) {
    let mut exchange = Exchange {
        stream,
        limit,
        stopping,
        received: Vec::new(),
    };
    let limits = backend
        .questions
        .stores()
        .first()
        .map_or_else(StoreLimits::default, |store| store.limits());
    let reply = match exchange.request(&limits) {
        Ok((request, payload)) => {
            let client = Waiting { stream, stopping };
            answer(backend, request, payload, &client, SystemTime::now())
        }
        Err(Fault::Refused(message)) => CommandRefused::new(RefusalCode::BadRequest, message).into(),
        Err(Fault::Gone) => return,
    };
    let _the_client_may_be_gone = exchange.reply(&reply);
}

/// Tells a client at once that nothing is done for it. It is not waited for.
pub(super) fn refuse(stream: &UnixStream, code: RefusalCode, message: &str) {
    let refuse = || {
        let mut text = serde_json::to_vec(&Reply::from(CommandRefused::new(code, message)))?;
        text.push(b'\n');
        stream.set_nonblocking(true)?;
        (&mut &*stream).write_all(&text)
    };
    let _the_client_may_be_gone = refuse();
}

struct Exchange<'a> {
    stream: &'a UnixStream,
    limit: Duration,
    stopping: &'a Stopping,
    received: Vec<u8>,
}

enum Fault {
    Refused(String),
    /// Nobody is there to be answered.
    Gone,
}

impl Exchange<'_> {
    fn request(&mut self, limits: &StoreLimits) -> Result<(Request, Vec<u8>), Fault> {
        let line = self.line(line_bytes_max(limits))?;
        let request: Request = serde_json::from_slice(&line).map_err(|error| {
            Fault::Refused(format!(
                "this is no request: {error}; one JSON object on one line"
            ))
        })?;
        let (bytes, bytes_max) = (request.payload_bytes(), limits.store_bytes_max);
        if bytes > bytes_max {
            return Err(Fault::Refused(format!(
                "the import has {bytes} bytes, more than {bytes_max}; take entries out, \
                 or raise limits.key_value_store_bytes"
            )));
        }
        let payload = self.payload(bytes)?;
        Ok((request, payload))
    }

    fn line(&mut self, bytes_max: usize) -> Result<Vec<u8>, Fault> {
        let deadline = self.deadline(0);
        let mut searched = 0;
        loop {
            let fresh = self.received.get(searched..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let mut rest = self.received.split_off(searched + end);
                rest.remove(0);
                return Ok(std::mem::replace(&mut self.received, rest));
            }
            searched = self.received.len();
            if searched > bytes_max {
                return Err(Fault::Refused(format!(
                    "the request has more than {bytes_max} bytes"
                )));
            }
            self.receive(deadline)?;
        }
    }

    fn payload(&mut self, bytes: usize) -> Result<Vec<u8>, Fault> {
        let deadline = self.deadline(bytes);
        while self.received.len() < bytes {
            self.receive(deadline)?;
        }
        match self.received.len() == bytes {
            true => Ok(std::mem::take(&mut self.received)),
            false => Err(Fault::Refused(format!(
                "more than {bytes} bytes follow the request"
            ))),
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<(), Fault> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let wait = match self.wait_until(deadline) {
                Ok(Some(wait)) => wait,
                Ok(None) => {
                    return Err(Fault::Refused(format!(
                        "the request was not there after {:?}",
                        self.limit
                    )));
                }
                Err(_) => return Err(Fault::Gone),
            };
            let read = self
                .stream
                .set_read_timeout(Some(wait))
                .and_then(|()| self.stream.read(&mut piece));
            match read {
                Ok(0) => return Err(Fault::Gone),
                Ok(read) => {
                    self.received
                        .extend_from_slice(piece.get(..read).unwrap_or_default());
                    return Ok(());
                }
                Err(error) if is_timeout(&error) => {}
                Err(_) => return Err(Fault::Gone),
            }
        }
    }

    fn reply(&self, reply: &Reply) -> io::Result<()> {
        let mut stream = self.stream;
        let mut text = serde_json::to_vec(reply)?;
        text.push(b'\n');
        let deadline = self.deadline(text.len());
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            // Also when the server ends: what there is room for is told.
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream
                .set_write_timeout(Some(left.clamp(SOCKET_WAIT_MIN, STOP_NOTICED_WITHIN)))?;
            match stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if is_timeout(&error) => {
                    if self.wait_until(deadline)?.is_none() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A large store takes longer than a line.
    fn deadline(&self, bytes: usize) -> Instant {
        let for_bytes = Duration::from_millis(u64::try_from(bytes / BYTES_PER_MS).unwrap_or(u64::MAX));
        Instant::now() + self.limit + for_bytes
    }

    /// Time to wait for the socket before looking again; none past the deadline. Short, so that a stop is
    /// noticed.
    fn wait_until(&self, deadline: Instant) -> io::Result<Option<Duration>> {
        if self.stopping.is_set() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        Ok((!left.is_zero()).then(|| left.clamp(SOCKET_WAIT_MIN, STOP_NOTICED_WITHIN)))
    }
}

/// JSON may write an octet as six (`\u0000`).
fn line_bytes_max(limits: &StoreLimits) -> usize {
    6 * (limits.key_bytes_max + limits.value_bytes_max) + REQUEST_OVERHEAD_BYTES
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Command, names, ETag.
const REQUEST_OVERHEAD_BYTES: usize = 4_096;
/// A slow machine moves as much through a socket.
const BYTES_PER_MS: usize = 16_384;
const PIECE_BYTES: usize = 65_536;
/// The kernel takes a wait of less than a microsecond for one without end.
const SOCKET_WAIT_MIN: Duration = Duration::from_millis(1);
const STOP_NOTICED_WITHIN: Duration = Duration::from_millis(100);
