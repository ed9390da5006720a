//! The few responses of the admin endpoint. Each announces its length and closes.

use super::request::Refusal;
use crate::metrics::{self, Registry};

pub(super) struct Response {
    status: &'static str,
    fields: &'static str,
    body: String,
}

impl Response {
    pub(super) fn metrics(registry: &Registry) -> Self {
        Self {
            status: "200 OK",
            fields: "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
            body: metrics::render(registry),
        }
    }

    pub(super) fn healthy() -> Self {
        Self {
            status: "200 OK",
            fields: TEXT,
            body: "ok\n".to_owned(),
        }
    }

    /// Answer for whoever chooses among servers: this server is ending.
    pub(super) fn draining() -> Self {
        Self {
            status: "503 Service Unavailable",
            fields: TEXT,
            body: "draining\n".to_owned(),
        }
    }

    /// Without a body: it may answer a HEAD.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let (status, fields) = match refusal {
            Refusal::Malformed => ("400 Bad Request", ""),
            Refusal::NotFound => ("404 Not Found", ""),
            Refusal::MethodNotAllowed => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Refusal::TimedOut => ("408 Request Timeout", ""),
            Refusal::HeadTooLarge => ("431 Request Header Fields Too Large", ""),
            Refusal::VersionNotSupported => ("505 HTTP Version Not Supported", ""),
        };
        Self {
            status,
            fields,
            body: String::new(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { status, fields, body } = self;
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";
