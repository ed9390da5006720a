//! Reading the object that a function returned: to plain values, with every type checked.
//!
//! Getters run here, so a budget must be running. What is read is bounded as it is read: an object of a few
//! bytes can name one long string a million times.

use rquickjs::object::Filter;
use rquickjs::{Array, Atom, Object, Value};

use super::event::{Built, BuiltFields};
use super::fields::{Given, Returned};
use super::invalid::{Invalid, Why};
use super::request::ReturnedRequest;
use super::response::{ReturnedBody, ReturnedResponse};

/// An object that could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// A getter has thrown, or the engine is out of something.
    Engine(rquickjs::Error),
    Invalid(Invalid),
}

/// The answer of a viewer-request function.
#[derive(Debug)]
pub(super) enum Answer {
    Request(ReturnedRequest),
    Response(ReturnedResponse),
}

/// Reads one returned object.
pub(super) struct Reader<'b, 'js> {
    built: &'b Built<'js>,
    /// Octets of text that may still be read.
    bytes_left: usize,
}

type Read<T> = Result<T, Unread>;

impl From<rquickjs::Error> for Unread {
    fn from(error: rquickjs::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Invalid> for Unread {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl<'b, 'js> Reader<'b, 'js> {
    pub(super) fn new(built: &'b Built<'js>) -> Self {
        Self {
            built,
            bytes_left: READ_BYTES_MAX,
        }
    }

    /// A request, or a response where there is a `statusCode`.
    pub(super) fn answer(&mut self, returned: &Value<'js>) -> Read<Answer> {
        let object = object("the returned value", returned)?;
        let status: Value<'js> = object.get("statusCode")?;
        match status.is_undefined() {
            true => self.request(&object).map(Answer::Request),
            false => self.response_with(&object, &status).map(Answer::Response),
        }
    }

    pub(super) fn response(&mut self, returned: &Value<'js>) -> Read<ReturnedResponse> {
        let object = object("the returned value", returned)?;
        let status: Value<'js> = object.get("statusCode")?;
        self.response_with(&object, &status)
    }

    fn request(&mut self, object: &Object<'js>) -> Read<ReturnedRequest> {
        Ok(ReturnedRequest {
            method: self.text_of(object, "method", "request.method")?,
            uri: self.text_of(object, "uri", "request.uri")?,
            querystring: self.fields(
                object,
                "querystring",
                "request.querystring",
                &self.built.querystring,
            )?,
            headers: self.fields(object, "headers", "request.headers", &self.built.headers)?,
            cookies: self.fields(object, "cookies", "request.cookies", &self.built.cookies)?,
        })
    }

    fn response_with(&mut self, object: &Object<'js>, status: &Value<'js>) -> Read<ReturnedResponse> {
        let number = status.as_number();
        if number.is_none() && !status.is_undefined() {
            return Err(Invalid::at("response.statusCode", Why::Not("a number")).into());
        }
        Ok(ReturnedResponse {
            status_code: number,
            status_description: self.text_of(object, "statusDescription", "response.statusDescription")?,
            headers: self.fields(
                object,
                "headers",
                "response.headers",
                &self.built.response_headers,
            )?,
            cookies: self.fields(object, "cookies", "response.cookies", &BuiltFields::default())?,
            body: self.body(object)?,
        })
    }

    fn body(&mut self, object: &Object<'js>) -> Read<Option<ReturnedBody>> {
        let body: Value<'js> = object.get("body")?;
        if body.is_undefined() {
            return Ok(None);
        }
        if body.is_string() {
            return self
                .text("response.body", None, &body)
                .map(ReturnedBody::Text)
                .map(Some);
        }
        let Some(parts) = body.as_object().filter(|_| !body.is_array()) else {
            return Err(Invalid::at("response.body", Why::Not("a string, nor an object")).into());
        };
        let data = self.text_of(parts, "data", "response.body.data")?;
        let data = data.ok_or_else(|| Invalid::at("response.body.data", Why::Missing))?;
        match self
            .text_of(parts, "encoding", "response.body.encoding")?
            .as_deref()
        {
            None | Some("text") => Ok(Some(ReturnedBody::Text(data))),
            Some("base64") => Ok(Some(ReturnedBody::Base64(data))),
            Some(_) => Err(Invalid::at("response.body.encoding", Why::Not("text or base64")).into()),
        }
    }

    /// The headers, arguments or cookies of an object; nothing there is none of them.
    fn fields(
        &mut self,
        object: &Object<'js>,
        key: &'static str,
        place: &'static str,
        built: &BuiltFields<'js>,
    ) -> Read<Vec<Returned>> {
        let value: Value<'js> = object.get(key)?;
        if value.is_undefined() {
            return Ok(Vec::new());
        }
        let fields = self::object(place, &value)?;
        let keys = fields.own_keys::<Atom<'js>>(Filter::new().string().enum_only());
        let mut returned = Vec::with_capacity(keys.len().min(FIELDS_EXPECTED));
        let multi_value = Atom::from_str(fields.ctx().clone(), "multiValue")?;
        let mut next = 0;
        for key in keys {
            let key = key?;
            let value: Value<'js> = fields.get(key.clone())?;
            if let Some(number) = built.find(next, &key) {
                next = number + 1;
                if built.is_same(number, &value, &multi_value)? {
                    self.take(place, 0)?;
                    returned.push(Returned::same(number));
                    continue;
                }
            }
            // By way of a string: `Atom::to_string` trusts that it is UTF-8 without NUL.
            let name = match key.to_js_string()?.to_string() {
                Ok(name) => name,
                Err(rquickjs::Error::Utf8(_)) => return Err(Invalid::at(place, Why::NotAName).into()),
                Err(error) => return Err(error.into()),
            };
            self.take(place, name.len())?;
            returned.push(self.field(place, name, &value)?);
        }
        Ok(returned)
    }

    fn field(&mut self, place: &'static str, name: String, value: &Value<'js>) -> Read<Returned> {
        let not = |name: &str, wanted| Invalid::named(place, name, Why::Not(wanted));
        let Some(object) = value.as_object().filter(|_| !value.is_array()) else {
            return Err(not(&name, "an object with value or multiValue").into());
        };
        let multi: Value<'js> = object.get("multiValue")?;
        let multi = match multi.as_array() {
            Some(array) => Some(self.values(place, &name, array)?),
            None if multi.is_undefined() => None,
            None => return Err(not(&name, "an array in multiValue").into()),
        };
        let single: Value<'js> = object.get(VALUE)?;
        let single = match single.is_undefined() {
            true => None,
            false => Some(self.given(place, &name, object, &single)?),
        };
        Ok(Returned {
            untouched: None,
            name,
            single,
            multi,
        })
    }

    fn values(&mut self, place: &'static str, name: &str, array: &Array<'js>) -> Read<Vec<Given>> {
        let mut values = Vec::new();
        // Not `Array::len`, which panics beyond 2³¹.
        let length: f64 = array.as_object().get(rquickjs::atom::PredefinedAtom::Length)?;
        for index in (0..).take_while(|index| f64::from(*index) < length) {
            let item: Value<'js> = array.as_object().get::<u32, _>(index)?;
            let not = || Invalid::named(place, name, Why::Not("an object with value in each multiValue"));
            let object = item.as_object().ok_or_else(not)?;
            let value: Value<'js> = object.get(VALUE)?;
            if value.is_undefined() {
                return Err(not().into());
            }
            values.push(self.given(place, name, object, &value)?);
        }
        Ok(values)
    }

    fn given(
        &mut self,
        place: &'static str,
        name: &str,
        object: &Object<'js>,
        value: &Value<'js>,
    ) -> Read<Given> {
        let value = self.text(place, Some(name), value)?;
        let attributes: Value<'js> = match place {
            COOKIES_WITH_ATTRIBUTES => object.get("attributes")?,
            _ => Value::new_undefined(object.ctx().clone()),
        };
        let attributes = match attributes.is_undefined() {
            true => None,
            false => Some(self.text(place, Some(name), &attributes)?),
        };
        Ok(Given { value, attributes })
    }

    fn text_of(
        &mut self,
        object: &Object<'js>,
        key: &'static str,
        place: &'static str,
    ) -> Read<Option<String>> {
        let value: Value<'js> = object.get(key)?;
        match value.is_undefined() {
            true => Ok(None),
            false => self.text(place, None, &value).map(Some),
        }
    }

    fn text(&mut self, place: &'static str, name: Option<&str>, value: &Value<'js>) -> Read<String> {
        let invalid = |why| match name {
            Some(name) => Invalid::named(place, name, why),
            None => Invalid::at(place, why),
        };
        let text = value.as_string().ok_or_else(|| invalid(Why::Not("a string")))?;
        let text = match text.to_string() {
            Ok(text) => text,
            // A lone surrogate.
            Err(rquickjs::Error::Utf8(_)) => return Err(invalid(Why::NotAValue).into()),
            Err(error) => return Err(error.into()),
        };
        self.take(place, text.len())?;
        Ok(text)
    }

    fn take(&mut self, place: &'static str, bytes: usize) -> Read<()> {
        let left = self.bytes_left.checked_sub(bytes.saturating_add(ITEM_OVERHEAD));
        self.bytes_left = left.ok_or_else(|| Invalid::at(place, Why::TooLarge(READ_BYTES_MAX)))?;
        Ok(())
    }
}

fn object<'js>(place: &'static str, value: &Value<'js>) -> Result<Object<'js>, Invalid> {
    let is_plain = !value.is_array() && !value.is_function();
    let object = value.as_object().filter(|_| is_plain).cloned();
    object.ok_or_else(|| Invalid::at(place, Why::Not("an object")))
}

const VALUE: rquickjs::atom::PredefinedAtom = rquickjs::atom::PredefinedAtom::Value;
const COOKIES_WITH_ATTRIBUTES: &str = "response.cookies";
/// A body of the largest size in base64, and then some.
const READ_BYTES_MAX: usize = 2_097_152;
/// Counted for each text, so that nobody reads a million empty ones.
const ITEM_OVERHEAD: usize = 32;
const FIELDS_EXPECTED: usize = 32;
