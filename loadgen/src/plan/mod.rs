//! What a run is to do: options, or a scenario's file, become a [`Plan`], complete and consistent, that is not checked
//! again. Certificates and keys are read by [`crate::identity`].
//!
//! A run without a scenario is one of a single entry and two phases: the warm-up and the measured window.

pub mod cores;
pub mod phase;
pub mod target;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::ServerName;

use crate::options::{Cipher, Driver, Expect, Group, Mode, Options, Tls, Work};
use phase::{Pace, Phase, Ramp};
use target::{Parts, Target};

/// A mistake in the options or in a file they name; the text says which and what to do.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to do.
#[derive(Debug)]
pub struct Plan {
    /// The file that the plan is from.
    pub scenario: Option<PathBuf>,
    pub address: SocketAddr,
    pub server_name: ServerName<'static>,
    pub trust: Trust,
    pub sets: Vec<IdentitySet>,
    /// Never empty.
    pub entries: Vec<Entry>,
    /// Never empty.
    pub phases: Vec<Phase>,
    /// Connections kept busy at the same time, at the most.
    pub connections: usize,
    /// Operations under way at the same time, at the most: more than `connections` where these carry several.
    pub clients: usize,
    /// So many clients in a row share connections, and so have to be on the same thread.
    pub clients_together: usize,
    pub requests: Option<u64>,
    pub timeout: Duration,
    /// How long the end of the run waits for operations in flight, which then count in the window.
    pub wait: Option<Duration>,
    /// Decides in which order the entries come.
    pub seed: u64,
    pub cores: Vec<usize>,
    pub driver: Driver,
    /// What the report says of the run as a whole; follows from the above.
    pub mode: Mode,
    pub streams: usize,
    pub expect: Expect,
    pub warm_up: Duration,
    /// `None`: until the operations of `requests` are done.
    pub duration: Option<Duration>,
    /// Operations per second of the measured phases, on average, where they are all open loops.
    pub rate: Option<f64>,
}

/// How the server is verified.
#[derive(Clone, Debug)]
pub struct Trust {
    pub ca: Vec<PathBuf>,
    pub insecure: bool,
}

/// Client certificates that are used in turn.
#[derive(Clone, Debug, Default)]
pub struct IdentitySet {
    /// Certificate and key.
    pub pairs: Vec<(PathBuf, PathBuf)>,
    pub bundles: Vec<PathBuf>,
}

/// One kind of operation.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    /// Of `weight / sum of all weights` of the operations.
    pub weight: u32,
    pub work: Work,
    /// Which of the plan's sets; `None`: without a certificate.
    pub set: Option<usize>,
    pub expect: Expect,
    pub refusal_status: Vec<u16>,
    pub host: String,
    pub path: String,
    pub method: http::Method,
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Concurrent requests on one connection: 1 unless the work is h2.
    pub streams: usize,
    /// After so many a connection that stays open is closed and another opened.
    pub requests_per_connection: Option<NonZeroU64>,
    pub think: Option<Think>,
    /// How long the body of a response is to be.
    pub response_bytes: Option<RangeInclusive<u64>>,
    pub tls: TlsChoice,
}

/// How long a client waits between the end of an operation and its next: evenly distributed around `mean`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Think {
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

/// What is offered to the server, where it is not everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    pub tls: Option<Tls>,
    pub group: Option<Group>,
    pub cipher: Option<Cipher>,
}

impl Plan {
    /// Checks the options. `allowed` are the cores that this process may use.
    pub fn new(options: &Options, allowed: &[usize]) -> Result<Plan, UsageError> {
        check_options(options)?;
        let target = Target::new(&Parts {
            url: options.url.clone(),
            address: options.address.clone(),
            sni: options.sni.clone(),
        });
        let target = target.map_err(UsageError)?;
        let entry = entry(options, &target)?;
        let connections = options.connections as usize;
        let clients = connections * entry.streams;
        let set = IdentitySet {
            pairs: options
                .cert
                .iter()
                .cloned()
                .zip(options.key.iter().cloned())
                .collect(),
            bundles: options.bundle.clone(),
        };
        let draft = Draft {
            scenario: None,
            address: target::resolve(&target.address).map_err(UsageError)?,
            server_name: target::server_name(&target.name).map_err(named("--sni"))?,
            trust: Trust {
                ca: options.ca.clone(),
                insecure: options.insecure,
            },
            sets: vec![set],
            clients_together: entry.streams,
            entries: vec![entry],
            phases: phases(options, clients),
            connections,
            clients,
            requests: options.requests,
            timeout: options.timeout.unwrap_or(TIMEOUT),
            wait: options.wait,
            seed: 0,
            cores: cores::choose(&options.cores, allowed).map_err(UsageError)?,
            driver: options.driver,
        };
        Ok(draft.complete())
    }
}

impl Plan {
    /// Who starts operations, in a word.
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
}

impl IdentitySet {
    /// Those that certificates are read from.
    pub fn files(&self) -> Vec<PathBuf> {
        let certificates = self.pairs.iter().map(|(certificate, _)| certificate);
        certificates.chain(&self.bundles).cloned().collect()
    }
}

/// A plan without what follows from the rest of it.
pub struct Draft {
    pub scenario: Option<PathBuf>,
    pub address: SocketAddr,
    pub server_name: ServerName<'static>,
    pub trust: Trust,
    pub sets: Vec<IdentitySet>,
    pub entries: Vec<Entry>,
    pub phases: Vec<Phase>,
    pub connections: usize,
    pub clients: usize,
    pub clients_together: usize,
    pub requests: Option<u64>,
    pub timeout: Duration,
    pub wait: Option<Duration>,
    pub seed: u64,
    pub cores: Vec<usize>,
    pub driver: Driver,
}

impl Draft {
    pub fn complete(self) -> Plan {
        let (warm_up, duration) = window(&self.phases);
        let mode = match self.entries.as_slice() {
            [only] => only.work.into(),
            _ => Mode::Mix,
        };
        let all_refused = self.entries.iter().all(|entry| entry.expect == Expect::Refused);
        Plan {
            mode,
            streams: self.entries.iter().map(|entry| entry.streams).max().unwrap_or(1),
            expect: if all_refused { Expect::Refused } else { Expect::Ok },
            warm_up,
            duration,
            rate: mean_rate(&self.phases),
            scenario: self.scenario,
            address: self.address,
            server_name: self.server_name,
            trust: self.trust,
            sets: self.sets,
            entries: self.entries,
            phases: self.phases,
            connections: self.connections,
            clients: self.clients,
            clients_together: self.clients_together,
            requests: self.requests,
            timeout: self.timeout,
            wait: self.wait,
            seed: self.seed,
            cores: self.cores,
            driver: self.driver,
        }
    }
}

/// Where the measured window begins and how long it is.
fn window(phases: &[Phase]) -> (Duration, Option<Duration>) {
    let start = phases
        .iter()
        .find(|phase| phase.measured)
        .map_or(Duration::ZERO, |phase| phase.start);
    let end = phases.last().map_or(Duration::ZERO, |phase| phase.end);
    (start, (end < Duration::MAX).then(|| end - start))
}

/// Of the measured phases, when all that have load are open loops.
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

fn phases(options: &Options, clients: usize) -> Vec<Phase> {
    let limited = options.requests.is_some();
    let default = if limited { Duration::ZERO } else { WARM_UP };
    let warm_up = options.warm_up.unwrap_or(default);
    let duration = options.duration.or((!limited).then_some(DURATION));
    let pace = match options.rate {
        Some(rate) => Pace::Open {
            rate: Ramp::constant(rate),
            clients,
        },
        None => Pace::Closed(Ramp::constant(clients as f64)),
    };
    let phase = |name: &str, start, end, measured| Phase {
        name: name.to_owned(),
        start,
        end,
        measured,
        pace,
        hold: None,
        reconnect: None,
    };
    let end = duration.map_or(Duration::MAX, |duration| warm_up + duration);
    let mut phases = vec![phase("warm-up", Duration::ZERO, warm_up, false)];
    phases.retain(|phase| !phase.length().is_zero());
    phases.push(phase("run", warm_up, end, true));
    phases
}

fn entry(options: &Options, target: &Target) -> Result<Entry, UsageError> {
    let without_certificate = options.cert.is_empty() && options.bundle.is_empty();
    Ok(Entry {
        name: Mode::from(options.mode).name().to_owned(),
        weight: 1,
        work: options.mode,
        set: (!without_certificate).then_some(0),
        expect: options.expect,
        refusal_status: options.refusal_status.clone(),
        host: target::check_host(options.host.as_ref().unwrap_or(&target.host)).map_err(named("--host"))?,
        path: target::check_path(options.path.as_ref().unwrap_or(&target.path)).map_err(named("--path"))?,
        method: target::parse_method(&options.method).map_err(named("--method"))?,
        headers: options
            .header
            .iter()
            .map(|line| target::parse_header(line).map_err(named("--header")))
            .collect::<Result<_, _>>()?,
        streams: if options.mode == Work::H2 {
            options.streams as usize
        } else {
            1
        },
        requests_per_connection: None,
        think: None,
        response_bytes: None,
        tls: TlsChoice {
            tls: options.tls,
            group: options.group,
            cipher: options.cipher,
        },
    })
}

fn check_options(options: &Options) -> Result<(), UsageError> {
    if options.cert.len() != options.key.len() {
        return usage(format!(
            "{} --cert but {} --key: give one --key for each --cert, in the same order",
            options.cert.len(),
            options.key.len()
        ));
    }
    if options.ca.is_empty() && !options.insecure {
        return usage(
            "how should the server be verified? Give --ca FILE, or --insecure to accept any certificate",
        );
    }
    if options.expect == Expect::Refused && options.mode != Work::Handshake {
        return usage("--expect refused needs a handshake per operation: use --mode handshake");
    }
    if !options.refusal_status.is_empty() && options.expect != Expect::Refused {
        return usage("--refusal-status has a meaning only with --expect refused");
    }
    let zero = |duration: Option<Duration>| duration.is_some_and(|duration| duration.is_zero());
    if zero(options.timeout) || zero(options.duration) {
        return usage("--timeout and --duration must be above zero");
    }
    Ok(())
}

/// A fault of the option `name`.
fn named(name: &'static str) -> impl Fn(String) -> UsageError {
    move |fault| UsageError(format!("{name}: {fault}"))
}

fn usage<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(message.into()))
}

const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(10);
pub const TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn plan(arguments: &str) -> Result<Plan, UsageError> {
        let words = std::iter::once("loadgen").chain(arguments.split_whitespace());
        let options = Options::try_parse_from(words).expect("clap accepts the arguments");
        Plan::new(&options, &[0, 1, 5])
    }

    fn complaint(arguments: &str) -> String {
        plan(arguments).expect_err("the plan is refused").0
    }

    #[test]
    fn a_url_gives_address_name_host_and_path() {
        let plan = plan("https://127.0.0.1:8443/a?b=c --insecure").unwrap();
        assert_eq!(plan.address, "127.0.0.1:8443".parse().unwrap());
        assert_eq!(plan.entries[0].host, "127.0.0.1:8443");
        assert_eq!(plan.entries[0].path, "/a?b=c");
        assert_eq!(plan.duration, Some(DURATION));
    }

    #[test]
    fn options_override_the_parts_of_the_url() {
        let plan =
            plan("https://a.example:8443/x --address 127.0.0.1:1 --sni b.example --path /y --insecure")
                .unwrap();
        assert_eq!(plan.address, "127.0.0.1:1".parse().unwrap());
        assert_eq!(plan.server_name.to_str(), "b.example");
        assert_eq!(plan.entries[0].host, "a.example:8443");
        assert_eq!(plan.entries[0].path, "/y");
    }

    #[test]
    fn a_number_of_requests_removes_warm_up_and_deadline() {
        let plan = plan("--address 127.0.0.1:1 --insecure --requests 5").unwrap();
        assert_eq!((plan.warm_up, plan.duration), (Duration::ZERO, None));
    }

    #[test]
    fn mistakes_are_explained() {
        for (arguments, expected) in [
            ("--insecure", "give a URL"),
            ("--address 127.0.0.1:1", "Give --ca FILE"),
            (
                "--address 127.0.0.1:1 --insecure --cert a",
                "one --key for each --cert",
            ),
            (
                "--address 127.0.0.1:1 --insecure --mode h2 --expect refused",
                "use --mode handshake",
            ),
            (
                "--address 127.0.0.1:1 --insecure --refusal-status 400",
                "--expect refused",
            ),
            ("--address 127.0.0.1:1 --insecure --path x", "must start with /"),
            ("--address 127.0.0.1:1 --insecure --header x", "'Name: value'"),
            (
                "--address 127.0.0.1:1 --insecure --header Host:x",
                "set by loadgen itself",
            ),
            ("--address 127.0.0.1:1 --insecure --cores 4", "may use 3 cores"),
            (
                "--address 127.0.0.1:1 --insecure --cores 2-3",
                "core 2 is not among",
            ),
            (
                "--address 127.0.0.1:1 --insecure --cores x",
                "neither a number nor a list",
            ),
            (
                "--address 127.0.0.1:1 --insecure --sni a..b",
                "neither a DNS name nor",
            ),
            ("http://127.0.0.1:1 --insecure", "not an https:// URL"),
        ] {
            let complaint = complaint(arguments);
            assert!(complaint.contains(expected), "{arguments}: {complaint}");
        }
    }
}
