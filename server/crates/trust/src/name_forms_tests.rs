//! Tables: base, name, whether the name lies in the subtree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// Asks twice: with `base` as a permitted subtree, and as an excluded one.
#[track_caller]
fn dns(base: &str, name: &str) -> (bool, bool) {
    let hosts = Hosts::of_dns_base(base.as_bytes()).unwrap();
    assert!(is_dns_name(name.as_bytes()), "{name}");
    let contains = |side| hosts.contains_dns_name(name.as_bytes(), side);
    (contains(Side::Permitted), contains(Side::Excluded))
}

#[test]
fn a_dns_base_holds_itself_and_what_is_below_it() {
    for (base, name, within) in [
        ("example.com", "example.com", true),
        ("example.com", "EXAMPLE.com", true),
        ("EXAMPLE.COM", "a.example.com", true),
        ("example.com", "a.b.example.com", true),
        ("example.com", "badexample.com", false),
        ("example.com", "example.com.evil.test", false),
        ("example.com", "com", false),
        ("a.example.com", "example.com", false),
        (".example.com", "a.example.com", true),
        (".example.com", "a.b.example.com", true),
        (".example.com", "example.com", false),
        (".example.com", "badexample.com", false),
        ("", "anything.test", true),
        ("test", "evil.test", true),
        ("_tcp.example.com", "_x._tcp.example.com", true),
    ] {
        assert_eq!(dns(base, name), (within, within), "{base} {name}");
    }
}

#[test]
fn a_wildcard_lies_within_with_all_its_names_and_is_excluded_with_one() {
    for (base, name, permitted, excluded) in [
        ("example.com", "*.example.com", true, true),
        (".example.com", "*.example.com", true, true),
        ("", "*.example.com", true, true),
        ("host.example.com", "*.example.com", false, true),
        ("HOST.Example.com", "*.example.com", false, true),
        ("host.example.com", "*.host.example.com", true, true),
        ("a.host.example.com", "*.example.com", false, false),
        (".host.example.com", "*.example.com", false, false),
        ("other.test", "*.example.com", false, false),
        ("com", "*.com", true, true),
    ] {
        assert_eq!(dns(base, name), (permitted, excluded), "{base} {name}");
    }
}

#[test]
fn what_is_no_host_has_no_place() {
    let long = format!("{}.example", "a".repeat(64));
    for name in [
        "",
        ".",
        "a.",
        "a..b",
        ".a",
        "a b",
        "a\0b",
        "ä.example",
        "a*.example",
        "*",
        "a.*.example",
        &long,
    ] {
        assert!(!is_dns_name(name.as_bytes()), "{name:?}");
    }
    for base in [
        ".",
        "..a",
        "a.",
        "*.example.com",
        "a b",
        "a..b",
        "a@b",
        "http://a",
    ] {
        assert!(Hosts::of_dns_base(base.as_bytes()).is_err(), "{base:?}");
        assert!(Hosts::of_uri_base(base.as_bytes()).is_err(), "{base:?}");
    }
}

#[track_caller]
fn mail(base: &str, address: &str) -> (bool, bool) {
    let mailbox = Mailbox::read(address.as_bytes(), Charset::Utf8).unwrap();
    let mailboxes = Mailboxes::of_base(base.as_bytes()).unwrap();
    let contains = |side| mailboxes.contains(mailbox, side);
    (contains(Side::Permitted), contains(Side::Excluded))
}

#[test]
fn a_mailbox_lies_at_its_host_below_a_domain_or_is_the_one() {
    for (base, address, within) in [
        ("example.com", "jane@example.com", true),
        ("example.com", "Jane@EXAMPLE.com", true),
        ("example.com", "jane@mail.example.com", false),
        ("example.com", "jane@badexample.com", false),
        (".example.com", "jane@mail.example.com", true),
        (".example.com", "jane@example.com", false),
        (".example.com", "jane@badexample.com", false),
        ("@example.com", "jane@example.com", true),
        ("@example.com", "jane@mail.example.com", false),
        ("", "jane@anything.test", true),
        ("jane@example.com", "jane@example.com", true),
        ("jane@EXAMPLE.com", "jane@example.COM", true),
        ("jane@example.com", "Jane@example.com", false),
        ("jane@example.com", "xjane@example.com", false),
        ("jane@example.com", "jane@mail.example.com", false),
        ("jane@example.com", "\"jane@example.com\"@evil.test", false),
        ("example.com", "\"x@evil.test\"@example.com", true),
        ("example.com", "jürgen@example.com", true),
    ] {
        assert_eq!(mail(base, address), (within, within), "{base} {address}");
    }
    for (base, address) in [
        ("jane@example.com", "\"jane\"@example.com"),
        ("\"ja\\ne\"@example.com", "jane@example.com"),
    ] {
        assert_eq!(mail(base, address), (false, true), "{base} {address}");
    }
    assert_eq!(mail("\"a b\"@example.com", "\"a b\"@EXAMPLE.com"), (true, true));
}

#[test]
fn what_is_no_mailbox_has_no_place() {
    for address in [
        "",
        "jane",
        "@example.com",
        "jane@",
        "jane@example.com@evil.test",
        "ja ne@example.com",
        "jane@exa mple.com",
        "jane@example.com.",
        "jane@.example.com",
        "jane.@example.com",
        ".jane@example.com",
        "ja..ne@example.com",
        "\"jane@example.com",
        "\"jane\"x@example.com",
        "\"ja\"ne\"@example.com",
        "\"jane\\\"@example.com",
        "jane@[192.0.2.1]",
        "jane@example.com\0",
        "jane@ex\u{e4}mple.com",
        "<jane@example.com>",
    ] {
        assert!(
            Mailbox::read(address.as_bytes(), Charset::Utf8).is_err(),
            "{address:?}"
        );
    }
    assert!(Mailbox::read("jürgen@example.com".as_bytes(), Charset::Ascii).is_err());
    for base in [
        "@",
        "a@",
        "a@b@c",
        "@.example.com",
        "*@example.com.",
        "exa mple.com",
    ] {
        assert!(Mailboxes::of_base(base.as_bytes()).is_err(), "{base:?}");
    }
}

#[test]
fn the_host_of_a_uri_is_found_whatever_stands_around_it() {
    for (uri, host) in [
        ("spiffe://prod.example.org/ns/a", "prod.example.org"),
        ("https://example.com", "example.com"),
        ("https://EXAMPLE.com:8443/x", "EXAMPLE.com"),
        ("https://example.com:/x", "example.com"),
        ("https://user:secret@example.com:1/x@evil.test", "example.com"),
        ("https://evil.test@example.com", "example.com"),
        ("https://example.com?x=//evil.test", "example.com"),
        ("https://example.com#@evil.test", "example.com"),
        ("x+y-z.1://a_b.example", "a_b.example"),
    ] {
        assert_eq!(uri_host(uri.as_bytes()), Ok(host.as_bytes()), "{uri}");
    }
}

#[test]
fn a_uri_without_a_host_name_has_no_place() {
    for uri in [
        "",
        "urn:uuid:x",
        "mailto:jane@example.com",
        "file:///etc/passwd",
        "https://",
        "https://:80/",
        "https://user@/",
        "//example.com",
        "example.com",
        "1x://example.com",
        "https://192.0.2.1/",
        "https://[2001:db8::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://example.0x1f",
        "https://example.com./",
        "https://exa%6dple.com",
        "https://a@b@example.com",
        "https://example.com:80:80",
        "https://example.com:8a",
        "https://example.com\\@evil.test",
        "https:\\\\example.com",
        "https://exa mple.com",
        "https://a..b",
        "https://example.com\0.evil.test",
        "https://ex\u{e4}mple.com",
        "https:/example.com",
        "https://.example.com",
    ] {
        assert!(uri_host(uri.as_bytes()).is_err(), "{uri:?}");
    }
}

#[test]
fn a_uri_base_holds_its_host_or_what_is_below_its_domain() {
    for (base, host, within) in [
        ("example.com", "example.com", true),
        ("example.com", "EXAMPLE.COM", true),
        ("example.com", "a.example.com", false),
        (".example.com", "a.example.com", true),
        (".example.com", "a.b.example.com", true),
        (".example.com", "example.com", false),
        ("", "anything.test", true),
    ] {
        let hosts = Hosts::of_uri_base(base.as_bytes()).unwrap();
        assert_eq!(hosts.contains_uri_host(host.as_bytes()), within, "{base} {host}");
    }
}

#[test]
fn addresses_lie_in_ranges_of_their_own_family() {
    let ten = IpRange::of_base(&[10, 1, 2, 3, 255, 0, 0, 0]).unwrap();
    assert_eq!(ten.to_string(), "10.1.2.3/8");
    let mut documentation = [0; 32];
    documentation[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    documentation[16..20].fill(0xff);
    let documentation = IpRange::of_base(&documentation).unwrap();
    assert_eq!(documentation.to_string(), "2001:db8::/32");
    let all_v6 = IpRange::of_base(&[0; 32]).unwrap();
    let mapped = [MAPPED.to_vec(), vec![10, 9, 9, 9]].concat();
    let mut inside = [7; 16];
    inside[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    for side in [Side::Permitted, Side::Excluded] {
        assert!(ten.contains(&[10, 255, 0, 1], side));
        assert!(!ten.contains(&[11, 1, 2, 3], side));
        assert!(!ten.contains(&inside, side));
        assert!(documentation.contains(&inside, side));
        assert!(!documentation.contains(&[7; 16], side));
        assert!(!all_v6.contains(&[10, 1, 2, 3], side));
        assert!(all_v6.contains(&inside, side));
        assert_eq!(ten.contains(&mapped, side), side == Side::Excluded);
    }
}

#[test]
fn masks_have_no_gaps() {
    for mask in [
        [255, 0, 255, 0],
        [255, 254, 255, 0],
        [127, 0, 0, 0],
        [255, 253, 0, 0],
        [0, 0, 0, 1],
    ] {
        assert_eq!(
            IpRange::of_base(&[&[10, 0, 0, 0], &mask[..]].concat()),
            Err("has a mask with gaps")
        );
    }
    for mask in [[0, 0, 0, 0], [128, 0, 0, 0], [255, 254, 0, 0], [255; 4]] {
        assert!(IpRange::of_base(&[&[10, 0, 0, 0], &mask[..]].concat()).is_ok());
    }
    for length in [0, 4, 7, 9, 16, 31, 33] {
        assert!(IpRange::of_base(&vec![0; length]).is_err());
    }
}

proptest! {
    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = (is_dns_name(&octets), uri_host(&octets), Mailbox::read(&octets, Charset::Utf8));
        let _ = (Hosts::of_dns_base(&octets), Mailboxes::of_base(&octets), IpRange::of_base(&octets));
    }

    /// A base excludes everything that it permits: no wildcard slips through between the two.
    #[test]
    fn a_name_that_is_permitted_by_a_base_is_excluded_by_it(
        base in r"\.?[ab]{1,2}(\.[ab]{1,2}){0,2}", name in r"(\*\.)?[abAB]{1,2}(\.[ab]{1,2}){0,3}",
    ) {
        let (permitted, excluded) = dns(&base, &name);
        prop_assert!(!permitted || excluded);
    }

    /// The names of a wildcard, tried one by one.
    #[test]
    fn a_wildcard_is_judged_as_its_names_are(
        base in r"\.?[ab]{1,2}(\.[ab]{1,2}){0,2}",
        parent in r"[ab]{1,2}(\.[ab]{1,2}){0,2}",
    ) {
        let labels = ["a", "b", "aa", "ab", "ba", "bb", "c"];
        let each: Vec<_> = labels.iter().map(|label| dns(&base, &format!("{label}.{parent}"))).collect();
        let (permitted, excluded) = dns(&base, &format!("*.{parent}"));
        prop_assert_eq!(permitted, each.iter().all(|(permitted, _)| *permitted));
        prop_assert_eq!(excluded, each.iter().any(|(_, excluded)| *excluded));
    }

    #[test]
    fn quotes_do_not_make_another_mailbox(local in "[a-z]{1,8}", host in r"[a-z]{1,5}\.test") {
        let (plain, quoted) = (format!("{local}@{host}"), format!("\"{local}\"@{host}"));
        prop_assert_eq!(mail(&plain, &quoted), (false, true));
    }
}
