//! The differential oracle: our verdict on random chains beside webpki's and OpenSSL's.
//!
//! A chain begins as a good one and gets a few random faults: of validity, purpose, key usage, path length, name
//! constraints, critical extensions, signatures, order, missing and surplus certificates. Rules:
//! - what either of the others refuses, we never admit;
//! - where we are stricter than either, the case is one of [`documented`].
//!
//! Seeded: a failure names its seed, and `ORACLE_SEED=n` runs that chain alone; `ORACLE_CHAINS=n` runs more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod case;
mod names;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bothways::trust::{Mode, Policy, RejectedKind, RevocationSet, Rules, TrustStore};
use case::*;
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
            (admitted, webpki, openssl) => {
                documented(case, self, admitted)
                    .map(str::to_owned)
                    .ok_or_else(|| {
                        format!(
                            "undocumented: ours {admitted} ({}), webpki {webpki}, openssl {openssl}",
                            self.reason
                        )
                    })
            }
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
