//! Reading what a configuration names, with errors that say which key named it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ConfigError, FileRef, Source};
use crate::tls::ServerIdentity;

/// Reads `file`, which may have `bytes_max` bytes.
pub fn read(source: &Source, file: &FileRef, bytes_max: u64) -> Result<Vec<u8>, ConfigError> {
    let path = file.path.display();
    match read_bounded(&file.path, bytes_max) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => {
            let fault = format!("{path} is larger than {bytes_max} bytes");
            Err(source.error(&file.key, fault, "name a smaller file"))
        }
        Err(error) => {
            let fault = format!("cannot read {path}: {error}");
            Err(source.error(
                &file.key,
                fault,
                "name a readable file (relative to the configuration file)",
            ))
        }
    }
}

/// `None`: it has more than `bytes_max` bytes.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let opened = File::open(path)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    opened.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

/// Loads the server's own chain and key.
pub fn identity(
    source: &Source,
    certificate: &FileRef,
    key: &FileRef,
) -> Result<ServerIdentity, ConfigError> {
    let chain = chain(source, certificate)?;
    let private_key = private_key(source, key)?;
    ServerIdentity::new(chain, private_key).map_err(|error| {
        let fault = format!(
            "{error} ({} with {})",
            key.path.display(),
            certificate.path.display()
        );
        source.error(
            &key.key,
            fault,
            "name the private key that belongs to `certificate`, whose leaf comes first",
        )
    })
}

fn chain(source: &Source, file: &FileRef) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = read(source, file, PEM_BYTES_MAX)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let refuse = |fault: String| {
        let remedy = "name a PEM file with the server's certificate first and its intermediates after it";
        source.error(&file.key, format!("{} {fault}", file.path.display()), remedy)
    };
    match chain {
        Ok(chain) if chain.is_empty() => Err(refuse("holds no CERTIFICATE block".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(refuse(format!("is not well-formed PEM: {error}"))),
    }
}

fn private_key(source: &Source, file: &FileRef) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let bytes = read(source, file, PEM_BYTES_MAX)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let fault = format!("{} holds no usable private key: {error}", file.path.display());
        let remedy = "name a PEM file with an unencrypted PKCS#8, PKCS#1 or SEC1 private key";
        source.error(&file.key, fault, remedy)
    })
}

/// A server chain or key.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
