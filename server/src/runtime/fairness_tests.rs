//! Tests of fairness: a task that wakes itself keeps its core from nothing else, neither time, nor tasks, nor
//! sockets, nor its mailbox. server/vendor/monoio/BOTHWAYS.md tells what monoio 0.2.4 does instead, and which
//! patch mends it.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{CoreRuntime, DriverChoice, Listener, Signal, SignalKind, mailbox, spawn_guarded, timeout};

/// Polls after which the busy tasks give up, so that a starved event fails its test instead of hanging it.
const POLLS_MAX: u32 = 10_000_000;
/// Turns after which whatever was submitted has been handed to the kernel.
const TURNS: u32 = 1_000;

/// Awaits `event` on a core with two tasks that wake themselves whenever they run, on either kind of driver.
/// Fails unless the event came while they were still at it.
fn comes_to_a_busy_core<F: Future<Output = ()>>(event: impl Fn() -> F) {
    for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
        let mut runtime = CoreRuntime::build(None, choice).expect("a runtime");
        let polls = Rc::new(Cell::new(0));
        let busy = || {
            let polls = polls.clone();
            spawn_guarded(
                turns_until(move || polls.replace(polls.get() + 1) >= POLLS_MAX),
                |_| (),
            );
        };
        runtime.block_on(async {
            busy();
            busy();
            event().await;
        });
        assert!(polls.get() < POLLS_MAX, "{} starves it", runtime.driver());
        assert!(polls.get() > 0, "{}: the core was not busy", runtime.driver());
    }
}

/// Wakes itself until `ended`.
fn turns_until(mut ended: impl FnMut() -> bool) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        if ended() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

fn turns(count: u32) -> impl Future<Output = ()> {
    let mut left = count;
    turns_until(move || {
        left = left.saturating_sub(1);
        left == 0
    })
}

#[test]
fn a_timer_fires_on_a_busy_core() {
    comes_to_a_busy_core(|| async {
        let elapsed = timeout(Duration::from_millis(20), pending::<()>()).await;
        assert!(elapsed.is_err());
    });
}

#[test]
fn another_task_has_its_turn_on_a_busy_core() {
    comes_to_a_busy_core(|| async {
        let signal = Rc::new(Signal::default());
        let task = signal.clone();
        spawn_guarded(async move { task.raise(SignalKind::Drain) }, |_| ());
        poll_fn(|cx| signal.poll_above(SignalKind::None, cx)).await;
    });
}

#[test]
fn a_message_from_another_thread_reaches_a_busy_core() {
    comes_to_a_busy_core(|| async {
        let (sender, mut mailbox) = mailbox();
        let mut message = pin!(mailbox.receive());
        assert!(
            poll_fn(|cx| Poll::Ready(message.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        let writer = std::thread::spawn(move || sender.send(7));
        assert_eq!(message.await, Some(7));
        assert!(matches!(writer.join(), Ok(Ok(()))));
    });
}

#[test]
fn an_armed_accept_completes_on_a_busy_core() {
    comes_to_a_busy_core(|| async {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = socket.local_addr().expect("its address");
        socket
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let listener = Listener::adopt(socket).expect("a listener of this core");
        let mut accept = pin!(listener.accept());
        assert!(
            poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx)))
                .await
                .is_pending()
        );
        turns(TURNS).await;
        let client = TcpStream::connect(address).expect("a connection");
        let (_, peer) = accept.await.expect("accepted").expect("not stopped");
        assert_eq!(peer, client.local_addr().expect("its address"));
    });
}

#[test]
fn a_timer_wakes_whoever_has_asked_last() {
    for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
        let mut runtime = CoreRuntime::build(None, choice).expect("a runtime");
        runtime.block_on(async {
            let mut timer = Box::pin(timeout(Duration::from_millis(20), pending::<()>()));
            // As whoever runs a task's first turn for it.
            let first = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(first.is_pending());
            let woken = timeout(
                Duration::from_secs(10),
                until_woken(async move { drop(timer.await) }),
            )
            .await;
            assert!(woken.is_ok(), "nobody was woken");
        });
    }
}

/// Polls `future` when its own waker says so, unlike one that is awaited beside others.
async fn until_woken<F: Future<Output = ()> + 'static>(future: F) {
    let ended = Rc::new(Signal::default());
    let told = ended.clone();
    let task = async move {
        future.await;
        told.raise(SignalKind::Close);
    };
    spawn_guarded(task, |_| ());
    poll_fn(|cx| ended.poll_above(SignalKind::None, cx)).await;
}
