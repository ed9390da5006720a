//! A blocking TLS server with a thread per connection, that counts what it sees.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::pki::Pki;

pub type Stream = StreamOwned<ServerConnection, TcpStream>;

#[derive(Default)]
pub struct Seen {
    pub connections: AtomicU64,
    pub full: AtomicU64,
    pub resumed: AtomicU64,
    pub requests: AtomicU64,
    /// The leaf certificates of the clients that were admitted.
    pub clients: Mutex<Vec<Vec<u8>>>,
    /// Bodies of all requests, as far as the server has read them.
    pub body_bytes: AtomicU64,
    /// The last request head.
    pub head: Mutex<String>,
}

/// Behaviour of the server.
#[derive(Clone)]
pub struct Behaviour {
    /// The bytes of each response.
    pub response: &'static str,
    pub tickets: Tickets,
    /// Closes a connection after so many requests without saying so.
    pub requests_per_connection: u64,
    /// Later connections are accepted, and nothing is said on them.
    pub connections_max: u64,
    pub client_certificates: bool,
    /// Service of an admitted connection in place of HTTP/1.1.
    pub serve: Option<fn(Stream, &Seen)>,
    pub alpn: &'static [u8],
}

#[derive(Clone, Copy, PartialEq)]
pub enum Tickets {
    SingleUse,
    None,
    /// Given out, but never honoured.
    Declined,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            response: "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nhello, world\n",
            tickets: Tickets::SingleUse,
            requests_per_connection: u64::MAX,
            connections_max: u64::MAX,
            client_certificates: true,
            serve: None,
            alpn: b"http/1.1",
        }
    }
}

pub struct Server {
    pub port: u16,
    pub seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(pki: &Pki, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, stop) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let config = Arc::new(config(pki, &behaviour));
        let (thread_seen, thread_stop) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if thread_stop.load(Ordering::Relaxed) {
                    return;
                }
                let (config, seen, behaviour) = (config.clone(), thread_seen.clone(), behaviour.clone());
                std::thread::spawn(move || connection(socket.unwrap(), config, &seen, &behaviour));
            }
        });
        Server {
            port,
            seen,
            stop,
            thread: Some(thread),
        }
    }

    pub fn count(&self, what: impl Fn(&Seen) -> &AtomicU64) -> u64 {
        what(&self.seen).load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().unwrap().join();
    }
}

fn config(pki: &Pki, behaviour: &Behaviour) -> ServerConfig {
    let builder = ServerConfig::builder();
    let builder = if behaviour.client_certificates {
        let verifier = WebPkiClientVerifier::builder(Arc::new(pki.client_roots()))
            .build()
            .unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder
        .with_single_cert(pki.chain("server"), pki.key("server"))
        .unwrap();
    config.alpn_protocols = vec![behaviour.alpn.to_vec()];
    match behaviour.tickets {
        Tickets::SingleUse => config.session_storage = ServerSessionMemoryCache::new(1024),
        Tickets::None => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Tickets::Declined => config.ticketer = Arc::new(Forgetful),
    }
    config
}

/// Gives tickets that it does not recognise.
#[derive(Debug)]
struct Forgetful;

impl ProducesTickets for Forgetful {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(b"ticket".to_vec())
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

fn connection(socket: TcpStream, config: Arc<ServerConfig>, seen: &Seen, behaviour: &Behaviour) {
    socket.set_nodelay(true).unwrap();
    if seen.connections.fetch_add(1, Ordering::Relaxed) >= behaviour.connections_max {
        let mut socket = socket;
        while socket.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 0) {}
        return;
    }
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
    while stream.conn.is_handshaking() {
        if stream.conn.complete_io(&mut stream.sock).is_err() {
            drain(&mut stream); // let the alert arrive before the reset that unread bytes would cause
            return;
        }
    }
    match stream.conn.handshake_kind() {
        Some(HandshakeKind::Resumed) => seen.resumed.fetch_add(1, Ordering::Relaxed),
        _ => seen.full.fetch_add(1, Ordering::Relaxed),
    };
    if let Some(leaf) = stream.conn.peer_certificates().and_then(|chain| chain.first()) {
        seen.clients.lock().unwrap().push(leaf.to_vec());
    }
    match behaviour.serve {
        Some(serve) => serve(stream, seen),
        None => http1(stream, seen, behaviour),
    }
}

fn http1(stream: Stream, seen: &Seen, behaviour: &Behaviour) {
    let mut reader = BufReader::new(stream);
    for _ in 0..behaviour.requests_per_connection {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(bytes) if bytes > 0 => {}
                _ => return,
            }
        }
        seen.requests.fetch_add(1, Ordering::Relaxed);
        if reader.get_mut().write_all(behaviour.response.as_bytes()).is_err() {
            return; // the client's time was up
        }
        let close = head.contains("connection: close") || behaviour.response.contains("Connection: close");
        *seen.head.lock().unwrap() = head;
        if close {
            break;
        }
    }
    let stream = reader.get_mut();
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn drain(stream: &mut Stream) {
    let _ = stream.sock.shutdown(Shutdown::Write);
    let mut rest = [0; 4096];
    while stream.sock.read(&mut rest).is_ok_and(|bytes| bytes > 0) {}
}
