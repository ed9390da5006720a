//! `bothways reload` and `bothways logs reopen`: what signals ask for as well, with an answer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};

use super::output;
use super::reply;
use crate::app::AppError;
use crate::control_socket::{self, RefusalCode, Request};
use crate::snapshot;

#[derive(Args)]
pub(super) struct ReloadCommand {
    /// The TOML configuration that the server runs with.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Seconds to wait for the end of the reload, which goes on after that.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds())]
    timeout: u64,
    /// Print the server's reply as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
pub(super) enum LogsCommand {
    /// Make a running server open its connection log anew, after rotation renamed it. Nothing else is read
    /// again.
    Reopen {
        /// The TOML configuration that the server runs with.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print the server's reply as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Exit code 0: published; 2: refused, as `check` would, or no server runs; 1: it has not ended in time.
pub(super) fn reload(command: &ReloadCommand) -> Result<ExitCode, AppError> {
    let socket = snapshot::load_control(&command.config)?.socket;
    let timeout = Duration::from_secs(command.timeout);
    let request = Request::Reload {
        timeout_ms: command.timeout * 1_000,
    };
    let reply = control_socket::send_within(&socket, &request, b"", timeout + ANSWER_TIME);
    let reply = reply.map_err(reply::unreachable)?;
    if reply.error != Some(RefusalCode::ReloadRefused) {
        return reply::print_reply(&reply, command.json, None);
    }
    if command.json {
        reply::print_json(&reply)?;
    }
    let why = reply.message.as_deref().unwrap_or("the server does not say why");
    output::say(&format!("error: reload refused, the old snapshot stays: {why}\n"));
    Ok(ExitCode::from(2))
}

/// Exit code 0: done; 1: the log cannot be opened; 2: no server runs.
pub(super) fn logs(command: LogsCommand) -> Result<ExitCode, AppError> {
    let LogsCommand::Reopen { config, json } = command;
    let socket = snapshot::load_control(&config)?.socket;
    let reply = control_socket::send(&socket, &Request::ReopenLogs, b"").map_err(reply::unreachable)?;
    reply::print_reply(&reply, json, None)
}

fn seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=3_600)
}

/// Time for the server to say that time is over.
const ANSWER_TIME: Duration = Duration::from_secs(10);
