//! Its connection functions.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bothways_functions::{
    ConnectionEvent, ConnectionOutcome, Decision, Denial, Function, FunctionKind, TlsFacts,
    call_connection_at,
};
use bothways_state::key_values::{KeyValues, Store};
use bothways_trust::CertificateFacts;
use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

use super::{files_with, load};

/// The file that each test runs; every file of the gallery is here.
const TESTED: [&str; 7] = [
    "address-list.js",
    "deny-revoked.js",
    "device-unit.js",
    "fingerprint-list.js",
    "issuer-and-serial.js",
    "subject-rule.js",
    "time-window.js",
];

#[test]
fn every_connection_function_of_the_gallery_is_tested() {
    assert_eq!(files_with("connectionHandler"), TESTED);
}

#[test]
fn deny_revoked_denies_exactly_the_serials_of_the_store() {
    let function = Gallery::load("deny-revoked.js", &[("009e2aaf", "")]);
    let revoked = function.call(&Client::certificate("CN=a", &[0x9e, 0x2a, 0xaf]));
    assert_eq!(revoked.decision, Decision::Deny(Denial::Called));
    assert_eq!(revoked.custom_data.as_deref(), Some("REVOKED:00:9e:2a:af"));
    let other = function.call(&Client::certificate("CN=b", &[0x4a, 0x3f]));
    assert_eq!((other.decision, other.custom_data), (Decision::Allow, None));
    let none = function.call(&Client::without_certificate("192.0.2.1"));
    assert_eq!(none.decision, Decision::Deny(Denial::Called));
}

#[test]
fn subject_rule_wants_the_whole_attribute() {
    let function = Gallery::load("subject-rule.js", &[]);
    let allow =
        |subject: &str| function.call(&Client::certificate(subject, &[1])).decision == Decision::Allow;
    assert!(allow("O=ExampleCorp,CN=client"));
    for other in [
        "O=ExampleCorp Ltd",
        "CN=O=ExampleCorp",
        "OU=ExampleCorp",
        "CN=x\\, O=ExampleCorp",
    ] {
        assert!(!allow(other), "{other}");
    }
    let refused = function.call(&Client::certificate("O=Other", &[1]));
    assert_eq!(
        refused.custom_data.as_deref(),
        Some("not of O=ExampleCorp: O=Other")
    );
}

#[test]
fn device_unit_wants_unit_and_serial_range() {
    let function = Gallery::load("device-unit.js", &[]);
    let allow = |subject: &str, serial: &[u8]| {
        function.call(&Client::certificate(subject, serial)).decision == Decision::Allow
    };
    assert!(allow("OU=Devices,CN=d", &[0x4a, 0x3f, 1]));
    assert!(!allow("OU=Devices,CN=d", &[0x4b, 0x3f, 1]));
    assert!(!allow("OU=Desks,CN=d", &[0x4a, 0x3f, 1]));
}

#[test]
fn fingerprint_list_admits_known_certificates_and_logs_their_owner() {
    let client = Client::certificate("CN=known", &[7]);
    let fingerprint = URL_SAFE.encode(digest(&SHA256, client.leaf.as_ref().unwrap().der()));
    let function = Gallery::load("fingerprint-list.js", &[(&fingerprint, "Alice")]);
    let known = function.call(&client);
    assert_eq!(
        (known.decision, known.custom_data.as_deref()),
        (Decision::Allow, Some("owner=Alice"))
    );
    let unknown = function.call(&Client::certificate("CN=known", &[7]));
    assert_eq!(
        unknown.decision,
        Decision::Deny(Denial::Called),
        "another key makes another certificate"
    );
}

#[test]
fn address_list_admits_known_networks_without_a_certificate() {
    let function = Gallery::load("address-list.js", &[]);
    let allow = |client: &Client| function.call(client).decision == Decision::Allow;
    assert!(allow(&Client::certificate("CN=any", &[1])));
    assert!(allow(&Client::without_certificate("10.1.2.3")));
    assert!(allow(&Client::without_certificate("fd00::1")));
    assert!(!allow(&Client::without_certificate("203.0.113.42")));
    assert!(!allow(&Client::without_certificate("110.1.2.3")));
}

#[test]
fn issuer_and_serial_tells_two_authorities_apart() {
    let client = Client::certificate("CN=a", &[0x2a]);
    let issuer = digest(&SHA256, client.leaf.as_ref().unwrap().issuer.as_bytes());
    let hash: String = issuer
        .as_ref()
        .iter()
        .take(4)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let revoked = Gallery::load("issuer-and-serial.js", &[(&format!("{hash}_2a"), "")]);
    assert_eq!(revoked.call(&client).decision, Decision::Deny(Denial::Called));
    let of_another_ca = Gallery::load("issuer-and-serial.js", &[("00000000_2a", "")]);
    assert_eq!(of_another_ca.call(&client).decision, Decision::Allow);
}

#[test]
fn time_window_opens_on_working_days_and_always_for_operations() {
    let function = Gallery::load("time-window.js", &[]);
    let client = Client::certificate("CN=a", &[1]);
    let at = |seconds: u64| function.call_at(&client, UNIX_EPOCH + Duration::from_secs(seconds));
    let monday_noon = 1_795_435_200;
    assert_eq!(at(monday_noon).decision, Decision::Allow);
    assert_eq!(
        at(monday_noon - 24 * 3600).decision,
        Decision::Deny(Denial::Called),
        "Sunday"
    );
    let night = at(monday_noon + 12 * 3600);
    assert_eq!(
        night.custom_data.as_deref(),
        Some("outside of the window: 2026-11-24T00:00:00.000Z")
    );
    let operations = Client::certificate("OU=Operations,CN=b", &[1]);
    let sunday = UNIX_EPOCH + Duration::from_secs(monday_noon - 24 * 3600);
    assert_eq!(function.call_at(&operations, sunday).decision, Decision::Allow);
}

struct Gallery(Arc<Function>);

impl Gallery {
    fn load(file: &str, items: &[(&str, &str)]) -> Self {
        let now = SystemTime::now();
        let items = items
            .iter()
            .map(|(key, value)| (Box::from(*key), Box::from(*value)));
        let store = Store::new("store", KeyValues::new(items, now, now));
        Self(load(file, FunctionKind::Connection, Some(store)))
    }

    fn call(&self, client: &Client) -> ConnectionOutcome {
        self.call_at(client, SystemTime::now())
    }

    fn call_at(&self, client: &Client, now: SystemTime) -> ConnectionOutcome {
        let event = ConnectionEvent {
            connection_id: "NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg==",
            client_ip: client.ip,
            endpoint: "edge.example.com",
            distribution_id: "E2DX1SLDPK0123",
            leaf: client.leaf.as_ref(),
            intermediates: &[],
            tls: TlsFacts {
                protocol: Some("TLSv1.3"),
                cipher: Some("TLS_AES_128_GCM_SHA256"),
                sni: Some("edge.example.com"),
                resumed: false,
            },
        };
        call_connection_at(&self.0, &event, now)
    }
}

struct Client {
    ip: IpAddr,
    leaf: Option<CertificateFacts>,
}

impl Client {
    /// `subject`: attributes in the certificate's order, `\,` for a comma within one.
    fn certificate(subject: &str, serial: &[u8]) -> Self {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.distinguished_name = rcgen::DistinguishedName::new();
        for attribute in subject.replace("\\,", "\0").split(',') {
            let (name, value) = attribute.split_once('=').unwrap();
            let name = match name {
                "O" => DnType::OrganizationName,
                "OU" => DnType::OrganizationalUnitName,
                _ => DnType::CommonName,
            };
            params.distinguished_name.push(name, value.replace('\0', ","));
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Self {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            leaf: Some(CertificateFacts::parse(certificate.der()).unwrap()),
        }
    }

    fn without_certificate(ip: &str) -> Self {
        Self {
            ip: ip.parse().unwrap(),
            leaf: None,
        }
    }
}
