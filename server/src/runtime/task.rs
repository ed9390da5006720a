//! Tasks that cannot take their core with them, and the signal by which a core speaks to one of its
//! connections.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

/// Spawns `future` on this core. A panic inside it ends it alone, after `on_panic` has run with the message.
pub fn spawn_guarded(future: impl Future<Output = ()> + 'static, on_panic: impl FnOnce(&str) + 'static) {
    monoio::spawn(Guarded {
        future,
        on_panic: Some(on_panic),
    });
}

/// Runs `future` on this core: here and now as far as it goes without waiting, most often to its end. The
/// rest of it becomes a task of its own. A panic inside it ends it alone, as [`spawn_guarded`] says.
pub fn run_guarded(future: Pin<Box<dyn Future<Output = ()>>>, on_panic: impl FnOnce(&str) + 'static) {
    let mut guarded = Guarded {
        future,
        on_panic: Some(on_panic),
    };
    // The task that this becomes asks again for what it waits for.
    let mut cx = Context::from_waker(Waker::noop());
    if Pin::new(&mut guarded).poll(&mut cx).is_pending() {
        monoio::spawn(guarded);
    }
}

pin_project! {
    /// Future that catches panics. It is a type of its own, since an `async` block would hold the future
    /// twice: where it came in, and where it is pinned.
    struct Guarded<F, P> {
        #[pin]
        future: F,
        on_panic: Option<P>,
    }
}

impl<F: Future<Output = ()>, P: FnOnce(&str)> Future for Guarded<F, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        catch_unwind(AssertUnwindSafe(|| this.future.poll(cx))).unwrap_or_else(|payload| {
            if let Some(on_panic) = this.on_panic.take() {
                on_panic(panic_message(payload.as_ref()));
            }
            Poll::Ready(())
        })
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}

/// Kinds of what a core may tell a connection; a later kind never gives way to an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalKind {
    #[default]
    None,
    /// Answer what is in flight, or a first request that is on its way, then end.
    Drain,
    /// Answer what is in flight, then end.
    Finish,
    /// End now.
    Close,
}

/// Latch between a core and one of its connections. Both live on one thread.
#[derive(Default)]
pub struct Signal {
    kind: Cell<SignalKind>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    /// Raises the latch to `kind`, if it is not there yet, and wakes the connection.
    pub fn raise(&self, kind: SignalKind) {
        if kind > self.kind.get() {
            self.kind.set(kind);
            if let Some(waker) = self.waker.borrow_mut().take() {
                waker.wake();
            }
        }
    }

    /// Wakes the connection as it is, to look for itself.
    pub fn nudge(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Kind that the latch stands at.
    pub fn kind(&self) -> SignalKind {
        self.kind.get()
    }

    /// Kind that the latch stands at, noted in `seen`; the task is woken when the latch rises beyond.
    pub fn follow(&self, seen: &mut SignalKind, cx: &mut Context<'_>) -> SignalKind {
        while let Poll::Ready(kind) = self.poll_above(*seen, cx) {
            *seen = kind;
            if kind == SignalKind::Close {
                break;
            }
        }
        *seen
    }

    /// Ready once the latch stands higher than `seen`; else the task is woken when it does.
    pub fn poll_above(&self, seen: SignalKind, cx: &mut Context<'_>) -> Poll<SignalKind> {
        if self.kind.get() > seen {
            return Poll::Ready(self.kind.get());
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::rc::Rc;

    use super::*;
    use crate::runtime::{CoreRuntime, DriverChoice};

    #[test]
    fn a_panicking_task_ends_alone_and_says_why() {
        let mut runtime = CoreRuntime::build(None, DriverChoice::Auto).expect("a runtime");
        let heard = Rc::new(RefCell::new(String::new()));
        let signal = Rc::new(Signal::default());
        runtime.block_on({
            let (heard, signal) = (heard.clone(), signal.clone());
            async move {
                let done = signal.clone();
                spawn_guarded(async { panic!("one connection's bug") }, move |message| {
                    heard.borrow_mut().push_str(message);
                    done.raise(SignalKind::Close);
                });
                poll_fn(|cx| signal.poll_above(SignalKind::None, cx)).await;
            }
        });
        assert_eq!(*heard.borrow(), "one connection's bug");
    }

    #[test]
    fn a_signal_never_falls_back() {
        let signal = Signal::default();
        signal.raise(SignalKind::Close);
        signal.raise(SignalKind::Drain);
        assert_eq!(signal.kind(), SignalKind::Close);
    }
}
