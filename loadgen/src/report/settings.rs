//! The options as they took effect, for the reader of the JSON file who wants to repeat the run.

use serde::Serialize;

use super::command_line::{command_line, without_secret};
use crate::options::{Cipher, Expect, Group, Mode, Tls};
use crate::plan::target::Tried;
use crate::plan::{Entry, Plan};

/// The settings of a run. Those of a scenario that differ between entries are those of its first entry.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub command_line: String,
    /// The file that says more than can be said here.
    pub scenario: Option<String>,
    pub mode: Mode,
    pub loop_kind: &'static str,
    pub rate: Option<f64>,
    pub address: String,
    /// Addresses of its name that were tried before the run, where it has several.
    pub addresses_tried: Vec<String>,
    pub server_name: String,
    /// Version as the user told it, or as the server says itself.
    pub server_version: Option<String>,
    pub host: String,
    pub path: String,
    pub method: String,
    pub headers: Vec<String>,
    pub body_bytes: Option<u64>,
    pub chunked: bool,
    pub expect_status: Vec<u16>,
    pub connections: usize,
    pub streams: usize,
    pub identities: usize,
    pub server_verified: bool,
    pub warm_up_s: f64,
    pub duration_s: Option<f64>,
    pub requests: Option<u64>,
    pub timeout_s: f64,
    pub wait_s: Option<f64>,
    pub expect: Expect,
    pub refusal_status: Vec<u16>,
    pub tls: Option<Tls>,
    pub group: Option<Group>,
    pub cipher: Option<Cipher>,
    pub cores: Vec<usize>,
    pub server_pids: Vec<u32>,
    pub files: Files,
}

/// Paths of the files that were read, as they were given.
#[derive(Debug, Serialize)]
pub struct Files {
    pub ca: Vec<String>,
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
            mode: plan.mode,
            loop_kind: plan.loop_kind(),
            rate: plan.rate,
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
            streams: plan.streams,
            identities,
            server_verified: !plan.trust.insecure,
            warm_up_s: plan.warm_up.as_secs_f64(),
            duration_s: plan.duration.map(|duration| duration.as_secs_f64()),
            requests: plan.requests,
            timeout_s: plan.timeout.as_secs_f64(),
            wait_s: plan.wait.map(|wait| wait.as_secs_f64()),
            expect: plan.expect,
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
