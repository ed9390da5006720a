//! Tests that what is posted arrives: once, whole, in order, and with the FIN when it is the last.

use std::future::poll_fn;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::task::Poll;
use std::thread::JoinHandle;

use super::{CoreRuntime, DriverChoice, Duplex, DuplexStats, timeout};

const MUCH: usize = 8 * 1024 * 1024;

/// Accepts one connection and hands it to `peer` on a thread of its own.
fn listen<T: Send + 'static>(
    peer: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let thread = std::thread::spawn(move || peer(listener.accept().expect("somebody comes").0));
    (address, thread)
}

fn on_each_driver(test: impl Fn(&mut CoreRuntime)) {
    for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
        test(&mut CoreRuntime::build(None, choice).expect("a runtime"));
    }
}

async fn connect(address: SocketAddr) -> (Duplex, Rc<DuplexStats>) {
    let stats = Rc::new(DuplexStats::default());
    let io = Duplex::connect(address, stats.clone()).await;
    (io.expect("somebody listens"), stats)
}

fn read_all(mut tcp: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    tcp.read_to_end(&mut all).expect("an orderly end");
    all
}

#[test]
fn what_is_put_down_in_one_poll_is_sent_without_anybody_waiting() {
    on_each_driver(|runtime| {
        let (address, peer) = listen(|mut tcp| {
            let mut first = [0; 16];
            tcp.read_exact(&mut first).expect("both parts");
            first
        });
        runtime.block_on(async {
            let (mut io, stats) = connect(address).await;
            poll_fn(|cx| {
                io.outbox().append(b"a ticket");
                io.outbox().append(b"response");
                io.outbox().post(cx);
                Poll::Ready(())
            })
            .await;
            assert_eq!(stats.bytes_out.get(), 16);
            // The peer closes once it has both.
            assert_eq!(io.fill().await.expect("an orderly end"), 0);
        });
        assert_eq!(&peer.join().expect("the peer ends"), b"a ticketresponse");
    });
}

#[test]
fn more_than_the_socket_takes_arrives_whole_and_in_order() {
    on_each_driver(|runtime| {
        let (address, peer) = listen(read_all);
        let bytes: Vec<u8> = (0..MUCH).map(|at| (at / 251) as u8).collect();
        runtime.block_on(async {
            let (mut io, _) = connect(address).await;
            for chunk in bytes.chunks(10_000) {
                poll_fn(|cx| io.outbox().poll_room(cx)).await.expect("room");
                io.outbox().append(chunk);
                poll_fn(|cx| {
                    io.outbox().post(cx);
                    Poll::Ready(())
                })
                .await;
            }
            poll_fn(|cx| io.poll_shutdown(cx)).await.expect("it is sent");
        });
        assert!(peer.join().expect("the peer ends") == bytes);
    });
}

#[test]
fn a_writer_waits_while_the_peer_does_not_read() {
    on_each_driver(|runtime| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (address, peer) = listen(move |tcp| {
            let _gone_is_told_too = wait.recv();
            read_all(tcp).len()
        });
        let sent = runtime.block_on(async {
            let (mut io, stats) = connect(address).await;
            let never = poll_fn(|cx| {
                while io.outbox().poll_room(cx).is_ready() {
                    io.outbox().append(&[7; 10_000]);
                    if stats.bytes_out.get() > 64 * MUCH as u64 {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            });
            let waited = timeout(std::time::Duration::from_millis(300), never).await;
            assert!(waited.is_err(), "nothing held the writer back");
            drop(go);
            poll_fn(|cx| io.poll_shutdown(cx)).await.expect("it is sent");
            stats.bytes_out.get()
        });
        assert_eq!(peer.join().expect("the peer ends") as u64, sent);
    });
}

#[test]
fn the_last_bytes_come_before_the_end_however_many_they_are() {
    for count in [0, 24, MUCH] {
        on_each_driver(|runtime| {
            let (address, peer) = listen(read_all);
            runtime.block_on(async {
                let (mut io, _) = connect(address).await;
                io.outbox().append(&vec![9; count]);
                poll_fn(|cx| io.poll_shutdown(cx)).await.expect("it is sent");
                poll_fn(|cx| io.poll_shutdown(cx))
                    .await
                    .expect("once more changes nothing");
            });
            assert!(
                peer.join().expect("the peer ends") == vec![9; count],
                "{count} bytes"
            );
        });
    }
}

#[test]
fn who_waits_for_the_end_of_a_send_is_woken_although_others_post() {
    on_each_driver(|runtime| {
        let (address, peer) = listen(|tcp| read_all(tcp).len());
        runtime.block_on(async {
            let (mut io, _) = connect(address).await;
            io.outbox().append(&vec![5; MUCH]);
            let flushed = poll_fn(|cx| {
                let flushed = io.outbox().poll_flush(cx);
                io.outbox().post(cx);
                flushed
            });
            let flushed = timeout(std::time::Duration::from_secs(20), flushed).await;
            flushed.expect("it is woken").expect("it is sent");
            poll_fn(|cx| io.poll_shutdown(cx)).await.expect("an orderly end");
        });
        assert_eq!(peer.join().expect("the peer ends"), MUCH);
    });
}

#[test]
fn a_peer_that_is_gone_is_told_to_whoever_writes_next() {
    on_each_driver(|runtime| {
        let (address, peer) = listen(drop);
        runtime.block_on(async {
            let (io, _) = connect(address).await;
            peer.join().expect("the peer ends");
            let failed = poll_fn(|cx| {
                if let Err(error) = io.outbox().take_failure() {
                    return Poll::Ready(error);
                }
                io.outbox().append(&[1]);
                io.outbox().post(cx);
                cx.waker().wake_by_ref();
                Poll::Pending
            });
            let error = timeout(std::time::Duration::from_secs(10), failed).await;
            let kind = error.expect("it fails").kind();
            let expected = [
                std::io::ErrorKind::BrokenPipe,
                std::io::ErrorKind::ConnectionReset,
            ];
            assert!(expected.contains(&kind), "{kind}");
        });
    });
}
