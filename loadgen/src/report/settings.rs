//! The options as they took effect, for the reader of the JSON file who wants to repeat the run.

use serde::Serialize;

use super::command_line::{command_line, without_secret};
use crate::options::{Cipher, Expect, Group, Mode, Options, Tls};
use crate::plan::Plan;

#[derive(Debug, Serialize)]
pub struct Settings {
    pub command_line: String,
    pub mode: Mode,
    pub loop_kind: &'static str,
    pub rate: Option<f64>,
    pub address: String,
    pub server_name: String,
    pub host: String,
    pub path: String,
    pub method: String,
    pub headers: Vec<String>,
    pub connections: usize,
    pub streams: usize,
    pub identities: usize,
    pub server_verified: bool,
    pub warm_up_s: f64,
    pub duration_s: Option<f64>,
    pub requests: Option<u64>,
    pub timeout_s: f64,
    pub expect: Expect,
    pub refusal_status: Vec<u16>,
    pub tls: Option<Tls>,
    pub group: Option<Group>,
    pub cipher: Option<Cipher>,
    pub cores: Vec<usize>,
    pub server_pids: Vec<u32>,
    pub files: Files,
}

#[derive(Debug, Serialize)]
pub struct Files {
    pub ca: Vec<String>,
    pub certificates: Vec<String>,
}

impl Settings {
    pub fn of(options: &Options, plan: &Plan, identities: usize, pids: &[u32]) -> Self {
        let paths =
            |paths: &[std::path::PathBuf]| paths.iter().map(|path| path.display().to_string()).collect();
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            without_secret(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        };
        Settings {
            command_line: command_line(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
            mode: plan.mode,
            loop_kind: if plan.rate.is_some() { "open" } else { "closed" },
            rate: plan.rate,
            address: plan.address.to_string(),
            server_name: plan.server_name.to_str().into_owned(),
            host: plan.host.clone(),
            path: plan.path.clone(),
            method: plan.method.to_string(),
            headers: plan.headers.iter().map(header).collect(),
            connections: plan.connections,
            streams: plan.streams,
            identities,
            server_verified: !options.insecure,
            warm_up_s: plan.warm_up.as_secs_f64(),
            duration_s: plan.duration.map(|duration| duration.as_secs_f64()),
            requests: plan.requests,
            timeout_s: plan.timeout.as_secs_f64(),
            expect: plan.expect,
            refusal_status: plan.refusal_status.clone(),
            tls: options.tls,
            group: options.group,
            cipher: options.cipher,
            cores: plan.cores.clone(),
            server_pids: pids.to_vec(),
            files: Files {
                ca: paths(&options.ca),
                certificates: paths(&options.cert),
            },
        }
    }
}
