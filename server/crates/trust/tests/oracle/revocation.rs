//! Random revocation lists: our verdict beside a model of the rules and beside `openssl verify -crl_check`.
//!
//! CAs share names and not keys, or a key and not the name; one name has several spellings; lists are of
//! partitions, of users or CAs alone, old, of tomorrow, without extensions; a CA may have been given a new
//! key within the path. Every certificate needs a list (`ca_without_crl = "reject"`). Rules:
//! - ours is the model's verdict (RFC 5280 §6.3.3, with what a list names revoked whatever its scope);
//! - what OpenSSL refuses, we never admit.
//!
//! Lists have an authorityKeyIdentifier, without which OpenSSL tries one key of a name and no other.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bothways_trust::{Mode, Policy, RejectedKind, RevocationSetBuilder, Rules, TrustStore, WithoutCrl};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType, DnValue, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber, SigningKey, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use super::authority::Random;
use super::der::{sequence, tagged};
use super::{NOW, env_number, now, pem};

const CASES: u64 = 300;

#[test]
fn revocation_is_judged_as_the_rules_say_and_never_milder_than_by_openssl() {
    let seeds = match env_number("ORACLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env_number("ORACLE_CHAINS").unwrap_or(CASES),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut seen: BTreeMap<(Verdict, bool), u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for seed in seeds.clone() {
        let case = Case::random(&mut Random(seed ^ 0x5eed_0000));
        let (ours, model) = (case.ours(), case.model());
        let openssl = case.openssl(folder.path());
        *seen.entry((ours, openssl.is_ok())).or_default() += 1;
        if ours != model {
            wrong.push(format!(
                "seed {seed}: ours {ours:?}, the rules {model:?}: {case:?}"
            ));
        }
        if let (Verdict::Admitted, Err(why)) = (ours, &openssl) {
            wrong.push(format!(
                "seed {seed}: admitted, though OpenSSL says {why}: {case:?}"
            ));
        }
    }
    println!("{seen:#?}");
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    for verdict in [Verdict::Admitted, Verdict::Revoked, Verdict::Unknown] {
        let count = seen.iter().filter(|((ours, _), _)| *ours == verdict);
        let count: u32 = count.map(|(_, count)| count).sum();
        assert!(
            seeds.end - seeds.start < 100 || count > 10,
            "{verdict:?}: {seen:?}"
        );
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Admitted,
    Revoked,
    /// No current list covers a certificate.
    Unknown,
    Other,
}

/// A name in one of its spellings: `SPELLINGS[0]` to `[2]` are one name.
type Spelling = usize;

const SPELLINGS: usize = 4;

fn text(spelling: Spelling) -> DnValue {
    match spelling {
        0 => DnValue::Utf8String("Issuing CA".to_owned()),
        1 => DnValue::PrintableString("ISSUING  CA".try_into().unwrap()),
        2 => DnValue::BmpString("issuing ca ".try_into().unwrap()),
        _ => DnValue::Utf8String("Other CA".to_owned()),
    }
}

fn is_same_name(left: Spelling, right: Spelling) -> bool {
    left == right || left.max(right) < 3
}

struct Case {
    keys: Vec<KeyPair>,
    /// In the bundle: name and key.
    cas: Vec<(Spelling, usize)>,
    /// The anchor's place in `cas`.
    issuer: usize,
    /// Spelling of its name in the certificates and lists that it has issued.
    spelt: Spelling,
    /// The key that the anchor's CA was given later, certified by the old one and presented.
    renewed_key: Option<usize>,
    serial: u8,
    distribution_point: Option<u8>,
    lists: Vec<List>,
}

#[derive(Debug)]
struct List {
    spelling: Spelling,
    key: usize,
    serials: Vec<u8>,
    scope: Scope,
    period: Period,
    version_1: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    Point(u8),
    Users,
    Cas,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Period {
    Past,
    Current,
    Future,
}

/// Certificate that needs a list.
struct Link {
    is_ca: bool,
    serial: u8,
    distribution_point: Option<u8>,
    issuer: Spelling,
    /// Keys of the issuer, and of what else of that name is above it.
    keys: Vec<usize>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "CAs {:?}, issuer {} spelt {}, renewed {:?}, serial {}, point {:?}, lists {:?}",
            self.cas,
            self.issuer,
            self.spelt,
            self.renewed_key,
            self.serial,
            self.distribution_point,
            self.lists
        )
    }
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let keys: Vec<_> = (0..3).map(|_| KeyPair::generate().unwrap()).collect();
        let mut cas: Vec<(Spelling, usize)> = Vec::new();
        for _ in 0..=random.below(3) {
            let ca = (random.below(SPELLINGS as u64) as usize, random.below(2) as usize);
            if !cas.contains(&ca) {
                cas.push(ca);
            }
        }
        let issuer = random.below(cas.len() as u64) as usize;
        let renewed_key = (random.below(4) == 0).then_some(2);
        // OpenSSL, which has nothing else to choose the key of such a list by, must have no choice.
        let has_one_key = renewed_key.is_none() && cas.iter().all(|(_, key)| *key == cas[0].1);
        let lists = (0..random.below(4)).map(|_| List::random(random, &cas, has_one_key));
        let lists = lists.collect();
        Self {
            keys,
            issuer,
            spelt: another_spelling(random, cas[issuer].0),
            renewed_key,
            serial: 1 + random.below(3) as u8,
            distribution_point: (random.below(2) == 0).then(|| random.below(2) as u8),
            lists,
            cas,
        }
    }

    fn links(&self) -> Vec<Link> {
        let (_, key) = self.cas[self.issuer];
        let issuer = self.spelt;
        let mut keys = vec![key];
        let mut links = Vec::new();
        if let Some(renewed) = self.renewed_key {
            links.push(Link {
                is_ca: true,
                serial: RENEWED_SERIAL,
                distribution_point: None,
                issuer,
                keys: keys.clone(),
            });
            keys.insert(0, renewed);
        }
        links.push(Link {
            is_ca: false,
            serial: self.serial,
            distribution_point: self.distribution_point,
            issuer,
            keys,
        });
        links
    }

    fn model(&self) -> Verdict {
        let links = self.links();
        if links.iter().any(|link| {
            self.of_issuer(link)
                .any(|list| list.serials.contains(&link.serial))
        }) {
            return Verdict::Revoked;
        }
        match links.iter().all(|link| self.is_covered(link)) {
            true => Verdict::Admitted,
            false => Verdict::Unknown,
        }
    }

    fn of_issuer<'a>(&'a self, link: &'a Link) -> impl Iterator<Item = &'a List> {
        let lists = self.lists.iter();
        lists.filter(|list| is_same_name(list.spelling, link.issuer) && link.keys.contains(&list.key))
    }

    /// The nearest key with a covering list counts. Every scope of its covering lists needs a current one.
    fn is_covered(&self, link: &Link) -> bool {
        let of_key = |key: &usize| -> Vec<&List> {
            let covering = self.of_issuer(link).filter(|list| list.covers(link));
            covering.filter(|list| list.key == *key).collect()
        };
        let nearest = link.keys.iter().map(of_key).find(|lists| !lists.is_empty());
        let lists = nearest.unwrap_or_default();
        let is_current = |scope: Scope| {
            let mut of_scope = lists.iter().filter(|list| list.scope == scope);
            of_scope.any(|list| list.period == Period::Current)
        };
        !lists.is_empty() && lists.iter().all(|list| is_current(list.scope))
    }

    fn ours(&self) -> Verdict {
        let bundle: String = self.bundle().iter().map(|der| pem(der)).collect();
        let store = Arc::new(TrustStore::from_pem("oracle", bundle.as_bytes()).unwrap());
        let mut builder = RevocationSetBuilder::new(&store);
        for list in &self.lists {
            builder.add_file(&list.sign(&self.keys)).unwrap();
        }
        let rules = Rules {
            ca_without_crl: WithoutCrl::Reject,
            ..Rules::new(Mode::Required)
        };
        let revoked = Arc::new(builder.build());
        let policy = Policy::new("oracle", rules, store, revoked);
        let (leaf, presented) = self.chain();
        match policy
            .verify(&leaf, &presented, now())
            .map_err(|rejected| rejected.kind)
        {
            Ok(_) => Verdict::Admitted,
            Err(RejectedKind::Revoked) => Verdict::Revoked,
            Err(RejectedKind::RevocationUnknown) => Verdict::Unknown,
            Err(_) => Verdict::Other,
        }
    }

    fn openssl(&self, folder: &Path) -> Result<(), String> {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let certificates = |all: &[CertificateDer<'_>]| all.iter().map(|der| pem(der)).collect::<String>();
        let (leaf, presented) = self.chain();
        let lists = self.lists.iter().map(|list| pem(&list.sign(&self.keys)));
        let lists: String = lists
            .map(|list| list.replace("CERTIFICATE", "X509 CRL"))
            .collect();
        let mut command = Command::new("openssl");
        command.args([
            "verify",
            "-purpose",
            "sslclient",
            "-partial_chain",
            "-no-CApath",
            "-no-CAstore",
        ]);
        command.args(["-attime", &NOW.to_string(), "-CAfile"]);
        command.arg(write("cas.pem", certificates(&self.bundle())));
        command.arg(match self.renewed_key {
            Some(_) => "-crl_check_all",
            None => "-crl_check",
        });
        if self.renewed_key.is_some() {
            command.arg("-crl_check");
        }
        if !lists.is_empty() {
            command.arg("-CRLfile").arg(write("lists.pem", lists));
        }
        if !presented.is_empty() {
            command
                .arg("-untrusted")
                .arg(write("presented.pem", certificates(&presented)));
        }
        let output = command
            .arg(write("client.pem", certificates(std::slice::from_ref(&leaf))))
            .output();
        let output = output.expect("openssl is installed");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn bundle(&self) -> Vec<CertificateDer<'static>> {
        let all = self.cas.iter().map(|(spelling, key)| {
            let params = authority(*spelling, ANCHOR_SERIAL);
            params.self_signed(&self.keys[*key]).unwrap().der().clone()
        });
        all.collect()
    }

    /// The client's certificate, and what it presents beside it.
    fn chain(&self) -> (CertificateDer<'static>, Vec<CertificateDer<'static>>) {
        let (spelling, key) = self.cas[self.issuer];
        let anchor = Issuer::new(authority(self.spelt, ANCHOR_SERIAL), &self.keys[key]);
        let client = client(self.serial, self.distribution_point);
        let Some(renewed) = self.renewed_key else {
            let client = client.signed_by(&KeyPair::generate().unwrap(), &anchor).unwrap();
            return (client.der().clone(), Vec::new());
        };
        let params = authority(spelling, RENEWED_SERIAL);
        let new_with_old = params.signed_by(&self.keys[renewed], &anchor).unwrap();
        let issuer = Issuer::new(authority(self.spelt, RENEWED_SERIAL), &self.keys[renewed]);
        let client = client.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (client.der().clone(), vec![new_with_old.der().clone()])
    }
}

impl List {
    /// Signed by one of the CAs, whose name it spells in any way.
    fn random(random: &mut Random, cas: &[(Spelling, usize)], may_be_version_1: bool) -> Self {
        let (name, key) = cas[random.below(cas.len() as u64) as usize];
        let version_1 = may_be_version_1 && random.below(5) == 0;
        Self {
            spelling: another_spelling(random, name),
            key,
            serials: (1..=9).filter(|_| random.below(6) == 0).collect(),
            scope: match random.below(6) {
                _ if version_1 => Scope::All,
                0 => Scope::Point(0),
                1 => Scope::Point(1),
                2 => Scope::Users,
                3 => Scope::Cas,
                _ => Scope::All,
            },
            period: [Period::Current, Period::Current, Period::Past, Period::Future]
                [random.below(4) as usize],
            version_1,
        }
    }

    fn covers(&self, link: &Link) -> bool {
        match self.scope {
            Scope::All => true,
            Scope::Users => !link.is_ca,
            Scope::Cas => link.is_ca,
            Scope::Point(point) => link.distribution_point == Some(point),
        }
    }

    fn sign(&self, keys: &[KeyPair]) -> Vec<u8> {
        let key = &keys[self.key];
        let (this_update, next_update) = match self.period {
            Period::Past => ("260601000000Z", "260701000000Z"),
            Period::Current => ("261101000000Z", "270101000000Z"),
            Period::Future => ("261201000000Z", "270201000000Z"),
        };
        let time = |text: &str| tagged(UTC_TIME, text.as_bytes());
        let entries = self
            .serials
            .iter()
            .map(|serial| sequence(&[tagged(INTEGER, &[*serial]), time(this_update)]));
        let entries: Vec<_> = entries.collect();
        let message = sequence(&[
            if self.version_1 {
                Vec::new()
            } else {
                tagged(INTEGER, &[1])
            },
            sequence(&[ECDSA_WITH_SHA256.to_vec()]),
            name(self.spelling),
            time(this_update),
            time(next_update),
            if entries.is_empty() {
                Vec::new()
            } else {
                sequence(&entries)
            },
            if self.version_1 {
                Vec::new()
            } else {
                self.extensions(key)
            },
        ]);
        let signature = [&[0][..], &key.sign(&message).unwrap()].concat();
        sequence(&[
            message,
            sequence(&[ECDSA_WITH_SHA256.to_vec()]),
            tagged(BIT_STRING, &signature),
        ])
    }

    fn extensions(&self, key: &KeyPair) -> Vec<u8> {
        let extension = |last_arc, critical: bool, value: Vec<u8>| {
            let critical = if critical { vec![1, 1, 0xff] } else { Vec::new() };
            sequence(&[
                tagged(OID, &[0x55, 0x1d, last_arc]),
                critical,
                tagged(OCTET_STRING, &value),
            ])
        };
        let key_id = CertificateParams::default().key_identifier(key);
        let authority_key = extension(35, false, sequence(&[tagged(0x80, &key_id)]));
        let scope = |fields: Vec<u8>| extension(28, true, sequence(&[fields]));
        let scope = match self.scope {
            Scope::All => Vec::new(),
            Scope::Point(point) => {
                let uri = tagged(0x86, uri(point).as_bytes());
                scope(tagged(0xa0, &tagged(0xa0, &uri)))
            }
            Scope::Users => scope(tagged(0x81, &[0xff])),
            Scope::Cas => scope(tagged(0x82, &[0xff])),
        };
        tagged(0xa0, &sequence(&[authority_key, scope]))
    }
}

fn another_spelling(random: &mut Random, name: Spelling) -> Spelling {
    match name {
        0..3 => random.below(3) as usize,
        _ => name,
    }
}

fn authority(spelling: Spelling, serial: u8) -> CertificateParams {
    let mut params = named(text(spelling), serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client(serial: u8, distribution_point: Option<u8>) -> CertificateParams {
    let mut params = named(DnValue::Utf8String("client".to_owned()), serial);
    let points = distribution_point.map(|point| CrlDistributionPoint {
        uris: vec![uri(point)],
    });
    params.crl_distribution_points = points.into_iter().collect();
    params
}

fn named(name: DnValue, serial: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(u64::from(serial)));
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    params
}

fn uri(point: u8) -> String {
    format!("http://crl.example/{point}")
}

/// The DER of the Name that rcgen makes of a spelling.
fn name(spelling: Spelling) -> Vec<u8> {
    let (tag, octets) = match text(spelling) {
        DnValue::BmpString(text) => (0x1e, text.as_bytes().to_vec()),
        DnValue::PrintableString(text) => (0x13, text.as_str().into()),
        DnValue::Utf8String(text) => (0x0c, text.into_bytes()),
        _ => unreachable!("no spelling is of another type"),
    };
    let pair = sequence(&[tagged(OID, &[0x55, 4, 3]), tagged(tag, &octets)]);
    sequence(&[tagged(0x31, &pair)])
}

const ANCHOR_SERIAL: u8 = 100;
const RENEWED_SERIAL: u8 = 9;
const ECDSA_WITH_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const INTEGER: u8 = 2;
const BIT_STRING: u8 = 3;
const OCTET_STRING: u8 = 4;
const OID: u8 = 6;
const UTC_TIME: u8 = 0x17;
