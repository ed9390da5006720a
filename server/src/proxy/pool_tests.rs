//! Which connections the pool gives out, and when there is no room for another.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::*;

const KEEPALIVE: Duration = Duration::from_secs(5);

fn origin(authority: &str, address: &str) -> Arc<HttpOrigin> {
    Arc::new(HttpOrigin {
        id: "app".into(),
        authority: authority.into(),
        addresses: vec![address.parse::<SocketAddr>().expect("an address")],
        connection_attempts: 1,
        connection_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(1),
        keepalive_timeout: KEEPALIVE,
    })
}

/// A peer that takes everything and says nothing.
struct Silent;

impl Read for Silent {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Write for Silent {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An idle connection that is ready for a request for as long as the second half lives.
fn connection() -> (SendRequest<RequestBody>, impl Sized) {
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok((sender, connection))) = pin!(http1::handshake(Silent)).poll(&mut cx) else {
        panic!("a handshake of HTTP/1 exchanges nothing");
    };
    let mut connection = Box::pin(connection);
    assert!(connection.as_mut().poll(&mut cx).is_pending());
    (sender, connection)
}

fn release(pool: &Rc<OriginPool>, origin: &Arc<HttpOrigin>, sender: SendRequest<RequestBody>) {
    let (pool, origin, progress) = (pool.clone(), origin.clone(), Rc::default());
    let lease = Lease {
        pool,
        origin,
        progress,
        sender,
    };
    lease.release();
}

#[test]
fn a_released_connection_is_taken_once() {
    let (pool, origin) = (Rc::<OriginPool>::default(), origin("a:80", "127.0.0.1:80"));
    let (sender, _open) = connection();
    release(&pool, &origin, sender);
    let now = Instant::now();
    assert!(pool.take(&origin, now).is_some());
    assert!(pool.take(&origin, now).is_none());
}

#[test]
fn an_origin_that_has_moved_does_not_get_the_connections_to_where_it_was() {
    let pool = Rc::<OriginPool>::default();
    let (sender, _open) = connection();
    release(&pool, &origin("a:80", "127.0.0.1:80"), sender);
    let now = Instant::now();
    assert!(pool.take(&origin("a:80", "127.0.0.2:80"), now).is_none());
    assert!(pool.take(&origin("b:80", "127.0.0.1:80"), now).is_none());
    assert!(
        pool.take(&origin("a:80", "127.0.0.1:80"), now).is_some(),
        "another snapshot's copy of the same origin"
    );
}

#[test]
fn a_connection_that_has_expired_is_not_taken_even_before_the_tick() {
    let (pool, origin) = (Rc::<OriginPool>::default(), origin("a:80", "127.0.0.1:80"));
    let (sender, _open) = connection();
    release(&pool, &origin, sender);
    assert!(pool.take(&origin, Instant::now() + KEEPALIVE).is_none());
}

#[test]
fn a_connection_that_has_closed_is_not_taken() {
    let (pool, origin) = (Rc::<OriginPool>::default(), origin("a:80", "127.0.0.1:80"));
    let (sender, open) = connection();
    release(&pool, &origin, sender);
    drop(open);
    assert!(pool.take(&origin, Instant::now()).is_none());
}

#[test]
fn room_is_counted_for_each_origin_and_comes_back() {
    let pool = OriginPool::default();
    let (first, second) = (origin("a:80", "127.0.0.1:80"), origin("b:80", "127.0.0.1:80"));
    let taken: Vec<_> = std::iter::from_fn(|| pool.room(&first, 2)).collect();
    assert_eq!(taken.len(), 2);
    assert!(pool.room(&second, 2).is_some());
    pool.expire(Instant::now());
    assert!(pool.room(&first, 2).is_none(), "a tick does not forget them");
    drop(taken);
    assert!(pool.room(&first, 2).is_some());
    pool.expire(Instant::now());
    assert!(
        pool.origins.borrow().is_empty(),
        "what has nothing open is forgotten"
    );
}
