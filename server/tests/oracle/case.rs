//! Random chains: a good one each, with a few faults.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

/// What a chain is made of, so that a failure can be read.
#[derive(Debug)]
pub struct Case {
    pub faults: Vec<Fault>,
    /// Trust anchors, leaf, and what is presented beside it.
    pub store: Vec<CertificateDer<'static>>,
    pub leaf: CertificateDer<'static>,
    pub intermediates: Vec<CertificateDer<'static>>,
}

/// The enum, and the list to choose from.
macro_rules! faults {
    ($($fault:ident),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($fault),+ }

        const FAULTS: &[Fault] = &[$($fault),+];
    };
}

faults! {
    LeafExpired,
    LeafFuture,
    LeafForServers,
    LeafForBoth,
    LeafForAny,
    LeafOnlyEnciphers,
    LeafSigns,
    LeafIsCa,
    LeafCritical,
    LeafNotCritical,
    LeafP384,
    LeafEd25519,
    CaExpired,
    CaIsNone,
    CaPathLengthZero,
    CaForServers,
    CaForClients,
    CaCannotSignCertificates,
    CaCritical,
    CaPermitsOtherNames,
    CaPermitsThisName,
    CaExcludesThisName,
    CaHasAnotherKey,
    RootExpired,
    RootIsStranger,
    IntermediateMissing,
    IntermediateTrusted,
    Shuffled,
    Surplus,
}

pub use Fault::*;

impl Case {
    pub fn random(random: &mut Random) -> Self {
        let depth = random.below(5) as usize; // intermediates
        let mut faults: Vec<Fault> = (0..random.below(4))
            .map(|_| FAULTS[random.below(FAULTS.len() as u64) as usize])
            .collect();
        faults.sort();
        faults.dedup();
        let faulty = random.below(depth.max(1) as u64) as usize; // the intermediate that the Ca… faults are about
        let has = |fault| faults.contains(&fault);

        let root = Authority::new(ca("Root", has(RootExpired), &[]), None);
        let mut cas = vec![root];
        for level in 0..depth {
            let own: Vec<Fault> = if level == faulty {
                faults.clone()
            } else {
                Vec::new()
            };
            let params = ca(&format!("CA {level}"), own.contains(&CaExpired), &own);
            let above = cas.last().unwrap();
            let mut next = Authority::new(params, Some(above));
            if own.contains(&CaHasAnotherKey) {
                next = next.with_another_key();
            }
            cas.push(next);
        }
        let leaf = cas
            .last()
            .unwrap()
            .issue(leaf(&faults), has(LeafP384), has(LeafEd25519));
        let mut intermediates: Vec<_> = cas[1..].iter().rev().map(|ca| ca.der.clone()).collect();
        let mut store = vec![cas[0].der.clone()];
        if has(RootIsStranger) {
            store = vec![Authority::new(ca("Root", false, &[]), None).der];
        }
        if has(IntermediateTrusted) && depth > 0 {
            store.push(cas[1 + random.below(depth as u64) as usize].der.clone());
        }
        if has(IntermediateMissing) && depth > 0 {
            intermediates.remove(random.below(depth as u64) as usize);
        }
        if has(Surplus) {
            intermediates.push(Authority::new(ca("Surplus", false, &[]), None).der);
        }
        if has(Shuffled) {
            random.shuffle(&mut intermediates);
        }
        Self {
            faults,
            store,
            leaf,
            intermediates,
        }
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

fn ca(name: &str, expired: bool, faults: &[Fault]) -> CertificateParams {
    let has = |fault| faults.contains(&fault);
    let mut params = named(name, expired, false);
    let length = if has(CaPathLengthZero) {
        BasicConstraints::Constrained(0)
    } else {
        BasicConstraints::Unconstrained
    };
    params.is_ca = if has(CaIsNone) {
        IsCa::ExplicitNoCa
    } else {
        IsCa::Ca(length)
    };
    params.key_usages = match has(CaCannotSignCertificates) {
        true => vec![KeyUsagePurpose::DigitalSignature],
        false => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
    };
    params.extended_key_usages = purposes(has(CaForServers), has(CaForClients));
    if has(CaCritical) {
        params.custom_extensions.push(unknown(true));
    }
    let dns = |name: &str| vec![GeneralSubtree::DnsName(name.to_owned())];
    if has(CaPermitsOtherNames) || has(CaPermitsThisName) || has(CaExcludesThisName) {
        let permitted = if has(CaPermitsOtherNames) {
            dns("other.example")
        } else {
            Vec::new()
        };
        let permitted = if has(CaPermitsThisName) {
            dns("client.example")
        } else {
            permitted
        };
        let excluded = if has(CaExcludesThisName) {
            dns("client.example")
        } else {
            Vec::new()
        };
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: excluded,
        });
    }
    params
}

fn leaf(faults: &[Fault]) -> CertificateParams {
    let has = |fault| faults.contains(&fault);
    let mut params = named("client", has(LeafExpired), has(LeafFuture));
    params.subject_alt_names = vec![SanType::DnsName("client.example".try_into().unwrap())];
    if has(LeafIsCa) {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params.extended_key_usages = purposes(has(LeafForServers) || has(LeafForBoth), has(LeafForBoth));
    if has(LeafForAny) {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::Any);
    }
    if has(LeafOnlyEnciphers) {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    }
    if has(LeafSigns) {
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    }
    if has(LeafCritical) || has(LeafNotCritical) {
        params.custom_extensions.push(unknown(has(LeafCritical)));
    }
    params
}

fn named(name: &str, expired: bool, future: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(if future { 2028 } else { 2020 }, 1, 1);
    params.not_after = date_time_ymd(if expired { 2025 } else { 2030 }, 1, 1);
    params
}

fn purposes(server: bool, client: bool) -> Vec<ExtendedKeyUsagePurpose> {
    let mut purposes = Vec::new();
    if server {
        purposes.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    if client {
        purposes.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    purposes
}

fn unknown(critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    extension.set_criticality(critical);
    extension
}

struct Authority {
    params: CertificateParams,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(params: CertificateParams, above: Option<&Self>) -> Self {
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

    /// The certificate stays; what it issues is signed by a key that is not in it.
    fn with_another_key(self) -> Self {
        let issuer = Issuer::new(self.params.clone(), KeyPair::generate().unwrap());
        Self { issuer, ..self }
    }

    fn issue(&self, params: CertificateParams, p384: bool, ed25519: bool) -> CertificateDer<'static> {
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

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
