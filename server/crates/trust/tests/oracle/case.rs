//! Random chains: a good one each, with a few faults and oddities.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use crate::authority::{Authority, Random};
use crate::der::{self, sequence, tagged};

/// The recipe of a chain, so that a failure can be read.
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
    LeafFrom1950,
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
    LeafWithoutNames,
    LeafHostInSubject,
    LeafMailInSubject,
    LeafOtherMailInSubject,
    LeafMail,
    LeafOtherMail,
    LeafUri,
    LeafOtherUri,
    LeafOtherOrganization,
    LeafPolicy,
    LeafOtherPolicy,
    CaExpired,
    CaIsNone,
    CaPathLengthZero,
    CaPathLengthLarge,
    CaForServers,
    CaForClients,
    CaCannotSignCertificates,
    CaCritical,
    CaPermitsOtherNames,
    CaPermitsThisName,
    CaExcludesThisName,
    CaPermitsMail,
    CaExcludesOtherMail,
    CaPermitsUri,
    CaPermitsDirectory,
    CaExcludesOtherDirectory,
    CaPolicy,
    CaRequiresPolicy,
    CaHasAnotherKey,
    CaIssuedInItsOwnName,
    CaSpeltOtherwise,
    CaPresentedTwice,
    CircleOfNames,
    RootExpired,
    RootIsStranger,
    RootPathLengthZero,
    RootTwice,
    IntermediateMissing,
    IntermediateTrusted,
    Shuffled,
    Surplus,
}

pub use Fault::*;

/// Faults and oddities in the names of leaves, and in the names that CAs allow leaves to have.
const NAMES: &[Fault] = &[
    LeafWithoutNames,
    LeafHostInSubject,
    LeafMailInSubject,
    LeafOtherMailInSubject,
    LeafMail,
    LeafOtherMail,
    LeafUri,
    LeafOtherUri,
    LeafOtherOrganization,
    CaPermitsOtherNames,
    CaPermitsThisName,
    CaExcludesThisName,
    CaPermitsMail,
    CaExcludesOtherMail,
    CaPermitsUri,
    CaPermitsDirectory,
    CaExcludesOtherDirectory,
    CaIssuedInItsOwnName,
];

/// CAs that are there twice, and what one of the two may be limited by.
const TWINS: &[Fault] = &[
    LeafExpired,
    CaExpired,
    CaPathLengthZero,
    CaForServers,
    CaCritical,
    CaCannotSignCertificates,
    CaIssuedInItsOwnName,
    CaSpeltOtherwise,
    CaPresentedTwice,
    CircleOfNames,
    RootPathLengthZero,
    RootTwice,
    IntermediateTrusted,
    Shuffled,
];

impl Case {
    pub fn random(random: &mut Random) -> Self {
        let depth = random.below(5) as usize; // intermediates
        // Of all faults, two that have to do with each other seldom meet.
        let pool = [FAULTS, FAULTS, NAMES, TWINS][random.below(4) as usize];
        let mut faults: Vec<Fault> = (0..random.below(5))
            .map(|_| pool[random.below(pool.len() as u64) as usize])
            .collect();
        faults.sort();
        faults.dedup();
        // The intermediate that the Ca… faults are about.
        let faulty = random.below(depth.max(1) as u64) as usize;
        let has = |fault| faults.contains(&fault);

        let root_faults: &[Fault] = if has(RootPathLengthZero) {
            &[CaPathLengthZero]
        } else {
            &[]
        };
        let root = Authority::new(ca("Root", has(RootExpired), root_faults), None);
        let mut cas = vec![root];
        for level in 0..depth {
            let own: &[Fault] = if level == faulty { &faults } else { &[] };
            cas.push(next(cas.last().unwrap(), level, own, has(CaIssuedInItsOwnName)));
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
        if has(RootTwice) {
            let limit =
                [CaPathLengthZero, CaForServers, CaExpired, CaPermitsOtherNames][random.below(4) as usize];
            let other = cas[0].again(ca("Root", limit == CaExpired, &[limit]), None);
            store.insert(random.below(2) as usize, other);
        }
        if has(IntermediateTrusted) && depth > 0 {
            store.push(cas[1 + random.below(depth as u64) as usize].der.clone());
        }
        if has(IntermediateMissing) && depth > 0 {
            intermediates.remove(random.below(depth as u64) as usize);
        }
        if has(CaPresentedTwice) && depth > 0 {
            let faultless = cas[faulty + 1].again(ca(&name(faulty), false, &[]), Some(&cas[faulty]));
            intermediates.insert(random.below(intermediates.len() as u64 + 1) as usize, faultless);
        }
        if has(CircleOfNames) && depth > 1 {
            let round = cas[1].again(ca(&name(0), false, &[]), Some(&cas[depth]));
            intermediates.insert(random.below(intermediates.len() as u64 + 1) as usize, round);
        }
        if has(Surplus) {
            intermediates.push(Authority::new(ca("Surplus", false, &[]), None).der);
        }
        if has(Shuffled) {
            random.shuffle(&mut intermediates);
            random.shuffle(&mut store);
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

    pub fn has_any(&self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.has(*fault))
    }

    /// The same certificates in another order.
    pub fn shuffled(&self, random: &mut Random) -> Self {
        let mut other = Self {
            faults: self.faults.clone(),
            store: self.store.clone(),
            leaf: self.leaf.clone(),
            intermediates: self.intermediates.clone(),
        };
        random.shuffle(&mut other.store);
        random.shuffle(&mut other.intermediates);
        other
    }
}

/// The CA at `level` below the root, with its own faults.
fn next(above: &Authority, level: usize, own: &[Fault], with_key_ids: bool) -> Authority {
    let mut params = ca(&name(level), own.contains(&CaExpired), own);
    params.use_authority_key_identifier_extension = with_key_ids;
    if own.contains(&CaIssuedInItsOwnName) {
        params.distinguished_name = above.params.distinguished_name.clone();
    }
    if own.contains(&CaSpeltOtherwise) {
        params.distinguished_name = named(DnValue::PrintableString(name(level).try_into().unwrap()));
    }
    let next = Authority::new(params.clone(), Some(above));
    if own.contains(&CaHasAnotherKey) {
        return next.with_another_key();
    }
    if own.contains(&CaSpeltOtherwise) {
        params.distinguished_name = named(DnValue::Utf8String(name(level).to_uppercase()));
        return next.that_signs_as(params);
    }
    next
}

fn name(level: usize) -> String {
    format!("CA {level}")
}

fn ca(name: &str, expired: bool, faults: &[Fault]) -> CertificateParams {
    let has = |fault| faults.contains(&fault);
    let mut params = dated(name, expired, false);
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
    if has(CaPathLengthLarge) && !has(CaIsNone) {
        params.is_ca = IsCa::NoCa;
        let value = sequence(&[vec![1, 1, 0xff], vec![2, 3, 0x01, 0x00, 0x00]]);
        params
            .custom_extensions
            .push(extension(&[2, 5, 29, 19], value, true));
    }
    params.key_usages = match has(CaCannotSignCertificates) {
        true => vec![KeyUsagePurpose::DigitalSignature],
        false => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
    };
    params.extended_key_usages = purposes(has(CaForServers), has(CaForClients));
    if has(CaCritical) {
        params.custom_extensions.push(unknown(true));
    }
    if has(CaPolicy) || has(CaRequiresPolicy) {
        params.custom_extensions.push(policies(OUR_POLICY, true));
    }
    if has(CaRequiresPolicy) {
        let value = sequence(&[tagged(0x80, &[0])]);
        params
            .custom_extensions
            .push(extension(&[2, 5, 29, 36], value, true));
    }
    params.custom_extensions.extend(name_constraints(faults));
    params
}

fn name_constraints(faults: &[Fault]) -> Option<CustomExtension> {
    let subtrees = |all: &[(Fault, Vec<u8>)]| -> Vec<Vec<u8>> {
        let chosen = all.iter().filter(|(fault, _)| faults.contains(fault));
        chosen
            .map(|(_, name)| sequence(std::slice::from_ref(name)))
            .collect()
    };
    let (mail, dns, uri) = (0x81, 0x82, 0x86);
    let permitted = subtrees(&[
        (CaPermitsOtherNames, tagged(dns, b"other.example")),
        (CaPermitsThisName, tagged(dns, b"client.example")),
        (CaPermitsMail, tagged(mail, b"client.example")),
        (CaPermitsUri, tagged(uri, b"client.example")),
        (CaPermitsDirectory, tagged(0xa4, &der::organization("Example"))),
    ]);
    let excluded = subtrees(&[
        (CaExcludesThisName, tagged(dns, b"client.example")),
        (CaExcludesOtherMail, tagged(mail, b"evil.example")),
        (
            CaExcludesOtherDirectory,
            tagged(0xa4, &der::organization("Other")),
        ),
    ]);
    let lists = [(0xa0, permitted), (0xa1, excluded)];
    let lists: Vec<_> = lists
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(tag, list)| tagged(*tag, &list.concat()))
        .collect();
    (!lists.is_empty()).then(|| extension(&[2, 5, 29, 30], sequence(&lists), true))
}

fn leaf(faults: &[Fault]) -> CertificateParams {
    let has = |fault| faults.contains(&fault);
    let mut params = dated("client", has(LeafExpired), has(LeafFuture));
    // Of two CAs of one name OpenSSL tries the one that it meets first, unless the certificate names the key.
    params.use_authority_key_identifier_extension = has(CaIssuedInItsOwnName);
    if has(LeafFrom1950) {
        params.not_before = date_time_ymd(1950, 1, 1);
    }
    leaf_names(&mut params, faults);
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
    if has(LeafPolicy) || has(LeafOtherPolicy) {
        let policy = if has(LeafPolicy) { OUR_POLICY } else { OTHER_POLICY };
        params.custom_extensions.push(policies(policy, has(LeafPolicy)));
    }
    params
}

fn leaf_names(params: &mut CertificateParams, faults: &[Fault]) {
    let has = |fault| faults.contains(&fault);
    if has(LeafOtherOrganization) || has(LeafHostInSubject) {
        let (organization, name) = match has(LeafHostInSubject) {
            true => ("Example", "other.example"),
            false => ("Other", "client"),
        };
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::CommonName, name);
    }
    for (fault, address) in [
        (LeafMailInSubject, "a@client.example"),
        (LeafOtherMailInSubject, "a@evil.example"),
    ] {
        if has(fault) {
            let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
            let value = DnValue::Ia5String(address.try_into().unwrap());
            params.distinguished_name.push(email, value);
        }
    }
    if has(LeafWithoutNames) {
        return;
    }
    let names = &mut params.subject_alt_names;
    names.push(SanType::DnsName("client.example".try_into().unwrap()));
    for (fault, host) in [(LeafMail, "client.example"), (LeafOtherMail, "evil.example")] {
        if has(fault) {
            names.push(SanType::Rfc822Name(format!("b@{host}").try_into().unwrap()));
        }
    }
    for (fault, host) in [(LeafUri, "client.example"), (LeafOtherUri, "evil.example")] {
        if has(fault) {
            names.push(SanType::URI(format!("spiffe://{host}/a").try_into().unwrap()));
        }
    }
}

fn dated(name: &str, expired: bool, future: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(DnValue::Utf8String(name.to_owned()));
    params.not_before = date_time_ymd(if future { 2028 } else { 2020 }, 1, 1);
    params.not_after = date_time_ymd(if expired { 2025 } else { 2030 }, 1, 1);
    params
}

fn named(name: DnValue) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::OrganizationName, "Example");
    all.push(DnType::CommonName, name);
    all
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
    extension(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0], critical)
}

fn policies(oid: &[u8], critical: bool) -> CustomExtension {
    let value = sequence(&[sequence(&[tagged(6, oid)])]);
    extension(&[2, 5, 29, 32], value, critical)
}

fn extension(oid: &[u64], value: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value);
    extension.set_criticality(critical);
    extension
}

/// 1.2.3.4 and 1.2.3.5.
const OUR_POLICY: &[u8] = &[0x2a, 3, 4];
const OTHER_POLICY: &[u8] = &[0x2a, 3, 5];
