//! `bothways kvs …`: the key-value stores of a running server, through its control socket.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bothways_state::files::{self, ReadError};
use bothways_state::key_values::ETag;
use clap::{Args, Subcommand};

use super::output::{print, say};
use super::reply;
use super::serial_key;
use crate::app::AppError;
use crate::control_socket::{self, Item, Reply, Request};
use crate::snapshot;

#[derive(Subcommand)]
pub(super) enum KvsCommand {
    /// Print the value of a key.
    Get {
        #[command(flatten)]
        target: Target,
        key: String,
    },
    /// Set a key to a value, whether it is there or not.
    Put {
        #[command(flatten)]
        target: Target,
        key: String,
        #[arg(allow_hyphen_values = true)]
        value: String,
        #[command(flatten)]
        condition: Condition,
    },
    /// Take a key out.
    Delete {
        #[command(flatten)]
        target: Target,
        key: String,
        #[command(flatten)]
        condition: Condition,
    },
    /// Print every key with its value, separated by a tab, control characters escaped.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Replace all that a store holds by what an import file holds: {"data":[{"key":"…","value":"…"}]}.
    Import {
        #[command(flatten)]
        target: Target,
        /// The import file.
        file: PathBuf,
        /// Put the file's entries and keep all others.
        #[arg(long)]
        merge: bool,
        #[command(flatten)]
        condition: Condition,
    },
    /// Print a store's ETag, size and dates.
    Describe {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args)]
pub(super) struct Target {
    /// The TOML configuration that the server runs with.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print the server's reply as JSON.
    #[arg(long)]
    json: bool,
    /// The name of the key-value store.
    store: String,
}

#[derive(Args)]
pub(super) struct Condition {
    /// Write only if the store still is what it was when `describe`, `get`, `list` or a write showed this
    /// ETag. Without it, the write is made to whatever the store holds.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<ETag>,
}

/// Exit code 0: done, 1: the server said no.
pub(super) fn run(command: KvsCommand) -> Result<ExitCode, AppError> {
    let target = command.target();
    let control = snapshot::load_control(&target.config)?;
    let payload = command.payload(control.limits.key_value_store_bytes_max)?;
    let request = command.request(payload.len());
    let reply = control_socket::send(&control.socket, &request, &payload).map_err(reply::unreachable)?;
    if let Some(hint) = command.hint(&payload).filter(|_| reply.ok) {
        say(&hint);
    }
    if target.json || !reply.ok {
        return reply::print_reply(&reply, target.json, command.file());
    }
    command.show(&reply)?;
    Ok(ExitCode::SUCCESS)
}

impl KvsCommand {
    fn target(&self) -> &Target {
        match self {
            Self::Get { target, .. }
            | Self::Put { target, .. }
            | Self::Delete { target, .. }
            | Self::List { target }
            | Self::Import { target, .. }
            | Self::Describe { target } => target,
        }
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::Import { file, .. } => Some(file),
            _ => None,
        }
    }

    /// Hint about keys that were written, if anything is worth telling.
    fn hint(&self, payload: &[u8]) -> Option<String> {
        match self {
            Self::Put { key, .. } => serial_key::hint(key),
            Self::Import { .. } => serial_key::hint_of_import(payload),
            _ => None,
        }
    }

    fn payload(&self, bytes_max: usize) -> Result<Vec<u8>, AppError> {
        let Some(file) = self.file() else {
            return Ok(Vec::new());
        };
        let fault = |fault: String| AppError::Config(format!("{}: {fault}", file.display()));
        let enough = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        files::read_argument(file, enough).map_err(|error| match error {
            ReadError::TooLarge { .. } => fault(format!(
                "{error}; take entries out, or raise limits.key_value_store_bytes"
            )),
            error => fault(format!("cannot be read: {error}")),
        })
    }

    fn request(&self, bytes: usize) -> Request {
        let store = self.target().store.clone();
        let etag = |condition: &Condition| condition.if_match.map(|etag| etag.to_string());
        match self {
            Self::Get { key, .. } => Request::Get {
                store,
                key: key.clone(),
            },
            Self::Put {
                key,
                value,
                condition,
                ..
            } => Request::Put {
                store,
                key: key.clone(),
                value: value.clone(),
                if_match: etag(condition),
            },
            Self::Delete { key, condition, .. } => Request::Delete {
                store,
                key: key.clone(),
                if_match: etag(condition),
            },
            Self::List { .. } => Request::List { store },
            Self::Describe { .. } => Request::Describe { store },
            Self::Import { merge, condition, .. } => Request::Import {
                store,
                bytes,
                merge: *merge,
                if_match: etag(condition),
            },
        }
    }

    /// Writes what was asked for to stdout. With a value or a list, the ETag goes to stderr, so that the
    /// output is the value and no more.
    fn show(&self, reply: &Reply) -> Result<(), AppError> {
        let etag = reply.etag.as_deref().unwrap_or_default();
        match self {
            Self::Get { .. } => {
                print(&format!("{}\n", reply.value.as_deref().unwrap_or_default()))?;
                say(&format!("ETag: {etag}\n"));
                Ok(())
            }
            Self::List { .. } => {
                print(&reply.items.iter().flatten().map(line).collect::<String>())?;
                say(&format!("ETag: {etag}\n"));
                Ok(())
            }
            Self::Describe { .. } => print(&description(reply)),
            Self::Put { .. } | Self::Delete { .. } | Self::Import { .. } => print(&format!("ETag: {etag}\n")),
        }
    }
}

/// Terminals act on control characters, and a line is one entry.
fn line(item: &Item) -> String {
    let escaped = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_control() {
                    c.escape_debug().to_string()
                } else {
                    c.to_string()
                }
            })
            .collect()
    };
    format!("{}\t{}\n", escaped(&item.key), escaped(&item.value))
}

fn description(reply: &Reply) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<usize>| number.unwrap_or_default().to_string();
    let lines = [
        ("Name", text(&reply.name)),
        ("ETag", text(&reply.etag)),
        ("ItemCount", number(reply.item_count)),
        ("TotalSizeInBytes", number(reply.total_size_in_bytes)),
        ("Created", text(&reply.created)),
        ("LastModified", text(&reply.last_modified)),
        ("Import", text(&reply.import)),
    ];
    lines.map(|(name, value)| format!("{name}: {value}\n")).concat()
}
