//! An origin that says, octet by octet, what a test has written down, and keeps what it was sent.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::http1::{Body, Head, read_body, read_head};

type Answer = dyn Fn(&Head) -> Vec<u8> + Send + Sync;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Request {
    /// The values of all lines of this name, whatever its case.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let lines = self.head.headers.iter();
        lines
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

pub struct ScriptedOrigin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl ScriptedOrigin {
    /// Answers each request with what `answer` makes of its head, and closes behind an answer that says
    /// `Connection: close`.
    pub fn start(answer: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("a bound socket");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || serve(tcp, &kept, &*answer));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, whole, in their order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The last request so far.
    pub fn last(&self) -> Request {
        self.requests().pop().expect("a request has come")
    }
}

fn serve(tcp: TcpStream, kept: &Mutex<Vec<Request>>, answer: &Answer) {
    let Ok(mut out) = tcp.try_clone() else { return };
    let mut source = BufReader::new(tcp);
    while let Ok(Some(head)) = read_head(&mut source) {
        let mut body = Vec::new();
        let read = read_body(&mut source, Body::of_request(&head), |piece| {
            body.extend_from_slice(piece)
        });
        if read.is_err() {
            return;
        }
        let answer = answer(&head);
        kept.lock().unwrap().push(Request { head, body });
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        if out.write_all(&answer).is_err() || text.contains("\r\nconnection: close") {
            return;
        }
    }
}
