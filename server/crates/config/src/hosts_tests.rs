#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

fn host(text: &str) -> String {
    HostName::parse(text).unwrap().to_string()
}

fn alias(text: &str) -> Alias {
    Alias::parse(text).unwrap()
}

fn map(aliases: &[(&str, u32)], default: Option<u32>) -> HostMap<u32> {
    let mut map = HostMap::new();
    for (text, value) in aliases {
        map.insert(&alias(text), *value).unwrap();
    }
    if let Some(value) = default {
        map.insert_default(value).unwrap();
    }
    map
}

fn look(map: &HostMap<u32>, name: &str) -> Option<u32> {
    map.lookup(Some(&HostName::parse(name).unwrap())).copied()
}

#[test]
fn case_and_one_trailing_dot_do_not_matter() {
    for text in [
        "edge.example.com",
        "EDGE.Example.COM",
        "edge.example.com.",
        "Edge.Example.Com.",
    ] {
        assert_eq!(host(text), "edge.example.com");
    }
}

#[test]
fn addresses_take_their_usual_form() {
    assert_eq!(host("127.0.0.1"), "127.0.0.1");
    assert_eq!(host("127.0.0.1."), "127.0.0.1");
    assert_eq!(host("[0:0:0:0:0:0:0:1]"), "[::1]");
    assert_eq!(host("[2001:DB8::A]"), "[2001:db8::a]");
    assert_eq!(
        HostName::parse("[::1]").unwrap().ip(),
        Some("::1".parse().unwrap())
    );
    assert_eq!(
        HostName::parse("10.0.0.1").unwrap().ip(),
        Some("10.0.0.1".parse().unwrap())
    );
    assert_eq!(HostName::parse("edge.example.com").unwrap().ip(), None);
}

#[test]
fn text_that_is_no_host_is_refused() {
    let long_label = "a".repeat(64);
    let long_name = "a.".repeat(127);
    let cases = [
        ("", InvalidHost::Empty),
        (".", InvalidHost::Empty),
        ("..", InvalidHost::Label),
        ("a..b", InvalidHost::Label),
        (".a", InvalidHost::Label),
        ("a.com..", InvalidHost::Label),
        ("-a.com", InvalidHost::Label),
        ("a-.com", InvalidHost::Label),
        (&long_label, InvalidHost::Label),
        (&format!("{long_name}a"), InvalidHost::TooLong),
        ("a b.com", InvalidHost::Character),
        ("a b.com", InvalidHost::Character),
        ("a.com\0", InvalidHost::Character),
        ("a.com\0.b.com", InvalidHost::Character),
        ("a.com\r\n", InvalidHost::Character),
        ("bücher.example", InvalidHost::Character),
        ("a%2ecom", InvalidHost::Character),
        ("*.a.com", InvalidHost::Character),
        ("a.com:443", InvalidHost::Character),
        ("::1", InvalidHost::Character),
        ("user@a.com", InvalidHost::Userinfo),
        ("127.1", InvalidHost::Address),
        ("0x7f.0.0.0x1", InvalidHost::Address),
        ("1.2.3.4.5", InvalidHost::Address),
        ("2130706433", InvalidHost::Address),
        ("127.0.0.01", InvalidHost::Address),
        ("[::1", InvalidHost::Address),
        ("[::1].", InvalidHost::Address),
        ("[fe80::1%eth0]", InvalidHost::Address),
        ("[127.0.0.1]", InvalidHost::Address),
    ];
    for (text, reason) in cases {
        assert_eq!(HostName::parse(text), Err(reason), "{text:?}");
    }
}

#[test]
fn a_port_is_split_off_an_authority() {
    let cases = [
        ("edge.example.com", "edge.example.com", None),
        ("Edge.Example.com.:8443", "edge.example.com", Some(8443)),
        ("edge.example.com:", "edge.example.com", None),
        ("127.0.0.1:80", "127.0.0.1", Some(80)),
        ("[::1]", "[::1]", None),
        ("[::1]:443", "[::1]", Some(443)),
    ];
    for (text, host, port) in cases {
        let authority = Authority::parse(text).unwrap();
        assert_eq!(
            (authority.host.as_str(), authority.port),
            (host, port),
            "{text:?}"
        );
    }
}

#[test]
fn an_authority_with_a_bad_port_or_userinfo_is_refused() {
    let cases = [
        ("a.com:65536", InvalidHost::Port),
        ("a.com:+80", InvalidHost::Port),
        ("a.com:x", InvalidHost::Port),
        ("a.com:000080", InvalidHost::Port),
        ("a.com:80:80", InvalidHost::Character),
        ("user:pass@a.com:80", InvalidHost::Userinfo),
        ("a.com:80@b.com", InvalidHost::Userinfo),
        (":80", InvalidHost::Empty),
        ("", InvalidHost::Empty),
        ("a.com, b.com", InvalidHost::Character),
    ];
    for (text, reason) in cases {
        assert_eq!(Authority::parse(text), Err(reason), "{text:?}");
    }
}

#[test]
fn an_exact_alias_goes_before_a_wildcard_and_a_wildcard_before_the_default() {
    let map = map(&[("www.example.com", 1), ("*.example.com", 2)], Some(3));
    assert_eq!(look(&map, "WWW.example.com."), Some(1));
    assert_eq!(look(&map, "api.Example.com"), Some(2));
    assert_eq!(look(&map, "other.net"), Some(3));
    assert_eq!(map.lookup(None), Some(&3));
}

#[test]
fn a_wildcard_stands_for_every_name_below_it_and_the_nearest_one_wins() {
    let map = map(&[("*.example.com", 1), ("*.eu.example.com", 2)], None);
    assert_eq!(look(&map, "a.example.com"), Some(1));
    assert_eq!(look(&map, "example.com"), None);
    assert_eq!(look(&map, "a.b.example.com"), Some(1));
    assert_eq!(look(&map, "a.eu.example.com"), Some(2));
    assert_eq!(look(&map, "eu.example.com"), Some(1));
    assert_eq!(look(&map, "aexample.com"), None);
}

#[test]
fn without_a_default_an_unknown_or_absent_name_finds_nothing() {
    let map = map(&[("a.com", 1)], None);
    assert_eq!(look(&map, "b.com"), None);
    assert_eq!(map.lookup(None), None);
}

#[test]
fn the_default_has_no_name_of_its_own() {
    let map = map(&[("a.com", 1)], Some(2));
    assert_eq!(map.named(&HostName::parse("b.com").unwrap()), None);
    assert_eq!(map.named(&HostName::parse("a.com").unwrap()), Some(&1));
}

#[test]
fn an_alias_or_a_default_is_given_once() {
    let mut map = map(&[("a.com", 1), ("*.a.com", 2)], Some(3));
    assert_eq!(map.insert(&alias("A.com."), 4), Err(4));
    assert_eq!(map.insert(&alias("*.A.com"), 4), Err(4));
    assert_eq!(map.insert_default(4), Err(4));
    assert_eq!(map.holder(&alias("*.a.com")), Some(&2));
}

#[test]
fn mapping_keeps_every_name() {
    let map = map(&[("a.com", 1), ("*.a.com", 2)], Some(3)).map(|value| value * 10);
    assert_eq!(
        (look(&map, "a.com"), look(&map, "b.a.com"), look(&map, "c")),
        (Some(10), Some(20), Some(30))
    );
}

#[test]
fn an_alias_is_a_name_or_a_wildcard_for_the_whole_first_label() {
    assert_eq!(alias("*.Example.com").to_string(), "*.example.com");
    for text in [
        "*", "*.", "a.*.com", "*a.com", "a*.com", "*.*.com", "**.com", "www.*",
    ] {
        assert!(Alias::parse(text).is_err(), "{text:?}");
    }
    assert_eq!(Alias::parse("127.0.0.1"), Err(InvalidAlias::Address));
    assert_eq!(Alias::parse("a.*.com"), Err(InvalidAlias::Wildcard));
}

proptest! {
    #[test]
    fn parsing_never_panics_and_a_normal_form_is_its_own_normal_form(text in "\\PC{0,40}") {
        if let Ok(name) = HostName::parse(&text) {
            prop_assert_eq!(HostName::parse(name.as_str()), Ok(name.clone()));
            prop_assert_eq!(Authority::parse(name.as_str()), Ok(Authority { host: name, port: None }));
        }
    }

    #[test]
    fn spelling_does_not_change_the_host(text in "[a-zA-Z0-9.-]{1,30}", port in any::<Option<u16>>()) {
        let suffix = port.map(|port| format!(":{port}")).unwrap_or_default();
        let plain = HostName::parse(&text);
        prop_assert_eq!(HostName::parse(&text.to_uppercase()), plain.clone());
        let authority = Authority::parse(&format!("{text}{suffix}"));
        prop_assert_eq!(authority.map(|authority| authority.host), plain.clone());
        if let Ok(name) = plain {
            let dotted = format!("{name}.{suffix}");
            prop_assert_eq!(Authority::parse(&dotted), Ok(Authority { host: name, port }));
        }
    }
}

#[test]
fn an_underscore_may_stand_anywhere_in_a_name() {
    for name in ["my_app.example.com", "_sip._tcp.example.com", "a_.example", "_"] {
        assert_eq!(host(name), name);
        assert!(Alias::parse(&format!("*.{name}")).is_ok(), "{name}");
        assert!(Authority::parse(&format!("{name}:8443")).is_ok(), "{name}");
    }
}
