//! The options as they took effect, for the reader of the JSON file who wants to repeat the run.

use serde::Serialize;

use super::command_line::{command_line, without_secret};
use crate::options::{Cipher, Expect, Group, Mode, Tls};
use crate::plan::target::Tried;
use crate::plan::{Entry, Plan};

/// The settings of a run. Those of a scenario that differ between entries are those of its first entry.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// The command that was given, quoted for a shell, without values that let others in.
    pub command_line: String,
    /// The file that says more than can be said here.
    pub scenario: Option<String>,
    /// Kind of operations, `mix` where there are several.
    pub mode: Mode,
    /// `open`, `closed`, or `open and closed`.
    pub loop_kind: &'static str,
    /// Mean rate in operations per second, where all measured load is an open loop.
    pub rate: Option<f64>,
    /// Address that was loaded, `IP:PORT`.
    pub address: String,
    /// Addresses of its name that were tried before the run, where it has several.
    pub addresses_tried: Vec<String>,
    /// Name that was sent as SNI and verified.
    pub server_name: String,
    /// Version as the user told it, or as the server says itself.
    pub server_version: Option<String>,
    /// Host header, or `:authority` in h2.
    pub host: String,
    /// Path and query.
    pub path: String,
    pub method: String,
    /// Further request headers, `Name: value`; values that let others in are left out.
    pub headers: Vec<String>,
    /// Length of the request's body; `None`: it had none.
    pub body_bytes: Option<u64>,
    /// Body sent in chunks (HTTP/1.1).
    pub chunked: bool,
    /// Statuses that an answer may have; empty: all below 400.
    pub expect_status: Vec<u16>,
    /// Connections kept busy at the same time; of a scenario, its clients at the most.
    pub connections: usize,
    /// Concurrent requests per connection.
    pub streams: usize,
    /// Different client certificates that were used in turn.
    pub identities: usize,
    /// `false`: any server certificate was accepted (`--insecure`).
    pub server_verified: bool,
    /// Seconds before the window.
    pub warm_up_s: f64,
    /// Planned length of the window in seconds; `None`: until `requests` operations were done.
    pub duration_s: Option<f64>,
    /// Operations after which the run was to end.
    pub requests: Option<u64>,
    /// Time limit of one operation in seconds.
    pub timeout_s: f64,
    /// Longest wait for operations in flight at the end, in seconds; `None`: it did not wait.
    pub wait_s: Option<f64>,
    /// End of an operation that counts as `ok`.
    pub expect: Expect,
    /// Statuses that count as a refusal.
    pub refusal_status: Vec<u16>,
    /// The only version that was offered; `None`: 1.3 and 1.2.
    pub tls: Option<Tls>,
    /// The only group that was offered; `None`: all.
    pub group: Option<Group>,
    /// The only cipher that was offered; `None`: all.
    pub cipher: Option<Cipher>,
    /// Numbers of the cores of the load threads.
    pub cores: Vec<usize>,
    /// Processes that were measured as the server's, descendants included.
    pub server_pids: Vec<u32>,
    pub files: Files,
}

/// Paths of the files that were read, as they were given.
#[derive(Debug, Serialize)]
pub struct Files {
    /// Authorities that vouch for the server.
    pub ca: Vec<String>,
    /// Client certificates and bundles; keys are not told.
    pub certificates: Vec<String>,
}

impl Settings {
    /// `product`: what the server says it is.
    pub fn of(plan: &Plan, identities: usize, pids: &[u32], product: Option<String>) -> Self {
        let paths = |paths: &[std::path::PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.display().to_string()).collect()
        };
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            without_secret(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        };
        let first: &Entry = plan.entries.first().expect("a plan has an entry");
        Settings {
            command_line: command_line(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
            scenario: plan.scenario.as_ref().map(|file| file.display().to_string()),
            mode: plan.mode(),
            loop_kind: plan.loop_kind(),
            rate: plan.rate(),
            address: plan.address.to_string(),
            addresses_tried: plan.tried.iter().map(told).collect(),
            server_name: plan.server_name.to_str().into_owned(),
            server_version: plan.server_version.clone().or(product),
            host: first.host.clone(),
            path: first.path.clone(),
            method: first.method.to_string(),
            headers: first.headers.iter().map(header).collect(),
            body_bytes: first.body.as_ref().map(|body| body.bytes.len() as u64),
            chunked: first.body.as_ref().is_some_and(|body| body.chunked),
            expect_status: first.expect_status.clone(),
            connections: plan.connections,
            streams: plan.streams(),
            identities,
            server_verified: !plan.trust.insecure,
            warm_up_s: plan.warm_up().as_secs_f64(),
            duration_s: plan.duration().map(|duration| duration.as_secs_f64()),
            requests: plan.requests,
            timeout_s: plan.timeout.as_secs_f64(),
            wait_s: plan.wait.map(|wait| wait.as_secs_f64()),
            expect: plan.expect(),
            refusal_status: first.refusal_status.clone(),
            tls: first.tls.tls,
            group: first.tls.group,
            cipher: first.tls.cipher,
            cores: plan.cores.clone(),
            server_pids: pids.to_vec(),
            files: Files {
                ca: paths(&plan.trust.ca),
                certificates: plan.sets.iter().flat_map(|set| paths(&set.files())).collect(),
            },
        }
    }
}

fn told(tried: &Tried) -> String {
    let answer = tried.failure.as_deref().unwrap_or("takes connections");
    format!("{}: {answer}", tried.address)
}
