//! rustls' configuration of one distribution under one snapshot.
//!
//! Maps a security policy's names to rustls' suites and versions, in the documented order of preference.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::client::ClientPolicy;
use super::passthrough::PassthroughVerifier;
use super::tickets::TicketScope;
use super::verifier::ClientVerifier;
use crate::tls::CIPHER_SUITES;

/// The server's own certificate chain and key, known to belong together.
#[derive(Debug)]
pub struct ServerIdentity(Arc<CertifiedKey>);

impl ServerIdentity {
    /// Pairs `chain` (leaf first) with `key`.
    ///
    /// # Errors
    /// The key cannot be used, or is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ServerConfigError> {
        let signer = aws_lc_rs::default_provider().key_provider.load_private_key(key);
        let certified = CertifiedKey::new(chain, signer.map_err(ServerConfigError::Key)?);
        certified
            .keys_match()
            .map_err(|_| ServerConfigError::KeyMismatch)?;
        Ok(Self(Arc::new(certified)))
    }

    /// DER of its own certificate.
    pub fn leaf(&self) -> Option<&[u8]> {
        self.0.cert.first().map(|leaf| &**leaf)
    }
}

/// A security policy: protocol versions and suites, most preferred first.
pub struct TlsPolicy {
    /// IANA names of cipher suites (`TLS13_AES_128_GCM_SHA256` in rustls' spelling for TLS 1.3).
    pub cipher_suites: &'static [&'static str],
    /// IANA names of key exchange groups.
    pub key_exchange_groups: &'static [&'static str],
    /// True if TLS 1.2 is offered beside 1.3.
    pub tls12: bool,
    /// Verdicts that each core may remember.
    pub memo_entries_max: usize,
}

/// TLS settings of a distribution that cannot be honoured.
#[derive(Debug)]
pub enum ServerConfigError {
    /// The private key is of no usable kind.
    Key(rustls::Error),
    /// The private key is not the certificate's.
    KeyMismatch,
    /// A suite that this build does not have.
    UnknownCipherSuite(&'static str),
    /// A key exchange group that this build does not have.
    UnknownGroup(&'static str),
    /// rustls refused the combination.
    Refused(rustls::Error),
}

impl fmt::Display for ServerConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => write!(f, "the private key cannot be used: {error}"),
            Self::KeyMismatch => f.write_str("the private key does not belong to the certificate"),
            Self::UnknownCipherSuite(name) => write!(f, "cipher suite {name} is not available"),
            Self::UnknownGroup(name) => write!(f, "key exchange group {name} is not available"),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ServerConfigError {}

/// Builds the configuration of one distribution.
///
/// # Errors
/// `tls` cannot be honoured.
pub fn server_config(
    tls: &TlsPolicy,
    identity: &ServerIdentity,
    policy: &ClientPolicy,
    tickets: TicketScope,
) -> Result<ServerConfig, ServerConfigError> {
    let provider = Arc::new(provider(tls)?);
    let verifier: Arc<dyn ClientCertVerifier> = match policy {
        ClientPolicy::Verify(verification) => Arc::new(ClientVerifier::new(
            verification.clone(),
            &provider,
            tls.memo_entries_max,
        )),
        ClientPolicy::Passthrough(_) => Arc::new(PassthroughVerifier::new(&provider)),
        ClientPolicy::Off(_) => WebPkiClientVerifier::no_client_auth(),
    };
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(identity.0.clone()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(tls))
        .map_err(ServerConfigError::Refused)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = usize::from(tickets.enabled());
    config.ticketer = Arc::new(tickets);
    config.max_early_data_size = 0;
    Ok(config)
}

/// aws-lc-rs with the policy's suites and groups, in the policy's order.
fn provider(tls: &TlsPolicy) -> Result<CryptoProvider, ServerConfigError> {
    let suites = tls.cipher_suites.iter().map(|name| cipher_suite(name));
    let groups = tls
        .key_exchange_groups
        .iter()
        .map(|name| key_exchange_group(name));
    Ok(CryptoProvider {
        cipher_suites: suites.collect::<Result<_, _>>()?,
        kx_groups: groups.collect::<Result<_, _>>()?,
        signature_verification_algorithms: *CLIENT_SIGNATURES,
        ..aws_lc_rs::default_provider()
    })
}

fn cipher_suite(name: &'static str) -> Result<SupportedCipherSuite, ServerConfigError> {
    let mut matching = CIPHER_SUITES
        .iter()
        .filter(|suite| suite.suite().as_str() == Some(name));
    matching
        .next()
        .copied()
        .ok_or(ServerConfigError::UnknownCipherSuite(name))
}

fn key_exchange_group(name: &'static str) -> Result<&'static dyn SupportedKxGroup, ServerConfigError> {
    let known = aws_lc_rs::ALL_KX_GROUPS.iter();
    let mut matching = known.filter(|group| group.name().as_str() == Some(name));
    matching
        .next()
        .copied()
        .ok_or(ServerConfigError::UnknownGroup(name))
}

/// Signature algorithms by which a client may prove its key, and which the CertificateRequest offers: those
/// of the provider except ML-DSA, which no security policy of the managed service and no trust store knows.
static CLIENT_SIGNATURES: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
    let all = aws_lc_rs::default_provider().signature_verification_algorithms;
    let offered = |scheme: SignatureScheme| {
        !matches!(
            scheme,
            SignatureScheme::ML_DSA_44 | SignatureScheme::ML_DSA_65 | SignatureScheme::ML_DSA_87
        )
    };
    let mapping: Vec<_> = all
        .mapping
        .iter()
        .copied()
        .filter(|(scheme, _)| offered(*scheme))
        .collect();
    WebPkiSupportedAlgorithms {
        mapping: mapping.leak(),
        ..all
    }
});

fn versions(tls: &TlsPolicy) -> &'static [&'static SupportedProtocolVersion] {
    match tls.tls12 {
        true => TLS12_AND_TLS13,
        false => TLS13_ONLY,
    }
}

static TLS12_AND_TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
static TLS13_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
