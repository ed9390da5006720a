//! Who loadgen is towards the server, and whom it accepts as the server: files become rustls configurations.
//!
//! Runs before the load starts; every mistake names the file and the remedy. The session store of the resume mode is
//! here as well: one per logical client, because a session belongs to the identity that made it.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::options::{Cipher, Group, Mode, Options, Tls};
use crate::plan::UsageError;
use crate::session::Sessions;
use crate::verdict::Remembering;

/// Everything that a TLS connection needs except its session store.
#[derive(Clone, Debug)]
pub struct Identities {
    /// One per `--cert`, or a single one without a certificate.
    configs: Vec<ClientConfig>,
}

/// One logical client: an identity, and in resume mode the sessions that it may resume.
#[derive(Clone, Debug)]
pub struct Client {
    pub config: Arc<ClientConfig>,
    pub sessions: Option<Arc<Sessions>>,
}

impl Identities {
    pub fn load(options: &Options) -> Result<Self, UsageError> {
        let provider = Arc::new(provider(options.group, options.cipher));
        let verifier = verifier(options, &provider)?;
        let mut resolvers = Vec::new();
        for (certificate, key) in options.cert.iter().zip(&options.key) {
            resolvers.push(Presented(Some(certified_key(&provider, certificate, key)?)));
        }
        if resolvers.is_empty() {
            resolvers.push(Presented(None));
        }
        let configs = resolvers
            .into_iter()
            .map(|resolver| config(options, &provider, &verifier, resolver))
            .collect();
        Ok(Identities { configs })
    }

    /// The logical clients that connection slot `index` of `slots` cycles through. All identities are used even
    /// when they outnumber the slots.
    pub fn clients(&self, index: usize, slots: usize, resume: bool) -> Vec<Client> {
        let count = self.configs.len();
        let mut chosen: Vec<usize> = (index..count).step_by(slots.max(1)).collect();
        if chosen.is_empty() {
            chosen.push(index % count);
        }
        chosen
            .into_iter()
            .filter_map(|i| self.configs.get(i))
            .map(|config| client(config, resume))
            .collect()
    }
}

/// Seeds this thread's random generator, which takes tens of milliseconds at its first use: not to be paid within the
/// first handshake.
pub fn seed_random_generator() {
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0; 32]);
}

/// Whether a server asked for a client certificate since the last call, on this thread.
///
/// rustls resolves a certificate exactly when a CertificateRequest has come, within `process_new_packets`.
pub fn take_certificate_requested() -> bool {
    CERTIFICATE_REQUESTED.replace(false)
}

thread_local! {
    static CERTIFICATE_REQUESTED: Cell<bool> = const { Cell::new(false) };
}

/// Presents always the same certificate, or none.
#[derive(Debug)]
struct Presented(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        CERTIFICATE_REQUESTED.set(true);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

fn client(config: &ClientConfig, resume: bool) -> Client {
    let mut config = config.clone();
    let sessions = resume.then(|| Arc::new(Sessions::default()));
    if let Some(sessions) = &sessions {
        config.resumption = Resumption::store(sessions.clone());
    }
    Client {
        config: Arc::new(config),
        sessions,
    }
}

fn config(
    options: &Options,
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<dyn ServerCertVerifier>,
    resolver: Presented,
) -> ClientConfig {
    let versions: &[&rustls::SupportedProtocolVersion] = match options.tls {
        Some(Tls::V12) => &[&rustls::version::TLS12],
        Some(Tls::V13) => &[&rustls::version::TLS13],
        None => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("each --cipher and --group has a suite in both versions, or was refused")
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(Arc::new(resolver));
    config.resumption = Resumption::disabled();
    config.alpn_protocols = match options.mode {
        Mode::H2 => vec![b"h2".to_vec()],
        Mode::Handshake | Mode::Resume | Mode::Keepalive => vec![b"http/1.1".to_vec()],
    };
    config
}

fn provider(group: Option<Group>, cipher: Option<Cipher>) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(group) = group {
        provider.kx_groups = vec![kx_group(group)];
    }
    if let Some(cipher) = cipher {
        let wanted = match cipher {
            Cipher::Aes128 => "AES_128_GCM",
            Cipher::Aes256 => "AES_256_GCM",
            Cipher::Chacha20 => "CHACHA20_POLY1305",
        };
        provider
            .cipher_suites
            .retain(|suite| format!("{:?}", suite.suite()).contains(wanted));
    }
    provider
}

fn kx_group(group: Group) -> &'static dyn SupportedKxGroup {
    match group {
        Group::X25519 => kx_group::X25519,
        Group::X25519Mlkem768 => kx_group::X25519MLKEM768,
        Group::Secp256r1 => kx_group::SECP256R1,
        Group::Secp384r1 => kx_group::SECP384R1,
    }
}

fn verifier(
    options: &Options,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, UsageError> {
    if options.insecure {
        return Ok(Arc::new(AcceptAny(provider.clone())));
    }
    let mut roots = RootCertStore::empty();
    for file in &options.ca {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| {
                mistake(
                    file,
                    format!("a certificate in it cannot be a trust anchor ({error}); remove it"),
                )
            })?;
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| UsageError(format!("--ca: {error}")))?;
    Ok(Arc::new(Remembering::new(verifier)))
}

fn certified_key(
    provider: &CryptoProvider,
    certificate: &Path,
    key: &Path,
) -> Result<Arc<CertifiedKey>, UsageError> {
    let chain = certificates(certificate)?;
    let der = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        mistake(
            key,
            format!("no private key can be read from it ({error}); it must be unencrypted PEM"),
        )
    })?;
    let signer = provider
        .key_provider
        .load_private_key(der)
        .map_err(|error| mistake(key, format!("the private key cannot be used ({error})")))?;
    let certified = CertifiedKey::new(chain, signer);
    // Other errors mean that the certificate cannot be parsed (X.509 v1, or bad on purpose): the server's to judge.
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => Err(mistake(
            key,
            format!(
                "not the key of {}; give --cert and --key in the same order",
                certificate.display()
            ),
        )),
        _ => Ok(Arc::new(certified)),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, UsageError> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| mistake(file, format!("cannot be read as PEM ({error})")))?;
    if certificates.is_empty() {
        return Err(mistake(
            file,
            "contains no certificate; it must be PEM".to_owned(),
        ));
    }
    Ok(certificates)
}

fn mistake(file: &Path, what: String) -> UsageError {
    UsageError(format!("{}: {what}", file.display()))
}

/// `--insecure`: any certificate, but whoever presents it must hold its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
