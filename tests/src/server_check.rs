//! Checks of the server by the rustls client.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::pki::{COMMON_SERVER_NAME, Pki};

/// Accepts every certificate that our server authority issued, whatever name it is for: which one the server
/// chose is for the test to look at.
#[derive(Debug)]
pub struct AnyNameOfOurs(Arc<WebPkiServerVerifier>);

impl AnyNameOfOurs {
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(Pki::shared().servers.certificate().clone())
            .expect("a CA certificate");
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        Self(builder.build().expect("a verifier with a root"))
    }
}

impl ServerCertVerifier for AnyNameOfOurs {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = ServerName::try_from(COMMON_SERVER_NAME).expect("a DNS name");
        self.0
            .verify_server_cert(end_entity, intermediates, &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
