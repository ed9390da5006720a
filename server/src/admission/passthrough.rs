//! Mode passthrough as rustls wants to see it: a client may show any certificate or none, but must hold the
//! key of the one that it shows.

use bothways_trust::UncheckedClient;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};

use super::notes::{Shown, note, pass_gate};
use super::verifier::{refuse, verify_tls12_with_key};

/// Checks CertificateVerify and nothing else; then the gate is asked.
#[derive(Debug)]
pub(super) struct PassthroughVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl PassthroughVerifier {
    /// Makes a verifier with the signature algorithms of `provider`.
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for PassthroughVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// Verifies nothing: reads the chain, for the log and for the origin.
    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match UncheckedClient::read(leaf, intermediates) {
            Ok(client) => {
                note(|notes| notes.shown = Shown::Unchecked(client));
                Ok(ClientCertVerified::assertion())
            }
            Err(rejected) => Err(refuse(rejected)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        _cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls12_with_key(message, &shown_key()?, signed, &self.algorithms)?;
        pass_gate().map(|()| valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls13_signature_with_raw_key(message, &shown_key()?, signed, &self.algorithms)?;
        pass_gate().map(|()| valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The key of the certificate just shown. webpki is not asked: it reads no certificate of version 1, and none
/// with a critical extension that it does not know.
fn shown_key() -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let key = note(|notes| match &notes.shown {
        Shown::Unchecked(client) => Some(client.public_key()),
        _ => None,
    });
    key.ok_or(Error::InvalidCertificate(CertificateError::BadSignature))
}
