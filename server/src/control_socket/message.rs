//! Messages of the control socket: one JSON object each way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::connections::{Connections, ConnectionsWanted};

/// A command. ETags are hexadecimal; a write without `if_match` is made to whatever the store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", deny_unknown_fields)]
pub enum Request {
    #[serde(rename = "kvs get")]
    Get { store: String, key: String },
    #[serde(rename = "kvs put")]
    Put {
        store: String,
        key: String,
        value: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<String>,
    },
    #[serde(rename = "kvs delete")]
    Delete {
        store: String,
        key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<String>,
    },
    #[serde(rename = "kvs list")]
    List { store: String },
    #[serde(rename = "kvs describe")]
    Describe { store: String },
    /// An import file of so many octets follows. Its entries take the place of all that there are, or are
    /// merged into them.
    #[serde(rename = "kvs import")]
    Import {
        store: String,
        bytes: usize,
        #[serde(default)]
        merge: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_match: Option<String>,
    },
    #[serde(rename = "function publish")]
    PublishFunction { name: String },
    /// Answered when the reload has ended, or after so long.
    #[serde(rename = "reload")]
    Reload {
        #[serde(default = "Request::default_timeout_ms")]
        timeout_ms: u64,
    },
    #[serde(rename = "logs reopen")]
    ReopenLogs,
    #[serde(rename = "connections")]
    Connections(ConnectionsWanted),
}

impl Request {
    fn default_timeout_ms() -> u64 {
        60_000
    }

    /// The octets that follow the line.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Import { bytes, .. } => *bytes,
            _ => 0,
        }
    }
}

/// The answer: `ok` and what was asked for, or `error` and `message`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RefusalCode>,
    /// Text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// ETag of the store as it is now: after the write, or as it was when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Items in the order of their keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The import file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_size_in_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// Generation of the snapshot that a reload has published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distributions: Option<usize>,
    /// Sizes of the revocation sets, by trust store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_entries: Option<BTreeMap<String, u64>>,
    /// Answer to `connections`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub open: Option<Connections>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub key: String,
    pub value: String,
}

/// Reason of a refusal, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// No request, or a request that is too long or too slow.
    BadRequest,
    NoSuchStore,
    NoSuchKey,
    /// The write expects another ETag than the current one, which the answer has in `etag`.
    EtagMismatch,
    /// Data that breaks a limit or is no import file.
    InvalidData,
    /// The import file was edited and not yet reloaded.
    ChangedOnDisk,
    /// The disk refused; nothing is acknowledged.
    Disk,
    NoSuchFunction,
    /// Its code cannot be used; the live version stays.
    InvalidFunction,
    /// The configuration, or a file that it names, cannot be used; the old snapshot stays.
    ReloadRefused,
    /// Time is over. The command goes on, or waits for its turn.
    Timeout,
    /// Too many commands are under way.
    Busy,
    /// The connection log cannot be opened anew; the file that is open stays in use.
    LogNotReopened,
    /// The server is about to end.
    Ending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_documented_form() {
        let put = Request::Put {
            store: "s".to_owned(),
            key: "k".to_owned(),
            value: "v".to_owned(),
            if_match: None,
        };
        let text = r#"{"command":"kvs put","store":"s","key":"k","value":"v"}"#;
        assert_eq!(serde_json::to_string(&put).unwrap(), text);
        assert_eq!(serde_json::from_str::<Request>(text).unwrap(), put);
        for bad in [
            r#"{"command":"kvs put","store":"s","key":"k"}"#,
            r#"{"command":"kvs put","store":"s","key":"k","value":"v","if_mach":""}"#,
            r#"{"command":"kvs drop","store":"s"}"#,
            r#"{"store":"s"}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
    }
}
