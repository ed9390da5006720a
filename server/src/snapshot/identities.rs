//! The server's own certificates: a chain and the private key that belongs to it, read from PEM files.
//!
//! Owns the words for files that are something else. A key is refused here if the server could not use it,
//! and a pair is refused if the key is not that of the leaf.

use bothways_config::{ConfigError, Reference, Source};
use bothways_trust::ForeignFormat;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::parts::{Digest, Keep, Part};
use super::references::{self, Contents};
use crate::admission::ServerIdentity;

/// Loads the pair of `certificate` and `key`, or keeps what was loaded of the same bytes.
///
/// # Errors
/// A file cannot be used, or the key is not that of the leaf.
pub(super) fn load(
    source: &Source,
    certificate: &Reference,
    key: &Reference,
    mut keep: Keep<'_, ServerIdentity>,
) -> Result<Part<ServerIdentity>, ConfigError> {
    let bytes = |file| references::digest(file, PEM_BYTES_MAX);
    if let Some(kept) = keep.find(|| Some(inputs(bytes(certificate)?, bytes(key)?))) {
        return Ok(kept);
    }
    let (certificate_digest, chain) = chain(source, certificate)?;
    let (key_digest, private_key) = private_key(source, key)?;
    let identity = ServerIdentity::new(chain, private_key).map_err(|error| {
        let fault = format!("{error} ({key} with {certificate})");
        let remedy = "name the private key that belongs to `certificate`, whose leaf comes first";
        source.error(&key.key, fault, remedy)
    })?;
    Ok(keep.add(inputs(certificate_digest, key_digest), identity))
}

fn inputs(certificate: Digest, key: Digest) -> Digest {
    Digest::of(&(certificate, key))
}

fn chain(source: &Source, file: &Reference) -> Result<(Digest, Vec<CertificateDer<'static>>), ConfigError> {
    let Contents { bytes, digest } = references::read(source, file, PEM_BYTES_MAX)?;
    let refuse = |fault: String, remedy: String| source.error(&file.key, format!("{file} {fault}"), remedy);
    let name_another =
        || "name a PEM file with the server's certificate first and its intermediates after it".to_owned();
    if let Some(format) = ForeignFormat::of(&bytes) {
        let command = format.certificates_command(&file.to_string());
        let remedy = format!("{}; the command that makes one is: {command}", name_another());
        return Err(refuse(format!("{format}, not PEM"), remedy));
    }
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(refuse("holds no CERTIFICATE block".to_owned(), name_another())),
        Ok(chain) => Ok((digest, chain)),
        Err(error) => Err(refuse(told_pem(&error).to_owned(), name_another())),
    }
}

fn private_key(source: &Source, file: &Reference) -> Result<(Digest, PrivateKeyDer<'static>), ConfigError> {
    let Contents { bytes, digest } = references::read(source, file, PEM_BYTES_MAX)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok((digest, key)),
        Err(error) => {
            let (fault, remedy) = UnusableKey::of(&bytes, &error).told(&file.to_string());
            Err(source.error(&file.key, format!("{file} {fault}"), remedy))
        }
    }
}

/// A file without a private key that the server can use.
enum UnusableKey {
    /// PKCS #8, or the older form with `Proc-Type: 4,ENCRYPTED`.
    Encrypted,
    OpenSsh,
    Foreign(ForeignFormat),
    /// A certificate, a request, parameters.
    NoKey,
    Broken(&'static str),
}

impl UnusableKey {
    fn of(bytes: &[u8], error: &pem::Error) -> Self {
        let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        match ForeignFormat::of(bytes) {
            Some(format) => Self::Foreign(format),
            None if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") => Self::Encrypted,
            None if has(b"BEGIN OPENSSH PRIVATE KEY") => Self::OpenSsh,
            None if matches!(error, pem::Error::NoItemsFound) => Self::NoKey,
            None => Self::Broken(told_pem(error)),
        }
    }

    /// The fault, and what to do about it.
    fn told(&self, path: &str) -> (String, String) {
        let another = "name a PEM file with an unencrypted PKCS#8, PKCS#1 or SEC1 private key";
        match self {
            Self::Encrypted => (
                "is an encrypted private key, and the server has nobody to ask for its passphrase".to_owned(),
                format!(
                    "name an unencrypted one that the server's user alone may read; \
                     the command that makes one is: openssl pkey -in {path}"
                ),
            ),
            Self::OpenSsh => (
                "is a private key in OpenSSH's own format".to_owned(),
                format!("{another}; on a copy of it, this makes one: ssh-keygen -p -m PKCS8 -f {path}"),
            ),
            Self::Foreign(format) => (
                format!("{format}, not PEM"),
                format!(
                    "{another}; the command that makes one is: {}",
                    format.key_command(path)
                ),
            ),
            Self::NoKey => ("holds no private key".to_owned(), another.to_owned()),
            Self::Broken(fault) => ((*fault).to_owned(), another.to_owned()),
        }
    }
}

/// Completes "FILE …".
pub fn told_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "has a PEM block without its END line",
        pem::Error::IllegalSectionStart { .. } => "has a damaged BEGIN line",
        pem::Error::Base64Decode(_) => "has a PEM block that is not base64",
        pem::Error::NoItemsFound => "holds no PEM block of this kind",
        _ => "is not well-formed PEM",
    }
}

/// A server chain or key.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(bytes: &[u8]) -> (String, String) {
        let error = PrivateKeyDer::from_pem_slice(bytes).unwrap_err();
        UnusableKey::of(bytes, &error).told("server.key")
    }

    fn block(label: &str, content: &str) -> String {
        format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
    }

    #[test]
    fn a_key_that_cannot_be_used_is_told_as_what_it_is() {
        let old_form = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA";
        for text in [
            block("ENCRYPTED PRIVATE KEY", "AAAA"),
            block("RSA PRIVATE KEY", old_form),
        ] {
            let (fault, remedy) = told(text.as_bytes());
            assert!(fault.starts_with("is an encrypted private key"), "{fault}");
            assert!(remedy.ends_with("openssl pkey -in server.key"), "{remedy}");
        }
        let (fault, remedy) = told(block("OPENSSH PRIVATE KEY", "AAAA").as_bytes());
        assert!(
            fault.contains("OpenSSH") && remedy.contains("ssh-keygen -p -m PKCS8"),
            "{fault}: {remedy}"
        );
        for text in [
            block("CERTIFICATE", "AAAA"),
            block("EC PARAMETERS", "AAAA"),
            String::new(),
        ] {
            assert_eq!(told(text.as_bytes()).0, "holds no private key");
        }
        let key = rcgen::KeyPair::generate().unwrap().serialize_der();
        let (fault, remedy) = told(&key);
        assert_eq!(fault, "is a private key in DER, not PEM");
        assert!(
            remedy.ends_with("openssl pkey -inform der -in server.key"),
            "{remedy}"
        );
        let (fault, _) = told(block("PRIVATE KEY", "????").as_bytes());
        assert_eq!(fault, "has a PEM block that is not base64");
    }
}
