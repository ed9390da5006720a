//! A PKI made at run time: authorities, server and client identities with every flaw that the tests need, and
//! CRLs.
//!
//! Keys are P-256 because making one takes microseconds; the launch article's RSA keys are in `article`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, SigningKey, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub use crate::crl::corrupted;
use crate::der;
pub use crate::pem::{crl_pem, pem};

/// The name that every server certificate carries beside its own: clients verify the chain against this one
/// and can then look at which certificate it was (`Connection::server_certificate`).
pub const COMMON_SERVER_NAME: &str = "bothways.test";

pub(crate) type Day = (i32, u8, u8);

/// Midnight UTC of a `Day`, in the date type of rcgen (which does not export its name).
macro_rules! midnight {
    ($day:expr) => {{
        let (year, month, day): Day = $day;
        date_time_ymd(year, month, day)
    }};
}
pub(crate) use midnight;

pub(crate) const VALID: (Day, Day) = ((2024, 1, 1), (2045, 1, 1));
const OVER: (Day, Day) = ((2020, 1, 1), (2021, 1, 1));
pub(crate) const NOT_YET: (Day, Day) = ((2044, 1, 1), (2045, 1, 1));
/// Position of subjectPublicKeyInfo in the TBSCertificate of a version 3 certificate.
const PUBLIC_KEY: usize = 6;

/// The world that most tests live in.
pub struct Pki {
    /// Issues the server's certificates; clients trust it.
    pub servers: Authority,
    /// The root of the clients' side.
    pub root: Authority,
    /// An intermediate under `root` that issues the clients' certificates.
    pub issuing: Authority,
    /// An authority in no trust store.
    pub strangers: Authority,
}

impl Pki {
    /// The PKI of this test process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Pki> = OnceLock::new();
        SHARED.get_or_init(|| {
            let root = Authority::root("Partners Root CA");
            let issuing = root.intermediate("Partners Issuing CA");
            let servers = Authority::root("Server Root CA");
            let strangers = Authority::root("Strangers Root CA");
            Self {
                servers,
                root,
                issuing,
                strangers,
            }
        })
    }

    /// A good client.
    pub fn client(&self, name: &str) -> Identity {
        self.issuing.issue(Leaf::client(name))
    }

    /// The CA bundle of the trust store "partners": root and intermediate.
    pub fn bundle(&self) -> String {
        format!("{}{}", self.root.pem(), self.issuing.pem())
    }
}

/// A certificate authority and the certificates between it and its root, itself first, the root left out.
pub struct Authority {
    certificate: CertificateDer<'static>,
    serial: Vec<u8>,
    path: Vec<CertificateDer<'static>>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn root(name: &str) -> Self {
        Self::self_signed(name, |_| {})
    }

    pub(crate) fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (serial, key) = (next_serial(), new_key());
        let mut params = authority_params(name, &serial);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.into(),
            serial,
            path: Vec::new(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn intermediate(&self, name: &str) -> Self {
        let (serial, key) = (next_serial(), new_key());
        let params = authority_params(name, &serial);
        let certificate = CertificateDer::from(params.signed_by(&key, &self.issuer).unwrap());
        let path = std::iter::once(&certificate).chain(&self.path).cloned().collect();
        Self {
            certificate,
            serial,
            path,
            issuer: Issuer::new(params, key),
        }
    }

    /// An authority of the same name with another key: what a forger can make.
    pub fn forged(name: &str) -> Self {
        Self::root(name)
    }

    /// Issues a certificate; the identity presents it with every intermediate up to the root, which is left
    /// out.
    pub fn issue(&self, leaf: Leaf) -> Identity {
        let key = new_key();
        let certificate = leaf.params().signed_by(&key, &self.issuer).unwrap();
        self.identity(leaf, certificate.into(), &key)
    }

    /// The same as an X.509 version 1 certificate: no version field, no extensions.
    pub fn issue_v1(&self, leaf: Leaf) -> Identity {
        let key = new_key();
        let v3 = CertificateDer::from(leaf.params().signed_by(&key, &self.issuer).unwrap());
        let v1 = self.sign_again(&v3, |_, field| match field.tag {
            0xa0 | 0xa3 => &[],
            _ => field.whole,
        });
        self.identity(leaf, v1, &key)
    }

    /// Issues a certificate for this SubjectPublicKeyInfo, whatever it is; the identity's own key is another.
    pub fn issue_for_key(&self, leaf: Leaf, public_key: &[u8]) -> Identity {
        let mut identity = self.issue(leaf);
        identity.chain[0] = self.certify_key(&identity.chain[0], public_key);
        identity
    }

    /// An intermediate whose certificate names this key; what it issues is signed with another.
    pub fn intermediate_for_key(&self, name: &str, public_key: &[u8]) -> Self {
        let mut authority = self.intermediate(name);
        authority.certificate = self.certify_key(&authority.certificate, public_key);
        authority.path[0] = authority.certificate.clone();
        authority
    }

    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    fn identity(&self, leaf: Leaf, certificate: CertificateDer<'static>, key: &KeyPair) -> Identity {
        let chain = std::iter::once(certificate)
            .chain(self.path.iter().cloned())
            .collect();
        Identity {
            chain,
            key: key.serialize_der(),
            leaf,
        }
    }

    fn certify_key(&self, certificate: &[u8], public_key: &[u8]) -> CertificateDer<'static> {
        self.sign_again(certificate, |position, field| match position {
            PUBLIC_KEY => public_key,
            _ => field.whole,
        })
    }

    /// The certificate with each field of its TBSCertificate replaced by what `change` makes of its position
    /// and itself, signed anew.
    fn sign_again<'a>(
        &self,
        certificate: &'a [u8],
        change: impl Fn(usize, &der::Element<'a>) -> &'a [u8],
    ) -> CertificateDer<'static> {
        let outer = der::elements(certificate);
        let parts = der::elements(outer[0].content);
        let fields = der::elements(parts[0].content);
        let fields = fields.iter().enumerate();
        let changed: Vec<&[u8]> = fields.map(|(position, field)| change(position, field)).collect();
        let tbs = der::element(der::SEQUENCE, &changed.concat());
        let signature = [vec![0], self.issuer.key().sign(&tbs).unwrap()].concat();
        let content = [
            tbs,
            parts[1].whole.to_vec(),
            der::element(der::BIT_STRING, &signature),
        ]
        .concat();
        der::element(der::SEQUENCE, &content).into()
    }
}

/// Content of an end entity's certificate.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Attributes in certificate order.
    subject: Vec<(&'static str, String)>,
    serial: Vec<u8>,
    validity: (Day, Day),
    /// Since 1970, instead of the second day.
    end: Option<Duration>,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    names: Vec<String>,
    padding: usize,
    has_critical_policy: bool,
}

impl Leaf {
    /// A good client certificate: clientAuth, valid for years, a serial number of its own.
    pub fn client(common_name: &str) -> Self {
        Self {
            subject: vec![("O", "Partner".to_owned()), ("CN", common_name.to_owned())],
            serial: next_serial(),
            validity: VALID,
            end: None,
            purposes: vec![ExtendedKeyUsagePurpose::ClientAuth],
            names: Vec::new(),
            padding: 0,
            has_critical_policy: false,
        }
    }

    /// A server certificate for these names and `COMMON_SERVER_NAME`.
    pub fn server(names: &[&str]) -> Self {
        let names = names
            .iter()
            .copied()
            .chain([COMMON_SERVER_NAME])
            .map(str::to_owned)
            .collect();
        let purposes = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Self {
            names,
            purposes,
            ..Self::client("Bothways test server")
        }
    }

    /// Attributes by their short names (C, ST, L, O, OU, CN), in certificate order.
    pub fn subject(self, attributes: &[(&'static str, &str)]) -> Self {
        let subject = attributes
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        Self { subject, ..self }
    }

    /// Big-endian magnitude, without the sign octet.
    pub fn serial(self, serial: &[u8]) -> Self {
        Self {
            serial: serial.to_vec(),
            ..self
        }
    }

    pub fn expired(self) -> Self {
        Self {
            validity: OVER,
            ..self
        }
    }

    /// Valid for so long from now, to the second.
    pub fn ends_in(self, left: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = Some(now.expect("it is after 1970") + left);
        Self { end, ..self }
    }

    pub fn not_yet_valid(self) -> Self {
        Self {
            validity: NOT_YET,
            ..self
        }
    }

    /// Extended key usage; none leaves the extension out.
    pub fn purposes(self, purposes: &[ExtendedKeyUsagePurpose]) -> Self {
        Self {
            purposes: purposes.to_vec(),
            ..self
        }
    }

    /// Adds a non-critical extension of this many octets.
    pub fn padded(self, octets: usize) -> Self {
        Self {
            padding: octets,
            ..self
        }
    }

    /// Adds critical certificatePolicies, as qualified and government certificates have them.
    pub fn with_critical_policy(self) -> Self {
        Self {
            has_critical_policy: true,
            ..self
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.names.clone()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (name, value) in &self.subject {
            let value = match *name {
                "emailAddress" => DnValue::Ia5String(value.as_str().try_into().unwrap()),
                _ => DnValue::Utf8String(value.clone()),
            };
            params.distinguished_name.push(attribute_type(name), value);
        }
        params.serial_number = Some(SerialNumber::from_slice(&self.serial));
        (params.not_before, params.not_after) = (midnight!(self.validity.0), midnight!(self.validity.1));
        if let Some(end) = self.end {
            params.not_after = midnight!((1970, 1, 1)) + Duration::from_secs(end.as_secs());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.purposes.clone();
        if self.has_critical_policy {
            let policy = der::element(0x06, &[0x2a, 3, 4]);
            let policies = der::element(der::SEQUENCE, &der::element(der::SEQUENCE, &policy));
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 32], policies);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }
        if self.padding > 0 {
            let text = der::element(0x04, &vec![0x5a; self.padding]);
            params.custom_extensions.push(CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 4, 1, 55555, 1],
                text,
            ));
        }
        params
    }
}

/// A private key and the chain that is presented with it, leaf first.
#[derive(Clone, Debug)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    leaf: Leaf,
}

impl Identity {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    pub fn chain_pem(&self) -> String {
        self.chain
            .iter()
            .map(|certificate| pem("CERTIFICATE", certificate))
            .collect()
    }

    pub fn leaf_pem(&self) -> String {
        pem("CERTIFICATE", &self.chain[0])
    }

    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// Presents the leaf alone.
    pub fn without_intermediates(mut self) -> Self {
        self.chain.truncate(1);
        self
    }

    /// The victim's certificates with the thief's key.
    pub fn with_stolen_certificate(victim: &Self, thief: Self) -> Self {
        Self {
            key: thief.key,
            ..victim.clone()
        }
    }

    /// The leaf with one bit of its signature turned.
    pub fn with_broken_signature(mut self) -> Self {
        let mut leaf = self.chain[0].to_vec();
        *leaf.last_mut().unwrap() ^= 1;
        self.chain[0] = leaf.into();
        self
    }

    /// The serial number's magnitude, as CRLs are made from it.
    pub fn serial(&self) -> &[u8] {
        &self.leaf.serial
    }

    /// The DER content octets as lowercase hex with colons: `00:9e:…` where the top bit is set.
    pub fn serial_text(&self) -> String {
        let sign = self
            .leaf
            .serial
            .first()
            .is_some_and(|octet| *octet >= 0x80)
            .then_some(&0);
        let octets: Vec<String> = sign
            .into_iter()
            .chain(&self.leaf.serial)
            .map(|o| format!("{o:02x}"))
            .collect();
        octets.join(":")
    }

    /// Certificate order, joined by `, `: how connection records write it.
    pub fn subject_in_records(&self) -> String {
        let attributes: Vec<String> = self
            .leaf
            .subject
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        attributes.join(", ")
    }

    /// `NotBefore=…Z;NotAfter=…Z`.
    pub fn validity_text(&self) -> String {
        let text = |(year, month, day): Day| format!("{year}-{month:02}-{day:02}T00:00:00Z");
        let (from, to) = self.leaf.validity;
        format!("NotBefore={};NotAfter={}", text(from), text(to))
    }

    /// SHA-256 of the leaf's DER, as 64 lowercase hex digits.
    pub fn sha256(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.chain[0]);
        hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

pub(crate) fn authority_params(name: &str, serial: &[u8]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Bothways tests");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (midnight!(VALID.0), midnight!(VALID.1));
    params
}

fn attribute_type(short_name: &str) -> DnType {
    match short_name {
        "C" => DnType::CountryName,
        "ST" => DnType::StateOrProvinceName,
        "L" => DnType::LocalityName,
        "O" => DnType::OrganizationName,
        "OU" => DnType::OrganizationalUnitName,
        "CN" => DnType::CommonName,
        "emailAddress" => DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]),
        other => panic!("no attribute type is known as {other}"),
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a P-256 key")
}

/// Eight octets, the top bit clear, different each time.
pub(crate) fn next_serial() -> Vec<u8> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    [[0x4a, 0x3f, 0x5c, 0x92], number.to_be_bytes()].concat()
}
