//! Headers: what functions are shown of them, and what they may make of them.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::fields::{Change, Field, Given, Item, Returned, changes, text};
use super::invalid::{Invalid, Why};
use crate::header_rules::{Moment, is_hidden, is_read_only};

/// In place of all headers of this name; no value: they are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderEdit {
    pub(super) name: HeaderName,
    pub(super) values: Vec<HeaderValue>,
}

impl HeaderEdit {
    pub(super) fn apply(self, headers: &mut HeaderMap) {
        let mut values = self.values.into_iter();
        match values.next() {
            Some(first) => drop(headers.insert(&self.name, first)),
            None => drop(headers.remove(&self.name)),
        }
        for value in values {
            headers.append(&self.name, value);
        }
    }
}

/// Shows every header but cookies and those that are hidden.
pub(super) fn show<'a>(fields: &mut Vec<Field<'a>>, headers: &'a HeaderMap, moment: Moment) {
    for name in headers.keys() {
        let text = name.as_str();
        if is_hidden(text, moment) || *name == COOKIE || *name == SET_COOKIE {
            continue;
        }
        let mut values = headers.get_all(name).iter().map(item);
        if let Some(first) = values.next() {
            fields.push(Field {
                name: Cow::Borrowed(text),
                first,
                more: values.collect(),
            });
        }
    }
}

fn item(value: &HeaderValue) -> Item<'_> {
    Item::plain(text(value.as_bytes()))
}

/// Compares the headers `shown` with those that a function returned.
///
/// # Errors
/// It touched what it may not, or wrote what cannot be sent.
pub(super) fn edits(
    moment: Moment,
    shown: &[Field<'_>],
    returned: &[Returned],
) -> Result<Vec<HeaderEdit>, Invalid> {
    let place = place(moment);
    let returned = lower(place, shown, returned)?;
    let changes = changes(place, shown, &returned)?;
    let mut edits = Vec::new();
    for (field, change) in shown.iter().zip(changes.shown) {
        if let Change::Replace(values) = change {
            edits.push(edit(moment, &field.name, values)?);
        }
    }
    for (name, values) in changes.added {
        if !values.is_empty() {
            edits.push(edit(moment, name, values)?);
        }
    }
    Ok(edits)
}

const fn place(moment: Moment) -> &'static str {
    match moment {
        Moment::ViewerRequest => "request.headers",
        Moment::ViewerResponse => "response.headers",
    }
}

/// Header names have no case: whatever the function wrote, it means the same header, and may mean it once.
fn lower<'r>(
    place: &'static str,
    shown: &[Field<'_>],
    returned: &'r [Returned],
) -> Result<Cow<'r, [Returned]>, Invalid> {
    let is_upper = |field: &Returned| field.name.bytes().any(|byte| byte.is_ascii_uppercase());
    if !returned.iter().any(is_upper) {
        return Ok(Cow::Borrowed(returned));
    }
    let mut lowered = returned.to_vec();
    let mut names = std::collections::HashSet::new();
    for field in &mut lowered {
        field.name.make_ascii_lowercase();
        let same = field.untouched.and_then(|at| shown.get(at));
        if !names.insert(same.map_or_else(|| field.name.clone(), |same| same.name.clone().into_owned())) {
            return Err(Invalid::named(place, &field.name, Why::Twice));
        }
    }
    Ok(Cow::Owned(lowered))
}

fn edit(moment: Moment, name: &str, values: &[Given]) -> Result<HeaderEdit, Invalid> {
    let refuse = |why| Invalid::named(place(moment), name, why);
    if is_read_only(name, moment) {
        return Err(refuse(Why::ReadOnly));
    }
    // The certificate headers that are shown may be withheld, never replaced.
    if is_hidden(name, moment) && !values.is_empty() {
        return Err(refuse(Why::Forbidden));
    }
    let wire = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse(Why::NotAName))?;
    if wire == COOKIE || wire == SET_COOKIE {
        return Err(refuse(Why::IsCookie));
    }
    // Refuses control characters, CR and LF among them; the horizontal tab may stand in a value.
    let values = values
        .iter()
        .map(|given| HeaderValue::from_bytes(given.value.trim_matches([' ', '\t']).as_bytes()));
    Ok(HeaderEdit {
        name: wire,
        values: values
            .collect::<Result<_, _>>()
            .map_err(|_| refuse(Why::NotAValue))?,
    })
}

/// Bytes that the headers take on the wire in HTTP/1.
pub(super) fn wire_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + LINE_OVERHEAD)
        .sum()
}

/// The same of headers that are still to be set.
pub(super) fn edit_bytes(edits: &[HeaderEdit]) -> usize {
    let bytes = |edit: &HeaderEdit| -> usize {
        let name = edit.name.as_str().len() + LINE_OVERHEAD;
        edit.values.iter().map(|value| value.len() + name).sum()
    };
    edits.iter().map(bytes).sum()
}

/// `: ` and the end of the line.
const LINE_OVERHEAD: usize = 4;
