//! The bridge from rustls' `ClientCertVerifier` to `trust::Policy`.
//!
//! Decides nothing: asks the policy, notes its answer for the record, and turns a refusal into the error that
//! makes rustls send the right alert ([`Consequence`]). Proof of the key (CertificateVerify) is always
//! checked. A client that gives it comes to the gate.

use std::cell::RefCell;

use bothways_trust::{Mode, Policy, Rejected, VerdictMemo};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;

use super::client::Verification;
use super::consequence::Consequence;
use super::notes::{Shown, note, pass_gate};

/// Verifier of the clients of one distribution, as rustls wants to see it.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    verification: Verification,
    algorithms: WebPkiSupportedAlgorithms,
    memo_entries_max: usize,
}

thread_local! {
    /// This core's verdicts, of all distributions.
    static MEMO: RefCell<VerdictMemo> = RefCell::default();
}

impl ClientVerifier {
    /// Makes a verifier with the signature algorithms of `provider`. Each core remembers `memo_entries_max`
    /// verdicts.
    pub(super) fn new(
        verification: Verification,
        provider: &CryptoProvider,
        memo_entries_max: usize,
    ) -> Self {
        Self {
            verification,
            algorithms: provider.signature_verification_algorithms,
            memo_entries_max,
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.verification.policy.mode() == Mode::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.verification.advertised
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let policy = &self.verification.policy;
        let (verdict, memo) =
            MEMO.with_borrow_mut(|memo| memo.verify(policy, leaf, intermediates, now, self.memo_entries_max));
        note(|notes| notes.memo = Some(memo));
        let ask = |candidate: &Policy| candidate.verify(leaf, intermediates, now).map(drop);
        if let Some(decision) = self.verification.consult(verdict.is_ok(), ask) {
            note(|notes| notes.candidate = Some(decision));
        }
        match verdict {
            Ok(client) => {
                note(|notes| notes.shown = Shown::Verified(client));
                Ok(ClientCertVerified::assertion())
            }
            Err(rejected) => Err(refuse(rejected)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = match client_key() {
            Some(key) => verify_tls12_with_key(message, &key, signed, &self.algorithms),
            None => verify_tls12_signature(message, cert, signed, &self.algorithms),
        }?;
        pass_gate().map(|()| valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = match client_key() {
            Some(key) => verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms),
            None => verify_tls13_signature(message, cert, signed, &self.algorithms),
        }?;
        pass_gate().map(|()| valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Notes a refusal for the record, and turns it into the error whose alert says it.
pub(super) fn refuse(rejected: Rejected) -> Error {
    let error = Consequence::of(rejected.kind).error;
    note(|notes| notes.shown = Shown::Rejected(rejected));
    Error::InvalidCertificate(error)
}

/// The key of the leaf that was verified just now. The library cannot read it out of all certificates that
/// are admitted.
fn client_key() -> Option<SubjectPublicKeyInfoDer<'static>> {
    note(|notes| match &notes.shown {
        Shown::Verified(client) => client.public_key(),
        _ => None,
    })
}

/// The TLS 1.2 counterpart of rustls' `verify_tls13_signature_with_raw_key`: under TLS 1.2 a scheme does not
/// fix the curve, so each algorithm of the scheme is tried (RFC 5246 §4.7).
pub(super) fn verify_tls12_with_key(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let entity = RawPublicKeyEntity::try_from(key).map_err(|_| bad())?;
    let candidates = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == signed.scheme);
    let mut candidates = candidates.flat_map(|(_, algorithms)| algorithms.iter());
    match candidates.any(|algorithm| {
        entity
            .verify_signature(*algorithm, message, signed.signature())
            .is_ok()
    }) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(bad()),
    }
}
