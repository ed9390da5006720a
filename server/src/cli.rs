//! The command line: what is asked for, and which exit code answers.
//!
//! 0: done. 1: it failed while running. 2: the configuration or the command line is wrong.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::app::{self, AppError};

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
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    init_tracing();
    let result = match arguments.command {
        Command::Serve { config } => app::serve(&config),
        Command::Check { config } => app::check(&config).map(|summary| println!("{summary}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error {
                AppError::Config(_) => 2,
                AppError::Setup(_) | AppError::Core(_) | AppError::Flush(_) => 1,
            })
        }
    }
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
