//! `bothways connections`: who is connected to a running server now.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::output;
use super::reply;
use crate::app::AppError;
use crate::control_socket::{self, Connection, Connections, ConnectionsWanted, Request};
use crate::snapshot;

#[derive(Args)]
pub(super) struct ConnectionsCommand {
    /// The TOML configuration that the server runs with.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only clients whose certificate has this serial number, in any spelling of hexadecimal.
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// Only clients in whose subject this text stands, in any case.
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Only clients of this IP address.
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// Only connections to this distribution.
    #[arg(long, value_name = "ID")]
    distribution: Option<String>,
    /// Rows at most, the oldest connections first; 1000 if not given, 100000 at most.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Exit code 0: the server has answered, also if nobody is connected; 1: it said no, or a core has not
/// answered.
pub(super) fn run(command: ConnectionsCommand) -> Result<ExitCode, AppError> {
    let socket = snapshot::load_control(&command.config)?.socket;
    let request = Request::Connections(ConnectionsWanted {
        serial_number: command.serial,
        subject: command.subject,
        address: command.address,
        distribution: command.distribution,
        limit: command.limit,
    });
    let reply = control_socket::send(&socket, &request, &[]).map_err(reply::unreachable)?;
    let Some(connections) = reply.open.as_ref().filter(|_| reply.ok && !command.json) else {
        return reply::print_reply(&reply, command.json, None);
    };
    output::print(&table(connections))?;
    output::say(&summary(connections));
    Ok(ExitCode::from(u8::from(connections.cores_missing > 0)))
}

fn table(open: &Connections) -> String {
    let mut text = String::new();
    for connection in &open.connections {
        let _writing_to_a_string = writeln!(text, "{}", line(connection));
    }
    text
}

/// Fields divided by tabs: sort, cut and awk take them as they are. No text of a client can hold one, or end
/// the line.
fn line(connection: &Connection) -> String {
    let client = match connection.client_ip.contains(':') {
        true => format!("[{}]:{}", connection.client_ip, connection.client_port),
        false => format!("{}:{}", connection.client_ip, connection.client_port),
    };
    let or_none = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), shown);
    let fields = [
        connection.connection_id.clone(),
        client,
        connection.since.clone(),
        connection.distribution_id.clone(),
        connection.http_version.clone(),
        connection.requests.to_string(),
        or_none(&connection.client_leaf_cert_serial_number),
        or_none(&connection.client_leaf_cert_subject),
    ];
    match &connection.closing {
        Some(why) => format!("{}\tclosing: {}", fields.join("\t"), shown(why)),
        None => fields.join("\t"),
    }
}

fn shown(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

fn summary(open: &Connections) -> String {
    let rows = open.connections.len() as u64;
    let mut text = format!("{} open", open.matched);
    if rows < open.matched {
        let _writing_to_a_string = write!(text, ", the oldest {rows} shown; --limit shows more");
    }
    if open.handshakes > 0 {
        let _writing_to_a_string = write!(text, ", {} in their handshake", open.handshakes);
    }
    if open.cores_missing > 0 {
        let _writing_to_a_string = write!(
            text,
            "; {} cores have not answered, what they hold is missing",
            open.cores_missing
        );
    }
    text + "\n"
}
