//! A client of whom nothing is checked but that it holds the key of the certificate that it shows (mode
//! passthrough).
//!
//! Never a [`super::VerifiedClient`]. Owns what must hold even so: the sizes that bound what is kept and
//! forwarded, a leaf that can be read, and a key that CertificateVerify can be checked with. The certificates
//! above the leaf are octets to us: whoever gets them judges them. Also owns RFC 9440's spelling of both.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use super::certificate::Certificate;
use super::facts::CertificateFacts;
use super::key::PublicKey;
use super::rules::CHAIN_DEPTH_DEFAULT;
use super::store::CERTIFICATE_BYTES_MAX;
use super::verdict::{Refusal, Rejected, RejectedKind, facts_of_all};

/// A client that showed a certificate which nobody here has checked. Cheap to clone.
#[derive(Clone)]
pub struct UncheckedClient(Arc<Unchecked>);

struct Unchecked {
    facts: Arc<CertificateFacts>,
    /// The presented certificates, the leaf left out.
    chain: Box<[CertificateDer<'static>]>,
    public_key: SubjectPublicKeyInfoDer<'static>,
    intermediates: OnceLock<Box<[Arc<CertificateFacts>]>>,
    client_cert: OnceLock<String>,
    client_cert_chain: OnceLock<String>,
}

impl UncheckedClient {
    /// Reads what a client presented.
    ///
    /// # Errors
    /// It is too much, or its leaf cannot be read or has a key that no proof can be checked with.
    pub fn read(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<Self, Rejected> {
        let readable = leaf.len() <= CERTIFICATE_BYTES_MAX;
        let certificate = readable.then(|| Certificate::parse(leaf)).flatten();
        let facts = certificate.as_ref().and_then(CertificateFacts::of).map(Arc::new);
        let key = check_sizes(leaf, rest)
            .and_then(|()| certificate.as_ref().ok_or_else(unreadable))
            .and_then(check_key);
        match (key, facts) {
            (Ok(public_key), Some(facts)) => Ok(Self(Arc::new(Unchecked {
                facts,
                chain: rest.iter().map(|der| der.clone().into_owned()).collect(),
                public_key,
                intermediates: OnceLock::new(),
                client_cert: OnceLock::new(),
                client_cert_chain: OnceLock::new(),
            }))),
            (Ok(_), None) => Err(unreadable().with_facts(None)),
            (Err(refusal), facts) => Err(refusal.with_facts(facts)),
        }
    }

    pub fn facts(&self) -> &Arc<CertificateFacts> {
        &self.0.facts
    }

    /// All that was presented, the leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        let rest = self.0.chain.iter().map(|der| &**der);
        std::iter::once(self.0.facts.der()).chain(rest)
    }

    /// Facts of the presented certificates that can be read, the leaf left out, in the order presented.
    /// Nobody has checked that one issued another.
    pub fn intermediates(&self) -> &[Arc<CertificateFacts>] {
        let all = || facts_of_all(self.0.chain.iter().map(|der| &**der));
        self.0.intermediates.get_or_init(all)
    }

    /// The key that CertificateVerify must be checked with.
    pub fn public_key(&self) -> SubjectPublicKeyInfoDer<'static> {
        self.0.public_key.clone()
    }

    /// RFC 9440 §2.2: the leaf as a structured field's byte sequence.
    pub fn client_cert(&self) -> &str {
        self.0
            .client_cert
            .get_or_init(|| byte_sequence(self.0.facts.der()))
    }

    /// RFC 9440 §2.3: the rest as a list of byte sequences, in the order presented; `None` where there is no
    /// rest.
    pub fn client_cert_chain(&self) -> Option<&str> {
        let list = || {
            let items: Vec<_> = self.0.chain.iter().map(|der| byte_sequence(der)).collect();
            items.join(", ")
        };
        (!self.0.chain.is_empty()).then(|| self.0.client_cert_chain.get_or_init(list).as_str())
    }
}

impl fmt::Debug for UncheckedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UncheckedClient")
            .field("subject", &self.0.facts.subject)
            .finish_non_exhaustive()
    }
}

fn check_sizes(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Refusal> {
    let presented = rest.len() + 1;
    if presented > CHAIN_DEPTH_DEFAULT {
        let reason =
            format!("{presented} certificates were presented; {CHAIN_DEPTH_DEFAULT} at most are passed on");
        return Err(Refusal::new(RejectedKind::MaxChainDepthExceeded, reason));
    }
    let mut sizes = std::iter::once(leaf).chain(rest).map(|der| der.len());
    match sizes.find(|bytes| *bytes > CERTIFICATE_BYTES_MAX) {
        None => Ok(()),
        Some(bytes) => {
            let reason = format!(
                "a presented certificate has {bytes} bytes; {CERTIFICATE_BYTES_MAX} at most are passed on"
            );
            Err(Refusal::new(RejectedKind::MaxSizeExceeded, reason))
        }
    }
}

fn check_key(certificate: &Certificate<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Refusal> {
    let key = PublicKey::read(certificate.public_key());
    if key.is_accepted_for_client() {
        return Ok(SubjectPublicKeyInfoDer::from(certificate.public_key()).into_owned());
    }
    let reason = format!(
        "the key of the client certificate is {key}, with which no proof of possession can be checked"
    );
    Err(Refusal::new(RejectedKind::TypeUnsupported, reason))
}

fn unreadable() -> Refusal {
    Refusal::new(
        RejectedKind::Invalid,
        "the client certificate is not a well-formed X.509 certificate",
    )
}

/// RFC 8941 §3.3.5.
fn byte_sequence(der: &[u8]) -> String {
    let mut text = String::with_capacity(der.len() / 3 * 4 + 6);
    text.push(':');
    STANDARD.encode_string(der, &mut text);
    text.push(':');
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::test_pki::{Ca, FakeRsa, Raw, ca, leaf};

    #[test]
    fn a_chain_is_written_as_rfc_9440_wants_it() {
        let root = Ca::root("Root");
        let inter = root.intermediate(ca("Inter"));
        let der = inter.issue(leaf("client"));
        let alone = UncheckedClient::read(&der, &[]).unwrap();
        assert_eq!(alone.client_cert(), format!(":{}:", STANDARD.encode(&der)));
        assert_eq!(alone.client_cert_chain(), None);
        let rest = [inter.der.clone(), root.der.clone()];
        let client = UncheckedClient::read(&der, &rest).unwrap();
        let list = rest.map(|der| format!(":{}:", STANDARD.encode(&der)));
        assert_eq!(client.client_cert_chain(), Some(&*list.join(", ")));
        assert_eq!(client.facts().subject, "O=Example, CN=client");
    }

    #[test]
    fn the_intermediates_are_those_that_can_be_read_as_presented() {
        let root = Ca::root("Root");
        let der = root.issue(leaf("client"));
        let rest = [root.der.clone(), CertificateDer::from(vec![1, 2, 3]), der.clone()];
        let client = UncheckedClient::read(&der, &rest).unwrap();
        let subjects: Vec<_> = client
            .intermediates()
            .iter()
            .map(|facts| &*facts.subject)
            .collect();
        assert_eq!(subjects, ["O=Example, CN=Root", "O=Example, CN=client"]);
    }

    #[test]
    fn nothing_but_size_and_a_usable_key_is_asked_of_a_certificate() {
        let root = Ca::root("Root");
        let kind = |der: &CertificateDer<'_>, rest: &[CertificateDer<'_>]| {
            UncheckedClient::read(der, rest)
                .err()
                .map(|rejected| rejected.kind)
        };
        let expired = root.issue(leaf("old").valid((2010, 1, 1), (2011, 1, 1)));
        assert_eq!(kind(&expired, &[]), None);
        assert_eq!(kind(&Raw::v1().signed_by(&root), &[]), None);
        let rest = vec![root.der.clone(); 4];
        assert_eq!(kind(&expired, rest.get(..3).unwrap()), None);
        assert_eq!(kind(&expired, &rest), Some(RejectedKind::MaxChainDepthExceeded));
        let large = CertificateDer::from(vec![0; CERTIFICATE_BYTES_MAX + 1]);
        assert_eq!(
            kind(&expired, std::slice::from_ref(&large)),
            Some(RejectedKind::MaxSizeExceeded)
        );
        assert_eq!(kind(&large, &[]), Some(RejectedKind::MaxSizeExceeded));
        assert_eq!(
            kind(&CertificateDer::from(vec![1, 2, 3]), &[]),
            Some(RejectedKind::Invalid)
        );
        let weak = leaf("weak")
            .0
            .signed_by(&FakeRsa::new(1024), &root.issuer)
            .unwrap();
        assert_eq!(kind(weak.der(), &[]), Some(RejectedKind::TypeUnsupported));
    }
}
