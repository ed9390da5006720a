//! The HTTP/2 connections of one entry on one thread, and who has a stream on which of them.
//!
//! A client joins a connection that has room, or opens one; those that find it being opened wait for it. It
//! stays there until the connection ends, has carried enough requests, or the client has no more work. The
//! last one to leave closes.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use monoio::task::JoinHandle;
use monoio::time::timeout;

use super::Core;
use super::h2_failure::classify;
use crate::failure::{Failure, Stage};
use crate::identity::{Client, Clients, Party};
use crate::plan::Entry;
use crate::wire::Progress;
use crate::wire::duplex::Duplex;

/// The connections of one entry on one thread, and the identities for those to come.
pub struct Links {
    clients: RefCell<Clients>,
    open: RefCell<Vec<Rc<Link>>>,
    was_open: Cell<usize>,
}

struct Link {
    state: RefCell<State>,
    waiting: RefCell<Vec<Waker>>,
    progress: Rc<Progress>,
    members: Cell<usize>,
    requests: Cell<u64>,
    /// Number of storms at the time when it was opened.
    storms: u64,
    /// Streams that may be open at the same time: one until the server's SETTINGS have come.
    streams_allowed: Rc<Cell<usize>>,
    limit_told: Cell<bool>,
}

enum State {
    Opening,
    Open(SendRequest<Full<Bytes>>, JoinHandle<()>),
    Failed(Failure),
}

/// A client's place on a connection.
pub struct Lane {
    link: Rc<Link>,
    /// hyper's handle, by which requests are sent on the connection.
    pub sender: SendRequest<Full<Bytes>>,
    /// Progress of the connection.
    pub progress: Rc<Progress>,
}

impl Links {
    /// No connection yet; each that is opened takes the next of `clients`.
    pub fn new(clients: Clients) -> Self {
        Links {
            clients: RefCell::new(clients),
            open: RefCell::default(),
            was_open: Cell::new(0),
        }
    }

    /// Finds a place on a connection of `entry`, or opens one as `party`.
    pub async fn join(
        &self,
        core: &Core,
        entry: &Entry,
        party: &Party,
        deadline: Instant,
    ) -> Result<Lane, Failure> {
        let known = self.with_room(core, entry);
        let link = match &known {
            Some(link) => link.clone(),
            None => self.begin(core),
        };
        link.members.set(link.members.get() + 1);
        if known.is_none() {
            let client = self.clients.borrow_mut().next();
            let opening = open(core, party, &client, &link);
            let state = match core.limited(deadline, &link.progress, opening).await {
                Ok((sender, driver)) => State::Open(sender, driver),
                Err(failure) => State::Failed(failure),
            };
            self.opened(core, &link, state);
        }
        match core.limited(deadline, &link.progress, link.opened()).await {
            Ok(sender) => Ok(Lane {
                progress: link.progress.clone(),
                link,
                sender,
            }),
            Err(failure) => {
                // A link that is still being opened is so by somebody who had more time left.
                if !matches!(&*link.state.borrow(), State::Opening) {
                    self.remove(&link);
                }
                link.members.set(link.members.get().saturating_sub(1));
                Err(failure)
            }
        }
    }

    /// Gives the place back.
    pub async fn leave(&self, lane: Lane) {
        let Lane { link, sender, .. } = lane;
        drop(sender);
        link.members.set(link.members.get().saturating_sub(1));
        if link.members.get() > 0 {
            return;
        }
        self.remove(&link);
        let state = link.state.replace(State::Opening); // nobody sees this one any more
        if let State::Open(sender, driver) = state {
            drop(sender);
            let _ = timeout(GOODBYE, driver).await;
        }
    }

    fn with_room(&self, core: &Core, entry: &Entry) -> Option<Rc<Link>> {
        let open = self.open.borrow();
        let mut usable = open.iter().filter(|link| !link.is_done_with(core, entry));
        usable.find(|link| link.members.get() < entry.streams).cloned()
    }

    fn begin(&self, core: &Core) -> Rc<Link> {
        let link = Rc::new(Link {
            state: RefCell::new(State::Opening),
            waiting: RefCell::default(),
            progress: Rc::default(),
            members: Cell::new(0),
            requests: Cell::new(0),
            storms: core.storms.get(),
            streams_allowed: Rc::new(Cell::new(1)),
            limit_told: Cell::new(false),
        });
        self.open.borrow_mut().push(link.clone());
        link
    }

    fn opened(&self, core: &Core, link: &Link, state: State) {
        if matches!(state, State::Open(..)) && self.was_open.get() < core.slots {
            self.was_open.set(self.was_open.get() + 1);
            core.recorder.borrow_mut().slot_opened();
        }
        *link.state.borrow_mut() = state;
        for waker in link.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }

    fn remove(&self, link: &Rc<Link>) {
        self.open.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
    }
}

impl Link {
    /// Waits until it is open.
    async fn opened(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        poll_fn(|cx| match &*self.state.borrow() {
            State::Open(sender, _) => Poll::Ready(Ok(sender.clone())),
            State::Failed(failure) => Poll::Ready(Err(failure.clone())),
            State::Opening => {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn is_done_with(&self, core: &Core, entry: &Entry) -> bool {
        let closed = matches!(&*self.state.borrow(), State::Open(sender, _) if sender.is_closed());
        closed || entry.is_worn(self.requests.get()) || self.storms < core.storms.get()
    }
}

impl Lane {
    /// `true`: the next request should go over another connection.
    pub fn is_done_with(&self, core: &Core, entry: &Entry) -> bool {
        self.link.is_done_with(core, entry)
    }

    /// Tells the number of streams that the server allows, once it is known: surely so when a response has
    /// come, because the server's SETTINGS come before it. A server that allows none never answers.
    pub fn tell_limit(&self, core: &Core, is_answered: bool) {
        let allowed = self.link.streams_allowed.get();
        let is_known = is_answered || allowed != 1;
        if is_known && !self.link.limit_told.replace(true) {
            core.recorder.borrow_mut().streams_allowed(allowed);
        }
    }

    /// Counts a request towards `requests_per_connection`.
    pub fn count_request(&self) {
        self.link.requests.set(self.link.requests.get() + 1);
    }
}

async fn open(
    core: &Core,
    party: &Party,
    client: &Rc<Client>,
    link: &Link,
) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<()>), Failure> {
    let progress = &link.progress;
    let mut slot = None;
    core.open(party, client, progress, &mut slot).await?;
    let Some(mut connection) = slot else {
        return Err(Failure::Closed(Stage::Connect));
    };
    if connection.records.tls.alpn_protocol() != Some(b"h2") {
        connection.close().await;
        return Err(Failure::NotHttp2);
    }
    connection.flush().await?;
    progress.stage.set(Stage::Response);
    let handshake = http2::Builder::new(OnThisThread)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_max_send_streams(1) // a server may refuse more than it is about to allow (RFC 9113 §5.1.2)
        .handshake(Duplex::new(connection))
        .await;
    let (sender, driver) = handshake.map_err(|error| classify(&error, progress))?;
    let (mut driver, allowed) = (Box::pin(driver), link.streams_allowed.clone());
    let driver = monoio::spawn(poll_fn(move |cx| {
        let done = driver.as_mut().poll(cx);
        if allowed.get() == 1 {
            allowed.set(driver.current_max_send_streams());
        }
        done.map(drop) // its error reaches the requests
    }));
    Ok((sender, driver))
}

#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future + 'static> Executor<F> for OnThisThread
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(monoio::spawn(future));
    }
}

const GOODBYE: Duration = Duration::from_millis(200);
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
