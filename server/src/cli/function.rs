//! `bothways function …`: the functions of a running server, through its control socket.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::app::AppError;
use crate::config;
use crate::control_socket::{self, Request};

#[derive(Subcommand)]
pub(super) enum FunctionCommand {
    /// Make the code that a function's file holds now its live version, without a reload and without touching a connection.
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

/// Exit code 0: done, 1: the server said no.
pub(super) fn run(command: FunctionCommand) -> Result<ExitCode, AppError> {
    match command {
        FunctionCommand::Publish { config, json, name } => {
            let config = config::load(&config)?;
            let socket = super::control_socket(&config)?;
            let reply = control_socket::send(&socket, &Request::PublishFunction { name }, b"");
            Ok(super::print_reply(
                &reply.map_err(super::unreachable)?,
                json,
                None,
            ))
        }
    }
}
