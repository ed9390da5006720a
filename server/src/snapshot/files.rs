//! Reading what a configuration names, with errors that say which key named it.

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ConfigError, FileRef, Source};
use crate::files::{self, ReadError};
use crate::tls::ServerIdentity;

/// Reads `file`, which may have `bytes_max` bytes.
pub fn read(source: &Source, file: &FileRef, bytes_max: u64) -> Result<Vec<u8>, ConfigError> {
    let path = file.path.display();
    files::read(&file.path, bytes_max).map_err(|error| match error {
        ReadError::TooLarge { .. } => {
            let fault = format!("{path} is larger than {bytes_max} bytes");
            source.error(&file.key, fault, "name a smaller file")
        }
        ReadError::Io(_) | ReadError::NotRegular(_) => {
            let remedy = "name a readable file (relative to the configuration file)";
            source.error(&file.key, format!("cannot read {path}: {error}"), remedy)
        }
    })
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
