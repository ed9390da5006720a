//! Meaning of a scenario's target, identities and mix, and the checks that they fit together.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::phases;
use super::raw::{self, Scenario, Time};
use super::source::{Key, Problem, Source};
use crate::options::{Expect, Options, Work};
use crate::plan::body::{self, Body};
use crate::plan::phase::{Pace, Phase};
use crate::plan::target::{self, Parts, Target};
use crate::plan::threshold::Threshold;
use crate::plan::{Entry, IdentitySet, Plan, TIMEOUT, Think, TlsChoice, Trust, cores};

/// Makes a plan of a scenario's file and the options beside it, which win over `[target]`. `allowed` are the
/// cores that this process may use.
pub fn plan(source: &Source, raw: &Scenario, options: &Options, allowed: &[usize]) -> Result<Plan, Problem> {
    let default = raw::Target::default();
    let given = raw.target.as_ref().unwrap_or(&default);
    let target = check_target(given, options)?;
    let key = Key::of("target");
    let sets = identities(source, raw)?;
    let entries = mix(source, raw, given, options, &target)?;
    let phases = phases::check(raw, &entries)?;
    check_together(raw, &entries, &phases)?;
    let clients = phases
        .iter()
        .map(|phase| phase.pace.clients_max())
        .max()
        .unwrap_or(0);
    let addresses = target::resolve(&target.address).map_err(|fault| key.child("address").problem(fault))?;
    Ok(Plan {
        scenario: Some(source.file.clone()),
        address: target::first(&addresses),
        addresses,
        tried: Vec::new(),
        server_name: target::server_name(&target.name).map_err(|fault| key.child("sni").problem(fault))?,
        server_version: options.server_version.clone(),
        trust: trust(source, given, options)?,
        sets,
        connections: clients,
        clients,
        clients_together: together(&entries),
        entries,
        phases,
        requests: None,
        timeout: timeout(given, options)?,
        thresholds: thresholds(raw, options)?,
        wait: options.wait.or(raw.wait.map(|Time(time)| time)),
        seed: raw.seed,
        cores: cores::choose(&options.cores, allowed).map_err(|fault| Key::default().problem(fault))?,
        driver: options.driver,
    })
}

fn check_target(given: &raw::Target, options: &Options) -> Result<Target, Problem> {
    let parts = Parts {
        url: options.url.clone().or_else(|| given.url.clone()),
        address: options.address.clone().or_else(|| given.address.clone()),
        sni: options.sni.clone().or_else(|| given.sni.clone()),
    };
    Target::new(&parts).map_err(|fault| Key::of("target").problem(fault))
}

/// Options win: who gives one of the two means that one alone.
fn trust(source: &Source, given: &raw::Target, options: &Options) -> Result<Trust, Problem> {
    if options.insecure || !options.ca.is_empty() {
        return Ok(Trust {
            ca: options.ca.clone(),
            insecure: options.insecure,
        });
    }
    let key = Key::of("target").child("ca");
    match (given.ca.is_empty(), given.insecure) {
        (true, false) => Err(key.problem(
            "how should the server be verified? Give ca = [\"FILE\"], or insecure = true to accept any certificate",
        )),
        (false, true) => Err(key.problem("has no meaning beside insecure = true; leave one of the two out")),
        (_, insecure) => Ok(Trust {
            ca: given.ca.iter().map(|file| source.path(file)).collect(),
            insecure,
        }),
    }
}

fn timeout(given: &raw::Target, options: &Options) -> Result<Duration, Problem> {
    let timeout = options
        .timeout
        .or(given.timeout.map(|Time(time)| time))
        .unwrap_or(TIMEOUT);
    if timeout.is_zero() {
        return Err(Key::of("target").child("timeout").problem("must be above zero"));
    }
    Ok(timeout)
}

/// Options add to them.
fn thresholds(raw: &Scenario, options: &Options) -> Result<Vec<Threshold>, Problem> {
    let given = raw.thresholds.iter().enumerate();
    let read = |(index, text): (usize, &String)| {
        let key = Key::of("thresholds").index(index);
        Threshold::parse(text).map_err(|fault| key.problem(fault))
    };
    let mut thresholds = given.map(read).collect::<Result<Vec<_>, _>>()?;
    thresholds.extend(options.threshold.iter().cloned());
    Ok(thresholds)
}

fn identities(source: &Source, raw: &Scenario) -> Result<Vec<IdentitySet>, Problem> {
    let mut sets = Vec::new();
    for (index, set) in raw.identities.iter().enumerate() {
        let key = Key::of("identities").index(index);
        unique(
            &key,
            &set.name,
            raw.identities.iter().take(index).map(|set| &set.name),
        )?;
        sets.push(match (&set.cert, &set.key, &set.bundle) {
            (Some(cert), Some(private), None) => IdentitySet {
                pairs: vec![(source.path(cert), source.path(private))],
                bundles: Vec::new(),
            },
            (None, None, Some(bundle)) => IdentitySet {
                pairs: Vec::new(),
                bundles: vec![source.path(bundle)],
            },
            _ => {
                return Err(key.problem(
                    "give either cert and key, or a bundle as `loadgen pki` makes; an entry of the mix without identities has no certificate",
                ));
            }
        });
    }
    Ok(sets)
}

fn unique<'a>(key: &Key, name: &str, mut others: impl Iterator<Item = &'a String>) -> Result<(), Problem> {
    if name.is_empty() || others.any(|other| other == name) {
        return Err(key.child("name").problem(format!(
            "{name:?} is empty or already taken; give each its own name"
        )));
    }
    Ok(())
}

fn mix(
    source: &Source,
    raw: &Scenario,
    target: &raw::Target,
    options: &Options,
    defaults: &Target,
) -> Result<Vec<Entry>, Problem> {
    let mut entries = Vec::new();
    for (index, given) in raw.mix.iter().enumerate() {
        let key = Key::of("mix").index(index);
        unique(
            &key,
            &given.name,
            raw.mix.iter().take(index).map(|entry| &entry.name),
        )?;
        check_meaning(&key, given)?;
        let body = body(source, &key, given)?;
        entries.push(entry(&key, given, raw, target, options, defaults, body)?);
    }
    let weight: u64 = entries.iter().map(|entry| u64::from(entry.weight)).sum();
    match (entries.is_empty(), weight) {
        (true, _) => Err(Key::of("mix").problem("is empty; say what an operation is by a [[mix]] entry")),
        (false, WEIGHT_MAX..) => Err(Key::of("mix").problem(format!(
            "the weights add up to more than {WEIGHT_MAX}; use smaller numbers with the same ratio"
        ))),
        (false, _) => Ok(entries),
    }
}

/// Keys that have a meaning only with certain work.
fn check_meaning(key: &Key, given: &raw::Mix) -> Result<(), Problem> {
    let stays_open = matches!(given.work, Work::Keepalive | Work::H2);
    let refused = given.expect == Some(Expect::Refused);
    let wrong = [
        (
            given.streams.is_some() && given.work != Work::H2,
            "streams",
            "work = \"h2\"",
        ),
        (
            given.requests_per_connection.is_some() && !stays_open,
            "requests_per_connection",
            "work = \"keepalive\" or \"h2\"",
        ),
        (
            refused && given.work != Work::Handshake,
            "expect",
            "work = \"handshake\": a refusal is one of a handshake",
        ),
        (
            !given.refusal_status.is_empty() && !refused,
            "refusal_status",
            "expect = \"refused\"",
        ),
        (
            refused && given.response_bytes.is_some(),
            "response_bytes",
            "expect = \"ok\"",
        ),
        (
            refused && !given.expect_status.is_empty(),
            "expect_status",
            "expect = \"ok\"",
        ),
        (given.chunked && given.work == Work::H2, "chunked", "HTTP/1.1"),
        (
            given.think_spread.is_some() && given.think_time.is_none(),
            "think_spread",
            "think_time",
        ),
    ];
    match wrong.into_iter().find(|(is_wrong, ..)| *is_wrong) {
        Some((_, name, needed)) => Err(key
            .child(name)
            .problem(format!("has a meaning only with {needed}"))),
        None => Ok(()),
    }
}

fn entry(
    key: &Key,
    given: &raw::Mix,
    raw: &Scenario,
    target: &raw::Target,
    options: &Options,
    defaults: &Target,
    body: Option<Body>,
) -> Result<Entry, Problem> {
    let host = given
        .host
        .as_ref()
        .or(target.host.as_ref())
        .unwrap_or(&defaults.host);
    let path = given.path.as_ref().unwrap_or(&defaults.path);
    let method = given
        .method
        .as_deref()
        .unwrap_or(if body.is_some() { "POST" } else { "GET" });
    Ok(Entry {
        name: given.name.clone(),
        weight: given.weight.unwrap_or(1),
        work: given.work,
        set: set(key, given, raw)?,
        expect: given.expect.unwrap_or(Expect::Ok),
        refusal_status: refusal_status(key, given)?,
        host: target::check_host(host).map_err(|fault| key.child("host").problem(fault))?,
        path: target::check_path(path).map_err(|fault| key.child("path").problem(fault))?,
        method: target::parse_method(method).map_err(|fault| key.child("method").problem(fault))?,
        headers: headers(key, given, body.is_some())?,
        body,
        expect_status: expect_status(key, given)?,
        streams: streams(key, given)?,
        requests_per_connection: requests_per_connection(key, given)?,
        think: think(key, given)?,
        response_bytes: response_bytes(key, given)?,
        tls: TlsChoice {
            tls: options.tls.or(given.tls).or(target.tls),
            group: options.group.or(given.group).or(target.group),
            cipher: options.cipher.or(given.cipher).or(target.cipher),
        },
    })
}

fn set(key: &Key, given: &raw::Mix, raw: &Scenario) -> Result<Option<usize>, Problem> {
    let Some(name) = &given.identities else {
        return Ok(None);
    };
    let found = raw.identities.iter().position(|set| set.name == *name);
    found.map(Some).ok_or_else(|| {
        let known: Vec<&str> = raw.identities.iter().map(|set| set.name.as_str()).collect();
        key.child("identities").problem(format!(
            "there are no [[identities]] of the name {name:?}; known: {known:?}"
        ))
    })
}

fn refusal_status(key: &Key, given: &raw::Mix) -> Result<Vec<u16>, Problem> {
    match given
        .refusal_status
        .iter()
        .find(|status| !(400..600).contains(*status))
    {
        Some(status) => Err(key
            .child("refusal_status")
            .problem(format!("{status} refuses nobody; give statuses from 400 to 599"))),
        None => Ok(given.refusal_status.clone()),
    }
}

fn body(source: &Source, key: &Key, given: &raw::Mix) -> Result<Option<Body>, Problem> {
    let file = given.body_file.as_ref().map(|file| source.path(file));
    let choice = body::Choice {
        file: file.as_deref(),
        bytes: given.body_bytes,
        chunked: given.chunked,
    };
    Body::of(choice).map_err(|(name, fault)| key.child(name).problem(fault))
}

fn expect_status(key: &Key, given: &raw::Mix) -> Result<Vec<u16>, Problem> {
    match given
        .expect_status
        .iter()
        .find(|status| !(200..1000).contains(*status))
    {
        Some(status) => Err(key
            .child("expect_status")
            .problem(format!("{status} is no status of a final response"))),
        None => Ok(given.expect_status.clone()),
    }
}

fn headers(
    key: &Key,
    given: &raw::Mix,
    has_body: bool,
) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, Problem> {
    let header = |(name, value): (&String, &String)| {
        target::header(name, value).map_err(|fault| {
            let fault = fault.unwrap_or_else(|| "this cannot be a header; write Name = \"value\"".to_owned());
            key.child("headers").child(name).problem(fault)
        })
    };
    let headers = given.headers.iter().map(header).collect::<Result<_, _>>()?;
    target::with_content_type(headers, given.content_type.as_deref(), has_body)
        .map_err(|fault| key.child("content_type").problem(fault))
}

fn streams(key: &Key, given: &raw::Mix) -> Result<usize, Problem> {
    match (given.work, given.streams) {
        (Work::H2, Some(0)) => Err(key.child("streams").problem("must be above zero")),
        (Work::H2, streams) => Ok(streams.unwrap_or(STREAMS) as usize),
        _ => Ok(1),
    }
}

fn requests_per_connection(key: &Key, given: &raw::Mix) -> Result<Option<NonZeroU64>, Problem> {
    match given.requests_per_connection.map(NonZeroU64::new) {
        Some(None) => Err(key.child("requests_per_connection").problem("must be above zero")),
        Some(limit) => Ok(limit),
        None => Ok(None),
    }
}

fn think(key: &Key, given: &raw::Mix) -> Result<Option<Think>, Problem> {
    let Some(Time(mean)) = given.think_time else {
        return Ok(None);
    };
    let spread = given.think_spread.map_or(Duration::ZERO, |Time(time)| time);
    if spread > mean {
        return Err(key
            .child("think_spread")
            .problem("is more than think_time; nobody thinks for less than no time"));
    }
    Ok(Some(Think { mean, spread }))
}

fn response_bytes(key: &Key, given: &raw::Mix) -> Result<Option<RangeInclusive<u64>>, Problem> {
    match given.response_bytes {
        Some(bytes) if bytes.from > bytes.to => Err(key
            .child("response_bytes")
            .problem("from is above to; no response is of such a size")),
        bytes => Ok(bytes.map(|bytes| bytes.from..=bytes.to)),
    }
}

/// Checks what concerns the mix and the phases at once.
fn check_together(raw: &Scenario, entries: &[Entry], phases: &[Phase]) -> Result<(), Problem> {
    let works = phases.iter().any(|phase| phase.pace.clients_max() > 0);
    if works && entries.iter().all(|entry| entry.weight == 0) {
        return Err(
            Key::of("mix").problem("no entry has a weight above zero, but there are phases with load")
        );
    }
    let open = |phase: &Phase| matches!(phase.pace, Pace::Open { .. });
    if let (Some(index), Some(phase)) = (
        raw.mix.iter().position(|entry| entry.think_time.is_some()),
        phases.iter().find(|phase| open(phase)),
    ) {
        return Err(Key::of("mix").index(index).child("think_time").problem(format!(
            "has no meaning in an open loop, where the rate says when operations start, and phase {:?} is one; leave out the time or give the phase clients",
            phase.name
        )));
    }
    Ok(())
}

/// The number of clients that share a connection; where some entries share none, no client has to be near
/// another.
fn together(entries: &[Entry]) -> usize {
    let mut loaded = entries.iter().filter(|entry| entry.weight > 0);
    loaded
        .clone()
        .all(|entry| entry.work == Work::H2)
        .then(|| loaded.by_ref().map(|entry| entry.streams).max())
        .flatten()
        .unwrap_or(1)
}

const WEIGHT_MAX: u64 = 100_000;
const STREAMS: u32 = 16;
