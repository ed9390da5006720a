//! The plan of a run: options, or a scenario's file, become a [`Plan`], complete and consistent, that is not
//! checked again. Certificates and keys are read by [`crate::identity`].
//!
//! A run without a scenario is one of a single entry and two phases: the warm-up and the measured window.

pub mod body;
pub mod cores;
mod of_options;
pub mod phase;
pub mod target;
pub mod threshold;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::ServerName;

use crate::options::{Cipher, Driver, Expect, Group, Mode, Tls, Work};
use body::Body;
use phase::{Pace, Phase};
use target::Tried;
use threshold::Threshold;

/// A mistake in the options or in a file they name; the text says which and what to do.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A run that is to be made.
#[derive(Debug)]
pub struct Plan {
    /// The file that the plan is from.
    pub scenario: Option<PathBuf>,
    /// The address that is loaded: the first of `addresses`, until they have been tried.
    pub address: SocketAddr,
    /// All addresses of the target's name, in the order of the resolver, without repetitions.
    pub addresses: Vec<SocketAddr>,
    /// Attempts by which `address` was chosen; empty where there was no choice.
    pub tried: Vec<Tried>,
    /// Name that is sent as SNI and that the server's certificate is verified for.
    pub server_name: ServerName<'static>,
    /// Told in the report, and otherwise of no effect.
    pub server_version: Option<String>,
    /// Trust in the server's certificate.
    pub trust: Trust,
    /// Sets of client certificates, to which `Entry::set` points.
    pub sets: Vec<IdentitySet>,
    /// Never empty.
    pub entries: Vec<Entry>,
    /// Never empty.
    pub phases: Vec<Phase>,
    /// Connections kept busy at the same time, at the most.
    pub connections: usize,
    /// Operations under way at the same time, at the most: more than `connections` where these carry several.
    pub clients: usize,
    /// Number of clients in a row that share connections, and so have to be on the same thread.
    pub clients_together: usize,
    /// Operations after which the run ends, over all threads; `None`: the phases end it.
    pub requests: Option<u64>,
    /// Time limit of one operation, from its actual start.
    pub timeout: Duration,
    /// Time for which the end of the run waits for operations in flight, which then count in the window.
    /// `None`: it does not wait.
    pub wait: Option<Duration>,
    /// Limits that decide about exit code 3.
    pub thresholds: Vec<Threshold>,
    /// Decides in which order the entries come.
    pub seed: u64,
    /// Cores to run on, one pinned thread each. Never empty.
    pub cores: Vec<usize>,
    /// Way to wait for sockets.
    pub driver: Driver,
}

/// Verification of the server.
#[derive(Clone, Debug)]
pub struct Trust {
    /// PEM files of authorities that may vouch for the server.
    pub ca: Vec<PathBuf>,
    /// Any certificate is accepted; only the handshake's signature is checked.
    pub insecure: bool,
}

/// Client certificates that are used in turn.
#[derive(Clone, Debug, Default)]
pub struct IdentitySet {
    /// Certificate and key.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    /// Files with many identities each, as `loadgen pki` makes.
    pub bundles: Vec<PathBuf>,
}

/// A kind of operation of the mix.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name in the report.
    pub name: String,
    /// Weight of this entry: its share of the operations is `weight / sum of all weights`.
    pub weight: u32,
    /// Kind of its operations.
    pub work: Work,
    /// Index into the plan's sets; `None`: without a certificate.
    pub set: Option<usize>,
    /// End of its operations that counts as `ok`.
    pub expect: Expect,
    /// Statuses that count as a refusal, beside alerts and closes.
    pub refusal_status: Vec<u16>,
    /// Host header, or `:authority` in h2.
    pub host: String,
    /// Path and query to ask for.
    pub path: String,
    pub method: http::Method,
    /// Body of each request.
    pub body: Option<Body>,
    /// The statuses that an answer may have; empty: all below 400.
    pub expect_status: Vec<u16>,
    /// Further request headers, in their order.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Concurrent requests on one connection: 1 unless the work is h2.
    pub streams: usize,
    /// After so many a connection that stays open is closed and another opened.
    pub requests_per_connection: Option<NonZeroU64>,
    /// Pause of a client after each operation; `None`: it goes on at once.
    pub think: Option<Think>,
    /// Accepted length of a response's body, in bytes; `None`: any.
    pub response_bytes: Option<RangeInclusive<u64>>,
    /// TLS parameters that are offered.
    pub tls: TlsChoice,
}

impl Entry {
    /// `true`: a connection that has carried so many requests is to be closed.
    pub fn is_worn(&self, requests: u64) -> bool {
        self.requests_per_connection
            .is_some_and(|limit| requests >= limit.get())
    }
}

/// Time that a client waits between the end of an operation and its next: evenly distributed around `mean`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Think {
    /// Mean of the pauses.
    pub mean: Duration,
    /// At most so much less or more; at most the mean.
    pub spread: Duration,
}

impl Think {
    /// `random` is evenly distributed from 0 to 1.
    pub fn time(&self, random: f64) -> Duration {
        (self.mean + self.spread.mul_f64(2.0 * random)).saturating_sub(self.spread)
    }
}

/// Restriction of the offer to the server; `None`: everything is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    /// The only version; `None`: 1.3 and 1.2.
    pub tls: Option<Tls>,
    /// The only group; `None`: all of loadgen's, by its order.
    pub group: Option<Group>,
    /// The only cipher, with the version's suites; `None`: all.
    pub cipher: Option<Cipher>,
}

impl Plan {
    /// The kind of the loops that start operations, in a word.
    pub fn loop_kind(&self) -> &'static str {
        let loaded = self.phases.iter().filter(|phase| phase.pace.clients_max() > 0);
        let open = |phase: &&Phase| matches!(phase.pace, Pace::Open { .. });
        match (
            loaded.clone().any(|phase| open(&phase)),
            loaded.clone().all(|phase| open(&phase)),
        ) {
            (true, true) => "open",
            (true, false) => "open and closed",
            (false, _) => "closed",
        }
    }

    /// Mode that the report tells for the run as a whole.
    pub fn mode(&self) -> Mode {
        match self.entries.as_slice() {
            [only] => only.work.into(),
            _ => Mode::Mix,
        }
    }

    /// The most concurrent requests on one connection of any entry.
    pub fn streams(&self) -> usize {
        self.entries.iter().map(|entry| entry.streams).max().unwrap_or(1)
    }

    /// `Refused` if all entries expect it.
    pub fn expect(&self) -> Expect {
        let all_refused = self.entries.iter().all(|entry| entry.expect == Expect::Refused);
        if all_refused { Expect::Refused } else { Expect::Ok }
    }

    /// Length of the phases that are not measured; the window begins then.
    pub fn warm_up(&self) -> Duration {
        window(&self.phases).0
    }

    /// Length of the window; `None`: until the operations of `requests` are done.
    pub fn duration(&self) -> Option<Duration> {
        window(&self.phases).1
    }

    /// Operations per second of the measured phases, on average, where they are all open loops.
    pub fn rate(&self) -> Option<f64> {
        mean_rate(&self.phases)
    }

    /// Tries the addresses of the target in order, where it has several.
    pub fn choose_address(&mut self) {
        let patience = self.timeout.min(TRY_MAX);
        let (chosen, tried) = target::choose(&self.addresses, patience);
        self.address = chosen.unwrap_or(self.address);
        self.tried = tried;
    }
}

impl IdentitySet {
    /// Files that certificates are read from.
    pub fn files(&self) -> Vec<PathBuf> {
        let certificates = self.pairs.iter().map(|(certificate, _)| certificate);
        certificates.chain(&self.bundles).cloned().collect()
    }
}

/// The start of the measured window and its length; `None`: it has no set end.
fn window(phases: &[Phase]) -> (Duration, Option<Duration>) {
    let start = phases
        .iter()
        .find(|phase| phase.measured)
        .map_or(Duration::ZERO, |phase| phase.start);
    let end = phases.last().map_or(Duration::ZERO, |phase| phase.end);
    (start, (end < Duration::MAX).then(|| end - start))
}

/// The mean rate of the measured phases, when all that have load are open loops.
fn mean_rate(phases: &[Phase]) -> Option<f64> {
    let (mut operations, mut seconds, mut constant) = (0.0, 0.0, None);
    for phase in phases.iter().filter(|phase| phase.measured) {
        match phase.pace {
            Pace::Open { rate, .. } => {
                operations += (rate.from + rate.to) / 2.0 * phase.length().as_secs_f64();
                constant = Some(rate.from);
            }
            Pace::Closed(clients) if clients.max() > 0.0 => return None,
            Pace::Closed(_) => {}
        }
        seconds += phase.length().as_secs_f64();
    }
    match phases {
        [.., last] if last.end == Duration::MAX => constant, // a single rate, given by an option
        _ => constant.map(|_| operations / seconds),
    }
}

const TRY_MAX: Duration = Duration::from_secs(2);
/// The time limit of an operation where none is given.
pub const TIMEOUT: Duration = Duration::from_secs(10);
