//! Wishes of `cf.mtls`: certificate headers for the origin under other names, in another form, or combined in
//! one.
//!
//! Functions say what is wanted and never see a PEM: the values are made when the request goes on. A header
//! that is made here replaces whatever the client sent under its name, also where there is no certificate to
//! tell about.

use bothways_trust::CertificateHeader;
use bothways_trust::header_name::reads_like;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::header_rules::{Moment, is_disallowed, is_identity, is_read_only};

/// The wishes of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRenames {
    renames: Vec<Rename>,
    /// Leaf and chain in one header (mode passthrough).
    combined: Option<(HeaderName, PemFormat)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rename {
    source: CertificateHeader,
    name: HeaderName,
    format: Option<PemFormat>,
}

/// `pemCertFormatInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PemFormat {
    /// Text in place of the line BEGIN CERTIFICATE, or of the `:` before RFC 9440's octets.
    pub header: Option<String>,
    pub footer: Option<String>,
    /// Text between two certificates. None: a comma and a space.
    pub end_marker: Option<String>,
    pub keep_newlines: Option<bool>,
}

/// A wish, as it is told to people.
#[derive(Clone, Copy, Debug)]
pub struct CertificateWish<'a> {
    /// Headers whose values go under the new name. The values of more than one are joined.
    pub sources: &'a [CertificateHeader],
    pub name: &'a HeaderName,
    pub format: Option<&'a PemFormat>,
}

/// A wish that cannot be granted. The function gets it as a `TypeError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameFault {
    Source,
    Name,
    /// Another header is to have this name.
    Taken,
    Format,
}

impl RenameFault {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "not a certificate header that can be renamed",
            Self::Name => "not a name that a header can be given",
            Self::Taken => "another certificate header has this name already",
            Self::Format => "pemCertFormatInfo takes printable ASCII of at most 256 characters",
        }
    }
}

impl CertificateRenames {
    /// `renameClientCertHeaders`. Of two renames of one header the last counts.
    ///
    /// # Errors
    /// See [`RenameFault`].
    pub fn rename(&mut self, source: &str, name: &str) -> Result<(), RenameFault> {
        let source = CertificateHeader::parse(source).ok_or(RenameFault::Source)?;
        self.add(source, name, None)
    }

    /// `renamePemHeaders`.
    ///
    /// # Errors
    /// See [`RenameFault`].
    pub fn rename_pem(&mut self, source: &str, name: &str, format: PemFormat) -> Result<(), RenameFault> {
        let source = CertificateHeader::parse(source).filter(|source| PEM_SOURCES.contains(source));
        check(&format)?;
        self.add(source.ok_or(RenameFault::Source)?, name, Some(format))
    }

    /// `combinePemHeaders`.
    ///
    /// # Errors
    /// See [`RenameFault`].
    pub fn combine(&mut self, name: &str, format: PemFormat) -> Result<(), RenameFault> {
        check(&format)?;
        let name = target(name)?;
        if self.renames.iter().any(|rename| rename.name == name) {
            return Err(RenameFault::Taken);
        }
        self.combined = Some((name, format));
        Ok(())
    }

    fn add(
        &mut self,
        source: CertificateHeader,
        name: &str,
        format: Option<PemFormat>,
    ) -> Result<(), RenameFault> {
        let name = target(name)?;
        let is_taken = |rename: &Rename| rename.name == name && rename.source != source;
        if self.renames.iter().any(is_taken)
            || self.combined.as_ref().is_some_and(|(taken, _)| *taken == name)
        {
            return Err(RenameFault::Taken);
        }
        self.renames.retain(|rename| rename.source != source);
        self.renames.push(Rename { source, name, format });
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.renames.is_empty() && self.combined.is_none()
    }

    /// In the order in which they are granted.
    pub fn wishes(&self) -> impl Iterator<Item = CertificateWish<'_>> {
        let renames = self.renames.iter().map(|rename| CertificateWish {
            sources: std::slice::from_ref(&rename.source),
            name: &rename.name,
            format: rename.format.as_ref(),
        });
        renames.chain(self.combined.iter().map(|(name, format)| CertificateWish {
            sources: &COMBINED,
            name,
            format: Some(format),
        }))
    }

    /// True if `header` goes to the origin under another name, and so not under its own.
    pub fn replaces(&self, header: CertificateHeader) -> bool {
        let is_combined = self.combined.is_some() && COMBINED.contains(&header);
        is_combined || self.renames.iter().any(|rename| rename.source == header)
    }

    /// Replaces each renamed header. `text` gives the value of a header for this client; with None, what the
    /// request had under the new name is removed all the same.
    pub fn apply<'a>(&self, headers: &mut HeaderMap, text: impl Fn(CertificateHeader) -> Option<&'a str>) {
        for rename in &self.renames {
            let value = text(rename.source).map(|text| match &rename.format {
                None => text.to_owned(),
                Some(format) => dress(rename.source, text, format),
            });
            put(headers, &rename.name, value);
        }
        if let Some((name, format)) = &self.combined {
            let values: Vec<_> = COMBINED
                .iter()
                .filter_map(|source| Some(dress(*source, text(*source)?, format)))
                .collect();
            let value = values.join(format.end_marker.as_deref().unwrap_or(LIST_SEPARATOR));
            put(headers, name, (!values.is_empty()).then_some(value));
        }
    }
}

/// Replaces all that an origin could take for the header `name`.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: Option<String>) {
    let reads_alike = |other: &&HeaderName| reads_like(other.as_str(), name.as_str());
    let alike: Vec<_> = headers.keys().filter(reads_alike).cloned().collect();
    for name in alike {
        headers.remove(name);
    }
    // Facts and formats hold no control characters, so this does not fail.
    if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
        headers.insert(name, value);
    }
}

/// Writes one or more certificates as `format` wants them.
fn dress(source: CertificateHeader, text: &str, format: &PemFormat) -> String {
    match source {
        CertificateHeader::Pem => dress_pem(text, format),
        _ => {
            let certificates = text
                .split(LIST_SEPARATOR)
                .map(|octets| dress_octets(octets, format));
            let certificates: Vec<_> = certificates.collect();
            certificates.join(format.end_marker.as_deref().unwrap_or(LIST_SEPARATOR))
        }
    }
}

/// The URL-encoded PEM stays that, but for what replaces its first and last line, which is written as it is.
fn dress_pem(text: &str, format: &PemFormat) -> String {
    let mut lines: Vec<&str> = text.split(NEWLINE).filter(|line| !line.is_empty()).collect();
    if let (Some(header), Some(first)) = (&format.header, lines.first_mut()) {
        *first = header;
    }
    if let (Some(footer), Some(last)) = (&format.footer, lines.last_mut()) {
        *last = footer;
    }
    lines.retain(|line| !line.is_empty());
    match format.keep_newlines.unwrap_or(true) {
        true => lines.iter().flat_map(|line| [line, NEWLINE]).collect(),
        false => lines.concat(),
    }
}

/// RFC 9440's `:…:`, which has no lines unless they are asked for.
fn dress_octets(octets: &str, format: &PemFormat) -> String {
    let base64 = octets.trim_matches(':');
    let header = format.header.as_deref().unwrap_or(":");
    let footer = format.footer.as_deref().unwrap_or(":");
    if !format.keep_newlines.unwrap_or(false) {
        return [header, base64, footer].concat();
    }
    let mut text = String::with_capacity(base64.len() + base64.len() / 16 + header.len() + footer.len());
    let mut line = |part: &str| {
        if !part.is_empty() {
            text.push_str(part);
            text.push_str(NEWLINE);
        }
    };
    line(header);
    let mut rest = base64;
    while let Some((first, more)) = rest.split_at_checked(PEM_LINE_CHARACTERS) {
        line(first);
        rest = more;
    }
    line(rest);
    line(footer);
    text
}

fn target(name: &str) -> Result<HeaderName, RenameFault> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| RenameFault::Name)?;
    let text = name.as_str();
    // One fact of a certificate must not go by the name of another, nor by one that says something else to
    // every origin.
    let is_taken = is_identity(text)
        || is_read_only(text, Moment::ViewerRequest)
        || is_disallowed(text)
        || TAKEN.contains(&text);
    if is_taken {
        Err(RenameFault::Name)
    } else {
        Ok(name)
    }
}

fn check(format: &PemFormat) -> Result<(), RenameFault> {
    let texts = [&format.header, &format.footer, &format.end_marker];
    let is_good = |text: &String| {
        text.len() <= FORMAT_CHARACTERS_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    match texts.into_iter().flatten().all(is_good) {
        true => Ok(()),
        false => Err(RenameFault::Format),
    }
}

/// Headers of a request that say something else.
const TAKEN: [&str; 5] = [
    "cookie",
    "forwarded",
    "set-cookie",
    "x-forwarded-for",
    "x-forwarded-host",
];
const PEM_SOURCES: [CertificateHeader; 3] = [
    CertificateHeader::Pem,
    CertificateHeader::ClientCert,
    CertificateHeader::ClientCertChain,
];
const COMBINED: [CertificateHeader; 2] = [CertificateHeader::ClientCert, CertificateHeader::ClientCertChain];
/// Separator of RFC 9440's list.
const LIST_SEPARATOR: &str = ", ";
/// A line end as the PEM header spells it.
const NEWLINE: &str = "%0A";
const PEM_LINE_CHARACTERS: usize = 64;
const FORMAT_CHARACTERS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN%20CERTIFICATE-----%0AMIIG%0Aab==%0A-----END%20CERTIFICATE-----%0A";

    fn text(header: CertificateHeader) -> Option<&'static str> {
        match header {
            CertificateHeader::Pem => Some(PEM),
            CertificateHeader::Subject => Some("CN=a"),
            CertificateHeader::ClientCert => Some(":TEFG:"),
            CertificateHeader::ClientCertChain => Some(":SU5U:, :Uk9PVA==:"),
            _ => None,
        }
    }

    fn format(header: &str, footer: &str, marker: Option<&str>, keep: Option<bool>) -> PemFormat {
        PemFormat {
            header: Some(header.to_owned()),
            footer: Some(footer.to_owned()),
            end_marker: marker.map(str::to_owned),
            keep_newlines: keep,
        }
    }

    fn written(renames: &CertificateRenames) -> HeaderMap {
        let mut headers = HeaderMap::new();
        renames.apply(&mut headers, text);
        headers
    }

    #[test]
    fn pem_formats_replace_delimiters_and_line_ends_as_documented() {
        let cases = [
            (
                "CloudFront-Viewer-Cert-Pem",
                format("B", "E", None, None),
                "B%0AMIIG%0Aab==%0AE%0A",
            ),
            (
                "CloudFront-Viewer-Cert-Pem",
                format("B", "E", None, Some(false)),
                "BMIIGab==E",
            ),
            (
                "CloudFront-Viewer-Cert-Pem",
                format("", "", None, Some(false)),
                "MIIGab==",
            ),
            ("CloudFront-Viewer-Cert-Pem", PemFormat::default(), PEM),
            ("Client-Cert", PemFormat::default(), ":TEFG:"),
            ("Client-Cert", format("B", "E", Some("|"), None), "BTEFGE"),
            (
                "client-cert",
                format("B", "E", None, Some(true)),
                "B%0ATEFG%0AE%0A",
            ),
            (
                "Client-Cert-Chain",
                format("B", "E", Some("|"), None),
                "BSU5UE|BUk9PVA==E",
            ),
            ("Client-Cert-Chain", format("", "", None, None), "SU5U, Uk9PVA=="),
        ];
        for (source, format, expected) in cases {
            let mut renames = CertificateRenames::default();
            renames.rename_pem(source, "X-Cert", format).expect("a good wish");
            let headers = written(&renames);
            assert_eq!(
                headers.get("x-cert").map(HeaderValue::as_bytes),
                Some(expected.as_bytes())
            );
        }
    }

    #[test]
    fn leaf_and_chain_are_combined_where_they_are_told() {
        let mut renames = CertificateRenames::default();
        renames
            .combine("X-All", format("<", ">", Some(""), None))
            .expect("a good wish");
        assert_eq!(
            written(&renames).get("x-all").map(HeaderValue::as_bytes),
            Some(&b"<TEFG><SU5U><Uk9PVA==>"[..])
        );
        assert!(renames.replaces(CertificateHeader::ClientCert) && !renames.replaces(CertificateHeader::Pem));
        let mut headers = HeaderMap::new();
        headers.insert("x_all", HeaderValue::from_static("forged"));
        renames.apply(&mut headers, |_| None);
        assert!(headers.is_empty(), "without a certificate the name stays empty");
    }

    #[test]
    fn a_renamed_header_replaces_the_clients_own_in_every_spelling() {
        let mut renames = CertificateRenames::default();
        renames
            .rename("CloudFront-Viewer-Cert-Subject", "X-Client-Subject")
            .expect("a good wish");
        let mut headers = HeaderMap::new();
        for name in ["x-client-subject", "x_client-subject", "x.client~subject"] {
            headers.append(name, HeaderValue::from_static("CN=forged"));
        }
        renames.apply(&mut headers, text);
        assert_eq!(headers.len(), 1);
        assert_eq!(
            headers.get("x-client-subject").map(HeaderValue::as_bytes),
            Some(&b"CN=a"[..])
        );
    }

    #[test]
    fn wishes_that_make_no_sense_are_refused() {
        let mut renames = CertificateRenames::default();
        assert_eq!(renames.rename("Host", "X-A"), Err(RenameFault::Source));
        assert_eq!(
            renames.rename_pem("CloudFront-Viewer-Cert-Subject", "X-A", PemFormat::default()),
            Err(RenameFault::Source)
        );
        for name in [
            "",
            "a b",
            "x\r\ny",
            "Host",
            "content-length",
            "Connection",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "x.forwarded.client.cert",
            "Client.Cert",
            "Cookie",
            "te",
        ] {
            assert_eq!(
                renames.rename("Client-Cert", name),
                Err(RenameFault::Name),
                "{name}"
            );
        }
        let split = format("a\r\nb", "", None, None);
        assert_eq!(
            renames.rename_pem("Client-Cert", "X-A", split),
            Err(RenameFault::Format)
        );
        renames.rename("Client-Cert", "X-A").expect("a good wish");
        assert_eq!(
            renames.rename("Client-Cert-Chain", "x-a"),
            Err(RenameFault::Taken)
        );
        renames
            .rename("Client-Cert", "X-B")
            .expect("the last wish counts");
        renames.rename("Client-Cert-Chain", "x-a").expect("a free name");
    }
}
