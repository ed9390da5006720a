//! Authorities and what they issue.

use std::fmt::Write;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, Error,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, RsaKeySize, SerialNumber,
};
use rustls::crypto::aws_lc_rs;
use time::{Duration, OffsetDateTime};

use super::Key;

/// A root and the intermediate that issues everything else.
pub struct Authorities {
    /// Certificate of the root, as PEM.
    pub root_pem: String,
    /// The intermediate.
    pub issuing: Authority,
}

/// An authority that issues client certificates and a CRL.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    key: Key,
}

/// Certificate of a client or a server, with its key.
pub struct Identity {
    /// Private key in PKCS #8, as PEM.
    pub key_pem: String,
    /// The certificate and the intermediate.
    pub chain_pem: String,
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
}

/// The times between which a certificate or a CRL is valid.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Validity {
    /// Valid from a day ago, so that clocks may differ, for so many days.
    pub fn days(days: u32) -> Self {
        let now = OffsetDateTime::now_utc();
        Validity {
            from: now - Duration::DAY,
            until: now + Duration::days(i64::from(days)),
        }
    }

    /// It ended a year ago.
    pub fn over() -> Self {
        let now = OffsetDateTime::now_utc();
        Validity {
            from: now - Duration::days(730),
            until: now - Duration::days(365),
        }
    }

    /// Validity of an authority: it also covers the past of what it issues.
    fn with_the_past(self) -> Self {
        Validity {
            from: self.from - Duration::days(3650),
            until: self.until + Duration::DAY,
        }
    }

    fn set(self, params: &mut CertificateParams) {
        params.not_before = self.from;
        params.not_after = self.until;
    }
}

impl Authorities {
    /// Makes a root, which signs itself, and an intermediate under it, each with a new key of this kind.
    pub fn new(key: Key, validity: Validity) -> Result<Self, Error> {
        let validity = validity.with_the_past();
        let (root_key, issuing_key) = (new_key(key)?, new_key(key)?);
        let root_params = authority_params("loadgen Root CA", validity);
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root_params, root_key);
        let issuing_params = authority_params("loadgen Issuing CA", validity);
        let issuing = issuing_params.signed_by(&issuing_key, &root_issuer)?;
        Ok(Authorities {
            root_pem: root.pem(),
            issuing: Authority {
                issuer: Issuer::new(issuing_params, issuing_key),
                pem: issuing.pem(),
                key,
            },
        })
    }

    /// Root and intermediate.
    pub fn trust_store(&self) -> String {
        format!("{}{}", self.root_pem, self.issuing.pem)
    }

    /// Issues a server certificate for these DNS names and IP addresses.
    pub fn server(&self, names: &[String], validity: Validity) -> Result<Identity, Error> {
        let mut params = CertificateParams::new(names)?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        self.issuing
            .issue(params, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }
}

impl Authority {
    /// Issues the client certificate of `client-NUMBER`.
    pub fn client(&self, number: u32, validity: Validity) -> Result<Identity, Error> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("client-{number:06}"));
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    /// Signs a CRL with these serial numbers, as PEM; `validity` gives its thisUpdate and nextUpdate.
    pub fn crl(&self, serials: &[Vec<u8>], validity: Validity) -> Result<String, Error> {
        let revoked = |serial: &Vec<u8>| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: validity.from,
            reason_code: Some(RevocationReason::CessationOfOperation),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: validity.from,
            next_update: validity.until,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer)?.pem()
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Result<Identity, Error> {
        let key = new_key(self.key)?;
        let serial = new_serial()?;
        validity.set(&mut params);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            key_pem: key.serialize_pem(),
            chain_pem: format!("{}{}", certificate.pem(), self.pem),
            serial,
        })
    }
}

fn authority_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new(); // the default has a name in it
    params
        .distinguished_name
        .push(DnType::OrganizationName, "loadgen");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    validity.set(&mut params);
    params
}

fn new_key(key: Key) -> Result<KeyPair, Error> {
    match key {
        Key::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        Key::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        Key::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        Key::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        Key::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_3072),
    }
}

/// Random, positive, and 16 bytes long without a leading zero.
fn new_serial() -> Result<Vec<u8>, Error> {
    let mut serial = [0; 16];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut serial)
        .map_err(|_| Error::KeyGenerationUnavailable)?;
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(serial.to_vec())
}

/// Serial numbers in hexadecimal, one a line.
pub fn hexadecimal(serials: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for serial in serials {
        for byte in serial {
            let _ = write!(text, "{byte:02X}"); // writing to a String cannot fail
        }
        text.push('\n');
    }
    text
}
