//! Viewer responses, and responses that a function makes itself.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, SET_COOKIE};

use super::fields::{Field, Returned};
use super::headers::{self, HeaderEdit};
use super::invalid::{Invalid, Why};
use super::pieces::Pieces;
use crate::header_rules::Moment;

/// A response as the function sees it.
#[derive(Debug)]
pub struct ShownResponse<'a> {
    pub status: StatusCode,
    pub description: Cow<'a, str>,
    pub headers: Vec<Field<'a>>,
    pub cookies: Pieces<'a>,
}

/// A response that the function returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReturnedResponse {
    pub status_code: Option<f64>,
    pub status_description: Option<String>,
    pub headers: Vec<Returned>,
    pub cookies: Vec<Returned>,
    pub body: Option<ReturnedBody>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnedBody {
    Text(String),
    Base64(String),
}

/// Edits to a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseEdits {
    pub status: StatusCode,
    /// HTTP/1's reason phrase, where it is not the usual one; good octets for it.
    pub description: Option<Bytes>,
    headers: Vec<HeaderEdit>,
    /// In place of the one that is there. Its length header is the sender's to write.
    pub body: Option<Bytes>,
}

impl<'a> ShownResponse<'a> {
    /// `description` is the reason phrase where the origin sent an unusual one.
    pub fn new(status: StatusCode, description: Option<&'a [u8]>, headers: &'a HeaderMap) -> Self {
        let cookies = headers.get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes);
        let mut fields = Vec::with_capacity(headers.keys_len());
        headers::show(&mut fields, headers, Moment::ViewerResponse);
        Self {
            status,
            description: match description {
                Some(octets) => String::from_utf8_lossy(octets),
                None => Cow::Borrowed(usual(status)),
            },
            headers: fields,
            cookies: Pieces::of_set_cookies(cookies),
        }
    }

    /// Derives the edits that the function wants.
    ///
    /// # Errors
    /// It wants what cannot or may not be sent.
    pub fn edits(&self, mut returned: ReturnedResponse) -> Result<ResponseEdits, Invalid> {
        let status = status(returned.status_code)?;
        let body = returned.body.take().map(decode).transpose()?;
        if body.is_some() {
            self.leave_length(&mut returned.headers);
        }
        let mut edits = headers::edits(Moment::ViewerResponse, &self.headers, &returned.headers)?;
        if let Some(cookies) = self.cookies.rewrite(&returned.cookies)? {
            edits.push(set_cookie_edit(&cookies)?);
        }
        if headers::edit_bytes(&edits) > HEADER_BYTES_MAX {
            return Err(Invalid::at("response.headers", Why::TooLarge(HEADER_BYTES_MAX)));
        }
        Ok(ResponseEdits {
            status,
            description: self.description(status, returned.status_description)?,
            headers: edits,
            body,
        })
    }

    /// The value that a function returns which changes nothing.
    pub fn untouched(&self) -> ReturnedResponse {
        ReturnedResponse {
            status_code: Some(f64::from(self.status.as_u16())),
            status_description: Some(self.description.clone().into_owned()),
            headers: self.headers.iter().map(Returned::untouched).collect(),
            cookies: self.cookies.fields.iter().map(Returned::untouched).collect(),
            body: None,
        }
    }

    /// Puts the length back as the function was shown it. It follows from the body, whatever the function
    /// says.
    fn leave_length(&self, returned: &mut Vec<Returned>) {
        let is_length = |field: &Field<'_>| field.name == CONTENT_LENGTH.as_str();
        let shown = self.headers.iter().position(is_length);
        returned.retain(|field| {
            let is_named = field.name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str());
            !is_named && (field.untouched.is_none() || field.untouched != shown)
        });
        returned.extend(shown.map(Returned::same));
    }

    /// A description that was left as it was while the status changed describes nothing any more.
    fn description(&self, status: StatusCode, given: Option<String>) -> Result<Option<Bytes>, Invalid> {
        match given {
            None => Ok(None),
            Some(text) if text == usual(status) => Ok(None),
            Some(text) if text == self.description && status != self.status => Ok(None),
            Some(text) if text.bytes().any(|byte| byte.is_ascii_control()) => {
                Err(Invalid::at("response.statusDescription", Why::NotAValue))
            }
            Some(text) if text.len() > DESCRIPTION_BYTES_MAX => Err(Invalid::at(
                "response.statusDescription",
                Why::TooLarge(DESCRIPTION_BYTES_MAX),
            )),
            Some(text) => Ok(Some(Bytes::from(text))),
        }
    }
}

impl ResponseEdits {
    /// Checks a header of a response that a function made of nothing: there is nothing whose length, or whose
    /// way here, a header could tell.
    ///
    /// # Errors
    /// As [`ShownResponse::edits`].
    pub fn generated(mut returned: ReturnedResponse) -> Result<Self, Invalid> {
        returned
            .headers
            .retain(|field| !field.name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()));
        returned
            .body
            .get_or_insert_with(|| ReturnedBody::Text(String::new()));
        ShownResponse::new(StatusCode::OK, None, &HeaderMap::new()).edits(returned)
    }

    /// Writes the headers; the rest is the caller's.
    pub fn apply_headers(&mut self, headers: &mut HeaderMap) {
        for edit in std::mem::take(&mut self.headers) {
            edit.apply(headers);
        }
    }
}

fn status(given: Option<f64>) -> Result<StatusCode, Invalid> {
    let refuse = |why| Invalid::at("response.statusCode", why);
    let given = given.ok_or_else(|| refuse(Why::Missing))?;
    let status = STATUSES.clone().find(|status| f64::from(*status) == given);
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    status.ok_or_else(|| refuse(Why::NotAStatus))
}

fn decode(body: ReturnedBody) -> Result<Bytes, Invalid> {
    let bytes = match body {
        ReturnedBody::Text(text) => Bytes::from(text),
        ReturnedBody::Base64(text) => {
            let decoded = STANDARD
                .decode(text)
                .map_err(|_| Invalid::at("response.body", Why::NotBase64))?;
            Bytes::from(decoded)
        }
    };
    match bytes.len() > BODY_BYTES_MAX {
        true => Err(Invalid::at("response.body", Why::TooLarge(BODY_BYTES_MAX))),
        false => Ok(bytes),
    }
}

fn set_cookie_edit(lines: &[Cow<'_, [u8]>]) -> Result<HeaderEdit, Invalid> {
    let values = lines
        .iter()
        .map(|line| HeaderValue::from_bytes(line))
        .collect::<Result<_, _>>();
    Ok(HeaderEdit {
        name: SET_COOKIE,
        values: values.map_err(|_| Invalid::at("response.cookies", Why::NotAValue))?,
    })
}

fn usual(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

const STATUSES: std::ops::RangeInclusive<u16> = 200..=599;
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// The same limit as for a request.
const HEADER_BYTES_MAX: usize = 32_768;
/// A function's memory bounds it already, by default at 2 MB.
const BODY_BYTES_MAX: usize = 1_048_576;
