//! `bothways function …`: to try a function out from its file, and to make it the live one of a running
//! server, through its control socket.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Args, Subcommand};
use rustls_pki_types::UnixTime;

use super::moment::moment;
use super::output;
use super::reply;
use super::trial::{self, Trial, TrialEvent};
use crate::app::AppError;
use crate::control_socket::{self, Request};
use crate::snapshot;

#[derive(Subcommand)]
pub(super) enum FunctionCommand {
    /// Call a function once, from its file. Exit code 0: it allows, or returned what can be sent, 1: it
    /// denies or fails.
    Test(TestArguments),
    /// Make the code that a function's file holds now its live version, without a reload and without touching
    /// a connection.
    Publish {
        /// The TOML configuration that the server runs with.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print the server's reply as JSON.
        #[arg(long)]
        json: bool,
        /// The name of the function.
        name: String,
    },
}

#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["event", "cert"])))]
pub(super) struct TestArguments {
    /// The JavaScript file.
    #[arg(long, value_name = "FILE")]
    code: PathBuf,
    /// The key-value store that the function sees: an import file.
    #[arg(long, value_name = "FILE")]
    kvs: Option<PathBuf>,
    /// The object that the function is called with: a JSON file. One with `request` is for viewer functions.
    #[arg(long, value_name = "EVENT.json")]
    event: Option<PathBuf>,
    /// Instead: a client that presents this PEM file, its own certificate first.
    #[arg(long, value_name = "CERT.pem")]
    cert: Option<PathBuf>,
    /// ... and comes from this address.
    #[arg(
        long,
        value_name = "IP",
        default_value = "127.0.0.1",
        conflicts_with = "event"
    )]
    client_ip: IpAddr,
    /// The moment that the function is told, such as 2026-11-20T00:00:00Z. Default: now.
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    at: Option<UnixTime>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Exit code 0: done, or the trial was good, 1: the server said no, or the trial was not.
pub(super) fn run(command: FunctionCommand) -> Result<ExitCode, AppError> {
    match command {
        FunctionCommand::Test(arguments) => test(arguments),
        FunctionCommand::Publish { config, json, name } => {
            let socket = snapshot::load_control(&config)?.socket;
            let reply = control_socket::send(&socket, &Request::PublishFunction { name }, b"");
            reply::print_reply(&reply.map_err(reply::unreachable)?, json, None)
        }
    }
}

fn test(arguments: TestArguments) -> Result<ExitCode, AppError> {
    let event = match (arguments.event, arguments.cert) {
        (Some(file), _) => TrialEvent::Json(file),
        (None, chain) => TrialEvent::Certificate {
            chain: chain.unwrap_or_default(),
            client_ip: arguments.client_ip,
        },
    };
    let at = arguments
        .at
        .map(|at| UNIX_EPOCH + Duration::from_secs(at.as_secs()));
    let result = trial::function_test(&Trial {
        code: arguments.code,
        key_value_store: arguments.kvs,
        event,
        at: at.unwrap_or_else(SystemTime::now),
    })?;
    output::print(&match arguments.json {
        true => format!("{}\n", result.json()),
        false => result.to_string(),
    })?;
    Ok(ExitCode::from(u8::from(!result.is_good())))
}
