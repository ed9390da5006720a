//! CAs with their keys, and the dice.

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;

/// A CA whose certificate and whose doings need not agree.
pub struct Authority {
    pub params: CertificateParams,
    pub der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(params: CertificateParams, above: Option<&Self>) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        let issuer = Issuer::new(params.clone(), key);
        Self {
            params,
            der: certificate.der().clone(),
            issuer,
        }
    }

    /// Another certificate of the same key.
    pub fn again(&self, params: CertificateParams, above: Option<&Self>) -> CertificateDer<'static> {
        let key = self.issuer.key();
        let certificate = match above {
            Some(above) => params.signed_by(key, &above.issuer),
            None => params.self_signed(key),
        };
        certificate.unwrap().der().clone()
    }

    /// The certificate stays; what it issues is signed by a key that is not in it.
    pub fn with_another_key(self) -> Self {
        let issuer = Issuer::new(self.params.clone(), KeyPair::generate().unwrap());
        Self { issuer, ..self }
    }

    /// The certificate stays; what it issues names its issuer so.
    pub fn that_signs_as(self, params: CertificateParams) -> Self {
        let key = KeyPair::try_from(self.issuer.key().serialize_der()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, ..self }
    }

    pub fn issue(&self, params: CertificateParams, p384: bool, ed25519: bool) -> CertificateDer<'static> {
        let algorithm = match (p384, ed25519) {
            (true, _) => &rcgen::PKCS_ECDSA_P384_SHA384,
            (_, true) => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        let key = KeyPair::generate_for(algorithm).unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }
}

/// SplitMix64: enough to choose faults by.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
