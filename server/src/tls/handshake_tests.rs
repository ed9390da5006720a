//! A client's machine and a server's over a real socket: what each side sees of the other.

#![allow(clippy::indexing_slicing)]

use std::io::{IoSlice, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use hyper::rt::{Read as _, ReadBuf, Write as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, HandshakeKind, RootCertStore, ServerConfig,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::super::alerts::{RECORD_OVERFLOW, UNEXPECTED_MESSAGE, plain_alert};
use super::super::records::CIPHER_SUITES;
use super::super::side::{ClientSide, ServerSide};
use super::super::stream::TlsStream;
use super::*;
use crate::runtime::{CoreRuntime, DriverChoice, DuplexStats, Listener};

static VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// A CA, and what it has issued.
struct Pki {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Pki {
    fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a root").der().clone();
        let issuer = Issuer::new(params, key);
        Self { issuer, root }
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (vec![leaf.der().clone()], key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        roots
    }

    /// A server that any client may come to.
    fn server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let (chain, key) = self.issue(NAME);
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(chain, key);
        Arc::new(config.expect("an identity"))
    }

    /// A server to which only clients of this CA may come.
    fn asking_server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        let (chain, key) = self.issue(NAME);
        let roots = Arc::new(self.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_client_cert_verifier(verifier.expect("a root"))
            .with_single_cert(chain, key);
        Arc::new(config.expect("an identity"))
    }

    /// A client that trusts this CA, and shows `identity` where it is asked for one.
    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        identity: Option<Identity>,
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(self.roots());
        Arc::new(match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("an identity"),
            None => builder.with_no_client_auth(),
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: CIPHER_SUITES.clone(),
        ..aws_lc_rs::default_provider()
    })
}

/// Runs `serve` on a core of its own with the connection that `connect` makes on this one.
fn between<T: Send + 'static, U>(
    serve: impl AsyncFnOnce(Duplex) -> T + Send + 'static,
    connect: impl AsyncFnOnce(Duplex) -> U,
) -> (T, U) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = Listener::adopt(listener).expect("a listener");
            let accepted = listener.accept().await.expect("somebody comes");
            let (stream, _peer) = accepted.expect("nobody stops it");
            serve(Duplex::new(stream, Rc::new(DuplexStats::default()))).await
        })
    });
    let told = runtime().block_on(async {
        let io = Duplex::connect(address, Rc::new(DuplexStats::default())).await;
        connect(io.expect("somebody listens")).await
    });
    (server.join().expect("the server's thread ends well"), told)
}

fn runtime() -> CoreRuntime {
    CoreRuntime::build(None, DriverChoice::Auto).expect("a runtime")
}

/// A connection past its handshake.
struct Shaken<S> {
    machine: Machine<S>,
    io: Duplex,
    early: BytesMut,
}

impl<S: Side> Shaken<S> {
    /// Shakes hands. Who fails sends what is due, and waits until the peer has read it.
    async fn by(mut io: Duplex, connection: S) -> Result<Self, Error> {
        let mut machine = Machine::new(connection);
        let mut early = BytesMut::new();
        let shaken = handshake(&mut io, &mut machine, |io, machine| {
            machine.turn(io, |plaintext| early.extend_from_slice(plaintext))
        });
        match shaken.await {
            Ok(()) => Ok(Self { machine, io, early }),
            Err(HandshakeFault::Tls(error)) => {
                io.say_goodbye().await.expect("the peer reads");
                Err(error)
            }
            Err(HandshakeFault::Transport(error)) => panic!("{error}"),
        }
    }

    fn stream(self) -> TlsStream<S> {
        TlsStream::new(self.machine, self.io, self.early)
    }
}

async fn serve(io: Duplex, config: Arc<ServerConfig>) -> Result<Shaken<ServerSide>, Error> {
    Shaken::by(io, ServerSide::new(config).expect("a usable configuration")).await
}

async fn connect(io: Duplex, config: Arc<ClientConfig>) -> Result<Shaken<ClientSide>, Error> {
    let name = ServerName::try_from(NAME).expect("a name");
    Shaken::by(io, ClientSide::new(config, name).expect("a usable configuration")).await
}

/// Polls, and sends afterwards what the poll has put down, as the task of a connection does.
async fn polled<S: Side + Unpin, T>(
    stream: &mut TlsStream<S>,
    mut poll: impl FnMut(Pin<&mut TlsStream<S>>, &mut Context<'_>) -> Poll<T>,
) -> T {
    poll_fn(|cx| {
        let polled = poll(Pin::new(stream), cx);
        stream.outbox().post(cx);
        polled
    })
    .await
}

async fn say<S: Side + Unpin>(stream: &mut TlsStream<S>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = polled(stream, |stream, cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[written..];
    }
    poll_fn(|cx| stream.outbox().poll_flush(cx)).await
}

/// The next `count` bytes, or fewer where the stream ends.
async fn hear<S: Side + Unpin>(stream: &mut TlsStream<S>, count: usize) -> io::Result<Vec<u8>> {
    let mut heard = vec![0; count];
    let mut filled = 0;
    while filled < count {
        let mut buffer = ReadBuf::new(&mut heard[filled..]);
        polled(stream, |stream, cx| stream.poll_read(cx, buffer.unfilled())).await?;
        match buffer.filled().len() {
            0 => break,
            read => filled += read,
        }
    }
    heard.truncate(filled);
    Ok(heard)
}

async fn shut<S: Side + Unpin>(stream: &mut TlsStream<S>) {
    let shut = polled(stream, |stream, cx| stream.poll_shutdown(cx)).await;
    shut.expect("the peer is there");
}

/// The error of TLS within one of a stream.
fn fault(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[test]
fn data_goes_both_ways_and_arrives_whole_in_either_version() {
    let pki = Pki::named("Ours");
    for version in VERSIONS {
        let (server, client) = (pki.server(version), pki.client(version, None));
        let request: Vec<u8> = (0..MUCH).map(|at| (at % 251) as u8).collect();
        let answer: Vec<u8> = request.iter().rev().copied().collect();
        let said = answer.clone();
        let (heard, told) = between(
            async move |io| {
                let mut stream = serve(io, server).await.expect("a handshake").stream();
                let heard = hear(&mut stream, MUCH).await.expect("a request");
                say(&mut stream, &said).await.expect("the client reads");
                shut(&mut stream).await;
                heard
            },
            async |io| {
                let mut stream = connect(io, client).await.expect("a handshake").stream();
                say(&mut stream, &request).await.expect("the server reads");
                let told = hear(&mut stream, MUCH + 1).await.expect("an answer");
                shut(&mut stream).await;
                told
            },
        );
        assert!(heard == request && told == answer, "{version:?}");
    }
}

#[test]
fn a_close_notify_of_either_side_is_told_once_what_came_before_was_handed_out() {
    let pki = Pki::named("Ours");
    for version in VERSIONS {
        let (server, client) = (pki.server(version), pki.client(version, None));
        let (told, ()) = between(
            async move |io| {
                let Shaken {
                    mut machine, mut io, ..
                } = serve(io, server).await.expect("a handshake");
                let (heard, told) = until_closed(&mut machine, &mut io).await;
                assert_eq!(heard, b"request");
                let _sent = machine.write(&mut io, &[IoSlice::new(b"answer")], |_| {});
                assert_eq!(machine.close(&mut io), Ok(()));
                let after = machine.turn(&mut io, |_| {});
                poll_fn(|cx| io.poll_shutdown(cx))
                    .await
                    .expect("the client is there");
                (told, after)
            },
            async |io| {
                let Shaken {
                    mut machine, mut io, ..
                } = connect(io, client).await.expect("a handshake");
                let written = machine.write(&mut io, &[IoSlice::new(b"request")], |_| {});
                assert_eq!((written, machine.close(&mut io)), (Ok(()), Ok(())));
                let (heard, told) = until_closed(&mut machine, &mut io).await;
                assert_eq!((&heard[..], told), (&b"answer"[..], Turn::PeerClosed));
            },
        );
        assert_eq!(told, (Turn::PeerClosed, Ok(Turn::Closed)), "{version:?}");
    }
}

/// Plaintext up to the peer's close_notify, and how its end was told.
async fn until_closed<S: Side>(machine: &mut Machine<S>, io: &mut Duplex) -> (Vec<u8>, Turn) {
    let mut heard = Vec::new();
    loop {
        match machine.advance(io, |plaintext| heard.extend_from_slice(plaintext)) {
            Ok(Turn::Blocked) => fill(io).await.expect("a close_notify comes first"),
            Ok(Turn::Plaintext) => {}
            ended => return (heard, ended.expect("an orderly end")),
        }
    }
}

#[test]
fn a_client_that_does_not_trust_the_servers_certificate_ends_with_alert_unknown_ca() {
    let (pki, other) = (Pki::named("Ours"), Pki::named("Another"));
    for version in VERSIONS {
        let (server, client) = (pki.server(version), other.client(version, None));
        let (served, connected) = between(
            async move |io| serve(io, server).await.err(),
            async |io| connect(io, client).await.err(),
        );
        let untrusted = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(connected, Some(untrusted), "{version:?}");
        let told = Error::AlertReceived(AlertDescription::UnknownCA);
        assert_eq!(served, Some(told), "{version:?}");
    }
}

#[test]
fn a_client_with_a_certificate_comes_in_where_one_is_asked_for() {
    let pki = Pki::named("Ours");
    for version in VERSIONS {
        let server = pki.asking_server(version);
        let client = pki.client(version, Some(pki.issue("client")));
        let (seen, heard) = between(
            async move |io| {
                let shaken = serve(io, server).await.expect("a handshake");
                let seen = shaken.machine.connection().peer_certificates().map(<[_]>::len);
                let mut stream = shaken.stream();
                say(&mut stream, b"welcome").await.expect("the client reads");
                shut(&mut stream).await;
                seen
            },
            async |io| {
                let mut stream = connect(io, client).await.expect("a handshake").stream();
                hear(&mut stream, 8).await.expect("a word")
            },
        );
        assert_eq!((seen, &heard[..]), (Some(1), &b"welcome"[..]), "{version:?}");
    }
}

/// Under TLS 1.3 a client's handshake is over before the server has seen its certificate.
#[test]
fn a_client_that_is_refused_under_tls13_meets_the_alert_with_its_first_read_and_ever_after() {
    let (pki, other) = (Pki::named("Ours"), Pki::named("Another"));
    let stranger = other.issue("stranger");
    for (identity, alert) in [
        (None, AlertDescription::CertificateRequired),
        (Some(stranger), AlertDescription::UnknownCA),
    ] {
        let version = &rustls::version::TLS13;
        let (server, client) = (pki.asking_server(version), pki.client(version, identity));
        let (refused, ()) = between(
            async move |io| serve(io, server).await.err(),
            async |io| {
                let mut stream = connect(io, client)
                    .await
                    .expect("its own handshake is over")
                    .stream();
                say(&mut stream, b"request")
                    .await
                    .expect("the server reads it away");
                let told = Error::AlertReceived(alert);
                for _ in 0..2 {
                    let error = hear(&mut stream, 1).await.expect_err("a refusal");
                    assert_eq!(fault(&error), Some(&told));
                }
                let error = say(&mut stream, b"more").await.expect_err("a refusal");
                assert_eq!(fault(&error), Some(&told));
            },
        );
        assert!(refused.is_some(), "{alert:?}");
    }
}

#[test]
fn a_client_that_is_refused_under_tls12_meets_the_alert_in_its_handshake() {
    let (pki, other) = (Pki::named("Ours"), Pki::named("Another"));
    let version = &rustls::version::TLS12;
    let server = pki.asking_server(version);
    let client = pki.client(version, Some(other.issue("stranger")));
    let (refused, told) = between(
        async move |io| serve(io, server).await.err(),
        async |io| connect(io, client).await.err(),
    );
    assert_eq!(
        refused,
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    );
    assert_eq!(told, Some(Error::AlertReceived(AlertDescription::UnknownCA)));
}

#[test]
fn a_client_keeps_its_tickets_and_resumes_with_the_next_connection() {
    let pki = Pki::named("Ours");
    for version in VERSIONS {
        let (server, client) = (pki.server(version), pki.client(version, None));
        let kinds = [HandshakeKind::Full, HandshakeKind::Resumed].map(|expected| {
            let (server, client) = (server.clone(), client.clone());
            let (served, connected) = between(
                async move |io| {
                    let shaken = serve(io, server).await.expect("a handshake");
                    let kind = shaken.machine.connection().handshake_kind();
                    let mut stream = shaken.stream();
                    say(&mut stream, b"welcome").await.expect("the client reads");
                    shut(&mut stream).await;
                    kind
                },
                async |io| {
                    let shaken = connect(io, client).await.expect("a handshake");
                    let kind = shaken.machine.connection().handshake_kind();
                    // Under TLS 1.3 the tickets come before the first word.
                    assert_eq!(hear(&mut shaken.stream(), 7).await.expect("a word"), b"welcome");
                    kind
                },
            );
            (served, connected) == (Some(expected), Some(expected))
        });
        assert_eq!(kinds, [true, true], "{version:?}");
    }
}

/// A server that says `octets` instead of a ServerHello; what the client then sees, and what it answers.
fn answered_with(octets: &'static [u8]) -> (Option<Error>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = std::thread::spawn(move || {
        let (mut tcp, _peer): (TcpStream, _) = listener.accept().expect("somebody comes");
        let mut header = [0; 5];
        tcp.read_exact(&mut header).expect("a record");
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        tcp.read_exact(&mut vec![0; length]).expect("a ClientHello");
        tcp.write_all(octets).expect("the client reads");
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).expect("an orderly end");
        rest
    });
    let client = Pki::named("Ours").client(VERSIONS[0], None);
    let error = runtime().block_on(async {
        let io = Duplex::connect(address, Rc::new(DuplexStats::default())).await;
        connect(io.expect("somebody listens"), client).await.err()
    });
    (error, server.join().expect("the server's thread ends well"))
}

#[test]
fn a_server_that_speaks_something_else_gets_an_alert_in_the_clear() {
    let too_long = [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[22, 3, 3, 0x41, 1]];
    for octets in too_long {
        let (error, alert) = answered_with(octets);
        assert_eq!(error, Some(Error::PeerSentOversizedRecord));
        assert_eq!(alert, plain_alert(RECORD_OVERFLOW));
    }
    let (error, alert) = answered_with(&[99, 3, 3, 0, 1, 1]);
    assert!(
        matches!(error, Some(Error::InappropriateMessage { .. })),
        "{error:?}"
    );
    assert_eq!(alert, plain_alert(UNEXPECTED_MESSAGE));
}

const NAME: &str = "localhost";
/// More than is written at a time, and than a socket takes at once.
const MUCH: usize = 3 * 1024 * 1024;
