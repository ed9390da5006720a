//! Connections that the pool gives out or keeps back, and its bound on new ones.

use std::future::{Future, poll_fn};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bothways_config::OriginLimits;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::rt::{Read as _, ReadBuf, Write as _};

use super::super::addresses::Addresses;
use super::super::request_body::OutgoingBody;
use super::super::share::{ClientKey, Shares};
use super::super::wire::{OriginStream, Wire};
use super::*;
use crate::runtime::{CoreRuntime, DriverChoice, Duplex};

const KEEPALIVE: Duration = Duration::from_secs(5);

/// Stream of a body: here no request has one.
type NoStream = Empty<Bytes>;

fn origin(authority: &str, address: &str) -> HttpOrigin {
    let addresses = Addresses::known(address.parse().expect("an address"));
    HttpOrigin {
        id: "app".into(),
        destination: Destination::http(authority, addresses),
        limits: OriginLimits {
            connection_attempts: 1,
            connection_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            keepalive_timeout: KEEPALIVE,
        },
    }
}

fn pool() -> (Pool<NoStream>, Arc<CoreCounters>) {
    let counters = Arc::<CoreCounters>::default();
    (Pool::new(counters.clone()), counters)
}

/// Runs `test` on a core of each kind.
fn on_each_driver<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
        CoreRuntime::build(None, choice)
            .expect("a runtime")
            .block_on(test());
    }
}

/// Both ends of a connection, of which the first is a core's.
async fn socket() -> (Duplex, SocketAddr, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let io = Duplex::connect(address, Rc::default())
        .await
        .expect("somebody listens");
    let (peer, _) = listener.accept().expect("a connection");
    (io, address, peer)
}

/// An idle connection that is ready for a request for as long as the second half lives, and the origin at its
/// end.
async fn connection() -> (Spare<NoStream>, impl Sized, TcpStream) {
    let (io, address, peer) = socket().await;
    let wire = Rc::new(Wire::new(&io, address));
    let stream = OriginStream::new(io, wire.clone());
    let handshake = http1::handshake::<_, OutgoingBody<NoStream>>(stream).await;
    let (sender, connection) = handshake.expect("a handshake of HTTP/1 exchanges nothing");
    let mut connection = Box::pin(connection);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(connection.as_mut().poll(&mut cx).is_pending());
    (Spare::fresh(sender, wire), connection, peer)
}

#[test]
fn a_connection_that_was_put_back_is_taken_once() {
    on_each_driver(async || {
        let (pool, _) = pool();
        let (spare, _open, _peer) = connection().await;
        let origin = origin("a:80", &spare.wire().peer().to_string());
        pool.put(&origin, spare);
        let now = Instant::now();
        assert!(pool.take(&origin.destination, now).is_some());
        assert!(pool.take(&origin.destination, now).is_none());
    });
}

#[test]
fn an_origin_that_has_moved_does_not_get_the_connections_to_where_it_was() {
    on_each_driver(async || {
        let (pool, _) = pool();
        let (spare, _open, _peer) = connection().await;
        let there = spare.wire().peer().to_string();
        pool.put(&origin("a:80", &there), spare);
        let now = Instant::now();
        assert!(pool.take(&origin("b:80", &there).destination, now).is_none());
        let (spare, _open, _peer) = connection().await;
        let there = spare.wire().peer().to_string();
        pool.put(&origin("c:80", &there), spare);
        assert!(
            pool.take(&origin("c:80", &there).destination, now).is_some(),
            "another snapshot's copy of the same origin"
        );
        assert!(
            pool.take(&origin("a:80", "127.0.0.2:80").destination, now)
                .is_none()
        );
        assert!(
            pool.destinations.borrow().values().all(|of| of.idle.is_empty()),
            "closed"
        );
    });
}

#[test]
fn a_connection_that_has_expired_is_not_taken_even_before_the_tick() {
    on_each_driver(async || {
        let (pool, _) = pool();
        let (spare, _open, _peer) = connection().await;
        let origin = origin("a:80", &spare.wire().peer().to_string());
        pool.put(&origin, spare);
        assert!(
            pool.take(&origin.destination, Instant::now() + KEEPALIVE)
                .is_none()
        );
    });
}

#[test]
fn a_connection_that_has_closed_is_not_taken() {
    on_each_driver(async || {
        let (pool, _) = pool();
        let (spare, open, _peer) = connection().await;
        let origin = origin("a:80", &spare.wire().peer().to_string());
        pool.put(&origin, spare);
        drop(open);
        assert!(pool.take(&origin.destination, Instant::now()).is_none());
    });
}

#[test]
fn a_connection_on_which_the_origin_has_spoken_unasked_is_not_taken() {
    on_each_driver(async || {
        let (pool, counters) = pool();
        let (spare, _open, mut peer) = connection().await;
        let origin = origin("a:80", &spare.wire().peer().to_string());
        pool.put(&origin, spare);
        // On loopback it is there when this returns; hyper has not been polled since.
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
            .expect("room");
        assert!(pool.take(&origin.destination, Instant::now()).is_none());
        pool.expire(Instant::now());
        assert_eq!(counters.origin_faults.of(OriginFault::UnaskedBytes).get(), 1);
    });
}

#[test]
fn an_origin_that_has_closed_is_noticed_before_the_next_request() {
    on_each_driver(async || {
        let (pool, counters) = pool();
        let (spare, _open, peer) = connection().await;
        let origin = origin("a:80", &spare.wire().peer().to_string());
        pool.put(&origin, spare);
        drop(peer);
        assert!(pool.take(&origin.destination, Instant::now()).is_none());
        assert_eq!(counters.origin_faults.of(OriginFault::UnaskedBytes).get(), 0);
    });
}

/// Step of an exchange on a connection.
enum Step {
    /// The request's body has ended, as far as hyper knows.
    HandedOver,
    /// Bytes of the request go out.
    Write,
    /// The origin says something ...
    Answer,
    /// ... and hyper reads it.
    Read,
}

/// True if an exchange of these steps proves that its request went out whole before the answer.
async fn is_in_order(has_body: bool, steps: &[Step]) -> bool {
    let (io, address, mut peer) = socket().await;
    let wire = Rc::new(Wire::new(&io, address));
    let mut stream = OriginStream::new(io, wire.clone());
    let share = Shares::default().of(ClientKey::of_address(address.ip()));
    let taken = share.take(1).expect("nothing was taken");
    wire.begin(has_body, Some(&taken));
    for step in steps {
        match step {
            Step::HandedOver => wire.handed_over(),
            Step::Answer => peer.write_all(b"HTTP/1.1 403 No\r\n\r\n").expect("room"),
            Step::Write => {
                let written = poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"some")).await;
                assert_eq!(written.ok(), Some(4));
                let flushed = poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await;
                assert!(flushed.is_ok());
            }
            Step::Read => {
                let mut bytes = [0; 64];
                let mut buffer = ReadBuf::new(&mut bytes);
                let read = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, buffer.unfilled())).await;
                assert!(read.is_ok() && !buffer.filled().is_empty());
            }
        }
    }
    wire.sent_whole().is_some()
}

#[test]
fn only_an_answer_to_a_request_that_was_sent_whole_is_in_order() {
    use Step::{Answer, HandedOver, Read, Write};
    on_each_driver(async || {
        assert!(is_in_order(false, &[Write, Answer, Read]).await);
        assert!(is_in_order(true, &[Write, HandedOver, Write, Answer, Read]).await);
        let early: [&[Step]; 5] = [
            &[Write, Answer, Read],
            &[Write, Answer, Read, HandedOver, Write],
            &[Write, HandedOver, Answer, Read, Write],
            // Nobody has read it yet when the last of the request goes out.
            &[Write, HandedOver, Answer, Write, Read],
            &[Write, Answer, HandedOver, Write, Read],
        ];
        for (case, steps) in early.into_iter().enumerate() {
            assert!(!is_in_order(true, steps).await, "case {case}");
        }
    });
}

#[test]
fn room_is_counted_for_each_origin_and_comes_back() {
    let (pool, _) = pool();
    let (first, second) = (origin("a:80", "127.0.0.1:80"), origin("b:80", "127.0.0.1:80"));
    let taken: Vec<_> = std::iter::from_fn(|| pool.room(&first.destination, 2)).collect();
    assert_eq!(taken.len(), 2);
    assert!(pool.room(&second.destination, 2).is_some());
    pool.expire(Instant::now());
    assert!(
        pool.room(&first.destination, 2).is_none(),
        "a tick does not forget them"
    );
    drop(taken);
    assert!(pool.room(&first.destination, 2).is_some());
    pool.expire(Instant::now());
    assert!(
        pool.destinations.borrow().is_empty(),
        "what has nothing open is forgotten"
    );
}
