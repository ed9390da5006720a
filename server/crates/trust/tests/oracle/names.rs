//! Name constraints beside OpenSSL's: each base as a permitted and as an excluded subtree, with each name of
//! its kind.
//!
//! The rule is that of the oracle: whatever OpenSSL refuses is refused, and where more is refused,
//! [`STRICTER`] says why. The few names that OpenSSL refuses wrongly stand in [`WIDER`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use bothways_trust::probes::judge_names;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, IsCa, Issuer,
    KeyPair, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{NOW, pem};

/// Kind of a GeneralName, its bases and its names. `@` before a name: it is the emailAddress of the subject;
/// `=`: the common name.
struct Grid {
    tag: u8,
    bases: &'static [&'static str],
    names: &'static [&'static str],
}

const GRIDS: &[Grid] = &[
    Grid {
        tag: DNS_NAME,
        bases: &[
            "example.com",
            "EXAMPLE.com",
            ".example.com",
            "host.example.com",
            "",
            "com",
            "example.com.",
            "*.example.com",
        ],
        names: &[
            "example.com",
            "a.example.com",
            "A.B.Example.COM",
            "host.example.com",
            "badexample.com",
            "example.com.evil.test",
            "evil.test",
            "*.example.com",
            "*.host.example.com",
            "a.example.com.",
            "a..example.com",
            "_x.example.com",
            "com",
            "=host.example.com",
            "=evil.test",
            "=*.example.com",
            "=host.example.com.",
            "=client",
            "=Jane Doe",
        ],
    },
    Grid {
        tag: RFC822_NAME,
        bases: &[
            "example.com",
            ".example.com",
            "jane@example.com",
            "@example.com",
            "",
            "EXAMPLE.com",
        ],
        names: &[
            "jane@example.com",
            "Jane@example.com",
            "joe@EXAMPLE.com",
            "jane@mail.example.com",
            "jane@badexample.com",
            "jane@evil.test",
            "\"jane\"@example.com",
            "\"x@evil.test\"@example.com",
            "jane",
            "jane@example.com@evil.test",
            "@jane@example.com",
            "@jane@evil.test",
            "@jane",
        ],
    },
    Grid {
        tag: URI,
        bases: &["example.com", ".example.com", "EXAMPLE.com"],
        names: &[
            "https://example.com/x",
            "spiffe://a.example.com/ns/a",
            "https://EXAMPLE.com",
            "https://badexample.com/",
            "https://user@example.com:8443/x",
            "https://evil.test@example.com/",
            "https://example.com@evil.test/",
            "https://evil.test?@example.com",
            "https://example.com./",
            "urn:uuid:x",
            "https://192.0.2.1/",
            "mailto:jane@example.com",
        ],
    },
    Grid {
        tag: IP_ADDRESS,
        bases: &[
            "10.0.0.0/255.0.0.0",
            "10.1.0.0/255.255.0.0",
            "0.0.0.0/0.0.0.0",
            "10.0.0.1/255.0.255.255",
        ],
        names: &[
            "10.1.2.3",
            "10.0.0.1",
            "11.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
        ],
    },
    Grid {
        tag: DIRECTORY_NAME,
        bases: &["O=Example", "O=EXAMPLE", "O=Example/OU=Clients", "O=Exam", ""],
        names: &[
            "O=Example",
            "O=Example/OU=Clients",
            "O=  example ",
            "O=Other",
            "OU=Clients/O=Example",
            "O=Example Two",
        ],
    },
];

/// Tag, base, name, and the reason why they may be refused though OpenSSL admits them.
const STRICTER: &[(u8, &str, &str, &str)] = &[
    (
        DNS_NAME,
        "example.com.",
        ANY,
        "a base that ends with a dot: nobody can tell what was meant",
    ),
    (
        DNS_NAME,
        "*.example.com",
        ANY,
        "a base with a wildcard: nobody can tell what was meant",
    ),
    (
        DNS_NAME,
        ANY,
        "a.example.com.",
        "a name that ends with a dot would slip past an excluded subtree",
    ),
    (DNS_NAME, ANY, "a..example.com", "no host name"),
    (
        DNS_NAME,
        "host.example.com",
        "*.example.com",
        "the wildcard stands for the excluded host too (RUSTSEC-2026-0098)",
    ),
    (
        DNS_NAME,
        ANY,
        "=*.example.com",
        "a wildcard in the common name is a host name to some programs",
    ),
    (
        DNS_NAME,
        ANY,
        "=host.example.com.",
        "a common name that ends with a dot is a host name to some programs",
    ),
    (RFC822_NAME, ANY, "jane@example.com@evil.test", "no address"),
    (
        RFC822_NAME,
        "jane@example.com",
        "\"jane\"@example.com",
        "the excluded mailbox in quotes",
    ),
    (
        RFC822_NAME,
        "",
        ANY,
        "every address is excluded, as every dNSName would be",
    ),
    (
        URI,
        ANY,
        "https://example.com./",
        "a host that ends with a dot would slip past an excluded subtree",
    ),
    (
        URI,
        ANY,
        "https://192.0.2.1/",
        "RFC 5280 §4.2.1.10 asks to refuse a URI without a host name",
    ),
    (
        URI,
        ANY,
        "https://user@example.com:8443/x",
        "OpenSSL 3.0 takes the user for a part of the host",
    ),
    (
        URI,
        ANY,
        "https://evil.test@example.com/",
        "OpenSSL 3.0 takes the user for a part of the host",
    ),
    (
        IP_ADDRESS,
        "10.0.0.1/255.0.255.255",
        ANY,
        "a mask with gaps is no range",
    ),
    (
        IP_ADDRESS,
        ANY,
        "::ffff:10.0.0.1",
        "the excluded IPv4 address, written as IPv6",
    ),
];

/// The same where they may be admitted though OpenSSL refuses them.
const WIDER: &[(u8, &str, &str, &str)] = &[
    (
        RFC822_NAME,
        "",
        ANY,
        "every address is permitted, as every dNSName is",
    ),
    (
        URI,
        ANY,
        "https://user@example.com:8443/x",
        "OpenSSL 3.0 takes the user for a part of the host",
    ),
    (
        URI,
        ANY,
        "https://evil.test@example.com/",
        "OpenSSL 3.0 takes the user for a part of the host",
    ),
];

/// Every base, or every name.
const ANY: &str = "any";

#[test]
fn name_constraints_are_judged_as_openssl_does_or_documented() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut seen = [0; 2];
    for grid in GRIDS {
        for base in grid.bases {
            for side in [PERMITTED, EXCLUDED] {
                let constraints = element(
                    SEQUENCE,
                    &element(side, &element(SEQUENCE, &general_name(grid.tag, base))),
                );
                let leaves = Leaves::below(&constraints, grid);
                let admitted = leaves.admitted_by_openssl(folder.path());
                for (position, name) in grid.names.iter().enumerate() {
                    let ours = leaves.judge(position, &constraints);
                    let openssl = admitted.contains(&position);
                    seen[usize::from(openssl)] += 1;
                    if let Some(difference) = difference(grid.tag, base, name, ours.is_ok(), openssl) {
                        wrong.push(format!("{side:02x} {base:?} {name:?}: {difference}: {ours:?}"));
                    }
                }
            }
        }
    }
    assert!(
        seen.iter().all(|count| *count > 50),
        "OpenSSL did not judge: {seen:?}"
    );
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn difference(tag: u8, base: &str, name: &str, we_admit: bool, openssl_admits: bool) -> Option<&'static str> {
    let is_listed = |list: &[(u8, &str, &str, &str)]| {
        list.iter().any(|(of_tag, of_base, of_name, _reason)| {
            *of_tag == tag && [ANY, base].contains(of_base) && [ANY, name].contains(of_name)
        })
    };
    match (we_admit, openssl_admits) {
        (true, false) if !is_listed(WIDER) => Some("admitted, though OpenSSL refuses"),
        (false, true) if !is_listed(STRICTER) => Some("refused, though OpenSSL admits"),
        _ => None,
    }
}

/// A constrained root and a leaf for each name of a grid, DER.
struct Leaves {
    root: CertificateDer<'static>,
    leaves: Vec<CertificateDer<'static>>,
}

impl Leaves {
    fn below(constraints: &[u8], grid: &Grid) -> Self {
        let mut params = valid(&[(DnType::CommonName, DnValue::from("Constrained Root"))]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.custom_extensions.push(extension(30, constraints.to_vec()));
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let leaf_key = KeyPair::generate().unwrap();
        let issue = |name: &&str| {
            leaf(grid.tag, name)
                .signed_by(&leaf_key, &issuer)
                .unwrap()
                .der()
                .clone()
        };
        let leaves = grid.names.iter().map(issue).collect();
        Self { root, leaves }
    }

    fn judge(&self, position: usize, constraints: &[u8]) -> Result<(), String> {
        let (_, leaf) = X509Certificate::from_der(&self.leaves[position]).unwrap();
        let names = leaf.get_extension_unique(&ALTERNATIVE_NAMES).unwrap();
        judge_names(
            constraints,
            leaf.subject().as_raw(),
            names.map(|names| names.value),
        )
        .unwrap_or_else(|| Err("malformed".to_owned()))
    }

    /// Positions of the leaves that `openssl verify` admits, by one process.
    fn admitted_by_openssl(&self, folder: &Path) -> BTreeSet<usize> {
        std::fs::write(folder.join("root.pem"), pem(&self.root)).unwrap();
        let file = |position: usize| folder.join(format!("{position}.pem"));
        for (position, leaf) in self.leaves.iter().enumerate() {
            std::fs::write(file(position), pem(leaf)).unwrap();
        }
        let mut command = Command::new("openssl");
        command.args(["verify", "-no-CApath", "-no-CAstore", "-attime", &NOW.to_string()]);
        command.arg("-CAfile").arg(folder.join("root.pem"));
        command.args((0..self.leaves.len()).map(file));
        let output = command.output().expect("openssl is installed");
        let told = String::from_utf8(output.stdout).unwrap();
        let is_admitted = |position: &usize| {
            told.lines()
                .any(|line| line == format!("{}: OK", file(*position).display()))
        };
        (0..self.leaves.len()).filter(is_admitted).collect()
    }
}

fn leaf(tag: u8, name: &str) -> CertificateParams {
    let organization = |name: &str| (DnType::OrganizationName, DnValue::from(name));
    if let Some(address) = name.strip_prefix('@') {
        let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        return valid(&[
            organization("Example"),
            (email, DnValue::Ia5String(address.try_into().unwrap())),
        ]);
    }
    if let Some(host) = name.strip_prefix('=') {
        return valid(&[organization("Example"), (DnType::CommonName, DnValue::from(host))]);
    }
    let mut params = valid(&[(DnType::CommonName, DnValue::from("client"))]);
    let names = element(SEQUENCE, &general_name(tag, name));
    params.custom_extensions.push(extension(17, names));
    if tag == DIRECTORY_NAME {
        // The subject is a directory name too.
        params.distinguished_name = DistinguishedName::new();
    }
    params
}

fn valid(subject: &[(DnType, DnValue)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}

/// A critical extension below id-ce.
fn extension(last_arc: u64, value: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, last_arc], value);
    extension.set_criticality(true);
    extension
}

fn general_name(tag: u8, name: &str) -> Vec<u8> {
    match tag {
        DIRECTORY_NAME => element(tag, &element(SEQUENCE, &directory_name(name))),
        IP_ADDRESS => element(tag, &name.split('/').flat_map(ip_address).collect::<Vec<_>>()),
        _ => element(tag, name.as_bytes()),
    }
}

fn ip_address(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RDNs of a text like `O=Example/OU=Clients`.
fn directory_name(text: &str) -> Vec<u8> {
    let attributes = text.split('/').filter_map(|attribute| attribute.split_once('='));
    let rdn = |(kind, value): (&str, &str)| {
        let last_arc = if kind == "OU" { 11 } else { 10 };
        let pair = [
            element(0x06, &[0x55, 4, last_arc]),
            element(0x0c, value.as_bytes()),
        ];
        element(0x31, &element(SEQUENCE, &pair.concat()))
    };
    attributes.flat_map(rdn).collect()
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80);
    [&[tag, length.expect("a short element")], content].concat()
}

const SEQUENCE: u8 = 0x30;
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xa4;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const ALTERNATIVE_NAMES: Oid<'static> = oid!(2.5.29.17);
