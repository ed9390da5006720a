//! The differential oracle: our verdict on random chains beside webpki's and OpenSSL's.
//!
//! A chain begins as a good one and gets a few random faults: of validity, purpose, key usage, path length, name
//! constraints, critical extensions, signatures, order, missing and surplus certificates. Rules:
//! - what either of the others refuses, we never admit;
//! - where we are stricter than either, the case is one of [`documented`].
//!
//! Seeded: a failure names its seed, and `ORACLE_SEED=n` runs that chain alone; `ORACLE_CHAINS=n` runs more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bothways::trust::{Mode, Policy, RejectedKind, RevocationSet, Rules, TrustStore};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

const CHAINS: u64 = 1_000;
/// 2026-11-23T00:00:00Z.
const NOW: u64 = 1_795_392_000;

#[test]
fn our_verdicts_differ_from_webpki_and_openssl_only_where_documented() {
    let seeds = match env_number("ORACLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env_number("ORACLE_CHAINS").unwrap_or(CHAINS),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for seed in seeds {
        let case = Case::random(&mut Random(seed));
        let verdicts = Verdicts::of(&case, folder.path());
        match verdicts.difference(&case) {
            Ok(kind) => *seen.entry(kind).or_default() += 1,
            Err(why) => wrong.push(format!("seed {seed}: {why}: {:?}: {verdicts:?}", case.faults)),
        }
    }
    println!("{seen:#?}");
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    let alone = env_number("ORACLE_SEED").is_some();
    assert!(
        alone || seen.len() > 5,
        "the faults had too little effect: {seen:?}"
    );
}

/// What a chain is made of, so that a failure can be read.
#[derive(Debug)]
struct Case {
    faults: Vec<Fault>,
    /// Trust anchors, leaf, and what is presented beside it.
    store: Vec<CertificateDer<'static>>,
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
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

use Fault::*;

const FAULTS: [Fault; 29] = [
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
];

impl Case {
    fn random(random: &mut Random) -> Self {
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

    fn has(&self, fault: Fault) -> bool {
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

#[derive(Debug)]
struct Verdicts {
    /// `None`: admitted. A store that was refused at load counts as a refusal of everybody: `Err`.
    ours: Result<Option<RejectedKind>, String>,
    reason: String,
    webpki: Result<(), webpki::Error>,
    openssl: Result<(), String>,
}

impl Verdicts {
    fn of(case: &Case, folder: &std::path::Path) -> Self {
        let (ours, reason) = ours(case);
        Self {
            ours,
            reason,
            webpki: by_webpki(case),
            openssl: by_openssl(case, folder),
        }
    }

    /// The name of the difference, or what is wrong about it.
    fn difference(&self, case: &Case) -> Result<String, String> {
        let admitted = matches!(self.ours, Ok(None));
        match (admitted, self.webpki.is_ok(), self.openssl.is_ok()) {
            (true, true, true) => Ok("all admit".to_owned()),
            (false, false, false) => Ok("all refuse".to_owned()),
            (true, false, false) => Err("admitted, though both others refuse".to_owned()),
            (admitted, webpki, openssl) => documented(case, self, admitted)
                .map(str::to_owned)
                .ok_or_else(|| format!("undocumented: ours {admitted}, webpki {webpki}, openssl {openssl}")),
        }
    }
}

/// Where we refuse what one or both admit, and why that is right.
fn documented(case: &Case, verdicts: &Verdicts, admitted: bool) -> Option<&'static str> {
    if admitted {
        return None;
    }
    let kind = match &verdicts.ours {
        Ok(kind) => (*kind)?,
        Err(_) => return Some("stricter: the store itself was refused at load"),
    };
    match kind {
        _ if case.has(CaCannotSignCertificates) && verdicts.openssl.is_err() => {
            Some("stricter than webpki: an intermediate whose keyUsage lacks keyCertSign")
        }
        RejectedKind::Expired if case.has(CaExpired) && case.has(IntermediateTrusted) => {
            Some("stricter than webpki: an anchor that has expired")
        }
        RejectedKind::MaxChainDepthExceeded => Some("stricter: more than four levels"),
        RejectedKind::Expired if case.has(RootExpired) => {
            Some("stricter than webpki: an anchor that has expired")
        }
        RejectedKind::IntentInvalid if case.has(LeafOnlyEnciphers) => {
            Some("stricter than webpki: keyUsage without digitalSignature")
        }
        RejectedKind::IntentInvalid
            if case.has(LeafForAny) || case.has(CaForServers) || case.has(LeafIsCa) =>
        {
            Some("stricter than OpenSSL, as webpki: a purpose or a CA that OpenSSL lets pass")
        }
        RejectedKind::Untrusted | RejectedKind::Expired | RejectedKind::Invalid
            if verdicts.webpki.is_err() =>
        {
            Some("stricter than OpenSSL, as webpki")
        }
        _ => None,
    }
}

fn ours(case: &Case) -> (Result<Option<RejectedKind>, String>, String) {
    let bundle: String = case.store.iter().map(|der| pem(der)).collect();
    let store = match TrustStore::from_pem("oracle", bundle.as_bytes()) {
        Ok(store) => Arc::new(store),
        Err(error) => return (Err(error.to_string()), String::new()),
    };
    let policy = Policy::new(
        "oracle",
        Rules::new(Mode::Required),
        store,
        Arc::new(RevocationSet::empty()),
    );
    match policy.verify(&case.leaf, &case.intermediates, now()) {
        Ok(_) => (Ok(None), String::new()),
        Err(rejected) => (Ok(Some(rejected.kind)), rejected.reason),
    }
}

fn by_webpki(case: &Case) -> Result<(), webpki::Error> {
    let anchors = case
        .store
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<Vec<_>, _>>()?;
    let leaf = EndEntityCert::try_from(&case.leaf)?;
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, KeyUsage::client_auth());
    leaf.verify_for_usage(
        algorithms,
        &anchors,
        &case.intermediates,
        now(),
        usage,
        None,
        None,
    )
    .map(drop)
}

fn by_openssl(case: &Case, folder: &std::path::Path) -> Result<(), String> {
    let write = |name: &str, certificates: &[CertificateDer<'_>]| {
        let path = folder.join(name);
        std::fs::write(&path, certificates.iter().map(|der| pem(der)).collect::<String>()).unwrap();
        path
    };
    let (store, leaf) = (
        write("store.pem", &case.store),
        write("leaf.pem", std::slice::from_ref(&case.leaf)),
    );
    let mut command = Command::new("openssl");
    command.args([
        "verify",
        "-purpose",
        "sslclient",
        "-partial_chain",
        "-no-CApath",
        "-no-CAstore",
    ]);
    command.args(["-attime", &NOW.to_string(), "-CAfile"]).arg(store);
    if !case.intermediates.is_empty() {
        command
            .arg("-untrusted")
            .arg(write("untrusted.pem", &case.intermediates));
    }
    let output = command.arg(leaf).output().expect("openssl is installed");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(NOW))
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// SplitMix64: enough to choose faults by.
struct Random(u64);

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
