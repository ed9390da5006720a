//! A connection of the admin endpoint: a request in, a response out, the end. Never waits.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::request::{self, HEAD_BYTES_MAX, Progress, Refusal, Route};
use super::response::Response;
use crate::metrics::Registry;

pub(super) struct Connection {
    stream: TcpStream,
    limit: Duration,
    deadline: Instant,
    state: State,
}

enum State {
    /// The head so far. The whole of it is read before anything is answered: bytes left unread would turn the
    /// close into a reset.
    Reading(Vec<u8>),
    /// The response, and how much of it is gone.
    Writing(Vec<u8>, usize),
    /// A moment for the client to close, so that a response to an overlong request is not overtaken by a
    /// reset.
    Lingering,
    Over,
}

/// Operation that the socket has to be ready for.
pub(super) enum Next {
    Read,
    Write,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, limit: Duration, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            limit,
            deadline: now + limit,
            state: State::Reading(Vec::new()),
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn next(&self) -> Next {
        match self.state {
            State::Writing(..) => Next::Write,
            State::Reading(_) | State::Lingering | State::Over => Next::Read,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Does what can be done now. What goes wrong with a client's connection is the client's to notice.
    pub(super) fn go_on(&mut self, registry: &Registry, now: Instant) {
        let gone_on = match &mut self.state {
            State::Reading(_) => self.read(registry, now),
            State::Writing(..) => self.write(now),
            State::Lingering => self.linger(),
            State::Over => Ok(()),
        };
        match gone_on {
            Err(error) if !is_not_yet(&error) => self.state = State::Over,
            _ => {}
        }
    }

    pub(super) fn time_is_over(&mut self, now: Instant) {
        match self.state {
            State::Reading(_) => self.answer(&Response::refusal(Refusal::TimedOut), now),
            State::Writing(..) | State::Lingering | State::Over => self.state = State::Over,
        }
    }

    fn read(&mut self, registry: &Registry, now: Instant) -> io::Result<()> {
        let mut piece = [0; HEAD_BYTES_MAX];
        let outcome = loop {
            let State::Reading(head) = &mut self.state else {
                return Ok(());
            };
            let free = HEAD_BYTES_MAX - head.len().min(HEAD_BYTES_MAX);
            let Some(piece) = piece.get_mut(..free).filter(|piece| !piece.is_empty()) else {
                break Err(Refusal::HeadTooLarge);
            };
            match self.stream.read(piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => head.extend_from_slice(piece.get(..read).unwrap_or_default()),
            }
            if let Progress::Done(outcome) = request::parse(head) {
                break outcome;
            }
        };
        let response = match outcome {
            Ok(Route::Metrics) => Response::metrics(registry),
            Ok(Route::Health) if registry.process.draining.get() > 0 => Response::draining(),
            Ok(Route::Health) => Response::healthy(),
            Err(refusal) => Response::refusal(refusal),
        };
        self.answer(&response, now);
        Ok(())
    }

    fn answer(&mut self, response: &Response, now: Instant) {
        self.deadline = now + self.limit;
        self.state = State::Writing(response.to_bytes(), 0);
        match self.write(now) {
            Err(error) if !is_not_yet(&error) => self.state = State::Over,
            _ => {}
        }
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        while let State::Writing(response, done) = &mut self.state {
            let rest = response.get(*done..).unwrap_or_default();
            if rest.is_empty() {
                self.stream.shutdown(Shutdown::Write)?;
                self.deadline = now + self.limit.min(LINGER);
                self.state = State::Lingering;
                return self.linger();
            }
            match self.stream.write(rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => *done += written,
            }
        }
        Ok(())
    }

    fn linger(&mut self) -> io::Result<()> {
        let mut scratch = [0; HEAD_BYTES_MAX];
        for _ in 0..LINGER_READS {
            if self.stream.read(&mut scratch)? == 0 {
                self.state = State::Over;
                break;
            }
        }
        Ok(())
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted)
}

/// Time for a client to close after its response.
const LINGER: Duration = Duration::from_millis(500);
/// A client that sends without end has no more of the thread than this at a time.
const LINGER_READS: usize = 4;
