//! The command line: what is asked for, and which exit code answers.
//!
//! 0: done, or the client would be admitted. 1: it failed while running, or the client would be refused, or
//! the running server said no. 2: the configuration or the command line is wrong (whoever found it: a reload
//! that the server refuses, too), or no server runs.

mod chain;
mod check;
mod connections;
mod explain;
mod function;
mod kvs;
mod moment;
mod output;
mod panics;
mod reload;
mod reply;
mod serial_key;
mod service_user;
mod trial;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustls_pki_types::UnixTime;
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

use self::moment::moment;
use crate::app::{self, AppError};
use crate::logs::Messages;
use crate::metrics::build;

/// An edge server that authenticates every client by certificate.
#[derive(Parser)]
#[command(name = "bothways", version, long_version = build::LONG, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM. SIGHUP reloads the configuration and all that it names, SIGUSR1 opens the
    /// connection log anew.
    Serve {
        /// The TOML configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check the configuration and every file and folder that it names; open no socket.
    Check {
        /// The TOML configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The user that the server will run as (for root): whether that user may read the files, and write
        /// where a server does.
        #[arg(long, value_name = "NAME|UID:GID,…")]
        as_user: Option<String>,
    },
    /// Tell step by step what would be decided about a client certificate. Exit code 0: admitted, 1: refused.
    Explain {
        /// The TOML configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The id of the distribution that the client would connect to.
        #[arg(long, value_name = "ID")]
        distribution: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The moment of the decision, such as 2026-11-20T00:00:00Z. Default: now.
        #[arg(long, value_name = "RFC3339", value_parser = moment)]
        at: Option<UnixTime>,
        /// The address that the client comes from, for the connection function.
        #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
        client_ip: IpAddr,
        /// The name in its ClientHello, for the connection function. Default: the distribution's first name
        /// that is no wildcard.
        #[arg(long, value_name = "NAME")]
        sni: Option<String>,
        #[arg(
            value_name = "CERT.pem",
            help = "What the client presents: PEM, its own certificate first"
        )]
        chain: PathBuf,
    },
    /// Make a running server read its configuration and all that it names again. Exit code 0: published, 2:
    /// refused or no server, 1: late.
    Reload(reload::ReloadCommand),
    /// Act on the logs of a running server.
    #[command(subcommand)]
    Logs(reload::LogsCommand),
    /// Read and write the key-value stores of a running server. Exit code 0: done, 1: the server said no, 2:
    /// there is none.
    #[command(subcommand)]
    Kvs(kvs::KvsCommand),
    /// List the clients that are connected to a running server: id, address, since when, distribution,
    /// protocol, requests, serial number and subject, divided by tabs.
    Connections(connections::ConnectionsCommand),
    /// Try functions out, and publish them on a running server.
    #[command(subcommand)]
    Function(function::FunctionCommand),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Before anything else is read: a SIGHUP that comes meanwhile would end the process. Commands that do not
    // serve end by it, as they should.
    let signals = asks_to_serve(std::env::args_os()).then(app::signals);
    match Arguments::parse().command {
        Command::Serve { config } => serve(&config, signals),
        command => {
            subscriber().with_writer(std::io::stderr).init();
            run(command).unwrap_or_else(|error| {
                output::say(&format!("error: {error}\n"));
                exit_code(&error)
            })
        }
    }
}

/// Judges by the first argument alone: no option stands before a command.
fn asks_to_serve(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.nth(1).is_some_and(|command| command == "serve")
}

/// Serves until told to stop. Nothing may wait for standard error any more, nor fail because of it.
fn serve(config: &Path, signals: Option<Result<Signals, AppError>>) -> ExitCode {
    let (messages, unwritten) = Messages::new();
    subscriber().with_writer(messages.clone()).init();
    panics::tell();
    if let Err(error) = unwritten.write_to_stderr() {
        output::say(&format!(
            "error: cannot start the thread of the messages: {error}\n"
        ));
        return ExitCode::FAILURE;
    }
    let signals = signals.unwrap_or_else(app::signals);
    let ended = signals.and_then(|signals| app::serve(config, &messages, signals));
    if let Err(error) = &ended {
        messages.push(format!("error: {error}").as_bytes());
    }
    let _whoever_does_not_read_loses_the_end = messages.flush(app::MESSAGES_FLUSH_TIME);
    ended.map_or_else(|error| exit_code(&error), |()| ExitCode::SUCCESS)
}

fn run(command: Command) -> Result<ExitCode, AppError> {
    match command {
        Command::Serve { config } => Ok(serve(&config, None)),
        Command::Check { config, as_user } => {
            let summary = check::check(&config, as_user.as_deref())?;
            output::print(&format!("{summary}\n"))?;
            if as_user.is_none() && service_user::is_root() {
                output::say(CHECKED_AS_ROOT);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain {
            config,
            distribution,
            json,
            at,
            client_ip,
            sni,
            chain,
        } => {
            let question = explain::Question {
                config,
                distribution,
                chain,
                at: at.unwrap_or_else(UnixTime::now),
                circumstances: explain::Circumstances { client_ip, sni },
            };
            print(&explain::explain(&question)?, json)
        }
        Command::Reload(command) => reload::reload(&command),
        Command::Logs(command) => reload::logs(command),
        Command::Kvs(command) => kvs::run(command),
        Command::Connections(command) => connections::run(command),
        Command::Function(command) => function::run(command),
    }
}

fn exit_code(error: &AppError) -> ExitCode {
    ExitCode::from(match error {
        AppError::Config(_) => 2,
        AppError::Setup(_) | AppError::Core(_) | AppError::Flush(_) => 1,
    })
}

fn print(explanation: &explain::Explanation, json: bool) -> Result<ExitCode, AppError> {
    output::print(&match json {
        true => format!("{}\n", explanation.json()),
        false => explanation.to_string(),
    })?;
    Ok(ExitCode::from(u8::from(!explanation.is_admitted())))
}

/// The operator's messages: one line each, `RUST_LOG` to choose (default: info). A writer that fails is
/// nobody's to complain about: the complaint would go the same way.
fn subscriber() -> SubscriberBuilder<DefaultFields, Format, EnvFilter> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .log_internal_errors(false)
}

const CHECKED_AS_ROOT: &str = "note: checked as root, who may read everything; --as-user NAME asks for the \
                               service's user\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_catches_signals_before_it_reads_its_arguments() {
        let asks = |line: &str| asks_to_serve(line.split(' ').map(OsString::from));
        assert!(asks("bothways serve --config edge.toml"));
        for line in [
            "bothways check --config serve",
            "bothways",
            "bothways --help serve",
            "serve",
        ] {
            assert!(!asks(line), "{line}");
        }
    }
}
