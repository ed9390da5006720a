//! ClientHellos by hand: those that are taken, and those that break a rule or name no host.

use super::super::unfit::Answer;
use super::*;

const ECDHE: u16 = 0xc02f;

/// A ClientHello in the making: by default one that any server of today takes.
#[derive(Clone)]
struct Hello {
    legacy_version: u16,
    suites: Vec<u16>,
    extensions: Vec<(u16, Vec<u8>)>,
}

impl Default for Hello {
    fn default() -> Self {
        let extensions = vec![
            (SUPPORTED_VERSIONS, vec![4, 3, 4, 3, 3]),
            (SUPPORTED_GROUPS, vec![0, 2, 0, 29]),
            (SIGNATURE_ALGORITHMS, vec![0, 2, 4, 3]),
            (KEY_SHARE, vec![0, 0]),
        ];
        Self {
            legacy_version: TLS_1_2,
            suites: vec![0x1301, ECDHE],
            extensions,
        }
    }
}

impl Hello {
    fn of_tls12() -> Self {
        Self::default().without(SUPPORTED_VERSIONS).without(KEY_SHARE)
    }

    fn version(self, legacy_version: u16) -> Self {
        Self {
            legacy_version,
            ..self
        }
    }

    fn without(mut self, kind: u16) -> Self {
        self.extensions.retain(|(other, _)| *other != kind);
        self
    }

    fn with(self, kind: u16, contents: &[u8]) -> Self {
        let mut changed = self.without(kind);
        changed.extensions.push((kind, contents.to_vec()));
        changed
    }

    fn named(self, name: &[u8]) -> Self {
        let name = [&[HOST_NAME], &vector(2, name)[..]].concat();
        self.with(SERVER_NAME, &vector(2, &name))
    }

    fn message(&self) -> Vec<u8> {
        let suites: Vec<u8> = self.suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        let mut body = self.legacy_version.to_be_bytes().to_vec();
        body.extend([7; RANDOM_BYTES]);
        body.extend(vector(1, &[9; 32]));
        body.extend(vector(2, &suites));
        body.extend(vector(1, &[0]));
        let extension =
            |(kind, contents): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &vector(2, contents)].concat();
        let extensions: Vec<u8> = self.extensions.iter().flat_map(extension).collect();
        body.extend(vector(2, &extensions));
        [&[1], &vector(3, &body)[..]].concat()
    }

    /// The alert that it gets for a breach of rules.
    fn alert(&self) -> Option<u8> {
        let message = self.message();
        let checked = ClientHello::parse(&message).and_then(|hello| hello.check());
        checked.err().map(|unfit| number(&unfit))
    }

    fn reason(&self) -> String {
        let message = self.message();
        let checked = ClientHello::parse(&message).and_then(|hello| hello.check());
        checked.expect_err("it is refused").reason.into_owned()
    }

    fn host(&self) -> Result<Option<String>, u8> {
        let message = self.message();
        let hello = ClientHello::parse(&message).map_err(|unfit| number(&unfit))?;
        let host = hello.host().map_err(|unfit| number(&unfit))?;
        Ok(host.map(|host| host.to_string()))
    }
}

fn number(unfit: &Unfit) -> u8 {
    match unfit.answer {
        Answer::Alert(number) => number,
        other => panic!("{other:?}"),
    }
}

fn vector(length_octets: usize, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let (_, length) = length.split_at(length.len() - length_octets);
    [length, contents].concat()
}

#[test]
fn what_servers_of_today_take_is_taken() {
    for hello in [
        Hello::default(),
        Hello::of_tls12(),
        Hello::of_tls12().version(0x0304),
        Hello::default().with(SUPPORTED_VERSIONS, &[2, 3, 4]),
        Hello::default()
            .with(SUPPORTED_VERSIONS, &[6, 0x1a, 0x1a, 3, 3, 3, 2])
            .without(KEY_SHARE),
        Hello::default().with(RENEGOTIATION_INFO, &[0]),
        Hello::default()
            .with(PRE_SHARED_KEY, &[])
            .without(SIGNATURE_ALGORITHMS),
        Hello::default().with(0xfafa, &[1, 2, 3]),
    ] {
        assert_eq!(hello.alert(), None);
    }
}

#[test]
fn what_breaks_a_rule_gets_the_alert_of_that_rule() {
    let scsv = Hello {
        suites: vec![ECDHE, TLS_FALLBACK_SCSV],
        ..Hello::of_tls12()
    };
    let cases = [
        ("SSL 3.0", Hello::of_tls12().version(0x0300), 70),
        (
            "SSL 3.0, and TLS 1.3 beside it",
            Hello::default().version(0x0300),
            70,
        ),
        ("SSL 2.0", Hello::of_tls12().version(0x0002), 70),
        ("TLS 1.0", Hello::of_tls12().version(0x0301), 70),
        ("TLS 1.1", Hello::of_tls12().version(0x0302), 70),
        (
            "TLS 1.1 in the list",
            Hello::default().with(SUPPORTED_VERSIONS, &[2, 3, 2]),
            70,
        ),
        (
            "versions to come",
            Hello::default().with(SUPPORTED_VERSIONS, &[4, 3, 5, 0x7f, 0x1c]),
            70,
        ),
        ("no version", Hello::default().with(SUPPORTED_VERSIONS, &[0]), 70),
        (
            "a renegotiation",
            Hello::default().with(RENEGOTIATION_INFO, &[1, 7]),
            40,
        ),
        (
            "a renegotiation of TLS 1.2",
            Hello::of_tls12().with(RENEGOTIATION_INFO, &[12; 13]),
            40,
        ),
        ("no key_share", Hello::default().without(KEY_SHARE), 109),
        (
            "no supported_groups",
            Hello::default().without(SUPPORTED_GROUPS),
            109,
        ),
        (
            "no signature_algorithms",
            Hello::default().without(SIGNATURE_ALGORITHMS),
            109,
        ),
        (
            "a ticket without key_share",
            Hello::default().with(PRE_SHARED_KEY, &[]).without(KEY_SHARE),
            109,
        ),
        ("a fallback", scsv, 86),
    ];
    for (what, hello, alert) in cases {
        assert_eq!(hello.alert(), Some(alert), "{what}");
    }
    let fallback_to_the_newest = Hello {
        suites: vec![0x1301, TLS_FALLBACK_SCSV],
        ..Hello::default()
    };
    assert_eq!(fallback_to_the_newest.alert(), None);
}

#[test]
fn the_reason_says_which_version_the_client_has() {
    for (version, name) in [
        (0x0301, "TLS 1.0 at most"),
        (0x0302, "TLS 1.1 at most"),
        (0x0300, "SSL 3.0"),
    ] {
        let reason = Hello::of_tls12().version(version).reason();
        assert!(reason.contains(name), "{reason}");
    }
    let reason = Hello::default()
        .with(SUPPORTED_VERSIONS, &[4, 3, 1, 3, 2])
        .reason();
    assert!(reason.contains("TLS 1.1 at most"), "{reason}");
    let reason = Hello::default().without(KEY_SHARE).reason();
    assert!(reason.contains("key_share"), "{reason}");
}

#[test]
fn hosts_are_told_from_addresses_and_from_what_is_neither() {
    let host = |name: &str| Hello::default().named(name.as_bytes()).host();
    assert_eq!(Hello::default().host(), Ok(None));
    for name in [
        "edge.example.com",
        "EDGE.example.com",
        "my_app.example.com",
        "_dmarc.example",
        "a.b.",
    ] {
        let expected = name.to_ascii_lowercase();
        assert_eq!(
            host(name),
            Ok(Some(expected.trim_end_matches('.').to_owned())),
            "{name}"
        );
    }
    for address in ["192.0.2.1", "::1", "2001:db8::1"] {
        assert_eq!(host(address), Ok(None), "{address}");
    }
    let long = "a.".repeat(200);
    for name in [
        "a b",
        "a..b",
        "-a.example",
        "*.example",
        "a/b",
        "user@a",
        "1.2.3",
        "0x7f",
        "[::1]",
        "m\u{fc}ller.example",
        &long,
        ".",
        "192.0.2.1.",
    ] {
        assert_eq!(host(name), Err(47), "{name}");
    }
    assert_eq!(Hello::default().named(b"\xff\xfe").host(), Err(47));
    assert_eq!(host(""), Err(50));
    assert_eq!(
        Hello::default().with(SERVER_NAME, &[0, 3, 9, 0, 0]).host(),
        Err(50),
        "no host name among the names"
    );
    assert_eq!(
        Hello::default().with(SERVER_NAME, &[0, 9, 0, 0, 1, 7]).host(),
        Err(50),
        "a list that breaks off"
    );
}

#[test]
fn the_name_is_told_as_it_was_sent_and_printable() {
    let sent = |name: &[u8]| {
        let message = Hello::default().named(name).message();
        let hello = ClientHello::parse(&message).expect("a good one");
        hello.sent_name().map(String::from)
    };
    assert_eq!(sent(b"Edge.Example.com").as_deref(), Some("Edge.Example.com"));
    assert_eq!(sent(b"a\xffb\n").as_deref(), Some("a\\xffb\\n"));
    assert_eq!(
        sent(&[b'a'; 5_000]).map(|name| name.len()),
        Some(NAME_BYTES_SHOWN)
    );
}

#[test]
fn a_message_that_breaks_off_anywhere_is_malformed_and_none_panics() {
    let whole = Hello::default().named(b"edge.example.com").message();
    assert!(ClientHello::parse(&whole).is_ok());
    for length in 0..whole.len() {
        let part = whole.get(..length).expect("within");
        assert!(ClientHello::parse(part).is_err(), "{length}");
    }
    for position in 0..whole.len() {
        for octet in [0, 1, 0x7f, 0xff] {
            let mut changed = whole.clone();
            if let Some(place) = changed.get_mut(position) {
                *place = octet;
            }
            if let Ok(hello) = ClientHello::parse(&changed) {
                let _refused_or_not = (hello.check(), hello.host(), hello.sent_name());
            }
        }
    }
}
