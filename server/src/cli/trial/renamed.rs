//! Wishes of a function to `cf.mtls`, in its own words.

use std::fmt;

use bothways_functions::viewer::{CertificateWish, PemFormat};
use serde::Serialize;

/// Certificate headers that go on under another name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renamed {
    /// More than one are combined.
    sources: Vec<&'static str>,
    new_header_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pem_cert_format_info: Option<Format>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Format {
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_footer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_end_marker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_newlines_in_cert_data: Option<bool>,
}

impl Renamed {
    pub fn of(wish: CertificateWish<'_>) -> Self {
        Self {
            sources: wish.sources.iter().map(|source| source.as_str()).collect(),
            new_header_name: wish.name.to_string(),
            pem_cert_format_info: wish.format.cloned().map(Format::of),
        }
    }
}

impl fmt::Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.sources.join(" and "), self.new_header_name)?;
        match self.pem_cert_format_info.as_ref().map(serde_json::to_string) {
            Some(Ok(format)) if format != "{}" => write!(f, ", {format}"),
            _ => Ok(()),
        }
    }
}

impl Format {
    fn of(format: PemFormat) -> Self {
        Self {
            cert_header: format.header,
            cert_footer: format.footer,
            cert_end_marker: format.end_marker,
            keep_newlines_in_cert_data: format.keep_newlines,
        }
    }
}
