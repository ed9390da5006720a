//! Headers, query arguments and cookies as functions see them, and what a function has done to them.
//!
//! Owns the one rule of all four kinds: `{ value, multiValue }`, of which a modified `multiValue` wins; what
//! was not touched stays.

use std::borrow::Cow;
use std::collections::HashMap;

use super::invalid::{Invalid, Why};

/// A field as a function is shown it, under one name. There is a `multiValue` where there is more than one
/// value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: Cow<'a, str>,
    pub first: Item<'a>,
    pub more: Vec<Item<'a>>,
}

/// A value. Octets that are not UTF-8 are shown as replacement characters, and sent as they were if they are
/// not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub value: Cow<'a, str>,
    /// Attributes of a response cookie: all that follows the first `;`.
    pub attributes: Option<Cow<'a, str>>,
}

/// The values that came back under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// The number of the shown field that this is, untouched; then there is no more to say of it.
    pub untouched: Option<usize>,
    pub name: String,
    pub single: Option<Given>,
    pub multi: Option<Vec<Given>>,
}

/// A value that came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub value: String,
    pub attributes: Option<String>,
}

/// The change of one shown field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change<'r> {
    Keep,
    /// In place of all its values; none: it was removed.
    Replace(&'r [Given]),
}

/// The changes that a function made to fields of one kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changes<'r> {
    /// The change of each shown field.
    pub shown: Vec<Change<'r>>,
    /// Under names that were not shown.
    pub added: Vec<(&'r str, &'r [Given])>,
}

impl<'a> Field<'a> {
    pub fn values(&self) -> impl Iterator<Item = &Item<'a>> {
        std::iter::once(&self.first).chain(&self.more)
    }

    fn is(&self, given: &[Given]) -> bool {
        given.len() == self.more.len() + 1 && self.values().zip(given).all(|(shown, given)| shown.is(given))
    }
}

impl Returned {
    /// The shown field of this number, known to be the same.
    pub fn same(number: usize) -> Self {
        Self {
            untouched: Some(number),
            ..Self::default()
        }
    }

    /// The value that a function returns which leaves the field alone.
    pub fn untouched(field: &Field<'_>) -> Self {
        let given = |item: &Item<'_>| Given {
            value: item.value.clone().into_owned(),
            attributes: item.attributes.clone().map(Cow::into_owned),
        };
        let multi = (!field.more.is_empty()).then(|| field.values().map(given).collect());
        Self {
            untouched: None,
            name: field.name.clone().into_owned(),
            single: Some(given(&field.first)),
            multi,
        }
    }
}

impl<'a> Item<'a> {
    pub fn plain(value: Cow<'a, str>) -> Self {
        Self {
            value,
            attributes: None,
        }
    }

    fn is(&self, given: &Given) -> bool {
        let attributes = self.attributes.as_deref().unwrap_or_default();
        self.value == given.value && attributes == given.attributes.as_deref().unwrap_or_default()
    }
}

impl Changes<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.shown.iter().all(|change| *change == Change::Keep)
    }
}

/// Compares what came back with what was shown; names of `place` are the same when they are equal.
pub(super) fn changes<'r>(
    place: &'static str,
    shown: &[Field<'_>],
    returned: &'r [Returned],
) -> Result<Changes<'r>, Invalid> {
    let mut changes = Changes {
        shown: vec![Change::Replace(&[]); shown.len()],
        added: Vec::new(),
    };
    let mut seen = vec![false; shown.len()];
    let mut positions = Positions::new(shown);
    for field in returned {
        if let Some(at) = field.untouched {
            positions.next = at + 1;
        }
        let position = field.untouched.or_else(|| positions.find(&field.name));
        let change = match field.untouched {
            Some(_) => Change::Keep,
            None => change(place, position.and_then(|at| shown.get(at)), field)?,
        };
        match (position, change) {
            (Some(at), change) => {
                if seen.get_mut(at).is_some_and(|seen| std::mem::replace(seen, true)) {
                    return Err(Invalid::named(place, &field.name, Why::Twice));
                }
                if let Some(slot) = changes.shown.get_mut(at) {
                    *slot = change;
                }
            }
            (None, Change::Replace(values)) => changes.added.push((&field.name, values)),
            (None, Change::Keep) => {}
        }
    }
    Ok(changes)
}

fn change<'r>(
    place: &'static str,
    before: Option<&Field<'_>>,
    field: &'r Returned,
) -> Result<Change<'r>, Invalid> {
    let is_shown = |given: &[Given]| before.is_some_and(|before| before.is(given));
    match (&field.multi, &field.single) {
        (Some(multi), _) if !is_shown(multi) => Ok(Change::Replace(multi)),
        (Some(_), None) => Ok(Change::Keep),
        (Some(_), Some(single)) if before.is_some_and(|before| before.first.is(single)) => Ok(Change::Keep),
        // Without `multiValue` the value is all that there is to be.
        (None, Some(single)) if is_shown(std::slice::from_ref(single)) => Ok(Change::Keep),
        (_, Some(single)) => Ok(Change::Replace(std::slice::from_ref(single))),
        (None, None) => Err(Invalid::named(place, &field.name, Why::Missing)),
    }
}

/// Finds shown fields by name: first where they are expected, since most functions return what they got, else
/// by a table, since a client can send thousands and a function can sort them.
struct Positions<'s, 'a> {
    shown: &'s [Field<'a>],
    next: usize,
    table: Option<HashMap<&'s str, usize>>,
}

impl<'s, 'a> Positions<'s, 'a> {
    fn new(shown: &'s [Field<'a>]) -> Self {
        Self {
            shown,
            next: 0,
            table: None,
        }
    }

    fn find(&mut self, name: &str) -> Option<usize> {
        let found = match self.shown.get(self.next) {
            Some(field) if field.name == name => Some(self.next),
            _ if self.shown.len() <= FEW => self.shown.iter().position(|field| field.name == name),
            _ => {
                let shown = self.shown;
                let table = self.table.get_or_insert_with(|| {
                    shown
                        .iter()
                        .enumerate()
                        .map(|(at, field)| (&*field.name, at))
                        .collect()
                });
                table.get(name).copied()
            }
        };
        if let Some(at) = found {
            self.next = at + 1;
        }
        found
    }
}

/// Collects values under their names, in the order in which the names first came.
#[derive(Default)]
pub(super) struct Grouping<'a> {
    pub fields: Vec<Field<'a>>,
    table: HashMap<Cow<'a, str>, usize>,
}

impl<'a> Grouping<'a> {
    /// Adds a value; where its field is.
    pub(super) fn add(&mut self, name: Cow<'a, str>, item: Item<'a>) -> usize {
        if let Some(at) = self.find(&name)
            && let Some(field) = self.fields.get_mut(at)
        {
            field.more.push(item);
            return at;
        }
        self.fields.push(Field {
            name,
            first: item,
            more: Vec::new(),
        });
        self.fields.len() - 1
    }

    fn find(&mut self, name: &str) -> Option<usize> {
        if self.fields.len() <= FEW {
            return self.fields.iter().position(|field| field.name == name);
        }
        for (at, field) in self.fields.iter().enumerate().skip(self.table.len()) {
            self.table.insert(field.name.clone(), at);
        }
        self.table.get(name).copied()
    }
}

/// Octets as text; almost always they are.
pub(super) fn text(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(octets),
    }
}

/// Number of fields that are looked through faster than hashed.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(name: &'a str, values: &[&'a str]) -> Field<'a> {
        let mut grouping = Grouping::default();
        for value in values {
            grouping.add(name.into(), Item::plain((*value).into()));
        }
        grouping.fields.remove(0)
    }

    fn given(values: &[&str]) -> Vec<Given> {
        let one = |value: &&str| Given {
            value: (*value).to_owned(),
            attributes: None,
        };
        values.iter().map(one).collect()
    }

    fn returned(name: &str, single: Option<&str>, multi: Option<&[&str]>) -> Returned {
        Returned {
            untouched: None,
            name: name.to_owned(),
            single: single.and_then(|value| given(&[value]).pop()),
            multi: multi.map(given),
        }
    }

    #[test]
    fn a_modified_multi_value_wins_and_else_the_value_counts() {
        type Case = (
            &'static [&'static str],
            Option<&'static str>,
            Option<&'static [&'static str]>,
            Option<&'static [&'static str]>,
        );
        let cases: [Case; 11] = [
            (&["a"], Some("a"), None, None),
            (&["a"], Some("b"), None, Some(&["b"])),
            (&["a", "b"], Some("a"), Some(&["a", "b"]), None),
            (&["a", "b"], Some("x"), Some(&["a", "b"]), Some(&["x"])),
            (&["a", "b"], Some("x"), Some(&["a", "c"]), Some(&["a", "c"])),
            (&["a", "b"], Some("a"), Some(&["b"]), Some(&["b"])),
            (&["a", "b"], None, Some(&["a", "b"]), None),
            (&["a"], Some("a"), Some(&["a", "b"]), Some(&["a", "b"])),
            (&["a"], Some("a"), Some(&[]), Some(&[])),
            (&["a", "b"], Some("b"), None, Some(&["b"])),
            (&["a", "b"], Some("a"), None, Some(&["a"])),
        ];
        for (shown, single, multi, expected) in cases {
            let (shown, returned) = ([field("n", shown)], [returned("n", single, multi)]);
            let changes = changes("place", &shown, &returned).expect("a good return");
            let expected = expected.map(given);
            let expected = expected.as_deref().map_or(Change::Keep, Change::Replace);
            assert_eq!(changes.shown, [expected], "{returned:?}");
        }
    }

    #[test]
    fn what_is_missing_is_removed_and_what_is_new_is_added() {
        let shown = [field("a", &["1"]), field("b", &["2"])];
        let back = [returned("b", Some("2"), None), returned("c", Some("3"), None)];
        let changes = changes("place", &shown, &back).expect("a good return");
        assert_eq!(changes.shown, [Change::Replace(&[]), Change::Keep]);
        assert_eq!(changes.added, [("c", &given(&["3"])[..])]);
    }

    #[test]
    fn a_field_without_any_value_is_refused_and_so_is_one_that_comes_twice() {
        let shown = [field("a", &["1"])];
        let nothing = [returned("a", None, None)];
        let why = |back: &[Returned]| {
            changes("place", &shown, back)
                .map_err(|invalid| invalid.why)
                .err()
        };
        assert_eq!(why(&nothing), Some(Why::Missing));
        let twice = [returned("a", Some("1"), None), returned("a", Some("2"), None)];
        assert_eq!(why(&twice), Some(Why::Twice));
    }

    #[test]
    fn thousands_of_fields_are_found_in_any_order() {
        let names: Vec<String> = (0..5_000).map(|n| format!("n{n}")).collect();
        let mut grouping = Grouping::default();
        for name in names.iter().chain(&names) {
            grouping.add(name.as_str().into(), Item::plain("v".into()));
        }
        assert_eq!(grouping.fields.len(), names.len());
        let back: Vec<_> = names
            .iter()
            .rev()
            .map(|name| returned(name, None, Some(&["v", "v"])))
            .collect();
        let changes = changes("place", &grouping.fields, &back).expect("a good return");
        assert!(changes.is_empty());
    }
}
