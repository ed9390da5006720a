//! A TLS client under full control: blocking sockets and rustls, one HTTP/1.1 request at a time.
//!
//! A clone shares sessions and credentials with its original, so `client.clone().sni(..)` offers the same
//! tickets elsewhere.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion};

use crate::config::EDGE_NAME;
use crate::http1::{self, Response};
use crate::pki::Identity;
use crate::raw_client::reframed;
use crate::server_check::AnyNameOfOurs;
pub use crate::tcp::{Ending, local_port, open, read_to_end};
use crate::tickets::Tickets;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// Form in which the client's first flight, the ClientHello, is put on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FirstFlight {
    Whole,
    /// An octet per TCP write.
    ByteByByte,
    /// Cut into TLS records of this many octets.
    Records(usize),
}

/// End of a connection from where the client stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Ok {
        resumed: bool,
        response: Response,
    },
    /// A fatal alert (its number), and how the stream ended after it.
    Alert(u8, Ending),
    /// The stream ended without an alert or a response.
    Closed,
    Reset,
    Timeout,
    Other(String),
}

impl Outcome {
    pub fn of_error(error: &io::Error, tcp: &mut TcpStream) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (Some(rustls::Error::AlertReceived(alert)), _) => Self::Alert(u8::from(*alert), read_to_end(tcp)),
            (Some(other), _) => Self::Other(other.to_string()),
            (_, io::ErrorKind::UnexpectedEof) => Self::Closed,
            (_, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => Self::Reset,
            (_, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Self::Timeout,
            _ => Self::Other(error.to_string()),
        }
    }

    /// The response of an admitted client. Panics with what happened instead.
    pub fn response(&self) -> &Response {
        match self {
            Self::Ok { response, .. } => response,
            other => panic!("no response: {other:?}"),
        }
    }

    /// True if the admitted client's session was a resumed one.
    pub fn resumed(&self) -> bool {
        matches!(self, Self::Ok { resumed: true, .. })
    }

    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }
}

/// A connection attempt: its outcome, and the port by which its record is found.
#[derive(Debug)]
pub struct Attempt {
    pub outcome: Outcome,
    pub port: u16,
}

#[derive(Clone)]
pub struct Client {
    config: ClientConfig,
    tickets: Arc<Tickets>,
    name: String,
    host: Option<String>,
    first_flight: FirstFlight,
}

impl Client {
    /// TLS 1.2 and 1.3, no certificate, SNI of the usual edge, ALPN http/1.1.
    pub fn new() -> Self {
        Self::with(None, &[&TLS13, &TLS12])
    }

    pub fn with_identity(identity: &Identity) -> Self {
        Self::with(Some(identity), &[&TLS13, &TLS12])
    }

    /// A single version.
    pub fn speaking(version: Version, identity: Option<&Identity>) -> Self {
        match version {
            Version::Tls12 => Self::with(identity, &[&TLS12]),
            Version::Tls13 => Self::with(identity, &[&TLS13]),
        }
    }

    /// The name asked for, in the TLS handshake and, unless `host` says otherwise, in the Host header.
    pub fn sni(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    pub fn without_sni(mut self) -> Self {
        self.config.enable_sni = false;
        self
    }

    pub fn host(self, host: &str) -> Self {
        Self {
            host: Some(host.to_owned()),
            ..self
        }
    }

    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        self
    }

    pub fn first_flight(self, first_flight: FirstFlight) -> Self {
        Self { first_flight, ..self }
    }

    /// Sessions that this client could resume.
    pub fn tickets(&self) -> usize {
        self.tickets.count()
    }

    /// Connects, sends GET / and reads to the end of the connection.
    pub fn get(&self, address: SocketAddr) -> Attempt {
        self.get_over(open(address))
    }

    /// The same over an open TCP connection.
    pub fn get_over(&self, tcp: TcpStream) -> Attempt {
        self.request_over(tcp, &self.request("GET", "/", "Connection: close\r\n"))
    }

    /// Connects, sends this request as it stands, reads a response and the end of the connection.
    pub fn send(&self, address: SocketAddr, request: &str) -> Attempt {
        self.request_over(open(address), request)
    }

    /// The text of a request without a body. `headers` are whole lines.
    pub fn request(&self, method: &str, path: &str, headers: &str) -> String {
        let host = self.host.as_deref().unwrap_or(&self.name);
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
    }

    /// Completes a handshake, as far as the client can tell: under TLS 1.3 a refusal comes after it.
    pub fn connect(&self, address: SocketAddr) -> Result<Connection, Outcome> {
        self.connect_over(open(address))
    }

    /// The same over an open TCP connection.
    pub fn connect_over(&self, tcp: TcpStream) -> Result<Connection, Outcome> {
        self.handshake(tcp).map_err(|(outcome, _)| outcome)
    }

    /// Sends the ClientHello and reads the server's answer, so that the server has chosen what it judges by.
    pub fn begin(&self, address: SocketAddr) -> Begun {
        let mut begun = self.begin_over(open(address));
        begun
            .stream
            .receive()
            .expect("the server answers the ClientHello");
        begun
    }

    /// Sends the ClientHello over an open TCP connection and waits for the answer without reading it.
    pub fn begin_over(&self, tcp: TcpStream) -> Begun {
        let port = local_port(&tcp);
        let mut stream = TlsStream {
            tls: self.connection(),
            tcp,
        };
        stream
            .send_first_flight(self.first_flight)
            .and_then(|()| stream.tcp.peek(&mut [0]))
            .expect("the server answers the ClientHello");
        Begun { port, stream }
    }

    /// The bytes of a ClientHello as this client would send it.
    pub fn client_hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.connection()
            .write_tls(&mut hello)
            .expect("a Vec takes everything");
        hello
    }

    fn with(identity: Option<&Identity>, versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let tickets = Arc::new(Tickets::default());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions that the provider knows")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyNameOfOurs::new(provider())));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(credentials(identity)),
        };
        config.resumption = Resumption::store(tickets.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.enable_secret_extraction = true; // for Connection::into_handshake_record
        Self {
            config,
            tickets,
            name: EDGE_NAME.to_owned(),
            host: None,
            first_flight: FirstFlight::Whole,
        }
    }

    fn connection(&self) -> ClientConnection {
        // rustls refuses a name with a trailing dot; such names are sent by openssl's client.
        let name = ServerName::try_from(self.name.clone()).expect("a DNS name");
        ClientConnection::new(Arc::new(self.config.clone()), name).expect("a client that can start")
    }

    fn request_over(&self, tcp: TcpStream, request: &str) -> Attempt {
        let port = local_port(&tcp);
        let outcome = match self.handshake(tcp) {
            Err((outcome, _)) => outcome,
            Ok(mut connection) => connection.exchange_and_close(request),
        };
        Attempt { outcome, port }
    }

    fn handshake(&self, tcp: TcpStream) -> Result<Connection, (Outcome, u16)> {
        let port = local_port(&tcp);
        let mut stream = TlsStream {
            tls: self.connection(),
            tcp,
        };
        let result = stream
            .send_first_flight(self.first_flight)
            .and_then(|()| stream.complete_handshake());
        match result {
            Ok(()) => Ok(Connection {
                port,
                stream: BufReader::with_capacity(64 << 10, stream),
            }),
            Err(error) => Err((Outcome::of_error(&error, &mut stream.tcp), port)),
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// A handshake of which the client has heard the beginning and said no more than its ClientHello.
pub struct Begun {
    pub port: u16,
    stream: TlsStream,
}

impl Begun {
    /// Goes on as [`Client::connect`] would have.
    pub fn finish(mut self) -> Result<Connection, Outcome> {
        match self.stream.complete_handshake() {
            Ok(()) => Ok(Connection {
                port: self.port,
                stream: BufReader::with_capacity(64 << 10, self.stream),
            }),
            Err(error) => Err(Outcome::of_error(&error, &mut self.stream.tcp)),
        }
    }
}

/// A connection whose handshake the client has completed. Reads and writes plaintext.
pub struct Connection {
    pub port: u16,
    pub(crate) stream: BufReader<TlsStream>,
}

impl Connection {
    pub fn resumed(&self) -> bool {
        self.stream.get_ref().tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub fn version(&self) -> Option<ProtocolVersion> {
        self.stream.get_ref().tls.protocol_version()
    }

    /// The server's leaf certificate.
    pub fn server_certificate(&self) -> Option<CertificateDer<'static>> {
        self.stream
            .get_ref()
            .tls
            .peer_certificates()?
            .first()
            .map(|certificate| certificate.clone().into_owned())
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Asks the server for new keys, by a KeyUpdate that it must answer.
    pub fn update_keys(&mut self) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.tls.refresh_traffic_keys().map_err(io::Error::other)?;
        stream.send_pending()
    }

    pub fn read_response(&mut self) -> io::Result<Response> {
        http1::read_response(&mut self.stream)
    }

    /// Reader for bodies that are too large to keep.
    pub fn reader(&mut self) -> &mut impl io::BufRead {
        &mut self.stream
    }

    /// A request and its response on a connection that stays open.
    pub fn exchange(&mut self, request: &str) -> Outcome {
        let result = self.write(request).and_then(|()| self.read_response());
        self.outcome(result)
    }

    /// Waits for the server to end the connection; anything it still sends is an error.
    pub fn wait_for_close(&mut self) -> Ending {
        let mut rest = Vec::new();
        let result = self.stream.read_to_end(&mut rest);
        assert!(
            rest.is_empty(),
            "sent before the end: {:?}",
            String::from_utf8_lossy(&rest)
        );
        match result.map_err(|error| error.kind()) {
            Ok(_) | Err(io::ErrorKind::UnexpectedEof) => Ending::Eof,
            Err(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ending::Timeout,
            Err(_) => Ending::Reset,
        }
    }

    fn exchange_and_close(&mut self, request: &str) -> Outcome {
        let outcome = self.exchange(request);
        if outcome.is_ok() {
            self.close();
            self.wait_for_close();
        }
        outcome
    }

    /// close_notify and the end of our direction.
    pub fn close(&mut self) {
        let stream = self.stream.get_mut();
        stream.tls.send_close_notify();
        let _ = stream.send_pending();
        let _ = stream.tcp.shutdown(Shutdown::Write);
    }

    fn outcome(&mut self, result: io::Result<Response>) -> Outcome {
        match result {
            Ok(response) => Outcome::Ok {
                resumed: self.resumed(),
                response,
            },
            Err(error) => Outcome::of_error(&error, &mut self.stream.get_mut().tcp),
        }
    }
}

pub(crate) struct TlsStream {
    pub(crate) tls: ClientConnection,
    pub(crate) tcp: TcpStream,
}

impl TlsStream {
    fn send_first_flight(&mut self, how: FirstFlight) -> io::Result<()> {
        let mut hello = Vec::new();
        self.tls.write_tls(&mut hello)?;
        match how {
            FirstFlight::Whole => self.tcp.write_all(&hello),
            FirstFlight::ByteByByte => hello.chunks(1).try_for_each(|octet| self.tcp.write_all(octet)),
            FirstFlight::Records(octets) => self.tcp.write_all(&reframed(&hello, octets)),
        }
    }

    fn complete_handshake(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.receive()?;
        }
        let _ = self.send_pending();
        Ok(())
    }

    /// Sends what is due and takes in what has come. A failure to send is left to the next read, which may
    /// still find the alert that explains it.
    fn receive(&mut self) -> io::Result<()> {
        let _ = self.send_pending();
        if self.tls.read_tls(&mut self.tcp)? == 0 && self.tls.is_handshaking() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let processed = self.tls.process_new_packets();
        processed
            .map(|_| ())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn send_pending(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive()?,
                known => return known,
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.tls.writer().write(bytes)?;
        // As in `receive`: what cannot be sent is explained by what is read next.
        let _ = self.send_pending();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_pending()
    }
}

/// Presents the identity as it is: the usual constructor would refuse to present an X.509 version 1
/// certificate.
fn credentials(identity: &Identity) -> Arc<SingleCertAndKey> {
    let key = provider()
        .key_provider
        .load_private_key(identity.key())
        .expect("a private key");
    Arc::new(CertifiedKey::new(identity.chain.clone(), key).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
