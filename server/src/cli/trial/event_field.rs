//! Headers, arguments and cookies of an event: `name: { value, multiValue, attributes }`.

use bothways_functions::viewer::Field;
use http::header::HeaderValue;

use super::json::{At, BadEvent};

/// A header, argument or cookie of the event.
pub struct EventField<'a> {
    pub at: At<'a>,
    pub name: &'a str,
    /// With the attributes of response cookies.
    pub values: Vec<(&'a str, Option<&'a str>)>,
}

/// Fields under `name`, in their order.
///
/// # Errors
/// One has neither a value nor several, or something else beside.
pub fn fields<'a>(
    parent: &At<'a>,
    name: &'static str,
    has_attributes: bool,
) -> Result<Vec<EventField<'a>>, BadEvent> {
    let Some(at) = parent.get(name) else {
        return Ok(Vec::new());
    };
    let members = at.members()?.into_iter();
    members
        .map(|(name, at)| EventField::read(name, at, has_attributes))
        .collect()
}

impl<'a> EventField<'a> {
    fn read(name: &'a str, at: At<'a>, has_attributes: bool) -> Result<Self, BadEvent> {
        let known: &[&str] = match has_attributes {
            true => &["value", "multiValue", "attributes"],
            false => &["value", "multiValue"],
        };
        at.has_only(known)?;
        let item = |at: &At<'a>| -> Result<_, BadEvent> {
            let attributes = at.get("attributes").map(|at| at.text()).transpose()?;
            let attributes = attributes.map(str::trim).filter(|text| !text.is_empty());
            Ok((at.need("value")?.text()?, attributes))
        };
        let several = at.get("multiValue").map(|multi| multi.items()).transpose()?;
        let several = several.unwrap_or_default();
        let item_keys: &[&str] = if has_attributes {
            &["value", "attributes"]
        } else {
            &["value"]
        };
        let values = several
            .iter()
            .map(|at| at.has_only(item_keys).and_then(|()| item(at)));
        let mut values: Vec<_> = values.collect::<Result<_, _>>()?;
        if values.is_empty() {
            values.push(item(&at)?);
        }
        Ok(Self { at, name, values })
    }

    /// Makes `text` the value of a header.
    ///
    /// # Errors
    /// It holds an octet that no header can have.
    pub fn value(&self, text: &str) -> Result<HeaderValue, BadEvent> {
        let value = HeaderValue::from_bytes(text.as_bytes());
        value.map_err(|_| self.at.bad("has what no header can have"))
    }

    /// Checks that this is what a function is shown.
    ///
    /// # Errors
    /// A function is shown something else.
    pub fn check(&self, shown: &[Field<'_>]) -> Result<(), BadEvent> {
        self.check_as(self.name, shown)
    }

    /// Checks the same of a header, whose name is shown in lower case.
    ///
    /// # Errors
    /// A function is shown something else.
    pub fn check_header(&self, shown: &[Field<'_>]) -> Result<(), BadEvent> {
        self.check_as(&self.name.to_ascii_lowercase(), shown)
    }

    fn check_as(&self, name: &str, shown: &[Field<'_>]) -> Result<(), BadEvent> {
        let found = shown.iter().find(|field| field.name == name);
        let is_same = |field: &&Field<'_>| {
            let values = field.values();
            let values = values.map(|item| (&*item.value, item.attributes.as_deref()));
            values.eq(self.values.iter().copied())
        };
        match found.filter(is_same) {
            Some(_) => Ok(()),
            None => Err(self.at.bad("is nothing that a function is ever shown")),
        }
    }
}
