//! The client against a scripted peer, without any viewer: bodies of each kind, kept connections, and what is
//! sent a second time.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use bothways_config::OriginLimits;
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;

use super::super::addresses::Addresses;
use super::super::destination::Destination;
use super::super::request_body::Polled;
use super::*;
use crate::metrics::{CoreCounters, OriginFault};
use crate::runtime::{CoreRuntime, DriverChoice};

/// Step of the peer: one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Reads the request whole, and answers.
    Answer,
    /// Answers at sight of the head, and takes no further request on this connection.
    Early,
    /// Reads the request whole, and closes without an answer.
    Close,
}

/// A peer that follows `steps`, one connection after the other. Ends with the requests as it has read them.
fn peer(steps: Vec<Step>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let follow = move || {
        let (mut seen, mut steps) = (Vec::new(), steps.into_iter().peekable());
        while steps.peek().is_some() {
            let (mut socket, _) = listener.accept().expect("a connection");
            for step in steps.by_ref() {
                seen.push(read_request(&mut socket, step));
                if step != Step::Close {
                    socket
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                        .expect("room");
                }
                if step == Step::Early {
                    // However it ends: the client closes.
                    let _end = socket.read_to_end(&mut Vec::new());
                }
                if step != Step::Answer {
                    break;
                }
            }
        }
        seen
    };
    (address, std::thread::spawn(follow))
}

fn read_request(socket: &mut TcpStream, step: Step) -> String {
    let mut text = String::new();
    let mut read = |text: &mut String| {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("more of a request");
        text.push(char::from(byte[0]));
    };
    while !text.ends_with("\r\n\r\n") {
        read(&mut text);
    }
    if step != Step::Early {
        let length = text.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        (0..length.unwrap_or(0)).for_each(|_| read(&mut text));
        while text.contains("transfer-encoding: chunked") && !text.ends_with("\r\n0\r\n\r\n") {
            read(&mut text);
        }
    }
    text
}

/// A stream of two frames, of which the second waits until it may go.
#[derive(Clone, Default)]
struct TwoFrames(Rc<Gate>);

#[derive(Default)]
struct Gate {
    is_open: Cell<bool>,
    frames: Cell<u8>,
    waker: RefCell<Option<Waker>>,
}

impl TwoFrames {
    fn open(&self) {
        self.0.is_open.set(true);
        self.0.waker.take().into_iter().for_each(Waker::wake);
    }
}

impl Body for TwoFrames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Infallible> {
        let gate = &self.0;
        match gate.frames.replace(gate.frames.get() + 1) {
            0 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"one"))))),
            1 if !gate.is_open.get() => {
                gate.frames.set(1);
                gate.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"two"))))),
            _ => Poll::Ready(None),
        }
    }
}

type TestBody = RequestBody<TwoFrames>;

struct Origin {
    pool: Rc<Pool<TwoFrames>>,
    counters: Arc<CoreCounters>,
    origin: Arc<HttpOrigin>,
}

impl Origin {
    fn at(address: SocketAddr) -> Self {
        let counters = Arc::<CoreCounters>::default();
        let origin = HttpOrigin {
            id: "app".into(),
            destination: Destination::http(address.to_string(), Addresses::known(address)),
            limits: OriginLimits {
                connection_attempts: 1,
                connection_timeout: Duration::from_secs(20),
                read_timeout: Duration::from_secs(20),
                keepalive_timeout: Duration::from_secs(20),
            },
        };
        Self {
            pool: Rc::new(Pool::new(counters.clone())),
            counters,
            origin: Arc::new(origin),
        }
    }

    /// The body of the response, read to its end.
    async fn fetch(&self, method: Method, body: TestBody) -> Result<Bytes, FetchError> {
        let request = Request::builder().method(method).uri("/").header("host", "app");
        let client = Client {
            pool: &self.pool,
            origin: &self.origin,
            connections_max: 1,
            bounds: ResponseBounds {
                header_fields_max: 10,
                buffer_bytes: 8_192,
            },
        };
        let response = client.fetch(request.body(body).expect("a request"), None).await?;
        let body = response.into_body().collect().await;
        Ok(body.expect("a whole body").to_bytes())
    }
}

/// Runs `test` on a core of each kind, with an origin that follows `steps`, and gives what that has read.
fn with_peer<F: Future<Output = ()>>(steps: &[Step], test: impl Fn(Rc<Origin>) -> F) -> Vec<String> {
    let mut seen = Vec::new();
    for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
        let (address, peer) = peer(steps.to_vec());
        CoreRuntime::build(None, choice)
            .expect("a runtime")
            .block_on(async { test(Rc::new(Origin::at(address))).await });
        seen = peer.join().expect("the peer has seen what it was to see");
    }
    seen
}

fn open_stream() -> TestBody {
    let stream = TwoFrames::default();
    stream.open();
    RequestBody::Stream(stream)
}

#[test]
fn bodies_of_each_kind_go_over_one_kept_connection() {
    let seen = with_peer(&[Step::Answer; 3], async |origin| {
        for (method, body) in [
            (Method::GET, RequestBody::Empty),
            (Method::PUT, Bytes::from_static(b"hello").into()),
            (Method::POST, open_stream()),
        ] {
            assert_eq!(origin.fetch(method, body).await.expect("an answer"), "ok");
        }
    });
    assert_eq!(seen[0], "GET / HTTP/1.1\r\nhost: app\r\n\r\n");
    assert!(seen[1].ends_with("content-length: 5\r\n\r\nhello"), "{}", seen[1]);
    assert!(
        seen[2].ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        "{}",
        seen[2]
    );
}

#[test]
fn a_body_from_memory_is_sent_again_where_a_kept_connection_has_ended_and_a_stream_is_not() {
    let steps = [Step::Answer, Step::Close, Step::Answer, Step::Close];
    let seen = with_peer(&steps, async |origin| {
        let put = async || {
            origin
                .fetch(Method::PUT, Bytes::from_static(b"hello").into())
                .await
        };
        assert!(put().await.is_ok());
        assert!(put().await.is_ok(), "over a new connection");
        let streamed = origin.fetch(Method::PUT, open_stream()).await;
        assert!(matches!(streamed, Err(FetchError::Http(_))), "{streamed:?}");
    });
    assert_eq!(seen[1], seen[2]);
}

#[test]
fn a_connection_whose_answer_came_before_the_end_of_the_request_is_not_kept() {
    let seen = with_peer(&[Step::Early, Step::Answer], async |origin| {
        let stream = TwoFrames::default();
        let answer = origin.fetch(Method::POST, RequestBody::Stream(stream.clone()));
        assert_eq!(answer.await.expect("an early answer"), "ok");
        assert_eq!(
            origin.counters.origin_faults.of(OriginFault::EarlyAnswer).get(),
            1
        );
        stream.open();
        // The first connection has to be gone before there is room for another.
        let get = async || origin.fetch(Method::GET, RequestBody::Empty).await;
        let answer = loop {
            match get().await {
                Err(FetchError::Full) => yield_now().await,
                answer => break answer,
            }
        };
        assert_eq!(answer.expect("an answer"), "ok");
    });
    assert_eq!(seen[1], "GET / HTTP/1.1\r\nhost: app\r\n\r\n");
}

/// Lets the tasks of the core have their turn.
async fn yield_now() {
    let mut has_waited = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        match std::mem::replace(&mut has_waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Kinds of a request in a run.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Get,
    Put,
    /// A request with a body in memory whose method is not idempotent.
    Post,
    Stream,
}

/// Requests of a run with their fate, and what the peer does meanwhile.
fn run(seed: u64) -> (Vec<(Kind, bool)>, Vec<Step>) {
    let mut dice = Dice(seed);
    let (mut requests, mut steps, mut has_kept) = (Vec::new(), Vec::new(), false);
    let mut step = |dice: &mut Dice| {
        let step = match dice.throw(3) {
            0 => Step::Close,
            _ => Step::Answer,
        };
        steps.push(step);
        step == Step::Answer
    };
    for _ in 0..12 {
        let (kind, may_be_sent_again) = match dice.throw(4) {
            0 => (Kind::Get, true),
            1 => (Kind::Put, true),
            2 => (Kind::Post, false),
            _ => (Kind::Stream, false),
        };
        let mut is_answered = step(&mut dice);
        if !is_answered && has_kept && may_be_sent_again {
            is_answered = step(&mut dice);
        }
        has_kept = is_answered;
        requests.push((kind, is_answered));
    }
    (requests, steps)
}

#[test]
fn whatever_the_peer_does_a_request_is_answered_or_fails_and_is_sent_twice_only_where_it_may_be() {
    for seed in 0..40 {
        let (requests, steps) = run(seed);
        let seen = with_peer(&steps, async |origin| {
            for (kind, is_answered) in &requests {
                let bytes = || RequestBody::from(Bytes::from_static(b"hello"));
                let (method, body) = match kind {
                    Kind::Get => (Method::GET, RequestBody::Empty),
                    Kind::Put => (Method::PUT, bytes()),
                    Kind::Post => (Method::POST, bytes()),
                    Kind::Stream => (Method::PUT, open_stream()),
                };
                let answer = origin.fetch(method, body).await;
                assert_eq!(answer.is_ok(), *is_answered, "seed {seed}: {kind:?}: {answer:?}");
            }
        });
        assert_eq!(seen.len(), steps.len(), "seed {seed}");
    }
}
