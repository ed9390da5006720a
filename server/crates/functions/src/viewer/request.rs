//! Viewer requests: from what the client sent to what the function sees, and from what it returns to what is
//! sent on.

use std::borrow::Cow;

use bothways_trust::CertificateHeader;
use bytes::Bytes;
use http::Method;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use super::fields::{Field, Item, Returned};
use super::headers::{self, HeaderEdit};
use super::invalid::{Invalid, Why};
use super::pieces::{Pieces, encode};
use crate::header_rules::Moment;

/// A request as it stands when the function is called.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    /// With `Host` as the origin is to get it, whichever way the client named it; without those that end at a
    /// proxy, and without what the client says about its own certificate.
    pub headers: &'a HeaderMap,
    /// Facts that this server knows about the certificate: those that the service shows to functions.
    pub certificate: &'a [(CertificateHeader, &'a str)],
}

/// A request as the function sees it.
#[derive(Debug)]
pub struct ShownRequest<'a> {
    pub method: &'a str,
    /// The path alone, encoded as it came.
    pub uri: &'a str,
    /// The answer of `rawQueryString()`.
    pub raw_query: Option<&'a str>,
    pub querystring: Pieces<'a>,
    pub headers: Vec<Field<'a>>,
    pub cookies: Pieces<'a>,
    /// The first so many of `headers` are of the certificate.
    certificate: &'a [(CertificateHeader, &'a str)],
}

/// A request that the function returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReturnedRequest {
    pub method: Option<String>,
    pub uri: Option<String>,
    pub querystring: Vec<Returned>,
    pub headers: Vec<Returned>,
    pub cookies: Vec<Returned>,
}

/// Edits to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestEdits {
    target: Option<PathAndQuery>,
    headers: Vec<HeaderEdit>,
    /// Certificate headers that the origin is not to get, whatever the policy says.
    pub withheld: Vec<CertificateHeader>,
}

impl<'a> ShownRequest<'a> {
    pub fn new(facts: RequestFacts<'a>) -> Self {
        let RequestFacts {
            headers,
            certificate,
            uri,
            ..
        } = facts;
        let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let mut fields = Vec::with_capacity(certificate.len() + headers.keys_len());
        fields.extend(certificate.iter().map(|(header, value)| Field {
            name: Cow::Borrowed(header.wire_name()),
            first: Item::plain(Cow::Borrowed(*value)),
            more: Vec::new(),
        }));
        headers::show(&mut fields, headers, Moment::ViewerRequest);
        Self {
            method: facts.method.as_str(),
            uri: uri.path(),
            raw_query: uri.query(),
            querystring: Pieces::of_query(uri.query().unwrap_or_default()),
            headers: fields,
            cookies: Pieces::of_cookies(cookies),
            certificate,
        }
    }

    /// Derives the edits that the function wants.
    ///
    /// # Errors
    /// It wants what cannot or may not be sent.
    pub fn edits(&self, returned: &ReturnedRequest) -> Result<RequestEdits, Invalid> {
        match returned.method.as_deref() {
            Some(method) if method == self.method => {}
            Some(_) => return Err(Invalid::at("request.method", Why::ReadOnly)),
            None => return Err(Invalid::at("request.method", Why::Missing)),
        }
        let target = self.target(returned)?;
        let mut edits = headers::edits(Moment::ViewerRequest, &self.headers, &returned.headers)?;
        let withheld = self.withheld(&mut edits);
        if let Some(cookies) = self.cookies.rewrite(&returned.cookies)? {
            edits.push(cookie_edit(&cookies)?);
        }
        if headers::edit_bytes(&edits) > REQUEST_BYTES_MAX {
            return Err(Invalid::at("request.headers", Why::TooLarge(REQUEST_BYTES_MAX)));
        }
        Ok(RequestEdits {
            target,
            headers: edits,
            withheld,
        })
    }

    /// The value that a function returns which changes nothing.
    pub fn untouched(&self) -> ReturnedRequest {
        let untouched = |fields: &[Field<'_>]| fields.iter().map(Returned::untouched).collect();
        ReturnedRequest {
            method: Some(self.method.to_owned()),
            uri: Some(self.uri.to_owned()),
            querystring: untouched(&self.querystring.fields),
            headers: untouched(&self.headers),
            cookies: untouched(&self.cookies.fields),
        }
    }

    fn target(&self, returned: &ReturnedRequest) -> Result<Option<PathAndQuery>, Invalid> {
        let uri = returned.uri.as_deref();
        let uri = uri.ok_or_else(|| Invalid::at("request.uri", Why::Missing))?;
        let query = self.querystring.rewrite(&returned.querystring)?;
        if uri == self.uri && query.is_none() {
            return Ok(None);
        }
        let mut target = Vec::with_capacity(uri.len() + self.raw_query.map_or(0, str::len) + 1);
        write_path(&mut target, uri, self.uri)?;
        match query {
            None => {
                if let Some(raw) = self.raw_query {
                    target.push(b'?');
                    target.extend_from_slice(raw.as_bytes());
                }
            }
            Some(pieces) if pieces.is_empty() => {}
            Some(pieces) => {
                target.push(b'?');
                target.extend_from_slice(&pieces.join(&b'&'));
            }
        }
        if target.len() > TARGET_BYTES_MAX {
            return Err(Invalid::at("request.uri", Why::TooLarge(TARGET_BYTES_MAX)));
        }
        let target = PathAndQuery::from_maybe_shared(Bytes::from(target));
        target
            .map(Some)
            .map_err(|_| Invalid::at("request.uri", Why::NotAPath))
    }

    /// Takes the certificate headers out of the edits: they are not among the client's headers, but still to
    /// be added.
    fn withheld(&self, edits: &mut Vec<HeaderEdit>) -> Vec<CertificateHeader> {
        let mut withheld = Vec::new();
        if !edits.is_empty() {
            edits.retain(|edit| {
                let header = self
                    .certificate
                    .iter()
                    .find(|(header, _)| header.wire_name() == edit.name);
                withheld.extend(header.map(|(header, _)| *header));
                header.is_none()
            });
        }
        withheld
    }
}

impl RequestEdits {
    /// Does it.
    ///
    /// # Errors
    /// The request has grown beyond what any request may have.
    pub fn apply(self, uri: &mut Uri, headers: &mut HeaderMap) -> Result<Vec<CertificateHeader>, Invalid> {
        let grows = !self.headers.is_empty();
        let before = if grows { headers::wire_bytes(headers) } else { 0 };
        if let Some(target) = self.target {
            *uri = Uri::from(target);
        }
        for edit in self.headers {
            edit.apply(headers);
        }
        if grows {
            let bytes = headers::wire_bytes(headers);
            if bytes > REQUEST_BYTES_MAX && bytes > before {
                return Err(Invalid::at("request.headers", Why::TooLarge(REQUEST_BYTES_MAX)));
            }
        }
        Ok(self.withheld)
    }
}

fn write_path(target: &mut Vec<u8>, uri: &str, before: &str) -> Result<(), Invalid> {
    let refuse = |why| Invalid::at("request.uri", why);
    if uri == before {
        target.extend_from_slice(uri.as_bytes());
        return Ok(());
    }
    if !uri.starts_with('/') {
        return Err(refuse(Why::NotAbsolute));
    }
    if uri.contains(['?', '#']) {
        return Err(refuse(Why::NotAPath));
    }
    encode(target, uri, is_path_text).ok_or_else(|| refuse(Why::NotAPath))
}

/// True for an octet that may stand in a path as it is; `%` among them, since functions see and write encoded
/// text.
fn is_path_text(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`')
}

/// Makes one header of all cookies, as HTTP/1.1 wants it (RFC 6265 §5.4), whatever it was before.
fn cookie_edit(pieces: &[Cow<'_, [u8]>]) -> Result<HeaderEdit, Invalid> {
    let pieces: Vec<&[u8]> = pieces
        .iter()
        .map(|piece| &**piece)
        .filter(|piece| !piece.is_empty())
        .collect();
    let values = match pieces.is_empty() {
        true => Vec::new(),
        false => {
            let value = HeaderValue::from_maybe_shared(Bytes::from(pieces.join(&b"; "[..])));
            vec![value.map_err(|_| Invalid::at("request.cookies", Why::NotAValue))?]
        }
    };
    Ok(HeaderEdit { name: COOKIE, values })
}

/// The service's: path and query have less than 8,192 characters.
const TARGET_BYTES_MAX: usize = 8_191;
/// The service's, of a request with its headers.
const REQUEST_BYTES_MAX: usize = 32_768;
