//! The certificates that a command is given.

use std::path::Path;

use bothways_state::files;
use bothways_trust::ForeignFormat;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::snapshot;

/// Reads the certificates of a PEM file. Text around the blocks is fine, keys are not looked at: people paste
/// what they have.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem =
        files::read_argument(path, PEM_BYTES_MAX).map_err(|error| format!("cannot be read: {error}"))?;
    if let Some(format) = ForeignFormat::of(&pem) {
        let command = format.certificates_command(&path.display().to_string());
        return Err(format!(
            "{format}, not PEM; the command that makes PEM of it is: {command}"
        ));
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.map_err(|error| snapshot::told_pem(&error).to_owned())
}

/// Bound of a PEM file: ten certificates of 16 KiB are the most that is looked at.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
