//! The differential oracle: our verdict on random chains beside webpki's and OpenSSL's.
//!
//! A chain begins as a good one and gets a few random faults and oddities: of validity, purpose, key usage,
//! path length, names and name constraints, policies, critical extensions, signatures, spelling, order,
//! missing and surplus certificates, CAs with two certificates or two keys. Rules:
//! - whom we admit, OpenSSL admits too, over one anchor and the intermediates that we took (given more, it
//!   may take the wrong ones: it does not go back); and so does webpki, but for what it does not know
//!   ([`BEYOND_WEBPKI`]);
//! - where we are stricter than either, the case is one of [`documented`];
//! - in another order of bundle and chain the verdict is the same, word for word.
//!
//! Seeded: a failure names its seed, and `ORACLE_SEED=n` runs that chain alone; `ORACLE_CHAINS=n` runs more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod authority;
mod case;
mod der;
mod names;
mod revocation;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use authority::Random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bothways_trust::{Mode, Policy, RejectedKind, RevocationSet, Rules, TrustStore};
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
        let mut random = Random(seed);
        let case = Case::random(&mut random);
        let verdicts = Verdicts::of(&case, folder.path());
        let in_another_order = ours(&case.shuffled(&mut random));
        if verdicts.ours.is_ok() && in_another_order != verdicts.ours {
            wrong.push(format!(
                "seed {seed}: in another order {in_another_order:?}: {:?}: {verdicts:?}",
                case.faults
            ));
        }
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
    ours: Result<Ours, String>,
    webpki: Result<(), webpki::Error>,
    openssl: Result<(), String>,
}

/// Our verdict, by a store that was loaded.
#[derive(PartialEq, Eq)]
enum Ours {
    /// The intermediates of the path.
    Admitted(Vec<Vec<u8>>),
    Refused(RejectedKind, String),
}

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Admitted(path) => write!(f, "admitted over {} intermediates", path.len()),
            Self::Refused(kind, reason) => write!(f, "{kind:?}: {reason}"),
        }
    }
}

impl Verdicts {
    fn of(case: &Case, folder: &Path) -> Self {
        let ours = ours(case);
        let mut openssl = by_openssl(case, folder);
        if let (Ok(Ours::Admitted(path)), Err(_)) = (&ours, &openssl)
            && is_admitted_alone(case, path, folder)
        {
            openssl = Ok(());
        }
        Self {
            ours,
            webpki: by_webpki(case),
            openssl,
        }
    }

    /// The name of the difference, or what is wrong about it.
    fn difference(&self, case: &Case) -> Result<String, String> {
        let admitted = matches!(self.ours, Ok(Ours::Admitted(_)));
        match (admitted, self.webpki.is_ok(), self.openssl.is_ok()) {
            (true, true, true) => Ok("all admit".to_owned()),
            (false, false, false) => Ok("all refuse".to_owned()),
            (true, _, false) => Err("admitted, though OpenSSL refuses".to_owned()),
            (true, false, true) if case.has_any(BEYOND_WEBPKI) => {
                Ok("admitted, as OpenSSL, for what webpki does not know".to_owned())
            }
            (admitted, webpki, openssl) => documented(case, self)
                .map(str::to_owned)
                .ok_or_else(|| format!("undocumented: ours {admitted}, webpki {webpki}, openssl {openssl}")),
        }
    }
}

/// Faults and oddities that webpki judges otherwise, and not as RFC 5280 does: kinds of name constraints,
/// policies, path lengths above 255 and of self-issued CAs, names in two spellings, dates before 1970.
const BEYOND_WEBPKI: &[Fault] = &[
    LeafFrom1950,
    LeafPolicy,
    CaPermitsMail,
    CaExcludesOtherMail,
    CaPermitsUri,
    CaPermitsDirectory,
    CaExcludesOtherDirectory,
    CaPolicy,
    CaRequiresPolicy,
    CaPathLengthLarge,
    CaIssuedInItsOwnName,
    CaSpeltOtherwise,
];

/// Known cases in which we refuse what one or both admit, and why that is right.
fn documented(case: &Case, verdicts: &Verdicts) -> Option<&'static str> {
    let kind = match &verdicts.ours {
        Ok(Ours::Refused(kind, _)) => *kind,
        Ok(Ours::Admitted(_)) => return None,
        Err(_) => return Some("stricter: the store itself was refused at load"),
    };
    if verdicts.openssl.is_err() {
        return match kind {
            _ if case.has(CaCannotSignCertificates) => {
                Some("as OpenSSL: an intermediate whose keyUsage lacks keyCertSign")
            }
            RejectedKind::Expired => Some("as OpenSSL: an anchor that has expired"),
            RejectedKind::MaxChainDepthExceeded | RejectedKind::IntentInvalid => {
                Some("as OpenSSL: the limits of an anchor's own certificate")
            }
            RejectedKind::Invalid => {
                Some("as OpenSSL: name constraints and policies that webpki does not know")
            }
            _ => None,
        };
    }
    match kind {
        RejectedKind::MaxChainDepthExceeded if case.intermediates.len() > 2 => {
            Some("stricter: more than four levels")
        }
        RejectedKind::IntentInvalid if case.has(LeafOnlyEnciphers) => {
            Some("stricter than webpki: keyUsage without digitalSignature")
        }
        RejectedKind::IntentInvalid if case.has_any(&[LeafForAny, CaForServers, LeafIsCa]) => {
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

fn ours(case: &Case) -> Result<Ours, String> {
    let bundle: String = case.store.iter().map(|der| pem(der)).collect();
    let store = TrustStore::from_pem("oracle", bundle.as_bytes()).map_err(|error| error.to_string())?;
    let policy = Policy::new(
        "oracle",
        Rules::new(Mode::Required),
        Arc::new(store),
        Arc::new(RevocationSet::empty()),
    );
    Ok(match policy.verify(&case.leaf, &case.intermediates, now()) {
        Ok(client) => Ours::Admitted(client.certificates().skip(1).map(<[u8]>::to_vec).collect()),
        Err(rejected) => Ours::Refused(rejected.kind, rejected.reason),
    })
}

/// True if OpenSSL admits the client over one of the anchors, given these intermediates only.
fn is_admitted_alone(case: &Case, path: &[Vec<u8>], folder: &Path) -> bool {
    case.store.iter().any(|anchor| {
        let alone = Case {
            faults: case.faults.clone(),
            store: vec![anchor.clone()],
            leaf: case.leaf.clone(),
            intermediates: path.iter().map(|der| der.clone().into()).collect(),
        };
        by_openssl(&alone, folder).is_ok()
    })
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

fn by_openssl(case: &Case, folder: &Path) -> Result<(), String> {
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
        "-policy_check",
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
