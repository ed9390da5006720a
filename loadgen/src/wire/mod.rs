//! TLS over TCP with owned buffers, and the two HTTP versions on it.
//!
//! [`Records`] is the TLS state without I/O; [`Connection`] drives it over a monoio socket with one read and
//! one write in flight at most. A connection whose operation was abandoned (time limit) is dropped, never
//! reused, because the abandoned read may have consumed bytes.

pub mod duplex;
pub mod http1;

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;
use rustls::client::ClientConnection;
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;

use crate::failure::{Failure, Stage};
use crate::identity::{self, Client};
use crate::sys;

/// Bytes on the wire of one thread's connections, TLS included.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bytes read from sockets since the start of the run.
    pub received: Cell<u64>,
    /// Bytes written to sockets since the start of the run.
    pub sent: Cell<u64>,
    /// TCP connections that are open now.
    pub open: Cell<u64>,
}

/// Counts a connection as open until it is dropped.
struct OpenConnection(Rc<Traffic>);

impl OpenConnection {
    fn new(traffic: Rc<Traffic>) -> Self {
        traffic.open.set(traffic.open.get() + 1);
        OpenConnection(traffic)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

/// Progress of a connection, readable from outside, also after the operation on it was abandoned.
#[derive(Debug, Default)]
pub struct Progress {
    /// Step that the connection has reached.
    pub stage: Cell<Stage>,
    /// The server has asked for a client certificate.
    pub certificate_requested: Cell<bool>,
    /// The reason why the connection broke, for code that only sees an I/O error (hyper).
    pub failure: RefCell<Option<Failure>>,
}

/// The TLS state of a connection and its buffers.
pub struct Records {
    pub tls: ClientConnection,
    pub progress: Rc<Progress>,
    client: Rc<Client>,
    open: OpenConnection,
    /// Received records; those before `fed` have been given to rustls.
    inbound: Vec<u8>,
    fed: usize,
    /// The socket has reached its end.
    ended: bool,
}

/// Plaintext that the server has sent.
pub enum Plaintext<'a> {
    Chunk(&'a [u8]),
    /// Feed more records first.
    NotYet,
    /// The server has ended the stream by close_notify.
    End,
    /// The connection has ended, and the server has not said that this is all.
    Cut,
}

impl Records {
    fn new(tls: ClientConnection, client: Rc<Client>, progress: Rc<Progress>, traffic: Rc<Traffic>) -> Self {
        Records {
            tls,
            progress,
            client,
            open: OpenConnection::new(traffic),
            inbound: Vec::with_capacity(READ_BYTES),
            fed: 0,
            ended: false,
        }
    }

    /// The step that the connection has reached.
    pub fn stage(&self) -> Stage {
        self.progress.stage.get()
    }

    /// Gives rustls some of the received records. `false`: there are none left, more must be read.
    pub fn feed(&mut self) -> Result<bool, Failure> {
        let mut rest = self.inbound.get(self.fed..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        let before = rest.len();
        let taken = self
            .tls
            .read_tls(&mut rest)
            .map_err(|error| Failure::from_io(&error, self.stage()))?;
        // After close_notify rustls takes nothing any more: what follows has no meaning.
        self.fed = if taken == 0 {
            self.inbound.len()
        } else {
            self.fed + before - rest.len()
        };
        let processed = identity::acting_as(&self.client, || self.tls.process_new_packets());
        if identity::take_certificate_requested() {
            self.progress.certificate_requested.set(true);
        }
        processed.map_err(Failure::from_tls)?;
        Ok(true)
    }

    /// The next piece of plaintext; call [`Records::consume`] for what was used of it.
    pub fn plaintext(&mut self) -> Plaintext<'_> {
        let ended = self.ended;
        match self.tls.reader().into_first_chunk() {
            Ok([]) => Plaintext::End,
            Ok(chunk) => Plaintext::Chunk(chunk),
            Err(_) if ended => Plaintext::Cut,
            Err(_) => Plaintext::NotYet,
        }
    }

    /// Marks `bytes` of the plaintext as used.
    pub fn consume(&mut self, bytes: usize) {
        self.tls.reader().consume(bytes);
    }

    /// An empty buffer to read into; give it back by [`Records::arrived`].
    pub fn take_inbound(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.inbound);
        buffer.clear();
        buffer.reserve(READ_BYTES); // a read without room would look like the end of the stream
        self.fed = 0;
        buffer
    }

    /// Frees the buffer, unless something is in it.
    fn rest(&mut self) {
        if self.fed == self.inbound.len() {
            self.inbound = Vec::new();
            self.fed = 0;
        }
    }

    /// Takes what a read has brought; nothing means the end of the stream.
    pub fn arrived(&mut self, buffer: Vec<u8>, bytes: usize) {
        self.inbound = buffer;
        self.ended |= bytes == 0;
        let traffic = &self.open.0;
        traffic.received.set(traffic.received.get() + bytes as u64);
    }

    /// Moves everything that waits to be sent into `outbound`.
    pub fn take_outbound(&mut self, outbound: &mut Vec<u8>) {
        while self.tls.wants_write() {
            if self.tls.write_tls(outbound).is_err() {
                return; // writing to a Vec cannot fail
            }
        }
        let traffic = &self.open.0;
        traffic.sent.set(traffic.sent.get() + outbound.len() as u64);
    }
}

/// A client connection that is used by one operation at a time.
pub struct Connection {
    stream: TcpStream,
    /// TLS state of the connection.
    pub records: Records,
    outbound: Vec<u8>,
}

impl Connection {
    /// Opens the TCP connection. The handshake has not begun.
    pub async fn connect(
        address: SocketAddr,
        name: &ServerName<'static>,
        config: &Arc<ClientConfig>,
        client: &Rc<Client>,
        progress: Rc<Progress>,
        traffic: Rc<Traffic>,
    ) -> Result<Self, Failure> {
        progress.stage.set(Stage::Connect);
        let stream = TcpStream::connect_addr(address)
            .await
            .map_err(|error| Failure::from_connect(&error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| Failure::from_connect(&error))?;
        let new = || ClientConnection::new(config.clone(), name.clone());
        let mut tls = identity::acting_as(client, new).map_err(Failure::from_tls)?;
        tls.set_buffer_limit(None);
        let records = Records::new(tls, client.clone(), progress, traffic);
        Ok(Connection {
            stream,
            records,
            outbound: Vec::with_capacity(WRITE_BYTES),
        })
    }

    /// Runs the handshake until the client has all that it needs. Its last flight is not sent yet: it leaves
    /// together with the request at the next [`Connection::flush`].
    pub async fn handshake(&mut self) -> Result<HandshakeKind, Failure> {
        self.records.progress.stage.set(Stage::Handshake);
        while self.records.tls.is_handshaking() {
            if self.feed().await? {
                continue;
            }
            self.flush().await?;
            if !self.read().await? {
                return Err(Failure::Closed(Stage::Handshake));
            }
        }
        Ok(self.records.tls.handshake_kind().unwrap_or(HandshakeKind::Full))
    }

    /// Looks, without waiting, whether the connection is as the last response left it. What comes before a
    /// request is sent must never count as its answer.
    pub async fn check_quiet(&mut self) -> Result<(), Failure> {
        loop {
            match self.records.plaintext() {
                Plaintext::Chunk(chunk) if gives_up(chunk) => {
                    return Err(Failure::Closed(Stage::Idle));
                }
                Plaintext::Chunk(_) => return Err(Failure::Unsolicited),
                Plaintext::End | Plaintext::Cut => return Err(Failure::Closed(Stage::Idle)),
                Plaintext::NotYet => {}
            }
            // Records without plaintext, session tickets say, may come at any time.
            let more =
                self.feed().await? || (sys::is_readable(&self.stream) && self.read_while_idle().await?);
            if !more {
                return Ok(());
            }
        }
    }

    /// The same, of what has been read already.
    pub async fn check_nothing_read(&mut self) -> Result<(), Failure> {
        while self.feed().await? {}
        match self.records.plaintext() {
            Plaintext::Chunk(_) => Err(Failure::Unsolicited),
            _ => Ok(()),
        }
    }

    async fn read_while_idle(&mut self) -> Result<bool, Failure> {
        match self.read().await {
            Ok(true) => Ok(true),
            Ok(false) => Err(Failure::Closed(Stage::Idle)),
            Err(failure) if failure.is_disconnect() => Err(Failure::Reset(Stage::Idle)),
            Err(failure) => Err(failure),
        }
    }

    /// Queues `head` and `body` and sends them, in pieces that bound what is held encrypted. A server that
    /// answers or closes before it has got all of a long body is not sent the rest; `false`: so it was.
    pub async fn send(&mut self, head: &[u8], body: &[u8]) -> Result<bool, Failure> {
        self.queue(head)?;
        let mut pieces = body.chunks(PIECE_BYTES);
        if let Some(first) = pieces.next() {
            self.queue(first)?;
        }
        self.flush().await?;
        for piece in pieces {
            if self.is_answered().await? {
                return Ok(false);
            }
            self.queue(piece)?;
            self.flush().await?;
        }
        Ok(true)
    }

    /// Looks, without waiting, whether a response or the end of the connection has come.
    async fn is_answered(&mut self) -> Result<bool, Failure> {
        loop {
            match self.records.plaintext() {
                Plaintext::Chunk(chunk) => return Ok(!chunk.starts_with(INTERIM)),
                Plaintext::End | Plaintext::Cut => return Ok(true),
                Plaintext::NotYet => {}
            }
            if self.feed().await? {
                continue;
            }
            if !sys::is_readable(&self.stream) {
                return Ok(false);
            }
            self.read().await?;
        }
    }

    fn queue(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let stage = self.records.stage();
        let queued = self.records.tls.writer().write_all(bytes);
        queued.map_err(|error| Failure::from_io(&error, stage))
    }

    /// Waits for plaintext, hands it to `take` (which returns how much it used, and whether it wants more).
    pub async fn receive<T>(
        &mut self,
        mut take: impl FnMut(Input<'_>) -> Result<Taken<T>, Failure>,
    ) -> Result<T, Failure> {
        loop {
            let (used, done) = match self.records.plaintext() {
                Plaintext::Chunk(chunk) => (chunk.len(), take(Input::Bytes(chunk))?),
                Plaintext::End => (0, take(Input::End)?),
                Plaintext::Cut => (0, take(Input::Cut)?),
                Plaintext::NotYet => {
                    if !self.feed().await? {
                        self.read().await?;
                    }
                    continue;
                }
            };
            if used > 0 {
                self.records.consume(used);
            }
            match done {
                Taken::Done(value) => return Ok(value),
                Taken::More if used == 0 => return Err(Failure::Closed(self.records.stage())),
                Taken::More => {}
            }
        }
    }

    /// Reads until the server has closed, so that it and not we keep the port in TIME_WAIT. Tickets that come
    /// late are seen; all else is discarded.
    pub async fn wait_for_close(&mut self) {
        while !self.records.ended {
            while let Plaintext::Chunk(chunk) = self.records.plaintext() {
                let used = chunk.len();
                self.records.consume(used);
            }
            // A connection that TLS has given up on is drained all the same.
            if !matches!(self.records.feed(), Ok(true)) && self.read().await.is_err() {
                return;
            }
        }
    }

    /// Gives the buffers back while nothing is to be read or written for long.
    pub fn rest(&mut self) {
        self.outbound = Vec::new();
        self.records.rest();
    }

    /// Drops the connection as if the network or this process had failed: the server gets a reset.
    pub fn abort(self) {
        let _ = sys::reset_on_close(&self.stream); // without it the server sees an ordinary end
    }

    /// Says goodbye. The socket closes when the connection is dropped.
    pub async fn close(mut self) {
        self.records.tls.send_close_notify();
        let _ = self.flush().await;
    }

    /// Feeds rustls what has been read. `false`: there is nothing left.
    async fn feed(&mut self) -> Result<bool, Failure> {
        let fed = self.records.feed();
        if fed.is_err() {
            let _ = self.write_pending().await; // our alert tells the server why
        }
        fed
    }

    /// Reads from the socket. `false` at the end of the stream.
    async fn read(&mut self) -> Result<bool, Failure> {
        if self.records.ended {
            return Ok(false);
        }
        let (result, buffer) = self.stream.read(self.records.take_inbound()).await;
        let bytes = result.map_err(|error| Failure::from_io(&error, self.records.stage()))?;
        self.records.arrived(buffer, bytes);
        Ok(bytes > 0)
    }

    /// Sends all that waits in rustls. When the server has hung up, what it said before explains why.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        match self.write_pending().await {
            Err(failure) if failure.is_disconnect() => Err(self.last_words(failure).await),
            other => other,
        }
    }

    async fn write_pending(&mut self) -> Result<(), Failure> {
        if !self.records.tls.wants_write() {
            return Ok(());
        }
        let mut outbound = std::mem::take(&mut self.outbound);
        outbound.clear();
        self.records.take_outbound(&mut outbound);
        let (result, outbound) = self.stream.write_all(outbound).await;
        self.outbound = outbound;
        result
            .map(|_| ())
            .map_err(|error| Failure::from_io(&error, self.records.stage()))
    }

    /// Reads what the server sent before it reset the connection: an alert says more than `failure`.
    async fn last_words(&mut self, failure: Failure) -> Failure {
        loop {
            match self.records.feed() {
                Ok(true) => continue,
                Err(alert) => return alert,
                Ok(false) => {}
            }
            if !matches!(self.read().await, Ok(true)) {
                return failure;
            }
        }
    }
}

/// Result of waiting for input, which [`Connection::receive`] hands on.
pub enum Input<'a> {
    Bytes(&'a [u8]),
    /// The server has said that this is all.
    End,
    /// The connection has ended without such a word.
    Cut,
}

/// State of a taker of plaintext: it has what it wants, or needs more.
pub enum Taken<T> {
    Done(T),
    More,
}

/// A server may say 408 on an idle connection before it closes (RFC 9110 §15.5.9): the same as closing in
/// silence.
fn gives_up(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.") && bytes.get(9..12) == Some(b"408")
}

fn other(failure: &Failure) -> io::Error {
    io::Error::other(failure.to_string())
}

/// Size of a TLS record and a bit: a response head rarely needs more, a long body comes in several.
const READ_BYTES: usize = 32 * 1024;
const WRITE_BYTES: usize = 4 * 1024;
/// A response before the response (RFC 9110 §15.2): the server waits for the rest of the request.
const INTERIM: &[u8] = b"HTTP/1.1 1";
const PIECE_BYTES: usize = 128 * 1024;
