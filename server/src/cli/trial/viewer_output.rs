//! Requests and responses in the form of the managed service's events: what a test prints of what would go
//! on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bothways_functions::viewer::{Field, Item, ShownRequest, ShownResponse};
use bytes::Bytes;
use serde::{Serialize, Serializer};

/// Request or response that goes on to the origin or to the client.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ViewerOutput<'a> {
    Request(RequestOutput<'a>),
    Response(ResponseOutput<'a>),
}

#[derive(Serialize)]
pub struct RequestOutput<'a> {
    method: &'a str,
    uri: &'a str,
    querystring: Fields<'a>,
    headers: Fields<'a>,
    cookies: Fields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseOutput<'a> {
    status_code: u16,
    status_description: &'a str,
    headers: Fields<'a>,
    cookies: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<BodyOutput>,
}

#[derive(Serialize)]
struct BodyOutput {
    encoding: &'static str,
    data: String,
}

impl<'a> ViewerOutput<'a> {
    pub fn request(shown: &'a ShownRequest<'a>) -> Self {
        Self::Request(RequestOutput {
            method: shown.method,
            uri: shown.uri,
            querystring: Fields(&shown.querystring.fields),
            headers: Fields(&shown.headers),
            cookies: Fields(&shown.cookies.fields),
        })
    }

    /// `body` is the function's; none: the origin's stays.
    pub fn response(shown: &'a ShownResponse<'a>, body: Option<&Bytes>) -> Self {
        Self::Response(ResponseOutput {
            status_code: shown.status.as_u16(),
            status_description: &shown.description,
            headers: Fields(&shown.headers),
            cookies: Fields(&shown.cookies.fields),
            body: body.map(BodyOutput::of),
        })
    }

    pub fn json(&self) -> String {
        told(serde_json::to_string(self))
    }

    pub fn pretty(&self) -> String {
        told(serde_json::to_string_pretty(self))
    }
}

impl BodyOutput {
    fn of(body: &Bytes) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self {
                encoding: "text",
                data: text.to_owned(),
            },
            Err(_) => Self {
                encoding: "base64",
                data: STANDARD.encode(body),
            },
        }
    }
}

/// Names that are all different, in their order.
struct Fields<'a>(&'a [Field<'a>]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|field| (&*field.name, FieldOutput::of(field))))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FieldOutput<'a> {
    #[serde(flatten)]
    first: ItemOutput<'a>,
    /// All values, the first included, where there is more than one; else empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    multi_value: Vec<ItemOutput<'a>>,
}

#[derive(Serialize)]
struct ItemOutput<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a str>,
}

impl<'a> FieldOutput<'a> {
    fn of(field: &'a Field<'a>) -> Self {
        let is_multiple = !field.more.is_empty();
        Self {
            first: ItemOutput::of(&field.first),
            multi_value: field
                .values()
                .filter(|_| is_multiple)
                .map(ItemOutput::of)
                .collect(),
        }
    }
}

impl<'a> ItemOutput<'a> {
    fn of(item: &'a Item<'a>) -> Self {
        Self {
            value: &item.value,
            attributes: item.attributes.as_deref(),
        }
    }
}

/// Text under text keys: writing it to memory does not fail.
fn told(json: serde_json::Result<String>) -> String {
    json.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
