//! JSON as somebody wrote it: members in their order, since a query string has one, and each with a name that
//! a fault can be told by.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value. Its depth is bounded by `serde_json`, at 128.
#[derive(Debug)]
pub enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Number(f64),
    /// `null`, `true`, `false`: no event has one.
    Other,
}

/// A value and where it is, such as `request.headers["host"].value`.
#[derive(Clone, Debug)]
pub struct At<'a> {
    json: &'a Json,
    place: Cow<'static, str>,
}

/// Fault of an event, and its place.
#[derive(Debug)]
pub struct BadEvent(String);

impl Json {
    /// # Errors
    /// It is no JSON object.
    pub fn parse(text: &str) -> Result<Self, BadEvent> {
        match serde_json::from_str(text) {
            Ok(object @ Self::Object(_)) => Ok(object),
            Ok(_) => Err(BadEvent("is no JSON object".to_owned())),
            Err(error) => Err(BadEvent(format!("is no JSON object: {error}"))),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, json)| json),
            _ => None,
        }
    }
}

impl<'a> At<'a> {
    /// The whole.
    pub fn root(json: &'a Json) -> Self {
        Self {
            json,
            place: Cow::Borrowed(""),
        }
    }

    pub fn bad(&self, fault: impl fmt::Display) -> BadEvent {
        match &*self.place {
            "" => BadEvent(fault.to_string()),
            place => BadEvent(format!("{place} {fault}")),
        }
    }

    /// A member of this object, whose members have names of ours.
    pub fn get(&self, name: &'static str) -> Option<Self> {
        let place = match &*self.place {
            "" => Cow::Borrowed(name),
            place => Cow::Owned(format!("{place}.{name}")),
        };
        self.json.get(name).map(|json| Self { json, place })
    }

    /// # Errors
    /// There is none.
    pub fn need(&self, name: &'static str) -> Result<Self, BadEvent> {
        self.get(name).ok_or_else(|| self.bad(format!("has no {name}")))
    }

    /// Checks that this is an object with these members at most: a misspelt one would be passed over in
    /// silence.
    ///
    /// # Errors
    /// It is not.
    pub fn has_only(&self, names: &[&str]) -> Result<(), BadEvent> {
        for (name, _) in self.members()? {
            if !names.contains(&name) {
                return Err(self.bad(format!("has {name:?}; there may be {}", names.join(", "))));
            }
        }
        Ok(())
    }

    /// The members of this object, whose names are the event's.
    ///
    /// # Errors
    /// It is no object, or has a name twice.
    pub fn members(&self) -> Result<Vec<(&'a str, Self)>, BadEvent> {
        let Json::Object(members) = self.json else {
            return Err(self.bad("is no object"));
        };
        let mut names = HashSet::new();
        let mut out = Vec::with_capacity(members.len());
        for (name, json) in members {
            if !names.insert(name) {
                return Err(self.bad(format!("has {name:?} twice")));
            }
            let place = Cow::Owned(format!("{}[{name:?}]", self.place));
            out.push((&**name, Self { json, place }));
        }
        Ok(out)
    }

    /// # Errors
    /// It is no array.
    pub fn items(&self) -> Result<Vec<Self>, BadEvent> {
        let Json::Array(items) = self.json else {
            return Err(self.bad("is no array"));
        };
        let at = |(index, json)| Self {
            json,
            place: Cow::Owned(format!("{}[{index}]", self.place)),
        };
        Ok(items.iter().enumerate().map(at).collect())
    }

    /// # Errors
    /// It is no string.
    pub fn text(&self) -> Result<&'a str, BadEvent> {
        match self.json {
            Json::Text(text) => Ok(text),
            _ => Err(self.bad("is no string")),
        }
    }

    /// # Errors
    /// It is no number.
    pub fn number(&self) -> Result<f64, BadEvent> {
        match self.json {
            Json::Number(number) => Ok(*number),
            _ => Err(self.bad("is no number")),
        }
    }
}

impl fmt::Display for BadEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(
            u32::try_from(number).map_or(OUT_OF_RANGE, f64::from),
        ))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(
            i32::try_from(number).map_or(OUT_OF_RANGE, f64::from),
        ))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }
}

/// Number that no number of an event is.
const OUT_OF_RANGE: f64 = f64::INFINITY;
