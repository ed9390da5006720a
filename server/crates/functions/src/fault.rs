//! Faults of a call or a compilation, in words and with their place in the customer's code.

use rquickjs::{Coerced, Ctx, Error, Object, Value};

use super::program::{Place, Program};

/// The fault that ended a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) message: String,
    pub(super) place: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Something was thrown, or the code does not parse.
    Thrown,
    /// A `TypeError` as it comes from writing to what is frozen: a built-in here, or an object of the
    /// customer's own.
    WroteToFrozen,
    OutOfTime,
    OutOfMemory,
    /// The promise stays pending.
    NeverEnded,
    NoHandler,
    /// Ours: the engine could not be made.
    Engine,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
        }
    }

    /// `deny-revoked:12:7: TypeError: not a function`.
    pub(super) fn sentence(&self, function: &str) -> String {
        match self.place {
            Some(Place { line, column }) => format!("{function}:{line}:{column}: {}", self.message),
            None => format!("{function}: {}", self.message),
        }
    }

    /// The fault behind an error that rquickjs reports. Takes the exception out of `ctx`.
    pub(super) fn of(ctx: &Ctx<'_>, error: &Error, program: &Program) -> Self {
        match error {
            Error::Exception => Self::of_thrown(&ctx.catch(), program),
            other => Self::new(FaultKind::Thrown, other.to_string()),
        }
    }

    fn of_thrown(thrown: &Value<'_>, program: &Program) -> Self {
        let Some(error) = thrown.as_object().filter(|object| object.is_error()) else {
            return Self::new(FaultKind::Thrown, format!("threw {}", describe(thrown)));
        };
        let name = text(error, "name").unwrap_or_else(|| "Error".to_owned());
        let message = text(error, "message").unwrap_or_default();
        let kind = match name.as_str() {
            "TypeError" if is_frozen_write(&message) => FaultKind::WroteToFrozen,
            _ => FaultKind::Thrown,
        };
        Self {
            kind,
            message: if message.is_empty() {
                name
            } else {
                format!("{name}: {message}")
            },
            place: text(error, "stack").and_then(|stack| program.first_place(&stack)),
        }
    }
}

/// A property as text, bounded; getters and `toString` are customer's code, so a budget must be running.
fn text(object: &Object<'_>, property: &str) -> Option<String> {
    let Coerced(mut text) = object.get::<_, Option<Coerced<String>>>(property).ok()??;
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    Some(text)
}

fn describe(thrown: &Value<'_>) -> String {
    if let Some(text) = thrown.as_string() {
        let mut text = text.to_string().unwrap_or_default();
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        return format!("the string {text:?}");
    }
    if let Some(number) = thrown.as_number() {
        return format!("the number {number}");
    }
    match thrown.as_bool() {
        Some(boolean) => boolean.to_string(),
        None if thrown.is_undefined() => "undefined".to_owned(),
        None if thrown.is_null() => "null".to_owned(),
        None if thrown.is_symbol() => "a symbol, not an Error".to_owned(),
        None => "an object, not an Error".to_owned(),
    }
}

/// QuickJS's messages for writes that an object's flags forbid.
fn is_frozen_write(message: &str) -> bool {
    message.ends_with("is read-only")
        || [
            "object is not extensible",
            "no setter for property",
            "could not delete property",
            "property is not configurable",
            "not configurable",
        ]
        .contains(&message)
}

const TEXT_BYTES_MAX: usize = 1_024;
