//! Client identities, and the trust in the server: files become rustls configurations.
//!
//! Runs before the load starts; every mistake names the file and the remedy. There may be tens of thousands
//! of identities: they share one configuration for each entry of the mix, which asks the client that acts on
//! this thread for its certificate and its sessions, and the certificates that are in many of their chains.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, KeyProvider, SupportedKxGroup};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::options::{Cipher, Group, Tls, Work};
use crate::pem;
use crate::plan::{Entry, IdentitySet, Plan, TlsChoice, Trust, UsageError};
use crate::session::{Sessions, SessionsOfTheActing};
use crate::verdict::Remembering;

/// Everything that TLS connections need, for each entry of the mix.
#[derive(Debug)]
pub struct Identities(Vec<Party>);

/// The TLS configuration of one entry's connections, and its clients.
#[derive(Clone, Debug)]
pub struct Party {
    /// Trust and what is offered to the server. Certificate and sessions are those of the client that acts.
    pub config: Arc<ClientConfig>,
    /// Never empty; `None` is a client without a certificate.
    members: Arc<Vec<Option<Arc<CertifiedKey>>>>,
    resumes: bool,
}

/// A logical client: an identity, and where it resumes, its sessions, because a session belongs to the
/// identity that made it.
#[derive(Debug)]
pub struct Client {
    certificate: Option<Arc<CertifiedKey>>,
    /// Tickets and sessions to resume with; `None`: each handshake is a full one.
    pub sessions: Option<Rc<Sessions>>,
}

impl Identities {
    /// Reads every file that the plan names.
    pub fn load(plan: &Plan) -> Result<Self, UsageError> {
        let keys = aws_lc_rs::default_provider().key_provider;
        let mut loader = Loader {
            keys,
            shared: HashSet::new(),
        };
        let sets = plan.sets.iter().map(|set| loader.load(set).map(Arc::new));
        let sets = sets.collect::<Result<Vec<_>, _>>()?;
        let nobody = Arc::new(vec![None]);
        let parties = plan.entries.iter().map(|entry| {
            let members = entry.set.and_then(|set| sets.get(set)).unwrap_or(&nobody).clone();
            Party::new(entry, &plan.trust, members)
        });
        Ok(Identities(parties.collect::<Result<_, _>>()?))
    }

    /// In the order of the plan's entries.
    pub fn parties(&self) -> &[Party] {
        &self.0
    }

    /// The number of different client certificates.
    pub fn count(&self) -> usize {
        let mut seen = HashSet::new();
        let sets = self
            .0
            .iter()
            .filter(|party| seen.insert(Arc::as_ptr(&party.members)));
        sets.map(|party| party.members.iter().flatten().count()).sum()
    }
}

impl Party {
    fn new(
        entry: &Entry,
        trust: &Trust,
        members: Arc<Vec<Option<Arc<CertifiedKey>>>>,
    ) -> Result<Self, UsageError> {
        let provider = Arc::new(provider(&entry.tls));
        let verifier = verifier(trust, &provider)?;
        let resumes = entry.work == Work::Resume;
        let mut config = config(entry, &provider, verifier);
        if resumes {
            config.resumption = Resumption::store(Arc::new(SessionsOfTheActing));
        }
        Ok(Party {
            config: Arc::new(config),
            members,
            resumes,
        })
    }

    /// The clients that user number `index` of `users` takes in turn. All are used even when they outnumber
    /// the users.
    pub fn clients(&self, index: usize, users: usize) -> Clients {
        Clients {
            party: self.clone(),
            first: index % self.members.len().max(1),
            step: users.max(1),
            next: None,
            known: HashMap::new(),
        }
    }
}

/// An endless round of clients.
pub struct Clients {
    party: Party,
    first: usize,
    step: usize,
    next: Option<usize>,
    /// Clients that have sessions to keep.
    known: HashMap<usize, Rc<Client>>,
}

impl Clients {
    /// The next client in turn; after the last one the first again. A client that resumes comes back with its
    /// sessions.
    pub fn next(&mut self) -> Rc<Client> {
        let members = &self.party.members;
        let index = self
            .next
            .filter(|next| *next < members.len())
            .unwrap_or(self.first);
        self.next = Some(index + self.step);
        if let Some(client) = self.known.get(&index) {
            return client.clone();
        }
        let client = Rc::new(Client {
            certificate: members.get(index).cloned().flatten(),
            sessions: self.party.resumes.then(Rc::default),
        });
        if self.party.resumes {
            self.known.insert(index, client.clone());
        }
        client
    }
}

/// Runs `use_tls` with `client` as the one whom this thread's TLS asks for certificate and sessions.
pub fn acting_as<T>(client: &Rc<Client>, use_tls: impl FnOnce() -> T) -> T {
    ACTING.set(Some(client.clone()));
    let result = use_tls();
    ACTING.set(None);
    result
}

/// The client that [`acting_as`] has set on this thread; `None` outside of it.
pub fn acting() -> Option<Rc<Client>> {
    ACTING.with_borrow(Clone::clone)
}

/// Seeds this thread's random generator, which takes tens of milliseconds at its first use: not to be paid
/// within the first handshake.
pub fn seed_random_generator() {
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0; 32]);
}

/// Takes note of a server's request for a client certificate on this thread: `true` where one came since the
/// last call.
///
/// rustls resolves a certificate exactly when a CertificateRequest has come, within `process_new_packets`.
pub fn take_certificate_requested() -> bool {
    CERTIFICATE_REQUESTED.replace(false)
}

thread_local! {
    static CERTIFICATE_REQUESTED: Cell<bool> = const { Cell::new(false) };
    static ACTING: RefCell<Option<Rc<Client>>> = const { RefCell::new(None) };
}

/// Presents the certificate of the client that acts, or none.
#[derive(Debug)]
struct PresentsTheActing;

impl ResolvesClientCert for PresentsTheActing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        CERTIFICATE_REQUESTED.set(true);
        acting()?.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        acting().is_some_and(|client| client.certificate.is_some())
    }
}

fn config(
    entry: &Entry,
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> ClientConfig {
    let versions: &[&rustls::SupportedProtocolVersion] = match entry.tls.tls {
        Some(Tls::V12) => &[&rustls::version::TLS12],
        Some(Tls::V13) => &[&rustls::version::TLS13],
        None => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("each --cipher and --group has a suite in both versions, or was refused")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(PresentsTheActing));
    config.resumption = Resumption::disabled();
    config.alpn_protocols = match entry.work {
        Work::H2 => vec![b"h2".to_vec()],
        Work::Handshake | Work::Resume | Work::Keepalive => vec![b"http/1.1".to_vec()],
    };
    config
}

fn provider(choice: &TlsChoice) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(group) = choice.group {
        provider.kx_groups = vec![kx_group(group)];
    }
    if let Some(cipher) = choice.cipher {
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
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, UsageError> {
    if trust.insecure {
        return Ok(Arc::new(AcceptAny(provider.clone())));
    }
    let mut roots = RootCertStore::empty();
    for file in &trust.ca {
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

/// Reads identities; keeps what many of them have in common only once.
struct Loader {
    keys: &'static dyn KeyProvider,
    /// Certificates above the leaves.
    shared: HashSet<&'static [u8]>,
}

impl Loader {
    fn load(&mut self, set: &IdentitySet) -> Result<Vec<Option<Arc<CertifiedKey>>>, UsageError> {
        let mut members = Vec::new();
        for (certificate, key) in &set.pairs {
            members.push(Some(self.pair(certificate, key)?));
        }
        for bundle in &set.bundles {
            self.bundle(bundle, &mut members)?;
        }
        Ok(members)
    }

    fn pair(&mut self, certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, UsageError> {
        let chain = certificates(certificate)?;
        let der = private_key(key)?;
        self.certified(chain, der).map_err(|fault| match fault {
            Unusable::Key(error) => mistake(key, format!("the private key cannot be used ({error})")),
            Unusable::Mismatch => mistake(
                key,
                format!(
                    "not the key of {}; give --cert and --key in the same order",
                    certificate.display()
                ),
            ),
        })
    }

    /// A key, then its certificate and chain, then the next key.
    fn bundle(
        &mut self,
        file: &Path,
        members: &mut Vec<Option<Arc<CertifiedKey>>>,
    ) -> Result<(), UsageError> {
        let before = members.len();
        let mut current: Option<(PrivateKeyDer<'static>, Vec<CertificateDer<'static>>)> = None;
        for (kind, der) in pem::sections(file).map_err(|fault| mistake(file, fault))? {
            match (PrivateKeyDer::from_pem(kind, der.clone()), kind, &mut current) {
                (Some(key), _, _) => {
                    if let Some(complete) = current.replace((key, Vec::new())) {
                        members.push(Some(self.member(file, members.len() - before, complete)?));
                    }
                }
                (None, SectionKind::Certificate, Some((_, chain))) => chain.push(der.into()),
                (None, SectionKind::Certificate, None) => {
                    let what = "begins with a certificate; in a bundle each private key comes first, then its certificate";
                    return Err(mistake(file, what.to_owned()));
                }
                (None, _, _) => {}
            }
        }
        match current {
            Some(last) => members.push(Some(self.member(file, members.len() - before, last)?)),
            None => {
                return Err(mistake(
                    file,
                    "contains no private key; make one by `loadgen pki`".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        file: &Path,
        index: usize,
        (key, chain): (PrivateKeyDer<'static>, Vec<CertificateDer<'static>>),
    ) -> Result<Arc<CertifiedKey>, UsageError> {
        let number = index + 1;
        if chain.is_empty() {
            return Err(mistake(
                file,
                format!("no certificate follows key number {number}"),
            ));
        }
        self.certified(chain, key).map_err(|fault| match fault {
            Unusable::Key(error) => mistake(file, format!("key number {number} cannot be used ({error})")),
            Unusable::Mismatch => mistake(
                file,
                format!("key number {number} is not that of the certificate after it"),
            ),
        })
    }

    fn certified(
        &mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Arc<CertifiedKey>, Unusable> {
        let signer = self.keys.load_private_key(key).map_err(Unusable::Key)?;
        let mut chain = chain.into_iter();
        let leaf = chain.next().into_iter();
        let chain = leaf
            .chain(chain.map(|certificate| self.share(certificate)))
            .collect();
        let certified = CertifiedKey::new(chain, signer);
        // Other errors mean that the certificate cannot be parsed (X.509 v1, or bad on purpose): the server's
        // to judge.
        match certified.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(Unusable::Mismatch)
            }
            _ => Ok(Arc::new(certified)),
        }
    }

    /// The same certificate, whose bytes exist only once. They live as long as the process, as the identities
    /// do.
    fn share(&mut self, certificate: CertificateDer<'static>) -> CertificateDer<'static> {
        if let Some(known) = self.shared.get(&certificate[..]) {
            return CertificateDer::from_slice(known);
        }
        let bytes: &'static [u8] = Box::leak(certificate.to_vec().into_boxed_slice());
        self.shared.insert(bytes);
        CertificateDer::from_slice(bytes)
    }
}

/// Reasons why a key and a certificate do not make an identity.
enum Unusable {
    Key(rustls::Error),
    Mismatch,
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, UsageError> {
    let sections = pem::sections(file)
        .map_err(|fault| mistake(file, fault))?
        .into_iter();
    let certificates = sections.filter(|(kind, _)| *kind == SectionKind::Certificate);
    let certificates: Vec<_> = certificates.map(|(_, der)| CertificateDer::from(der)).collect();
    if certificates.is_empty() {
        return Err(mistake(
            file,
            "contains no certificate; it must be PEM".to_owned(),
        ));
    }
    Ok(certificates)
}

/// The first of a file.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, UsageError> {
    let unreadable = |fault: String| {
        let what = format!("no private key can be read from it ({fault}); it must be unencrypted PEM");
        mistake(file, what)
    };
    let mut sections = pem::sections(file).map_err(unreadable)?.into_iter();
    let key = sections.find_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
    key.ok_or_else(|| unreadable("there is none in it".to_owned()))
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
