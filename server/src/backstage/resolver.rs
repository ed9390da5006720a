//! Looks the names of origins up again while the server runs: every `resolve_interval_s`, and soon after a
//! connection to one could not be made. A plain thread that never waits for a look-up: those have threads of
//! their own, one for each name at most, so that a resolver which hangs holds up neither other names nor
//! reloads nor the end.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::metrics::{ProcessCounters, ResolveResult};
use crate::origin::{AddressTable, Addresses, Found, NamedAddresses, look_up};
use crate::snapshot::Snapshot;

/// Ends the thread when it is dropped.
pub struct Resolver {
    _end: Sender<()>,
}

impl Resolver {
    /// Starts it.
    ///
    /// # Errors
    /// As `pthread_create(3)`.
    pub fn start(
        table: Arc<AddressTable>,
        snapshot: Arc<ArcSwap<Snapshot>>,
        counters: Arc<ProcessCounters>,
    ) -> io::Result<Self> {
        let (end, ended) = bounded(0);
        let watch = Watch {
            counters,
            known: HashMap::new(),
        };
        std::thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || watch.run(&table, &snapshot, &ended))?;
        Ok(Self { _end: end })
    }
}

struct Watch {
    counters: Arc<ProcessCounters>,
    /// Key: where the addresses lie in memory. They are alive while they are in here.
    known: HashMap<usize, Known>,
}

/// Name that is watched.
struct Known {
    addresses: Arc<Addresses>,
    begun_at: Instant,
    under_way: Option<Receiver<io::Result<Found>>>,
    /// True once a message has said that the look-up under way takes long.
    is_late: bool,
}

impl Watch {
    fn run(mut self, table: &AddressTable, snapshot: &ArcSwap<Snapshot>, ended: &Receiver<()>) {
        while ended.recv_timeout(TURN) == Err(RecvTimeoutError::Timeout) {
            let interval = snapshot.load().limits.resolve_interval;
            let now = Instant::now();
            self.follow(&table.entries(), now);
            for known in self.known.values_mut() {
                known.turn(interval, now, &self.counters);
            }
        }
    }

    /// Watches the names of the table, of which new ones have just been looked up.
    fn follow(&mut self, names: &NamedAddresses, now: Instant) {
        let key = |addresses: &Arc<Addresses>| Arc::as_ptr(addresses) as usize;
        let today: HashSet<_> = names.values().map(key).collect();
        self.known.retain(|known, _| today.contains(known));
        for name in names.values() {
            self.known.entry(key(name)).or_insert_with(|| Known {
                addresses: name.clone(),
                begun_at: now,
                under_way: None,
                is_late: false,
            });
        }
    }
}

impl Known {
    fn turn(&mut self, interval: Duration, now: Instant, counters: &ProcessCounters) {
        let host = self.addresses.name().map_or("", |name| &name.host);
        let age = now.saturating_duration_since(self.begun_at);
        if let Some(told) = &self.under_way {
            match told.try_recv() {
                Ok(found) => {
                    tell(host, &self.addresses, found, counters);
                    self.under_way = None;
                }
                Err(_) if age >= LATE && !std::mem::replace(&mut self.is_late, true) => {
                    tracing::warn!(
                        host,
                        "looking up the name of an origin takes long; the addresses found last stay"
                    );
                }
                Err(_) => {}
            }
            return;
        }
        let is_due = age >= interval || (age >= AFTER_FAILURE && self.addresses.take_doubt());
        if is_due {
            self.begun_at = now;
            self.is_late = false;
            self.under_way = self.addresses.begin(look_up);
        }
    }
}

fn tell(host: &str, addresses: &Addresses, found: io::Result<Found>, counters: &ProcessCounters) {
    let result = match found {
        Ok(Found::Same) => ResolveResult::Same,
        Ok(Found::Other) => {
            tracing::info!(host, addresses = ?addresses.current(), "an origin has other addresses now");
            ResolveResult::Changed
        }
        Err(error) => {
            tracing::warn!(
                host,
                %error,
                "cannot look up the name of an origin; the addresses found last stay"
            );
            ResolveResult::Failed
        }
    };
    counters.origin_lookups.of(result).add(1);
}

/// Between two looks at what is due.
const TURN: Duration = Duration::from_millis(500);
/// Between two look-ups of a name, however many connections fail.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A look-up of this age is worth a word.
const LATE: Duration = Duration::from_secs(30);
