//! A run as the options alone ask for it: one entry, a warm-up and a window.

use std::time::Duration;

use super::body::{self, Body};
use super::phase::{Pace, Phase, Ramp};
use super::target::{self, Parts, Target};
use super::{Entry, IdentitySet, Plan, TIMEOUT, TlsChoice, Trust, UsageError, cores};
use crate::options::{Expect, Mode, Options, Work};

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
        let addresses = target::resolve(&target.address).map_err(UsageError)?;
        Ok(Plan {
            scenario: None,
            address: target::first(&addresses),
            addresses,
            tried: Vec::new(),
            server_name: target::server_name(&target.name).map_err(named("--sni"))?,
            server_version: options.server_version.clone(),
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
            thresholds: options.threshold.clone(),
            seed: 0,
            cores: cores::choose(&options.cores, allowed).map_err(UsageError)?,
            driver: options.driver,
        })
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
    let body = Body::of(body::Choice {
        file: options.body_file.as_deref(),
        bytes: options.body_bytes,
        chunked: options.chunked,
    });
    let body = body.map_err(|(key, fault)| named(option_of(key))(fault))?;
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
        method: method(options, body.is_some())?,
        headers: headers(options, body.is_some())?,
        body,
        expect_status: options.expect_status.clone(),
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

/// A request with a body is a POST unless something else is asked for.
fn method(options: &Options, has_body: bool) -> Result<http::Method, UsageError> {
    let given = options.method.as_deref();
    let text = given.unwrap_or(if has_body { "POST" } else { "GET" });
    target::parse_method(text).map_err(named("--method"))
}

fn headers(
    options: &Options,
    has_body: bool,
) -> Result<Vec<(http::HeaderName, http::HeaderValue)>, UsageError> {
    let given = options.header.iter();
    let given = given.map(|line| target::parse_header(line).map_err(named("--header")));
    let given = given.collect::<Result<Vec<_>, _>>()?;
    target::with_content_type(given, options.content_type.as_deref(), has_body)
        .map_err(named("--content-type"))
}

fn option_of(key: &str) -> &'static str {
    match key {
        "body_file" => "--body-file",
        "body_bytes" => "--body-bytes",
        _ => "--chunked",
    }
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
    if !options.expect_status.is_empty() && options.expect == Expect::Refused {
        return usage("--expect-status has no meaning with --expect refused; see --refusal-status");
    }
    if options.chunked && options.mode == Work::H2 {
        return usage("--chunked has no meaning in HTTP/2, which has no chunked coding");
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
        assert_eq!(plan.duration(), Some(DURATION));
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
        assert_eq!((plan.warm_up(), plan.duration()), (Duration::ZERO, None));
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
