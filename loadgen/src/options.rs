//! The command line as clap sees it. What it means is for [`crate::plan`] to decide.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::pki::PkiOptions;
use crate::plan::threshold::Threshold;

/// A load generator for servers that authenticate clients by certificate.
///
/// Exit code: 0 when every operation ended as expected, 1 when some did not or none completed, 2 for mistakes
/// in the options or files, 3 when a threshold was crossed. SIGINT and SIGTERM end the run early; the report
/// is still made.
#[derive(Parser, Debug)]
#[command(
    version,
    max_term_width = 110,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// URL to load: https://NAME[:PORT][/PATH]. --address, --sni, --host and --path override its parts
    pub url: Option<String>,

    /// TOML file that says what to load and how: phases, a mix of operations, sets of identities, idle
    /// connections, reconnect storms. Beside it only what is not in the way of it: where to connect, whom to
    /// trust, TLS, cores, report
    #[arg(long, value_name = "FILE", conflicts_with_all = SAID_BY_A_SCENARIO)]
    pub scenario: Option<PathBuf>,

    /// HOST:PORT to connect to (default: the URL's host and port)
    #[arg(long)]
    pub address: Option<String>,

    /// Kind of operation
    #[arg(long, value_enum, default_value_t = Work::Handshake)]
    pub mode: Work,

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

    /// PEM file of many identities, each a private key and then its certificate and chain, as `loadgen pki`
    /// makes (repeatable)
    #[arg(long, value_name = "FILE")]
    pub bundle: Vec<PathBuf>,

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

    /// Open loop: operations per second, started on schedule whatever the server does; latency counts from
    /// the scheduled time. Without it the loop is closed: a connection starts its next operation when the
    /// last has ended
    #[arg(long, value_parser = parse_rate)]
    pub rate: Option<f64>,

    /// Stop after this many operations
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,

    /// Path and query to ask for (default: the URL's, or /)
    #[arg(long)]
    pub path: Option<String>,

    /// Request method [default: GET; POST with a body]
    #[arg(long)]
    pub method: Option<String>,

    /// File whose bytes are the body of each request, at most 64 MiB
    #[arg(long, value_name = "FILE", conflicts_with = "body_bytes")]
    pub body_file: Option<PathBuf>,

    /// Length of a body that each request carries
    #[arg(long, value_name = "N")]
    pub body_bytes: Option<u64>,

    /// Media type of the body [default: application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,

    /// Send the body in chunks, without its length (HTTP/1.1)
    #[arg(long)]
    pub chunked: bool,

    /// A status that answers may have (repeatable); another is a failure [default: all below 400, redirects
    /// too]
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(200..1000))]
    pub expect_status: Vec<u16>,

    /// Host header or :authority (default: the URL's authority, or the server name)
    #[arg(long)]
    pub host: Option<String>,

    /// Further request header, 'Name: value' (repeatable)
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<String>,

    /// Expected end of an operation. `refused`: the server asks for a certificate and then refuses the client
    /// by a TLS alert or by closing before any response (mode handshake)
    #[arg(long, value_enum, default_value_t = Expect::Ok)]
    pub expect: Expect,

    /// With --expect refused: a response with this status is a refusal, too (repeatable; nginx answers 400)
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(400..600))]
    pub refusal_status: Vec<u16>,

    /// TLS version (default: 1.3 or 1.2 as the server chooses)
    #[arg(long, value_enum)]
    pub tls: Option<Tls>,

    /// Key exchange group (default: offers X25519MLKEM768, X25519, secp256r1, secp384r1 in that order). Under
    /// TLS 1.2 servers may refuse a group list without the curve of their certificate
    #[arg(long, value_enum)]
    pub group: Option<Group>,

    /// Bulk cipher (default: offers AES-256-GCM, AES-128-GCM, ChaCha20-Poly1305 in that order)
    #[arg(long, value_enum)]
    pub cipher: Option<Cipher>,

    /// Time limit of one operation, from its actual start, whatever it takes: also for requests that are sent
    /// again [default: 10s]
    #[arg(long, value_parser = parse_duration)]
    pub timeout: Option<Duration>,

    /// Wait at the end of the run for operations in flight, at most so long. Those that end then count, and
    /// the window ends with the last of them. Without it they are told as in flight
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub wait: Option<Duration>,

    /// Limit that the run has to keep, else the exit code is 3 (repeatable): 'p99 < 20ms', 'first_byte.p50 <
    /// 5ms', 'failed < 0.1%', 'not_started <= 0', 'rate > 1000'. One about failures decides in place of the
    /// rule that there be none
    #[arg(long, value_name = "THRESHOLD", value_parser = Threshold::parse)]
    pub threshold: Vec<Threshold>,

    /// Cores to run on, one pinned thread each: a number (that many of the allowed ones, the highest first)
    /// or a list such as 0,3 or 2-3 (one core by its number: 3-3)
    #[arg(long, default_value = "1", value_name = "N|LIST")]
    pub cores: String,

    /// Way to wait for sockets: `auto` is io_uring where the kernel allows it
    #[arg(long, value_enum, default_value_t = Driver::Auto)]
    pub driver: Driver,

    /// Measure the CPU time and memory of this process and its descendants (repeatable)
    #[arg(long, value_name = "PID")]
    pub server_pid: Vec<u32>,

    /// Version of the server, for the report [default: its Server field]
    #[arg(long, value_name = "TEXT")]
    pub server_version: Option<String>,

    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the report as one HTML page that needs nothing else to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// No line each second, only the report
    #[arg(long)]
    pub quiet: bool,
}

/// Commands beside that of a run.
#[derive(Subcommand, Debug)]
pub enum Command {
    Pki(PkiOptions),

    /// Makes a page from JSON reports of earlier runs: one run in full, several beside each other
    Report {
        /// JSON reports, in the order of their columns; the others are compared with the first
        #[arg(required = true, num_args = 1..=12, value_name = "REPORT.json")]
        reports: Vec<PathBuf>,

        /// File to write the page to
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
    },
}

/// Kind of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// New TCP connection, full handshake, one request with `Connection: close`, up to the end of its
    /// response. Then the client waits for the server to close, a second at most, which is recorded apart
    Handshake,
    /// The same, but the handshake resumes a session of an earlier connection; full handshakes do not count
    Resume,
    /// An HTTP/1.1 request on a connection that stays open
    Keepalive,
    /// An HTTP/2 request, --streams at a time on a connection that stays open
    H2,
}

/// Kind of operations of a run: all the same work, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Handshake,
    Resume,
    Keepalive,
    H2,
    Mix,
}

impl Mode {
    /// `true`: each operation connects anew, and its set-up is part of its latency.
    pub fn opens_a_connection_per_operation(self) -> bool {
        matches!(self, Mode::Handshake | Mode::Resume)
    }

    /// The word for this mode on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Handshake => "handshake",
            Mode::Resume => "resume",
            Mode::Keepalive => "keepalive",
            Mode::H2 => "h2",
            Mode::Mix => "mix",
        }
    }
}

impl From<Work> for Mode {
    fn from(work: Work) -> Self {
        match work {
            Work::Handshake => Mode::Handshake,
            Work::Resume => Mode::Resume,
            Work::Keepalive => Mode::Keepalive,
            Work::H2 => Mode::H2,
        }
    }
}

/// The expected end of an operation: a good response, or the server's refusal of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    Ok,
    Refused,
}

/// The way to wait for sockets: io_uring where the kernel allows it, or epoll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    Auto,
    Epoll,
}

/// A version of TLS, as options, scenarios and reports write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Tls {
    #[value(name = "1.2")]
    #[serde(rename = "1.2")]
    V12,
    #[value(name = "1.3")]
    #[serde(rename = "1.3")]
    V13,
}

/// A key exchange group, as options, scenarios and reports write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Group {
    X25519,
    X25519Mlkem768,
    Secp256r1,
    Secp384r1,
}

/// A bulk cipher of AEAD suites, as options, scenarios and reports write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Cipher {
    Aes128,
    Aes256,
    Chacha20,
}

/// `500ms`, `10s`, `1.5s`, `2m`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
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
        Ok(rate) if (0.001..=RATE_MAX).contains(&rate) => Ok(rate),
        _ => Err("write operations per second, at least 0.001".to_owned()),
    }
}

/// The longest time that an option or a scenario may name.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// The highest rate of an open loop, in operations per second.
pub const RATE_MAX: f64 = 1e8;
/// Options that a scenario has keys of its own for, by phase or by entry of its mix.
const SAID_BY_A_SCENARIO: [&str; 21] = [
    "mode",
    "cert",
    "key",
    "bundle",
    "connections",
    "streams",
    "duration",
    "warm_up",
    "rate",
    "requests",
    "path",
    "method",
    "host",
    "header",
    "expect",
    "refusal_status",
    "body_file",
    "body_bytes",
    "content_type",
    "chunked",
    "expect_status",
];

#[cfg(test)]
mod tests {
    use super::*;

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
