//! Questions of the control socket: the stores of the snapshot in force, the open connections of all cores.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bothways_state::key_values::Store;
use bothways_trust::format_rfc3339;
use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use rustls_pki_types::UnixTime;

use super::cores::Cores;
use crate::control_socket::{
    self, CommandRefused, Connection, Connections, ConnectionsWanted, ROWS_DEFAULT, ROWS_MAX, RefusalCode,
};
use crate::snapshot::Snapshot;
use crate::worker::{Census, Connected, CoreMessage, Page, Wanted};

/// Source of the answers. Called on the threads of the control socket.
pub(super) struct Questions {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) cores: Cores,
}

impl control_socket::Questions for Questions {
    fn stores(&self) -> Vec<Arc<Store>> {
        self.snapshot.load().key_value_stores.clone()
    }

    fn connections(&self, wanted: &ConnectionsWanted) -> Result<Connections, CommandRefused> {
        gather(&self.cores, wanted)
    }
}

/// Asks every core, and waits for their answers for a bounded time.
fn gather(cores: &Cores, question: &ConnectionsWanted) -> Result<Connections, CommandRefused> {
    let limit = question.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
    let (pages, received) = unbounded();
    let census = Arc::new(Census {
        wanted: wanted(question)?,
        rows_max: limit,
        pages,
    });
    match cores.tell(&CoreMessage::Census(census)) {
        0 => Err(CommandRefused::ending()),
        asked => Ok(put_together(&received, asked, limit)),
    }
}

fn put_together(received: &Receiver<Page>, cores: usize, limit: usize) -> Connections {
    let deadline = Instant::now() + PATIENCE;
    let mut found: Vec<Connected> = Vec::new();
    let mut answer = Connections {
        cores_missing: cores,
        ..Connections::default()
    };
    while answer.cores_missing > 0 {
        match received.recv_deadline(deadline) {
            Ok(page) => {
                answer.cores_missing -= 1;
                answer.matched += page.matched;
                answer.handshakes += page.handshakes;
                found.extend(page.connections);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    found.sort_by_key(|connected| connected.since);
    answer.connections = found.into_iter().take(limit).map(row).collect();
    answer
}

fn wanted(question: &ConnectionsWanted) -> Result<Wanted, CommandRefused> {
    let bad = |what: &str, value: &str, remedy: &str| {
        CommandRefused::new(
            RefusalCode::BadRequest,
            format!("{value:?} is no {what}; {remedy}"),
        )
    };
    let serial_number = question.serial_number.as_deref().map(|text| {
        serial_number(text).ok_or_else(|| {
            bad(
                "serial number",
                text,
                "write hexadecimal digits, as the record shows it",
            )
        })
    });
    let client_ip = question.address.as_deref().map(|text| {
        text.parse()
            .map_err(|_| bad("address", text, "write an IP address without a port"))
    });
    Ok(Wanted {
        serial_number: serial_number.transpose()?,
        subject: question.subject.as_deref().map(str::to_lowercase),
        client_ip: client_ip
            .transpose()?
            .map(|address: std::net::IpAddr| address.to_canonical()),
        distribution_id: question.distribution.clone(),
    })
}

/// Digits in lower case, without separators and leading zeros. `None`: there is anything else in it, or
/// nothing.
fn serial_number(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | ' ')).collect();
    let is_hex = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    is_hex.then(|| digits.trim_start_matches('0').to_ascii_lowercase())
}

fn row(connected: Connected) -> Connection {
    let leaf = connected.leaf.as_deref();
    Connection {
        connection_id: connected.id.to_string(),
        client_ip: connected.client.ip().to_string(),
        client_port: connected.client.port(),
        distribution_id: connected.distribution_id.to_string(),
        since: moment(connected.since),
        http_version: connected.http_version.to_owned(),
        requests: connected.requests,
        requests_in_flight: connected.requests_in_flight,
        client_leaf_cert_serial_number: leaf.map(|leaf| leaf.serial_number.clone()),
        client_leaf_cert_subject: leaf.map(|leaf| leaf.subject.clone()),
        client_leaf_cert_issuer: leaf.map(|leaf| leaf.issuer.clone()),
        closing: connected.closing,
    }
}

fn moment(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format_rfc3339(UnixTime::since_unix_epoch(since_1970))
}

/// Longest wait for a core's answer. A core that hangs in a function's call answers late, or never.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_read_in_every_spelling() {
        for text in ["9E2AAF5C", "0x9e2aaf5c", "00:9e:2a:af:5c", " 9e-2a-af-5c "] {
            assert_eq!(serial_number(text).as_deref(), Some("9e2aaf5c"), "{text}");
        }
        assert_eq!(serial_number("00").as_deref(), Some(""));
        for text in ["", "0x", "9g", "serial", "9e,2a"] {
            assert_eq!(serial_number(text), None, "{text}");
        }
    }

    #[test]
    fn a_core_that_does_not_answer_is_told() {
        let (pages, received) = unbounded();
        let page = Page {
            matched: 3,
            ..Page::default()
        };
        assert!(pages.send(page).is_ok());
        drop(pages);
        let answer = put_together(&received, 2, 10);
        assert_eq!((answer.matched, answer.cores_missing), (3, 1));
    }
}
