//! What a run is to do: the options become a [`Plan`] here, complete and consistent, and are not checked again.
//! Files are read by [`crate::identity`].

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use rustls_pki_types::ServerName;

use crate::options::{Driver, Expect, Mode, Options};

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
    pub mode: Mode,
    pub address: SocketAddr,
    pub server_name: ServerName<'static>,
    pub host: String,
    pub path: String,
    pub method: http::Method,
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    pub connections: usize,
    /// Concurrent requests on one connection: 1 unless the mode is h2.
    pub streams: usize,
    pub warm_up: Duration,
    /// `None`: until the operations of `requests` are done.
    pub duration: Option<Duration>,
    pub requests: Option<u64>,
    pub rate: Option<f64>,
    pub timeout: Duration,
    pub expect: Expect,
    pub refusal_status: Vec<u16>,
    pub cores: Vec<usize>,
    pub driver: Driver,
}

impl Plan {
    /// Checks the options. `allowed` are the cores that this process may use.
    pub fn new(options: &Options, allowed: &[usize]) -> Result<Plan, UsageError> {
        check_pairs(options)?;
        let target = Target::new(options)?;
        let requests = options.requests;
        let cores = choose_cores(&options.cores, allowed)?;
        Ok(Plan {
            mode: options.mode,
            address: resolve(&target.address)?,
            server_name: server_name(&target.name)?,
            host: check_host(options.host.clone().unwrap_or(target.host))?,
            path: check_path(options.path.clone().unwrap_or(target.path))?,
            method: parse_method(&options.method)?,
            headers: options
                .header
                .iter()
                .map(|line| parse_header(line))
                .collect::<Result<_, _>>()?,
            connections: options.connections as usize,
            streams: if options.mode == Mode::H2 {
                options.streams as usize
            } else {
                1
            },
            warm_up: options.warm_up.unwrap_or(if requests.is_some() {
                Duration::ZERO
            } else {
                WARM_UP
            }),
            duration: options
                .duration
                .or(if requests.is_some() { None } else { Some(DURATION) }),
            requests,
            rate: options.rate,
            timeout: options.timeout,
            expect: options.expect,
            refusal_status: options.refusal_status.clone(),
            cores,
            driver: options.driver,
        })
    }
}

/// Where to connect and what to ask for, before names are resolved.
struct Target {
    address: String,
    name: String,
    host: String,
    path: String,
}

impl Target {
    fn new(options: &Options) -> Result<Target, UsageError> {
        let url = options.url.as_deref().map(parse_url).transpose()?;
        let (authority, path) = match &url {
            Some(url) => (
                url.authority().cloned(),
                url.path_and_query().map(|path| path.as_str().to_owned()),
            ),
            None => (None, None),
        };
        let address = match (&options.address, &authority) {
            (Some(address), _) => address.clone(),
            (None, Some(authority)) => {
                format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(443))
            }
            (None, None) => {
                return usage("nothing to load: give a URL (https://NAME:PORT/) or --address HOST:PORT");
            }
        };
        let address_host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let name = match (&options.sni, &authority) {
            (Some(name), _) => name.clone(),
            (None, Some(authority)) => authority.host().to_owned(),
            (None, None) => address_host.to_owned(),
        };
        let host = authority.map_or_else(|| name.clone(), |authority| authority.to_string());
        Ok(Target {
            address,
            name,
            host,
            path: path.unwrap_or_else(|| "/".to_owned()),
        })
    }
}

fn parse_url(text: &str) -> Result<http::Uri, UsageError> {
    match text.parse::<http::Uri>() {
        Ok(url) if url.scheme_str() == Some("https") && url.authority().is_some() => Ok(url),
        _ => usage(format!(
            "{text:?} is not an https:// URL; write https://NAME[:PORT][/PATH]"
        )),
    }
}

fn resolve(address: &str) -> Result<SocketAddr, UsageError> {
    let found = address.to_socket_addrs().map(|mut found| found.next());
    match found {
        Ok(Some(address)) => Ok(address),
        Ok(None) => usage(format!("{address}: the name has no address")),
        Err(error) => usage(format!(
            "{address}: {error}; give HOST:PORT or IP:PORT by --address"
        )),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, UsageError> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    match ServerName::try_from(bare.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) => usage(format!("--sni: {name:?} is neither a DNS name nor an IP address")),
    }
}

fn check_pairs(options: &Options) -> Result<(), UsageError> {
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
    if options.expect == Expect::Refused && options.mode != Mode::Handshake {
        return usage("--expect refused needs a handshake per operation: use --mode handshake");
    }
    if !options.refusal_status.is_empty() && options.expect != Expect::Refused {
        return usage("--refusal-status has a meaning only with --expect refused");
    }
    if options.timeout.is_zero() || options.duration.is_some_and(|duration| duration.is_zero()) {
        return usage("--timeout and --duration must be above zero");
    }
    Ok(())
}

fn check_path(path: String) -> Result<String, UsageError> {
    let well_formed = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
    if well_formed {
        Ok(path)
    } else {
        usage(format!(
            "--path: {path:?} must start with / and contain no spaces"
        ))
    }
}

fn check_host(host: String) -> Result<String, UsageError> {
    match host.parse::<http::uri::Authority>() {
        Ok(_) => Ok(host),
        Err(_) => usage(format!("--host: {host:?} is not of the form NAME or NAME:PORT")),
    }
}

fn parse_method(text: &str) -> Result<http::Method, UsageError> {
    match text.parse() {
        Ok(method) if method != http::Method::CONNECT => Ok(method),
        _ => usage(format!(
            "--method: {text:?} is not a request method that can be sent"
        )),
    }
}

fn parse_header(line: &str) -> Result<(http::HeaderName, http::HeaderValue), UsageError> {
    let header = line.split_once(':').and_then(|(name, value)| {
        let name = http::HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let value = http::HeaderValue::from_str(value.trim()).ok()?;
        Some((name, value))
    });
    match header {
        Some((name, _)) if RESERVED_HEADERS.contains(&name.as_str()) => usage(format!(
            "--header: {name} is set by loadgen itself (see --host and --method)"
        )),
        Some(header) => Ok(header),
        None => usage(format!("--header: {line:?} is not of the form 'Name: value'")),
    }
}

/// A count of cores or a list of them, as the core numbers.
fn choose_cores(text: &str, allowed: &[usize]) -> Result<Vec<usize>, UsageError> {
    if let Ok(count) = text.parse::<usize>() {
        if count == 0 || count > allowed.len() {
            return usage(format!(
                "--cores {count}: this process may use {} cores",
                allowed.len()
            ));
        }
        let mut cores: Vec<usize> = allowed.iter().rev().take(count).copied().collect();
        cores.reverse();
        return Ok(cores);
    }
    let Some(mut cores) = parse_core_list(text) else {
        return usage(format!(
            "--cores: {text:?} is neither a number nor a list such as 0,3 or 2-3"
        ));
    };
    cores.sort_unstable();
    cores.dedup();
    if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
        return usage(format!(
            "--cores: core {core} is not among those this process may use, {allowed:?}"
        ));
    }
    Ok(cores)
}

/// Parses the kernel's list format: `0,2-4`.
pub fn parse_core_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last > CORE_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

fn usage<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(message.into()))
}

const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(10);
const CORE_MAX: usize = 1023;
const RESERVED_HEADERS: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

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
        assert_eq!(plan.host, "127.0.0.1:8443");
        assert_eq!(plan.path, "/a?b=c");
        assert_eq!(plan.duration, Some(DURATION));
    }

    #[test]
    fn options_override_the_parts_of_the_url() {
        let plan =
            plan("https://a.example:8443/x --address 127.0.0.1:1 --sni b.example --path /y --insecure")
                .unwrap();
        assert_eq!(plan.address, "127.0.0.1:1".parse().unwrap());
        assert_eq!(plan.server_name.to_str(), "b.example");
        assert_eq!(plan.host, "a.example:8443");
        assert_eq!(plan.path, "/y");
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

    #[test]
    fn cores_are_a_count_from_the_top_or_a_list() {
        assert_eq!(choose_cores("2", &[0, 1, 5]).unwrap(), [1, 5]);
        assert_eq!(choose_cores("5-5", &[0, 1, 5]).unwrap(), [5]);
        assert_eq!(choose_cores("1,0,1", &[0, 1, 5]).unwrap(), [0, 1]);
        assert_eq!(parse_core_list("0,2-4\n"), Some(vec![0, 2, 3, 4]));
        assert_eq!(parse_core_list("4-2"), None);
        assert_eq!(parse_core_list(""), None);
    }
}
