//! The command line, and what it means: text becomes a [`Plan`] here and is not checked again.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use rustls_pki_types::ServerName;
use serde::Serialize;

/// A load generator for servers that authenticate clients by certificate.
///
/// Exit code: 0 when every operation ended as expected, 1 when some did not or none completed, 2 for mistakes in the
/// options or files. SIGINT ends the run early; the report is still made.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 110)]
pub struct Options {
    /// What to load: https://NAME[:PORT][/PATH]. --address, --sni, --host and --path override its parts
    pub url: Option<String>,

    /// Where to connect, HOST:PORT (default: the URL's host and port)
    #[arg(long)]
    pub address: Option<String>,

    /// What an operation is
    #[arg(long, value_enum, default_value_t = Mode::Handshake)]
    pub mode: Mode,

    /// Server name to ask for and to verify (default: the URL's host). An IP address is verified but not sent
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,

    /// PEM file of certificate authorities that may vouch for the server (repeatable)
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,

    /// Accept any server certificate (its signature is still checked)
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,

    /// PEM file of a client certificate and its chain (repeatable: identities are cycled)
    #[arg(long, value_name = "FILE")]
    pub cert: Vec<PathBuf>,

    /// PEM file of the private key of the --cert in the same position
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,

    /// Connections kept busy at the same time, over all threads
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,

    /// Concurrent requests per connection (mode h2)
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub streams: u32,

    /// Length of the measured window: 10s, 500ms, 2m [default: 10s; unlimited with --requests]
    #[arg(long, value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Time before the measured window [default: 2s; 0s with --requests]
    #[arg(long, value_parser = parse_duration)]
    pub warm_up: Option<Duration>,

    /// Open loop: operations per second, started on schedule whatever the server does; latency counts from the
    /// scheduled time. Without it the loop is closed: a connection starts its next operation when the last has ended
    #[arg(long, value_parser = parse_rate)]
    pub rate: Option<f64>,

    /// Stop after this many operations
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,

    /// Path and query to ask for (default: the URL's, or /)
    #[arg(long)]
    pub path: Option<String>,

    /// Request method
    #[arg(long, default_value = "GET")]
    pub method: String,

    /// Host header or :authority (default: the URL's authority, or the server name)
    #[arg(long)]
    pub host: Option<String>,

    /// Further request header, 'Name: value' (repeatable)
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,

    /// How an operation should end. `refused`: the server asks for a certificate and then refuses the client by a TLS
    /// alert or by closing before any response (mode handshake)
    #[arg(long, value_enum, default_value_t = Expect::Ok)]
    pub expect: Expect,

    /// With --expect refused: a response with this status is a refusal, too (repeatable; nginx answers 400)
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(400..600))]
    pub refusal_status: Vec<u16>,

    /// TLS version (default: 1.3 or 1.2 as the server chooses)
    #[arg(long, value_enum)]
    pub tls: Option<Tls>,

    /// Key exchange group (default: offers X25519MLKEM768, X25519, secp256r1, secp384r1 in that order). Under TLS 1.2
    /// servers may refuse a group list without the curve of their certificate
    #[arg(long, value_enum)]
    pub group: Option<Group>,

    /// Bulk cipher (default: offers AES-256-GCM, AES-128-GCM, ChaCha20-Poly1305 in that order)
    #[arg(long, value_enum)]
    pub cipher: Option<Cipher>,

    /// Time limit of one operation, from its actual start
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub timeout: Duration,

    /// Cores to run on, one pinned thread each: a number (that many of the allowed ones, the highest first) or a list
    /// such as 0,3 or 2-3 (one core by its number: 3-3)
    #[arg(long, default_value = "1", value_name = "N|LIST")]
    pub cores: String,

    /// Measure the CPU time and memory of this process and its descendants (repeatable)
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// No line each second, only the report
    #[arg(long)]
    pub quiet: bool,
}

/// What one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// New TCP connection, full handshake, one request with `Connection: close`, until the server has closed
    Handshake,
    /// The same, but the handshake resumes a session of an earlier connection; full handshakes do not count
    Resume,
    /// One HTTP/1.1 request on a connection that stays open
    Keepalive,
    /// One HTTP/2 request, --streams at a time on a connection that stays open
    H2,
}

impl Mode {
    pub fn opens_a_connection_per_operation(self) -> bool {
        matches!(self, Mode::Handshake | Mode::Resume)
    }

    pub fn name(self) -> &'static str {
        match self {
            Mode::Handshake => "handshake",
            Mode::Resume => "resume",
            Mode::Keepalive => "keepalive",
            Mode::H2 => "h2",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Ok,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
pub enum Tls {
    #[value(name = "1.2")]
    #[serde(rename = "1.2")]
    V12,
    #[value(name = "1.3")]
    #[serde(rename = "1.3")]
    V13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Group {
    X25519,
    X25519Mlkem768,
    Secp256r1,
    Secp384r1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[value(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    Aes128,
    Aes256,
    Chacha20,
}

/// A mistake in the options or in a file they name; the text says which and what to do.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to do: the options, complete and consistent. Files are read by [`crate::identity`].
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

/// `500ms`, `10s`, `1.5s`, `2m`, `1h`; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("ms") => 1e-3,
        Some("" | "s") => 1.0,
        Some("m") => 60.0,
        Some("h") => 3600.0,
        _ => return Err("write 500ms, 10s, 2m or 1h".to_owned()),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| "write 500ms, 10s, 2m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * unit)
        .ok()
        .filter(|duration| *duration <= DURATION_MAX)
        .ok_or_else(|| "must be between 0 and 24h".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e8).contains(&rate) => Ok(rate),
        _ => Err("write operations per second, at least 0.001".to_owned()),
    }
}

fn usage<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(message.into()))
}

const WARM_UP: Duration = Duration::from_secs(2);
const DURATION: Duration = Duration::from_secs(10);
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
const CORE_MAX: usize = 1023;
const RESERVED_HEADERS: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

#[cfg(test)]
mod tests {
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

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert!(parse_duration("10 parsecs").is_err());
        assert!(parse_duration("-1s").is_err());
        assert!(parse_duration("99h").is_err());
    }
}
