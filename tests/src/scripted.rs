//! An origin that does what a test says, octet by octet: for those that misbehave.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::SockRef;

use crate::http1::{Body, Head, read_body, read_head};

pub struct Scripted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

/// A connection to a scripted origin.
pub struct Visit {
    pub source: BufReader<TcpStream>,
    pub out: TcpStream,
    /// 0 for the origin's first connection.
    pub number: usize,
}

impl Scripted {
    /// Runs `script` for each connection, on a thread of its own; the connection is closed when it returns.
    pub fn start(script: impl Fn(&mut Visit) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start_at(("127.0.0.1", 0), script)
    }

    /// The same at this address.
    pub fn start_at(
        at: (&str, u16),
        script: impl Fn(&mut Visit) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).expect("a loopback address");
        let address = listener.local_addr().expect("a bound socket");
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, script) = (connections.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let script = script.clone();
                std::thread::spawn(move || {
                    let mut visit = Visit::new(tcp, number);
                    // Whatever goes wrong, the other side has seen it.
                    let _ended = script(&mut visit);
                });
            }
        });
        Self { address, connections }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Visit {
    fn new(tcp: TcpStream, number: usize) -> Self {
        tcp.set_nodelay(true).expect("a socket option");
        let out = tcp.try_clone().expect("a second handle");
        Self {
            source: BufReader::new(tcp),
            out,
            number,
        }
    }

    /// The next request's head; none at the end.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        read_head(&mut self.source)
    }

    /// Reads the body of the request with this head away.
    pub fn body(&mut self, head: &Head) -> io::Result<()> {
        read_body(&mut self.source, Body::of_request(head), |_| {})
    }

    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// 200 with this body.
    pub fn answer(&mut self, body: &str) -> io::Result<()> {
        self.say(&response(200, body))
    }

    /// Reads everything away, to the end.
    pub fn drain(&mut self) -> io::Result<u64> {
        io::copy(&mut self.source, &mut io::sink())
    }

    /// Reads one octet of whatever comes next.
    pub fn octet(&mut self) -> io::Result<()> {
        self.source.read_exact(&mut [0])
    }

    /// Ends the connection with a reset.
    pub fn reset(&mut self) -> io::Result<()> {
        SockRef::from(&self.out).set_linger(Some(std::time::Duration::ZERO))
    }
}

/// A response with a length.
pub fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Says\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The target of a request with this head.
pub fn target(head: &Head) -> &str {
    head.start_line.split(' ').nth(1).unwrap_or_default()
}
