//! The command line: what is asked for, and which exit code answers.
//!
//! 0: done, or the client would be admitted. 1: it failed while running, or the client would be refused. 2: the configuration or the
//! command line is wrong.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

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
