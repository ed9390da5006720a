//! Life of a core: built on its own thread, serving until told to drain, ending when its connections have.
//!
//! Owns the order of these steps and what control may ask of a core meanwhile. Does not own how connections
//! come in ([`super::accept`]) nor what becomes of them. Runs on the core's thread, which it keeps until the
//! end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::balance::{CorePlace, HandedOver};
use super::census::{self, Census};
use super::core::{Core, Shared};
use super::entrance::ListenerSetup;
use super::{accept, sweep, tick};
use crate::metrics::CoreCounters;
use crate::runtime::{CoreRuntime, Driver, DriverChoice, Listener, Mailbox, timeout};

/// Orders and questions of control to a core.
#[derive(Clone, Debug)]
pub enum CoreMessage {
    /// A new snapshot was published: close the connections whose clients it does not admit.
    Sweep,
    /// A new version of a function was published: have its engine ready.
    PrepareFunctions,
    /// Tell which clients are connected.
    Census(Arc<Census>),
    /// Stop accepting, finish what is open, end.
    Drain,
}

/// Parts of which a core is made.
pub struct CoreSetup {
    pub index: usize,
    pub cpu: Option<usize>,
    pub driver: DriverChoice,
    pub shared: Shared,
    pub counters: Arc<CoreCounters>,
    pub listeners: Vec<ListenerSetup>,
    pub mailbox: Mailbox<CoreMessage>,
    /// `None` where connections stay on the core that has accepted them.
    pub place: Option<CorePlace>,
}

/// Runs a core on the calling thread until it has drained. `started` hears which driver it got.
///
/// # Errors
/// The core could not be set up; nothing was accepted.
pub fn run(setup: CoreSetup, started: impl FnOnce(Driver)) -> io::Result<()> {
    let CoreSetup {
        index,
        cpu,
        driver,
        shared,
        counters,
        listeners,
        mailbox,
        place,
    } = setup;
    let (neighbours, arrivals) = place.map(|place| (place.neighbours, place.arrivals)).unzip();
    let inbox = Inbox { mailbox, arrivals };
    let mut runtime = CoreRuntime::build(cpu, driver)?;
    let driver = runtime.driver();
    runtime.block_on(async move {
        let core = Rc::new(Core::new(index, shared, counters, neighbours));
        let listeners = accept::listen(&core, listeners)?;
        prepare_functions(&core);
        started(driver);
        let ended = live(&core, listeners, inbox).await;
        tracing::debug!(core = index, "drained");
        ended
    })
}

/// Serves until the order to drain, then ends what is open.
async fn live(core: &Rc<Core>, listeners: Vec<Rc<Listener>>, mut inbox: Inbox) -> io::Result<()> {
    core.spawn_vital("the tick", tick::tick(core.clone()));
    core.spawn_vital("the watch over expiry", sweep::expire(core.clone()));
    let end = serve_until_the_end(core, &mut inbox).await;
    listeners.iter().for_each(|listener| listener.stop());
    // With its accept loop, each socket closes: from then on the kernel sends new clients to others.
    drop(listeners);
    let arriving = core.registry.hold();
    core.registry.drain();
    take_in_the_last(core, inbox.arrivals.as_mut()).await;
    drop(arriving);
    let limit = core.snapshot().limits.drain_timeout;
    if timeout(limit, core.registry.drained()).await.is_err() {
        cut(core).await;
    }
    match end {
        End::Drain => Ok(()),
        End::Broken => Err(io::Error::other(
            "a task that the core cannot do without panicked",
        )),
    }
}

/// Does what control orders until the order to drain. Every sender gone means that control is gone, which is
/// an order to drain too.
async fn serve_until_the_end(core: &Rc<Core>, inbox: &mut Inbox) -> End {
    loop {
        match next_event(core, inbox).await {
            Event::Told(Some(CoreMessage::Sweep)) => {
                prepare_functions(core);
                sweep::begin(core);
            }
            Event::Told(Some(CoreMessage::PrepareFunctions)) => prepare_functions(core),
            Event::Told(Some(CoreMessage::Census(census))) => census::begin(core, census),
            Event::Told(Some(CoreMessage::Drain) | None) => return End::Drain,
            Event::Arrived(connection) => accept::take_in(core, connection),
            Event::Broken => return End::Broken,
        }
    }
}

/// Takes in what other cores handed over before they could know that this one drains. Later connections go
/// back to their sender. A sender that is in the middle of handing over needs only a few more instructions,
/// so this wait has no time limit.
async fn take_in_the_last(core: &Rc<Core>, arrivals: Option<&mut Mailbox<HandedOver>>) {
    let Some(arrivals) = arrivals else { return };
    arrivals.close();
    while let Some(connection) = arrivals.receive().await {
        accept::take_in(core, connection);
    }
}

/// Makes the engines that are missing, a millisecond or two each, so that no client has to wait for one.
/// Engines of versions that were changed or taken away are dropped: they are only memory now.
fn prepare_functions(core: &Core) {
    let live: Vec<_> = core.snapshot().functions.live().collect();
    bothways_functions::retire(|version| live.iter().any(|function| function.version() == version));
    live.iter().for_each(|function| function.warm());
}

async fn next_event(core: &Core, inbox: &mut Inbox) -> Event {
    let mut told = pin!(inbox.mailbox.receive());
    let mut arrived = pin!(inbox.arrivals.as_mut().map(Mailbox::receive));
    poll_fn(|cx| {
        if let Poll::Ready(message) = told.as_mut().poll(cx) {
            return Poll::Ready(Event::Told(message));
        }
        let arrived = arrived.as_mut().as_pin_mut().map(|arrived| arrived.poll(cx));
        if let Some(Poll::Ready(Some(connection))) = arrived {
            return Poll::Ready(Event::Arrived(connection));
        }
        core.poll_broken(cx).map(|()| Event::Broken)
    })
    .await
}

/// Closes what is open when `drain_timeout_ms` is over.
async fn cut(core: &Core) {
    tracing::warn!(
        open = core.registry.len(),
        "drain_timeout_ms is over: closing what is open"
    );
    core.registry.close();
    if timeout(CLOSE_TIME, core.registry.drained()).await.is_err() {
        let lost = core.registry.len() as u64;
        tracing::error!(lost, "connections did not end; their records are lost");
        core.shared.records.count_lost(lost);
    }
}

/// Mailboxes of a core.
struct Inbox {
    mailbox: Mailbox<CoreMessage>,
    /// Connections that other cores hand over.
    arrivals: Option<Mailbox<HandedOver>>,
}

/// Event that a core acts on, beside those of its connections.
enum Event {
    /// A message of control; `None` where control is gone.
    Told(Option<CoreMessage>),
    Arrived(HandedOver),
    Broken,
}

/// Reason for which a core stops serving.
enum End {
    /// It was told to.
    Drain,
    /// A vital task has panicked.
    Broken,
}

/// Time for connections that were told to close to do so.
const CLOSE_TIME: Duration = Duration::from_secs(1);
