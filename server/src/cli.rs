//! The command line: what is asked for, and which exit code answers.
//!
//! 0: done, or the client would be admitted. 1: it failed while running, or the client would be refused. 2: the configuration or the
//! command line is wrong.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use rustls_pki_types::UnixTime;
use tracing_subscriber::EnvFilter;

use crate::app::{self, AppError};
use crate::trust::parse_rfc3339;

/// An edge server that authenticates every client by certificate.
#[derive(Parser)]
#[command(name = "bothways", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM. SIGHUP reloads the configuration and all that it names.
    Serve {
        /// The TOML configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check the configuration and every file that it names; open no socket.
    Check {
        /// The TOML configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
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
        /// What the client presents: PEM, its own certificate first.
        #[arg(value_name = "CERT.pem")]
        chain: PathBuf,
    },
    /// Try out a function before it goes live.
    #[command(subcommand)]
    Function(FunctionCommand),
}

#[derive(Subcommand)]
enum FunctionCommand {
    /// Call a function once, from its file. Exit code 0: it allows, 1: it denies or fails.
    #[command(group(clap::ArgGroup::new("what").required(true).args(["event", "cert"])))]
    Test {
        /// The JavaScript file.
        #[arg(long, value_name = "FILE")]
        code: PathBuf,
        /// The key-value store that the function sees: an import file.
        #[arg(long, value_name = "FILE")]
        kvs: Option<PathBuf>,
        /// The object that the function is called with: a JSON file.
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
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    init_tracing();
    let result = match arguments.command {
        Command::Serve { config } => app::serve(&config).map(|()| ExitCode::SUCCESS),
        Command::Check { config } => app::check(&config).map(|summary| {
            println!("{summary}");
            ExitCode::SUCCESS
        }),
        Command::Explain {
            config,
            distribution,
            json,
            at,
            chain,
        } => {
            let question = app::Question {
                config,
                distribution,
                chain,
                at: at.unwrap_or_else(UnixTime::now),
            };
            app::explain(&question).map(|explanation| print(&explanation, json))
        }
        Command::Function(command) => function(command),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error {
                AppError::Config(_) => 2,
                AppError::Setup(_) | AppError::Core(_) | AppError::Flush(_) => 1,
            })
        }
    }
}

fn print(explanation: &app::Explanation, json: bool) -> ExitCode {
    match json {
        true => println!("{}", explanation.json()),
        false => print!("{explanation}"),
    }
    ExitCode::from(u8::from(!explanation.is_admitted()))
}

fn function(command: FunctionCommand) -> Result<ExitCode, AppError> {
    let FunctionCommand::Test {
        code,
        kvs,
        event,
        cert,
        client_ip,
        at,
        json,
    } = command;
    let event = match (event, cert) {
        (Some(file), _) => app::TrialEvent::Json(file),
        (None, chain) => app::TrialEvent::Certificate {
            chain: chain.unwrap_or_default(),
            client_ip,
        },
    };
    let trial = app::Trial {
        code,
        key_value_store: kvs,
        event,
        at: at.map_or_else(SystemTime::now, |at| {
            UNIX_EPOCH + Duration::from_secs(at.as_secs())
        }),
    };
    let result = app::function_test(&trial)?;
    match json {
        true => println!("{}", result.json()),
        false => print!("{result}"),
    }
    Ok(ExitCode::from(u8::from(!result.is_allowed())))
}

fn moment(text: &str) -> Result<UnixTime, String> {
    parse_rfc3339(text).ok_or_else(|| "write it as in 2026-11-20T00:00:00Z".to_owned())
}

/// Operator messages: standard error, one line each, `RUST_LOG` to choose (default: info).
fn init_tracing() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
