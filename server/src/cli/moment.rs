//! A moment on the command line.

use bothways_trust::parse_rfc3339;
use rustls_pki_types::UnixTime;

/// Reads a moment as RFC 3339 writes it.
pub(super) fn moment(text: &str) -> Result<UnixTime, String> {
    parse_rfc3339(text).ok_or_else(|| "write it as in 2026-11-20T00:00:00Z".to_owned())
}
