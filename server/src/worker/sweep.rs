//! Sweep over open connections: ends those whose client would not be admitted any more. It follows a reload,
//! for whatever reason, and looks at any time for certificates that have expired.
//!
//! Each core walks its own connections in slices that are bounded in number and in time, and rests between
//! them, so that a walk never starves the core. [`super::grounds`] judges as a handshake would be judged now:
//! the distribution that the client's name leads to today, its policy, and the client's certificate under
//! that policy. A connection whose handshake ends between publication and walk is judged at its end
//! ([`note_grounds`]); so none is missed.
//!
//! The end of a connection: it takes up no further request. If it is idle it is closed at once (HTTP/1:
//! close_notify and FIN; HTTP/2: GOAWAY first). A response in flight has [`CLOSE_GRACE`], then it is cut. The
//! record keeps the status of the handshake, which was a success, and says in `closedBy` and `reason` what
//! ended the connection.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls_pki_types::UnixTime;

use super::core::Core;
use super::grounds::{Chosen, Closing, Contact, Grounds};
use super::registry::Open;
use super::tick;
use crate::admission::ClientAuth;
use crate::runtime::{SignalKind, sleep};
use crate::snapshot::Snapshot;

/// Notes the grounds on which a client came in. `false`: the snapshot has changed since its ClientHello, and
/// today's does not admit it; it must be closed.
pub(super) fn note_grounds(
    core: &Core,
    open: &Open,
    chosen: &Chosen,
    client: &ClientAuth,
    contact: Contact,
) -> bool {
    let grounds = open.grounds.get_or_init(|| Grounds::new(chosen, client, contact));
    let closing = grounds.reassess(&core.snapshot(), UnixTime::now());
    let goes_on = closing.is_none();
    if let Some(closing) = closing {
        let _first_time = open.closing.set(closing);
    }
    goes_on
}

/// Starts a walk. If one is going on, another follows it.
pub(super) fn begin(core: &Rc<Core>) {
    core.sweeps.wanted.set(true);
    if !core.sweeps.walking.replace(true) {
        core.spawn_vital("the sweep", walks(core.clone()));
    }
}

async fn walks(core: Rc<Core>) {
    while core.sweeps.wanted.replace(false) {
        let told = walk(&core, Grounds::reassess).await;
        core.counters.sweeps.add(1);
        finish(&core, told, "closing connections that the reload does not admit");
    }
    core.sweeps.walking.set(false);
}

/// Ends connections whose client's chain expires while they are open, for as long as `core` runs. It is late
/// by up to ten periods of the tick, which are ten seconds at most.
pub(super) async fn expire(core: Rc<Core>) {
    loop {
        let period = tick::period(&core.snapshot().limits) * EXPIRY_TICKS;
        sleep(period).await;
        let told = walk(&core, Grounds::expired).await;
        finish(&core, told, "closing connections whose client has expired");
    }
}

/// Question that a walk asks about each connection.
type Judge = fn(&Grounds, &Snapshot, UnixTime) -> Option<Closing>;

/// Looks at every connection once; returns those that were told to end. A connection that enters behind the
/// walk's back was judged by its own handshake, under this snapshot or a later one.
async fn walk(core: &Core, ask: Judge) -> Vec<Rc<Open>> {
    let snapshot = core.snapshot();
    let mut told = Vec::new();
    let mut position = 0;
    while position < core.registry.positions() {
        position = slice(core, &snapshot, ask, position, &mut told);
        sleep(REST).await;
    }
    told
}

/// Judges connections from `position` on, until one of the slice's bounds is met. Returns the position to go
/// on from.
fn slice(
    core: &Core,
    snapshot: &Snapshot,
    ask: Judge,
    mut position: usize,
    told: &mut Vec<Rc<Open>>,
) -> usize {
    let (started, now) = (Instant::now(), UnixTime::now());
    let (end, told_max) = (position + SLICE, told.len() + SLICE_CLOSED);
    while position < end && told.len() < told_max && started.elapsed() < SLICE_TIME {
        if let Some(open) = core
            .registry
            .at(position)
            .filter(|open| judge(open, ask, snapshot, now))
        {
            told.push(open);
        }
        position += 1;
    }
    position
}

/// Tells a connection to end if `ask` finds a reason. True if it was told.
fn judge(open: &Open, ask: Judge, snapshot: &Snapshot, now: UnixTime) -> bool {
    let grounds = open.grounds.get().filter(|_| open.closing.get().is_none());
    let Some(closing) = grounds.and_then(|grounds| ask(grounds, snapshot, now)) else {
        return false;
    };
    let _first_time = open.closing.set(closing);
    open.activity.refuse();
    open.signal.raise(SignalKind::Finish);
    true
}

fn finish(core: &Rc<Core>, told: Vec<Rc<Open>>, why: &str) {
    if !told.is_empty() {
        tracing::info!(closing = told.len(), open = core.registry.len(), "{why}");
        core.spawn_vital("the end of a sweep", cut(told));
    }
}

/// Closes what has not ended by itself.
async fn cut(told: Vec<Rc<Open>>) {
    sleep(CLOSE_GRACE).await;
    for slice in told.chunks(SLICE_CLOSED) {
        slice.iter().for_each(|open| open.signal.raise(SignalKind::Close));
        sleep(REST).await;
    }
}

/// Time that a response in flight still gets.
pub(super) const CLOSE_GRACE: Duration = Duration::from_millis(500);
/// Connections looked at without letting others run.
const SLICE: usize = 256;
/// Connections told to end in one slice. Each costs a record and a system call or two.
const SLICE_CLOSED: usize = 64;
const _: () = assert!(SLICE_CLOSED <= SLICE);
/// Time of one slice, where chains have to be verified anew.
const SLICE_TIME: Duration = Duration::from_millis(1);
/// Periods of the tick between two looks for what has expired.
const EXPIRY_TICKS: u32 = 10;
/// Pause between two slices.
const REST: Duration = Duration::from_millis(1);
