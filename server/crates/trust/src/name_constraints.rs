//! Name constraints: the names that certificates below a CA may have (RFC 5280 §4.2.1.10, RFC 9549, RFC 9598
//! §6).
//!
//! Owns the reading of the extension and the rule: of the kinds that occur in permittedSubtrees, each name
//! must lie in one of them; no name may lie in one of excludedSubtrees; names of kinds that do not occur are
//! free. Evaluated are dNSName, iPAddress, rfc822Name, uniformResourceIdentifier and directoryName. Of the
//! other kinds, of malformed names and subtrees, and of those with a minimum or maximum nobody can tell, and
//! the outcome says so: [`Outcome::CannotTell`] is as much a refusal as [`Outcome::Violated`], with its own
//! sentence. The extension counts whether or not it is critical.
//!
//! Usage:
//! ```text
//! // Once for each CA; it owns what it read. None: malformed.
//! let constraints = NameConstraints::parse(value of the extension)?;
//! // For each certificate below that CA, self-issued CAs apart (RFC 5280 §6.1.3 b). None: malformed.
//! let names = constrained_names::of_leaf(subject, subjectAltName)?; // or of_ca
//! match constraints.check(&names, &mut comparisons_left) {
//!     Outcome::Holds => …,
//!     refused => format!("{role} {subject}: {refused}; CA …"),
//! }
//! ```
//!
//! Names times subtrees grow with what a CA writes, so each comparison is taken from a budget of the caller.
//! A comparison allocates nothing.
//!
//! Not here: which names a certificate has ([`super::constrained_names`]), the comparisons
//! ([`super::name_forms`]).

use std::fmt;

use super::canonical_name::CanonicalName;
use super::constrained_names::{ConstrainedName, Form, Kind, NOT_EVALUATED};
use super::der::{self, Element, Reader};
use super::details;
use super::name_forms::{Hosts, IpRange, Mailboxes, Side};

/// The extension of one CA.
#[derive(Clone, Debug)]
pub(super) struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// The answer for the names of one certificate. `Display` gives the reason: "its name DNS:a.evil.example lies
/// in …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Holds,
    Violated {
        kind: &'static str,
        /// The name as [`ConstrainedName::told`] writes it.
        name: String,
        side: Side,
        /// The excluded subtree that the name lies in, or the permitted ones that it does not lie in.
        subtree: String,
    },
    CannotTell {
        kind: &'static str,
        name: String,
        subtree: String,
        why: &'static str,
        /// `why` is about the name; else about the subtree.
        is_about_name: bool,
    },
    /// The budget is spent.
    TooManyComparisons,
}

impl NameConstraints {
    /// `None`: malformed, or one that names nothing at all, which RFC 5280 §4.2.1.10 forbids and whose author
    /// meant something.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
        let permitted = read_subtrees(&mut fields, PERMITTED)?;
        let excluded = read_subtrees(&mut fields, EXCLUDED)?;
        let is_whole = fields.is_empty() && !(permitted.is_empty() && excluded.is_empty());
        is_whole.then_some(Self { permitted, excluded })
    }

    /// Kinds of its subtrees that are never evaluated, each once: a certificate with such a name is refused
    /// whatever the name is.
    pub(super) fn kinds_not_evaluated(&self) -> Vec<&'static str> {
        let all = self.permitted.iter().chain(&self.excluded);
        let mut labels: Vec<_> = all
            .filter(|subtree| subtree.base.is_err())
            .map(|subtree| subtree.kind.label())
            .collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Judges the names of one certificate. Takes one from `comparisons_left` for
    /// each name and subtree.
    pub(super) fn check(&self, names: &[ConstrainedName<'_>], comparisons_left: &mut usize) -> Outcome {
        for name in names {
            let Some(left) = comparisons_left.checked_sub(self.permitted.len() + self.excluded.len()) else {
                return Outcome::TooManyComparisons;
            };
            *comparisons_left = left;
            let outcome = self.check_name(name);
            if outcome != Outcome::Holds {
                return outcome;
            }
        }
        Outcome::Holds
    }

    fn check_name(&self, name: &ConstrainedName<'_>) -> Outcome {
        match find(&self.permitted, name, Side::Permitted) {
            Found::NoneOfKind | Found::Containing(_) => {}
            Found::NotComparable(subtree) => return subtree.cannot_tell(name),
            Found::NoneContaining => return violated(name, Side::Permitted, self.told_permitted(&name.kind)),
        }
        match find(&self.excluded, name, Side::Excluded) {
            Found::NoneOfKind | Found::NoneContaining => Outcome::Holds,
            Found::NotComparable(subtree) => subtree.cannot_tell(name),
            Found::Containing(subtree) => violated(name, Side::Excluded, subtree.told()),
        }
    }

    fn told_permitted(&self, kind: &Kind) -> String {
        let of_kind = || self.permitted.iter().filter(|subtree| subtree.kind == *kind);
        let mut told: Vec<_> = of_kind().take(SUBTREES_TOLD).map(Subtree::told).collect();
        let untold = of_kind().count() - told.len();
        if untold > 0 {
            told.push(format!("{untold} more"));
        }
        told.join(", ")
    }
}

#[derive(Clone, Debug)]
struct Subtree {
    kind: Kind,
    /// The GeneralName, for reasons.
    encoded: Box<[u8]>,
    /// The form that names are compared with, or why none can be.
    base: Result<Base, &'static str>,
}

#[derive(Clone, Debug)]
enum Base {
    Dns(Hosts),
    Mailboxes(Mailboxes),
    UriHosts(Hosts),
    IpRange(IpRange),
    Directory(CanonicalName),
}

/// The first subtree in a list that decides about a name.
enum Found<'s> {
    NoneOfKind,
    Containing(&'s Subtree),
    /// None contains it as far as one can tell; of this one nobody can.
    NotComparable(&'s Subtree),
    NoneContaining,
}

fn find<'s>(subtrees: &'s [Subtree], name: &ConstrainedName<'_>, side: Side) -> Found<'s> {
    let mut found = Found::NoneOfKind;
    for subtree in subtrees.iter().filter(|subtree| subtree.kind == name.kind) {
        found = match subtree.contains(name, side) {
            Some(true) => return Found::Containing(subtree),
            None => Found::NotComparable(subtree),
            Some(false) if matches!(found, Found::NotComparable(_)) => found,
            Some(false) => Found::NoneContaining,
        };
    }
    found
}

impl Subtree {
    /// `SEQUENCE { base GeneralName, minimum [0] DEFAULT 0, maximum [1] OPTIONAL }`. A zero that is written
    /// out is let pass.
    fn read(content: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(content);
        let name = fields.next()?;
        let kind = Kind::of(&name)?;
        let minimum = optional(&mut fields, MINIMUM)?;
        let maximum = optional(&mut fields, MAXIMUM)?;
        let is_plain = maximum.is_none() && minimum.is_none_or(|minimum| minimum.value == [0]);
        let base = match is_plain {
            true => Base::read(&kind, name.value),
            false => Err("has a minimum or a maximum"),
        };
        fields.is_empty().then(|| Self {
            kind,
            encoded: name.encoded.into(),
            base,
        })
    }

    /// `None`: it cannot be told.
    fn contains(&self, name: &ConstrainedName<'_>, side: Side) -> Option<bool> {
        match (self.base.as_ref().ok()?, name.form.as_ref().ok()?) {
            (Base::Dns(hosts), Form::Dns(name)) => Some(hosts.contains_dns_name(name, side)),
            (Base::Mailboxes(mailboxes), Form::Mailbox(mailbox)) => Some(mailboxes.contains(*mailbox, side)),
            (Base::UriHosts(hosts), Form::UriHost(host)) => Some(hosts.contains_uri_host(host)),
            (Base::IpRange(range), Form::IpAddress(address)) => Some(range.contains(address, side)),
            (Base::Directory(base), Form::Directory(name)) => Some(name.is_within(base)),
            _ => None,
        }
    }

    fn told(&self) -> String {
        match &self.base {
            Ok(Base::IpRange(range)) => format!("IP Address:{range}"),
            _ if matches!(*self.encoded, [_, 0] | [_, 2, der::SEQUENCE, 0]) => {
                format!("of every {}", self.kind.label())
            }
            _ => details::general_name(&self.encoded),
        }
    }

    fn cannot_tell(&self, name: &ConstrainedName<'_>) -> Outcome {
        let of_subtree = self.base.as_ref().err();
        let of_name = name.form.as_ref().err();
        Outcome::CannotTell {
            kind: name.kind.label(),
            name: name.told(),
            subtree: self.told(),
            why: of_subtree.or(of_name).copied().unwrap_or(NOT_EVALUATED),
            is_about_name: of_subtree.is_none(),
        }
    }
}

impl Base {
    fn read(kind: &Kind, value: &[u8]) -> Result<Self, &'static str> {
        match kind {
            Kind::DnsName => Hosts::of_dns_base(value).map(Self::Dns),
            Kind::Rfc822Name => Mailboxes::of_base(value).map(Self::Mailboxes),
            Kind::Uri => Hosts::of_uri_base(value).map(Self::UriHosts),
            Kind::IpAddress => IpRange::of_base(value).map(Self::IpRange),
            Kind::DirectoryName => der::only(value, der::SEQUENCE)
                .and_then(CanonicalName::of)
                .map(Self::Directory)
                .ok_or("is no directory name, or a very long one"),
            Kind::OtherName(_) | Kind::X400Address | Kind::EdiPartyName | Kind::RegisteredId => {
                Err(NOT_EVALUATED)
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("its names satisfy the name constraints"),
            Self::Violated {
                name,
                side: Side::Permitted,
                subtree,
                ..
            } => {
                write!(
                    f,
                    "its name {name} lies in none of the permitted subtrees ({subtree})"
                )
            }
            Self::Violated {
                name,
                side: Side::Excluded,
                subtree,
                ..
            } => {
                write!(f, "its name {name} lies in the excluded subtree {subtree}")
            }
            Self::CannotTell {
                kind,
                name,
                subtree,
                why,
                is_about_name,
            } => {
                let about = if *is_about_name { "the name" } else { "the subtree" };
                write!(
                    f,
                    "its name {name} cannot be compared with the {kind} subtree {subtree}: {about} {why}"
                )
            }
            Self::TooManyComparisons => {
                f.write_str("it has too many names for the number of name constraints")
            }
        }
    }
}

fn violated(name: &ConstrainedName<'_>, side: Side, subtree: String) -> Outcome {
    Outcome::Violated {
        kind: name.kind.label(),
        name: name.told(),
        side,
        subtree,
    }
}

/// `[0]` or `[1]` GeneralSubtrees, at least one. Absent is empty.
fn read_subtrees(fields: &mut Reader<'_>, tag: u8) -> Option<Vec<Subtree>> {
    let Some(list) = optional(fields, tag)? else {
        return Some(Vec::new());
    };
    let mut elements = Reader::new(list.value);
    let mut subtrees = Vec::new();
    while !elements.is_empty() {
        subtrees.push(Subtree::read(elements.expect(der::SEQUENCE)?.value)?);
    }
    (!subtrees.is_empty()).then_some(subtrees)
}

/// The next element if it has `tag`. `None`: malformed.
fn optional<'a>(fields: &mut Reader<'a>, tag: u8) -> Option<Option<Element<'a>>> {
    match fields.peek_tag() == Some(tag) {
        true => fields.next().map(Some),
        false => Some(None),
    }
}

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const MINIMUM: u8 = 0x80;
const MAXIMUM: u8 = 0x81;
/// Most permitted subtrees that a reason names.
const SUBTREES_TOLD: usize = 5;

#[cfg(test)]
#[path = "name_constraints_tests.rs"]
mod tests;
