//! A server verifier that does not verify the same chain thousands of times a second.
//!
//! A run meets the same server certificate at every handshake, and checking its chain costs the generator as
//! much as all else. A chain that was accepted is remembered for a second; the handshake's signature is
//! checked every time.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// A WebPKI verifier with a memory of the last chain that it accepted.
#[derive(Debug)]
pub struct Remembering {
    verifier: Arc<WebPkiServerVerifier>,
    accepted: Mutex<Option<Accepted>>,
}

/// The last chain that was accepted, for whom and when.
#[derive(Debug)]
struct Accepted {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    /// Whole seconds since the epoch: the verdict holds within the second in which it was reached.
    second: u64,
}

impl Remembering {
    /// Wraps `verifier`; nothing is remembered yet.
    pub fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Remembering {
            verifier,
            accepted: Mutex::new(None),
        }
    }

    fn remembers(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> bool {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.as_ref().is_some_and(|accepted| {
            accepted.second == now.as_secs()
                && accepted.leaf == *leaf
                && accepted.intermediates == intermediates
                && accepted.name == *name
        })
    }

    fn remember(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) {
        let accepted = Accepted {
            leaf: leaf.clone().into_owned(),
            intermediates: intermediates.iter().map(|der| der.clone().into_owned()).collect(),
            name: name.to_owned(),
            second: now.as_secs(),
        };
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
    }
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.remembers(leaf, intermediates, name, now) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self
            .verifier
            .verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        self.remember(leaf, intermediates, name, now);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
