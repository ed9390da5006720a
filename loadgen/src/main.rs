//! loadgen: a load generator for servers that authenticate clients by certificate.
//!
//! `options`, `scenario` → `plan`, `identity` → `run` (one pinned thread per core: `runtime`, `load`, `wire`)
//! → `report`. It knows nothing of the server it loads but HTTP and TLS, and shares no code with one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod cpu;
mod failure;
mod identity;
mod kernel;
mod load;
mod options;
mod pem;
mod pki;
mod plan;
mod report;
mod run;
mod runtime;
mod scenario;
mod schedule;
mod session;
mod sys;
mod verdict;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::cpu::Server;
use crate::identity::Identities;
use crate::options::{Command, Options};
use crate::plan::{Plan, UsageError};
use crate::report::Summary;
use crate::report::document::Document;
use crate::report::file::Place;
use crate::report::html;
use crate::report::live::Live;
use crate::report::table;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    sys::raise_descriptor_limit();
    let ended = match &options.command {
        Some(Command::Pki(pki)) => pki::run(pki).map(|()| ExitCode::SUCCESS),
        Some(Command::Report { reports, html }) => write_page(reports, html).map(|()| ExitCode::SUCCESS),
        None => prepare(&options).map(|prepared| load(&options, prepared)),
    };
    ended.unwrap_or_else(|UsageError(message)| {
        eprintln!("error: {message}");
        ExitCode::from(EXIT_USAGE)
    })
}

/// `loadgen report`: the page of earlier runs.
fn write_page(reports: &[PathBuf], html: &Path) -> Result<(), UsageError> {
    let read = |path: &PathBuf| Ok((path.display().to_string(), Document::read(path)?));
    let mut documents = reports
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, String>>()
        .map_err(UsageError)?;
    let page = match documents.pop() {
        Some((_, only)) if documents.is_empty() => html::page(only),
        last => {
            documents.extend(last);
            html::comparison(documents)
        }
    };
    let written = Place::try_out(html).and_then(|place| place.write(page.as_bytes()));
    written.map_err(|error| UsageError(format!("--html {}: {error}", html.display())))
}

struct Prepared {
    plan: Arc<Plan>,
    identities: Arc<Identities>,
    server: Option<Server>,
    json: Option<Place>,
    html: Option<Place>,
}

/// Everything that can be wrong with the options and files is found here, before the first connection.
fn prepare(options: &Options) -> Result<Prepared, UsageError> {
    let allowed = allowed_cores()?;
    let mut plan = match &options.scenario {
        Some(file) => scenario::load(file, options, &allowed)?,
        None => Plan::new(options, &allowed)?,
    };
    plan.choose_address();
    let plan = Arc::new(plan);
    let identities = Arc::new(Identities::load(&plan)?);
    let server = match options.server_pid.as_slice() {
        [] => None,
        pids => Some(Server::find(pids).map_err(UsageError)?),
    };
    let json = options.json.as_deref().map(|path| place("--json", path));
    let html = options.html.as_deref().map(|path| place("--html", path));
    Ok(Prepared {
        plan,
        identities,
        server,
        json: json.transpose()?,
        html: html.transpose()?,
    })
}

fn load(options: &Options, prepared: Prepared) -> ExitCode {
    let Prepared {
        plan,
        identities,
        server,
        json,
        html,
    } = prepared;
    let live = Live::new(plan.cores.len(), plan.warm_up(), plan.duration(), options.quiet);
    let pids = server
        .as_ref()
        .map(|server| server.pids().to_vec())
        .unwrap_or_default();
    let count = identities.count();
    let outcome = match run::run(&plan, identities, server, live) {
        Ok(outcome) => outcome,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::FAILURE;
        }
    };
    let summary = Summary::new(&plan, count, &pids, outcome);
    print!("{}", table::render(&summary));
    if let Err(message) = write_files(&summary, json, html) {
        eprintln!("error: {message}");
        return ExitCode::FAILURE;
    }
    ExitCode::from(summary.verdict.exit_code)
}

fn write_files(summary: &Summary, json: Option<Place>, html: Option<Place>) -> Result<(), String> {
    if let Some(place) = json {
        let text = serde_json::to_vec_pretty(summary).map_err(|error| format!("--json: {error}"))?;
        place.write(&text).map_err(|error| format!("--json: {error}"))?;
    }
    if let Some(place) = html {
        let page = html::page(Document::of(summary)?);
        place
            .write(page.as_bytes())
            .map_err(|error| format!("--html: {error}"))?;
    }
    Ok(())
}

fn place(option: &str, path: &Path) -> Result<Place, UsageError> {
    Place::try_out(path).map_err(|error| UsageError(format!("{option} {}: {error}", path.display())))
}

/// The cores that this process may use (`taskset`, cgroups).
fn allowed_cores() -> Result<Vec<usize>, UsageError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(plan::cores::parse_list)
        .filter(|cores| !cores.is_empty())
        .ok_or_else(|| {
            UsageError(
                "/proc/self/status does not tell which cores may be used; is /proc mounted?".to_owned(),
            )
        })
}

const EXIT_USAGE: u8 = 2;
