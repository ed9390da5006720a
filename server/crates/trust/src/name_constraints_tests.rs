//! Constraints and names as DER: which names count, under which kind, and what the outcome says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::attributes;
use crate::constrained_names::{of_ca, of_leaf};
use crate::der::build::{element, sequence};

const CN: &[u8] = &[0x55, 4, 3];
const O: &[u8] = &[0x55, 4, 10];
const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
const SMTP_UTF8: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];
const UPN: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3];
const BUDGET: usize = 1_000;

fn dns(name: &str) -> Vec<u8> {
    element(0x82, name.as_bytes())
}

fn mail(address: &str) -> Vec<u8> {
    element(0x81, address.as_bytes())
}

fn uri(uri: &str) -> Vec<u8> {
    element(0x86, uri.as_bytes())
}

fn ip(octets: &[u8]) -> Vec<u8> {
    element(0x87, octets)
}

fn directory(name: &[u8]) -> Vec<u8> {
    element(0xa4, &element(der::SEQUENCE, name))
}

fn other(type_id: &[u8], value: &[u8]) -> Vec<u8> {
    let parts = [element(der::OBJECT_IDENTIFIER, type_id), element(0xa0, value)];
    element(0xa0, &parts.concat())
}

fn smtp_utf8(address: &str) -> Vec<u8> {
    other(SMTP_UTF8, &element(attributes::UTF8_STRING, address.as_bytes()))
}

fn attribute(oid: &[u8], tag: u8, value: &str) -> Vec<u8> {
    let pair = [
        element(der::OBJECT_IDENTIFIER, oid),
        element(tag, value.as_bytes()),
    ];
    element(der::SET, &sequence(&pair))
}

fn name(attributes: &[(&[u8], &str)]) -> Vec<u8> {
    let tag = |oid: &[u8]| {
        if oid == EMAIL {
            attributes::IA5_STRING
        } else {
            attributes::UTF8_STRING
        }
    };
    let all = attributes
        .iter()
        .map(|(oid, value)| attribute(oid, tag(oid), value));
    all.collect::<Vec<_>>().concat()
}

fn client() -> Vec<u8> {
    name(&[(O, "Example"), (CN, "client")])
}

fn subtrees(tag: u8, bases: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<_> = bases
        .iter()
        .map(|base| sequence(std::slice::from_ref(base)))
        .collect();
    if list.is_empty() {
        Vec::new()
    } else {
        element(tag, &list.concat())
    }
}

fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> NameConstraints {
    let value = sequence(&[subtrees(PERMITTED, permitted), subtrees(EXCLUDED, excluded)]);
    NameConstraints::parse(&value).unwrap()
}

fn permitted(base: Vec<u8>) -> NameConstraints {
    constraints(&[base], &[])
}

fn excluded(base: Vec<u8>) -> NameConstraints {
    constraints(&[], &[base])
}

/// The outcome for a leaf.
fn judge(constraints: &NameConstraints, subject: &[u8], alternative_names: &[Vec<u8>]) -> Outcome {
    let encoded = sequence(alternative_names);
    let encoded = (!alternative_names.is_empty()).then_some(&encoded[..]);
    constraints.check(&of_leaf(subject, encoded).unwrap(), &mut BUDGET.clone())
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "holds",
        Outcome::Violated { .. } => "violated",
        Outcome::CannotTell { .. } => "cannot tell",
        Outcome::TooManyComparisons => "too many",
    }
}

#[track_caller]
fn assert_outcome(expected: &str, constraints: &NameConstraints, subject: &[u8], names: &[Vec<u8>]) {
    let outcome = judge(constraints, subject, names);
    assert_eq!(word(&outcome), expected, "{outcome}");
}

#[test]
fn each_kind_is_held_to_its_own_subtrees() {
    let range = ip(&[10, 0, 0, 0, 255, 0, 0, 0]);
    for (base, inside, outside) in [
        (dns("example.com"), dns("a.example.com"), dns("a.evil.test")),
        (
            mail("example.com"),
            mail("jane@example.com"),
            mail("jane@evil.test"),
        ),
        (
            uri(".example.org"),
            uri("spiffe://prod.example.org/a"),
            uri("spiffe://evil.test/a"),
        ),
        (range, ip(&[10, 1, 2, 3]), ip(&[192, 0, 2, 1])),
        (
            directory(&name(&[(O, "Example")])),
            directory(&name(&[(O, "example"), (CN, "x")])),
            directory(&name(&[(O, "Other")])),
        ),
    ] {
        let (permitted, excluded) = (permitted(base.clone()), excluded(base));
        assert_outcome("holds", &permitted, &[], std::slice::from_ref(&inside));
        assert_outcome("violated", &permitted, &[], std::slice::from_ref(&outside));
        assert_outcome("violated", &permitted, &[], &[inside.clone(), outside.clone()]);
        assert_outcome("violated", &excluded, &[], std::slice::from_ref(&inside));
        assert_outcome("holds", &excluded, &[], std::slice::from_ref(&outside));
        let free = element(0x88, &[0x2a, 3]);
        assert_outcome("holds", &permitted, &[], std::slice::from_ref(&free));
    }
}

#[test]
fn one_of_several_permitted_subtrees_is_enough_and_an_excluded_one_counts_nevertheless() {
    let both = constraints(
        &[dns("example.com"), dns("example.org")],
        &[dns("secret.example.com")],
    );
    assert_outcome(
        "holds",
        &both,
        &client(),
        &[dns("a.example.com"), dns("example.org")],
    );
    assert_outcome("violated", &both, &client(), &[dns("x.secret.example.com")]);
    assert_outcome("violated", &both, &client(), &[dns("*.example.com")]);
    assert_outcome("holds", &both, &client(), &[mail("jane@evil.test")]);
}

#[test]
fn the_subject_is_a_directory_name_unless_it_is_empty() {
    let example = directory(&name(&[(O, "Example")]));
    assert_outcome("holds", &permitted(example.clone()), &client(), &[]);
    assert_outcome(
        "violated",
        &permitted(example.clone()),
        &name(&[(O, "Other")]),
        &[],
    );
    assert_outcome(
        "violated",
        &permitted(example.clone()),
        &name(&[(O, "Example Two")]),
        &[],
    );
    assert_outcome("holds", &permitted(example.clone()), &[], &[dns("a.test")]);
    assert_outcome("violated", &excluded(example), &client(), &[]);
    assert_outcome(
        "holds",
        &excluded(directory(&name(&[(O, "Evil")]))),
        &client(),
        &[],
    );
    assert_outcome("violated", &excluded(directory(&[])), &client(), &[]);
    assert_outcome("holds", &permitted(directory(&[])), &client(), &[]);
    let printable = element(
        der::SET,
        &sequence(&[element(der::OBJECT_IDENTIFIER, O), element(19, b"EXAMPLE")]),
    );
    assert_outcome("holds", &permitted(directory(&printable)), &client(), &[]);
}

#[test]
fn email_addresses_of_the_subject_count_with_and_without_alternative_names() {
    let inside = name(&[(CN, "x"), (EMAIL, "x@example.org")]);
    let outside = name(&[(CN, "x"), (EMAIL, "x@evil.example")]);
    let two = name(&[(EMAIL, "x@example.org"), (EMAIL, "x@evil.example")]);
    let (permitted, excluded) = (permitted(mail("example.org")), excluded(mail("evil.example")));
    for names in [vec![], vec![dns("a.test")], vec![mail("x@example.org")]] {
        assert_outcome("holds", &permitted, &inside, &names);
        assert_outcome("holds", &excluded, &inside, &names);
        for subject in [&outside, &two] {
            assert_outcome("violated", &permitted, subject, &names);
            assert_outcome("violated", &excluded, subject, &names);
        }
    }
    let utf8 = attribute(EMAIL, attributes::UTF8_STRING, "x@example.org");
    assert_outcome("cannot tell", &permitted, &utf8, &[]);
    assert_outcome("holds", &self::permitted(dns("example.org")), &utf8, &[]);
}

#[test]
fn smtp_utf8_mailboxes_are_held_to_the_subtrees_of_addresses() {
    let (permitted, excluded) = (permitted(mail("example.org")), excluded(mail("evil.example")));
    for (address, in_permitted, in_excluded) in [
        ("jürgen@example.org", "holds", "holds"),
        ("x@evil.example", "violated", "violated"),
        ("x@EVIL.example", "violated", "violated"),
        ("x@evil.exämple", "cannot tell", "cannot tell"),
        ("x", "cannot tell", "cannot tell"),
    ] {
        assert_outcome(in_permitted, &permitted, &client(), &[smtp_utf8(address)]);
        assert_outcome(in_excluded, &excluded, &client(), &[smtp_utf8(address)]);
    }
    let ia5 = other(SMTP_UTF8, &element(attributes::IA5_STRING, b"x@example.org"));
    assert_outcome("cannot tell", &permitted, &client(), &[ia5]);
    // RFC 9598 gives a subtree of that kind no meaning.
    let own_kind = self::permitted(smtp_utf8("x@example.org"));
    assert_outcome("cannot tell", &own_kind, &client(), &[smtp_utf8("x@example.org")]);
    assert_outcome("holds", &own_kind, &client(), &[mail("x@example.org")]);
}

#[test]
fn a_host_in_the_common_name_of_a_leaf_without_dns_names_counts() {
    let (permitted, excluded) = (permitted(dns("example.com")), excluded(dns("evil.test")));
    for (text, in_permitted, in_excluded) in [
        ("a.example.com", "holds", "holds"),
        ("evil.test", "violated", "violated"),
        ("EVIL.test", "violated", "violated"),
        ("evil.test.", "violated", "violated"),
        ("*.evil.test", "violated", "violated"),
        ("evil.test\0", "violated", "violated"),
        ("evil.test\0.example.com", "cannot tell", "cannot tell"),
        ("10.0.0.1", "violated", "holds"),
        ("client", "holds", "holds"),
        ("Jane Doe", "holds", "holds"),
        ("Acme. Inc", "holds", "holds"),
        ("jane@evil.test", "holds", "holds"),
    ] {
        let subject = name(&[(CN, text)]);
        assert_outcome(in_permitted, &permitted, &subject, &[]);
        assert_outcome(in_excluded, &excluded, &subject, &[]);
        assert_outcome(in_excluded, &excluded, &subject, &[mail("a@b.test")]);
        // With a dNSName nobody looks at the common name.
        assert_outcome("holds", &permitted, &subject, &[dns("a.example.com")]);
    }
    let bmp = b"\0e\0v\0i\0l\0.\0t\0e\0s\0t";
    let pair = sequence(&[element(der::OBJECT_IDENTIFIER, CN), element(30, bmp)]);
    assert_outcome("violated", &permitted, &element(der::SET, &pair), &[]);
    let subject = name(&[(CN, "ca.evil.test")]);
    let ca_names = of_ca(&subject, None).unwrap();
    assert_eq!(permitted.check(&ca_names, &mut BUDGET.clone()), Outcome::Holds);
}

#[test]
fn names_without_the_syntax_of_their_kind_cannot_be_told() {
    for (base, wrong) in [
        (dns("example.com"), dns("a.example.com.")),
        (dns("example.com"), dns("a..example.com")),
        (mail("example.com"), mail("example.com")),
        (mail("example.com"), mail("x@[192.0.2.1]")),
        (uri("example.com"), uri("urn:uuid:x")),
        (uri("example.com"), uri("https://192.0.2.1/")),
        (ip(&[10, 0, 0, 0, 255, 0, 0, 0]), ip(&[10, 0, 0])),
        (directory(&[]), element(0xa4, b"junk")),
    ] {
        for constraints in [permitted(base.clone()), excluded(base)] {
            assert_outcome("cannot tell", &constraints, &[], std::slice::from_ref(&wrong));
        }
    }
}

#[test]
fn subtrees_that_cannot_be_evaluated_matter_to_names_of_their_kind_only() {
    let with_minimum = |base: &[u8], extra: &[u8]| {
        let subtree = element(der::SEQUENCE, &[base, extra].concat());
        NameConstraints::parse(&sequence(&[element(PERMITTED, &subtree)])).unwrap()
    };
    for (constraints, name) in [
        (permitted(ip(&[10, 0, 0, 0, 255, 0, 255, 0])), ip(&[10, 0, 0, 1])),
        (excluded(dns("*.evil.test")), dns("a.test")),
        (excluded(uri("https://evil.test")), uri("https://a.test")),
        (
            with_minimum(&dns("example.com"), &[0x80, 1, 1]),
            dns("a.example.com"),
        ),
        (
            with_minimum(&dns("example.com"), &[0x81, 1, 9]),
            dns("a.example.com"),
        ),
        (excluded(element(0x88, &[0x2a, 3])), element(0x88, &[0x2a, 4])),
        (permitted(element(0xa3, b"x")), element(0xa3, b"x")),
        (permitted(element(0xa5, b"x")), element(0xa5, b"x")),
        (permitted(other(UPN, b"\x0c\x01x")), other(UPN, b"\x0c\x01x")),
    ] {
        assert_outcome(
            "cannot tell",
            &constraints,
            &client(),
            std::slice::from_ref(&name),
        );
        assert_outcome("holds", &constraints, &client(), &[mail("a@b.test")]);
        assert_eq!(constraints.kinds_not_evaluated().len(), 1);
    }
    assert_outcome(
        "holds",
        &with_minimum(&dns("a.test"), &[0x80, 1, 0]),
        &client(),
        &[dns("a.test")],
    );
    let upn = permitted(other(UPN, b"\x0c\x01x"));
    assert_outcome("holds", &upn, &client(), &[other(&[0x2a, 3], b"\x05\0")]);
    assert!(permitted(dns("a.test")).kinds_not_evaluated().is_empty());
}

#[test]
fn a_subtree_that_contains_the_name_outweighs_one_that_cannot_be_evaluated() {
    let gap = ip(&[10, 0, 0, 0, 255, 0, 255, 0]);
    let ten = ip(&[10, 0, 0, 0, 255, 0, 0, 0]);
    let name = ip(&[10, 0, 0, 1]);
    for bases in [[gap.clone(), ten.clone()], [ten, gap]] {
        assert_outcome(
            "holds",
            &constraints(&bases, &[]),
            &[],
            std::slice::from_ref(&name),
        );
        assert_outcome(
            "violated",
            &constraints(&[], &bases),
            &[],
            std::slice::from_ref(&name),
        );
        assert_outcome(
            "cannot tell",
            &constraints(&bases, &[]),
            &[],
            &[ip(&[11, 0, 0, 1])],
        );
        assert_outcome(
            "cannot tell",
            &constraints(&[], &bases),
            &[],
            &[ip(&[11, 0, 0, 1])],
        );
    }
}

#[test]
fn malformed_extensions_and_names_are_refused_as_a_whole() {
    let good = subtrees(PERMITTED, &[dns("a.test")]);
    for value in [
        Vec::new(),
        sequence(&[]),
        sequence(&[element(PERMITTED, &[])]),
        sequence(&[good.clone(), good.clone()]),
        sequence(&[subtrees(EXCLUDED, &[dns("a.test")]), good.clone()]),
        sequence(&[good.clone(), vec![5, 0]]),
        [sequence(std::slice::from_ref(&good)), vec![0]].concat(),
        sequence(&[subtrees(PERMITTED, &[element(0x89, b"x")])]),
        sequence(&[subtrees(PERMITTED, &[element(0xa0, b"x")])]),
        sequence(&[element(PERMITTED, &sequence(&[dns("a.test"), vec![0x82, 1, 0]]))]),
    ] {
        assert!(NameConstraints::parse(&value).is_none(), "{value:02x?}");
    }
    for names in [
        &b"junk"[..],
        &sequence(&[vec![0x89, 0]]),
        &sequence(&[element(0xa0, b"x")]),
        &[0x30, 2, 0x82, 5],
    ] {
        assert!(of_leaf(&client(), Some(names)).is_none());
    }
    assert!(of_leaf(b"junk", None).is_none());
}

#[test]
fn a_reason_names_the_name_the_kind_and_the_subtree() {
    let example = permitted(directory(&name(&[(O, "Example")])));
    let told = |constraints: &NameConstraints, subject: &[u8], names: &[Vec<u8>]| {
        judge(constraints, subject, names).to_string()
    };
    assert_eq!(
        told(&example, &name(&[(O, "Other"), (CN, "c")]), &[]),
        "its name the subject O=Other, CN=c lies in none of the permitted subtrees (DirName:O=Example)"
    );
    assert_eq!(
        told(
            &excluded(mail("evil.test")),
            &name(&[(EMAIL, "x@evil.test")]),
            &[]
        ),
        "its name the emailAddress x@evil.test of the subject lies in the excluded subtree email:evil.test"
    );
    assert_eq!(
        told(&excluded(mail("")), &client(), &[mail("x@evil.test")]),
        "its name email:x@evil.test lies in the excluded subtree of every rfc822Name"
    );
    let ranges: Vec<_> = (0..8).map(|n| ip(&[10, n, 0, 0, 255, 255, 0, 0])).collect();
    assert_eq!(
        told(&constraints(&ranges, &[]), &client(), &[ip(&[192, 0, 2, 1])]),
        "its name IP Address:192.0.2.1 lies in none of the permitted subtrees (IP Address:10.0.0.0/16, \
         IP Address:10.1.0.0/16, IP Address:10.2.0.0/16, IP Address:10.3.0.0/16, IP Address:10.4.0.0/16, \
         3 more)"
    );
    assert_eq!(
        told(&permitted(uri("example.com")), &client(), &[uri("urn:x")]),
        "its name URI:urn:x cannot be compared with the uniformResourceIdentifier subtree URI:example.com: \
         the name has no host"
    );
    assert_eq!(
        told(&excluded(dns("*.evil.test")), &client(), &[dns("a\r\nb")]),
        "its name DNS:a\\0D\\0Ab cannot be compared with the dNSName subtree DNS:*.evil.test: \
         the subtree is no host name"
    );
}

#[test]
fn comparisons_are_counted_and_end() {
    let three = constraints(&[dns("a.test"), dns("b.test")], &[dns("c.test")]);
    let encoded = sequence(&[dns("a.test"), dns("b.test")]);
    let subject = client();
    let names = of_leaf(&subject, Some(&encoded)).unwrap();
    let mut left = 9;
    assert_eq!(three.check(&names, &mut left), Outcome::Holds);
    assert_eq!(left, 0);
    assert_eq!(three.check(&names, &mut left), Outcome::TooManyComparisons);
}

proptest! {
    #[test]
    fn no_bytes_panic(
        value in proptest::collection::vec(any::<u8>(), 0..60),
        names in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let subtree = sequence(std::slice::from_ref(&value));
        let values = [value, sequence(&[element(PERMITTED, &subtree)])];
        let alternatives = [names.clone(), sequence(&[names])];
        for value in &values {
            let Some(constraints) = NameConstraints::parse(value) else { continue };
            for names in &alternatives {
                if let Some(names) = of_leaf(&client(), Some(names)) {
                    let _ = constraints.check(&names, &mut BUDGET.clone()).to_string();
                }
            }
        }
    }

    /// A further excluded subtree never admits what was refused.
    #[test]
    fn one_more_excluded_subtree_admits_nothing_new(
        base in r"\.?[ab]{1,2}(\.[ab]{1,2}){0,2}",
        more in r"[ab]{1,2}(\.[ab]{1,2}){0,2}",
        host in r"(\*\.)?[ab]{1,2}(\.[ab]{1,2}){1,3}",
    ) {
        let fewer = judge(&excluded(dns(&base)), &client(), &[dns(&host)]);
        let all = judge(&constraints(&[], &[dns(&base), dns(&more)]), &client(), &[dns(&host)]);
        prop_assert!(fewer == Outcome::Holds || all != Outcome::Holds);
    }
}
