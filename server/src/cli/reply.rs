//! The reply of a running server, as a command tells it.

use std::path::Path;
use std::process::ExitCode;

use super::output;
use crate::app::AppError;
use crate::control_socket::{ClientError, RefusalCode, Reply};

/// Error of a command that no server has answered. Exit code 2: as with a configuration that cannot be used,
/// nothing has been asked of anybody.
pub(super) fn unreachable(error: ClientError) -> AppError {
    match error {
        ClientError::NoServer { .. } => AppError::Config(error.to_string()),
        ClientError::NoReply(_) => AppError::Setup(error.to_string()),
    }
}

/// Prints the reply to a command whose only answer is that it was done, or to a command that was refused.
/// `file` is what the command was about.
pub(super) fn print_reply(reply: &Reply, json: bool, file: Option<&Path>) -> Result<ExitCode, AppError> {
    if json {
        print_json(reply)?;
    } else if reply.ok {
        output::print(&format!("{}\n", reply.message.as_deref().unwrap_or("done")))?;
    }
    if !reply.ok {
        output::say(&format!("error: {}\n", named(reply, file)));
    }
    Ok(ExitCode::from(u8::from(!reply.ok)))
}

pub(super) fn print_json(reply: &Reply) -> Result<(), AppError> {
    let text = serde_json::to_string(reply).unwrap_or_default();
    output::print(&format!("{text}\n"))
}

/// Message of a refusal. Where an import was at fault, its file is named.
fn named(reply: &Reply, file: Option<&Path>) -> String {
    let message = reply.message.as_deref().unwrap_or("the server said no");
    match (file, reply.error) {
        (Some(file), Some(RefusalCode::InvalidData)) => format!("{}: {message}", file.display()),
        _ => message.to_owned(),
    }
}
