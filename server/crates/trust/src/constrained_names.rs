//! The names of a certificate that name constraints look at (RFC 5280 §4.2.1.10).
//!
//! Owns which they are:
//! - the subject, if it is not empty, as a directoryName;
//! - each entry of the subjectAltName, under its own kind;
//! - SmtpUTF8Mailbox entries as e-mail addresses (RFC 9598 §6), beside their own kind;
//! - each emailAddress of the subject as an rfc822Name. RFC 5280 asks for that where there is no
//!   subjectAltName; here as in OpenSSL it is done always, or an entry of another kind would lift the
//!   constraint;
//! - of a leaf without a dNSName, each common name that looks like a host name, as a dNSName. RFC 5280 does
//!   not ask for that, OpenSSL does it: programs that fall back to the common name must not be told a host
//!   that the CA was forbidden.
//!
//! A name that its kind gives no meaning to stays in the list with the reason: under a constraint of its kind
//! nobody can tell.

use std::borrow::Cow;

use super::canonical_name::CanonicalName;
use super::der::{self, Element, Reader};
use super::name_forms::{self, Charset, Mailbox};
use super::{attributes, details, names};

/// The form of a name (RFC 5280 §4.2.1.6), spelt as there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each type-id is a form of its own.
    OtherName(Box<[u8]>),
    Rfc822Name,
    DnsName,
    X400Address,
    DirectoryName,
    EdiPartyName,
    Uri,
    IpAddress,
    RegisteredId,
}

impl Kind {
    /// The kind of a GeneralName. `None`: it is none.
    pub(super) fn of(name: &Element<'_>) -> Option<Self> {
        Some(match name.tag {
            OTHER_NAME => Self::OtherName(read_other_name(name.value)?.0.into()),
            0x81 => Self::Rfc822Name,
            0x82 => Self::DnsName,
            0xa3 => Self::X400Address,
            0xa4 => Self::DirectoryName,
            0xa5 => Self::EdiPartyName,
            0x86 => Self::Uri,
            0x87 => Self::IpAddress,
            0x88 => Self::RegisteredId,
            _ => return None,
        })
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::OtherName(_) => "otherName",
            Self::Rfc822Name => "rfc822Name",
            Self::DnsName => "dNSName",
            Self::X400Address => "x400Address",
            Self::DirectoryName => "directoryName",
            Self::EdiPartyName => "ediPartyName",
            Self::Uri => "uniformResourceIdentifier",
            Self::IpAddress => "iPAddress",
            Self::RegisteredId => "registeredID",
        }
    }
}

/// A name, under one kind.
#[derive(Clone, Debug)]
pub(super) struct ConstrainedName<'a> {
    pub(super) kind: Kind,
    /// The form that is compared, or why none can be.
    pub(super) form: Result<Form<'a>, &'static str>,
    source: Source<'a>,
}

#[derive(Clone, Debug)]
pub(super) enum Form<'a> {
    Dns(Cow<'a, [u8]>),
    Mailbox(Mailbox<'a>),
    UriHost(&'a [u8]),
    IpAddress(&'a [u8]),
    Directory(CanonicalName),
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Subject(&'a [u8]),
    /// An attribute of the subject: its type, its value.
    Attribute(&'static str, Element<'a>),
    AlternativeName(Element<'a>),
}

/// The names of a leaf. `subject` is the content of the Name, `alternative_names` the value of the
/// subjectAltName. `None`: malformed.
pub(super) fn of_leaf<'a>(
    subject: &'a [u8],
    alternative_names: Option<&'a [u8]>,
) -> Option<Vec<ConstrainedName<'a>>> {
    let mut all = of_ca(subject, alternative_names)?;
    if !all.iter().any(|name| name.kind == Kind::DnsName) {
        let common_names = values(subject, COMMON_NAME)?;
        all.extend(common_names.filter_map(of_common_name));
    }
    Some(all)
}

/// The names of a CA that is no trust anchor. The caller leaves out those that are self-issued (RFC 5280
/// §6.1.3 b).
pub(super) fn of_ca<'a>(
    subject: &'a [u8],
    alternative_names: Option<&'a [u8]>,
) -> Option<Vec<ConstrainedName<'a>>> {
    let mut all = Vec::new();
    if !subject.is_empty() {
        all.push(ConstrainedName {
            kind: Kind::DirectoryName,
            form: directory(subject),
            source: Source::Subject(subject),
        });
    }
    all.extend(values(subject, EMAIL_ADDRESS)?.map(of_email_address));
    if let Some(encoded) = alternative_names {
        let mut entries = Reader::new(der::only(encoded, der::SEQUENCE)?);
        while !entries.is_empty() {
            push_alternative_name(&mut all, entries.next()?)?;
        }
    }
    Some(all)
}

impl ConstrainedName<'_> {
    /// The name and where it stands, for a reason: `DNS:a.example`, `the emailAddress a@b.example of the
    /// subject`.
    pub(super) fn told(&self) -> String {
        match self.source {
            Source::Subject(name) => format!("the subject {}", names::display(name)),
            Source::AlternativeName(name) => details::general_name(name.encoded),
            Source::Attribute(attribute, value) => {
                let text = attributes::text(&value).map(|text| details::printable(&text));
                format!("the {attribute} {} of the subject", text.unwrap_or_default())
            }
        }
    }
}

fn push_alternative_name<'a>(all: &mut Vec<ConstrainedName<'a>>, name: Element<'a>) -> Option<()> {
    let kind = Kind::of(&name)?;
    if matches!(&kind, Kind::OtherName(type_id) if **type_id == *SMTP_UTF8_MAILBOX) {
        all.push(ConstrainedName {
            kind: Kind::Rfc822Name,
            form: smtp_utf8_mailbox(name.value),
            source: Source::AlternativeName(name),
        });
    }
    all.push(ConstrainedName {
        form: form(&kind, name.value),
        kind,
        source: Source::AlternativeName(name),
    });
    Some(())
}

fn form<'a>(kind: &Kind, value: &'a [u8]) -> Result<Form<'a>, &'static str> {
    match kind {
        Kind::Rfc822Name => Mailbox::read(value, Charset::Ascii).map(Form::Mailbox),
        Kind::DnsName if name_forms::is_dns_name(value) => Ok(Form::Dns(Cow::Borrowed(value))),
        Kind::DnsName => Err("is no host name"),
        Kind::Uri => name_forms::uri_host(value).map(Form::UriHost),
        Kind::IpAddress if name_forms::is_ip_address(value) => Ok(Form::IpAddress(value)),
        Kind::IpAddress => Err("is no IP address"),
        Kind::DirectoryName => directory(der::only(value, der::SEQUENCE).ok_or("is no directory name")?),
        Kind::OtherName(_) | Kind::X400Address | Kind::EdiPartyName | Kind::RegisteredId => {
            Err(NOT_EVALUATED)
        }
    }
}

fn directory<'a>(name: &[u8]) -> Result<Form<'a>, &'static str> {
    let canonical = CanonicalName::of(name).ok_or("is no directory name, or a very long one")?;
    Ok(Form::Directory(canonical))
}

fn of_email_address(value: Element<'_>) -> ConstrainedName<'_> {
    let form = match value.tag {
        attributes::IA5_STRING => Mailbox::read(value.value, Charset::Ascii).map(Form::Mailbox),
        _ => Err("is no IA5String"),
    };
    ConstrainedName {
        kind: Kind::Rfc822Name,
        form,
        source: Source::Attribute("emailAddress", value),
    }
}

/// `None`: it does not look like a host name.
fn of_common_name(value: Element<'_>) -> Option<ConstrainedName<'_>> {
    let form = match attributes::text(&value) {
        // Old software ended names with NUL, as in C.
        Some(text) => host_in(text.trim_end_matches('\0'))?.map(|host| Form::Dns(Cow::Owned(host.into()))),
        None => Err("is no text"),
    };
    Some(ConstrainedName {
        kind: Kind::DnsName,
        form,
        source: Source::Attribute("common name", value),
    })
}

/// OpenSSL's rule: at least two labels of letters, digits, hyphens and underscores. Here wildcards and a dot
/// at the end count too.
fn host_in(text: &str) -> Option<Result<&[u8], &'static str>> {
    if text.contains('\0') {
        return Some(Err("has a NUL inside"));
    }
    let host = text.strip_suffix('.').unwrap_or(text).as_bytes();
    (host.contains(&b'.') && name_forms::is_dns_name(host)).then_some(Ok(host))
}

/// RFC 9598 §3: `UTF8String`, behind the explicit tag of an otherName.
fn smtp_utf8_mailbox(other_name: &[u8]) -> Result<Form<'_>, &'static str> {
    let value = read_other_name(other_name).and_then(|(_, value)| der::only(value, attributes::UTF8_STRING));
    let value = value.filter(|value| std::str::from_utf8(value).is_ok());
    Mailbox::read(value.ok_or("is no UTF8String")?, Charset::Utf8).map(Form::Mailbox)
}

/// `SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }`, implicitly tagged: the type-id, and the
/// value in it.
fn read_other_name(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = Reader::new(content);
    let type_id = parts.expect(der::OBJECT_IDENTIFIER)?.value;
    let value = parts.expect(OTHER_NAME)?.value;
    parts.is_empty().then_some((type_id, value))
}

fn values<'a>(subject: &'a [u8], oid: &'static [u8]) -> Option<impl Iterator<Item = Element<'a>>> {
    let attributes = attributes::attributes(subject)?.into_iter();
    Some(attributes.filter(move |a| a.oid == oid).map(|a| a.value))
}

pub(super) const NOT_EVALUATED: &str = "is of a kind that is not evaluated";
/// `[0]`, constructed: an otherName among GeneralNames, and the value in it.
const OTHER_NAME: u8 = 0xa0;
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 1.2.840.113549.1.9.1.
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
/// id-on-SmtpUTF8Mailbox, 1.3.6.1.5.5.7.8.9.
const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9];
