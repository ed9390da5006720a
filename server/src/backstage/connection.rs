//! A connection of the admin endpoint: hyper serves one request, then the end. Never waits.
//!
//! hyper has no clock here. The time limits are the driver's, and so are the words to a client whose time is
//! over.

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;

use super::page::Answering;
use super::socket::{Line, Socket};
use crate::metrics::Registry;

pub(super) struct Connection {
    line: Rc<Line>,
    limit: Duration,
    deadline: Instant,
    is_asked: Rc<Cell<bool>>,
    state: State,
}

enum State {
    /// hyper reads the request, or writes the response.
    Serving(Box<http1::Connection<Socket, Answering>>),
    /// The rest of a response that is not hyper's.
    Closing(&'static [u8]),
    /// A moment for the client to close, so that a response to an overlong request is not overtaken by a
    /// reset.
    Lingering,
    Over,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        registry: Arc<Registry>,
        limit: Duration,
        now: Instant,
    ) -> io::Result<Self> {
        let line = Line::new(stream)?;
        let is_asked = Rc::new(Cell::new(false));
        let answering = Answering {
            registry,
            is_asked: is_asked.clone(),
        };
        let serving = http1::Builder::new()
            .keep_alive(false)
            // A client that has said all may close its direction and still wait.
            .half_close(true)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEAD_FIELDS_MAX)
            .title_case_headers(true)
            .auto_date_header(false)
            .header_read_timeout(None)
            .serve_connection(Socket(line.clone()), answering);
        Ok(Self {
            line,
            limit,
            deadline: now + limit,
            is_asked,
            state: State::Serving(Box::new(serving)),
        })
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Does what can be done now. A fault of a client's connection is the client's to notice.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>, now: Instant) {
        self.line.take_up();
        loop {
            let was = std::mem::discriminant(&self.state);
            let step = match &mut self.state {
                State::Serving(_) => self.serve(cx, now),
                State::Closing(_) => self.close(now),
                State::Lingering => self.linger(),
                State::Over => return,
            };
            match step {
                Poll::Ready(Err(_)) => self.state = State::Over,
                Poll::Ready(Ok(())) if was != std::mem::discriminant(&self.state) => {}
                Poll::Ready(Ok(())) | Poll::Pending => return,
            }
        }
    }

    pub(super) fn time_is_over(&mut self, cx: &mut Context<'_>, now: Instant) {
        match self.state {
            State::Serving(_) if !self.is_asked.get() && !self.line.has_written() => {
                self.state = State::Closing(REQUEST_TIMEOUT);
                self.deadline = now + self.limit;
                self.go_on(cx, now);
            }
            _ => self.state = State::Over,
        }
    }

    fn serve(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        let State::Serving(serving) = &mut self.state else {
            return Poll::Pending;
        };
        let was_asked = self.is_asked.get();
        let served = Pin::new(&mut **serving).poll(cx);
        if !was_asked && (self.is_asked.get() || self.line.has_written()) {
            self.deadline = now + self.limit;
        }
        match ready!(served) {
            // It has answered what it could not read, too.
            _ if self.line.has_written() => self.begin_to_linger(now)?,
            Err(error) if error.is_parse() => self.state = State::Closing(BAD_REQUEST),
            Ok(()) | Err(_) => self.state = State::Over,
        }
        Poll::Ready(Ok(()))
    }

    fn close(&mut self, now: Instant) -> Poll<io::Result<()>> {
        while let State::Closing(rest) = &mut self.state {
            if rest.is_empty() {
                self.begin_to_linger(now)?;
                break;
            }
            match ready!(self.line.write(rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *rest = rest.get(written..).unwrap_or_default(),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ends our direction. hyper has done so already, but not where a client wanted another protocol.
    fn begin_to_linger(&mut self, now: Instant) -> io::Result<()> {
        self.line.stream.shutdown(Shutdown::Write)?;
        self.deadline = now + self.limit.min(LINGER);
        self.state = State::Lingering;
        Ok(())
    }

    fn linger(&mut self) -> Poll<io::Result<()>> {
        let mut scratch = [0; HEAD_BYTES_MAX];
        for _ in 0..LINGER_READS {
            if ready!(self.line.read(&mut scratch))? == 0 {
                self.state = State::Over;
                return Poll::Ready(Ok(()));
            }
        }
        // Others have their turn; there is more to read, so the next poll returns at once.
        self.line.want_more();
        Poll::Pending
    }
}

/// A request head in bytes; hyper refuses more.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Fields of a head: as many as find room in it.
const HEAD_FIELDS_MAX: usize = HEAD_BYTES_MAX / SHORTEST_FIELD.len();
const SHORTEST_FIELD: &[u8] = b"a:\r\n";
/// Time for a client to close after its response.
const LINGER: Duration = Duration::from_millis(500);
/// A client that sends without end has no more of the thread than this at a time.
const LINGER_READS: usize = 4;
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\
    Cache-Control: no-store\r\nConnection: close\r\n\r\n";
/// Answer to an HTTP version that hyper ends a connection for without a word.
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\
    Cache-Control: no-store\r\nConnection: close\r\n\r\n";
