//! Suggestions for a mistyped name, and the choice among fixed names.
//!
//! Pure. Owns the distance and the threshold below which a name is offered.

use super::error::Problem;
use super::key::KeyPath;

/// The remedy for a name that is not among `known`: the nearest one, or the whole list.
/// `what` says in the plural what the names are.
pub(super) fn instead_of<'a>(given: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(given, &known) {
        return format!("did you mean \"{near}\"?");
    }
    match known.is_empty() {
        true => format!("there are no {what}"),
        false => format!("the {what} are {}", quoted(&known)),
    }
}

/// The value that goes with the name `given`.
pub(super) fn choose<T: Copy>(key: &KeyPath, given: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
    let found = choices.iter().find(|(name, _)| *name == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names = choices.iter().map(|(name, _)| *name);
        Problem::new(
            key,
            format!("{given:?} is no value of this key"),
            instead_of(given, names, "values"),
        )
    })
}

/// `"a", "b", "c"`.
pub(super) fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

/// The one known name that `given` is the beginning of, or else the one that is the fewest slips away, at
/// most one for each three letters. Case does not count.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let wanted = folded(given);
    if wanted.len() > NAME_CHARS_MAX {
        return None;
    }
    if let Some(longer) = the_only(known.iter().filter(|name| folded(name).starts_with(&wanted))) {
        return (wanted.len() >= BEGINNING_CHARS_MIN).then_some(longer);
    }
    let rated = known.iter().map(|name| (slips(&wanted, &folded(name)), *name));
    let (distance, name) = rated.min_by_key(|(distance, _)| *distance)?;
    (distance <= (wanted.len() / 3).max(1) && distance < wanted.len()).then_some(name)
}

fn the_only<'a: 'b, 'b>(mut names: impl Iterator<Item = &'b &'a str>) -> Option<&'a str> {
    match (names.next(), names.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
}

/// Letters inserted, left out, replaced, or swapped with their neighbour (optimal string alignment).
fn slips(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (row, &from) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        let mut left = row + 1;
        let mut previous_b = None;
        current.push(left);
        for (column, &to) in b.iter().enumerate() {
            let (diagonal, above) = (at(&last, column), at(&last, column + 1));
            let mut best = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            if column > 0 && previous_a == Some(to) && previous_b == Some(from) {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
            left = best;
            previous_b = Some(to);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_a = Some(from);
    }
    at(&last, b.len())
}

/// A cell of a row; cells that do not exist are infinitely far away.
fn at(row: &[usize], column: usize) -> usize {
    row.get(column).copied().unwrap_or(usize::MAX / 2)
}

fn folded(name: &str) -> Vec<char> {
    name.chars()
        .take(NAME_CHARS_MAX + 1)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Shorter beginnings say too little.
const BEGINNING_CHARS_MIN: usize = 2;

/// Longer names are not compared: the comparison takes quadratic time.
const NAME_CHARS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distance(a: &str, b: &str) -> usize {
        slips(&folded(a), &folded(b))
    }

    #[test]
    fn each_kind_of_slip_counts_one() {
        assert_eq!(distance("partners", "partnrs"), 1);
        assert_eq!(distance("partners", "parttners"), 1);
        assert_eq!(distance("partners", "pertners"), 1);
        assert_eq!(distance("partners", "patrners"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("PARTNERS", "partners"), 0);
    }

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(
            instead_of("partnrs", ["staff", "partners"], "stores"),
            "did you mean \"partners\"?"
        );
        assert_eq!(
            instead_of("zzz", ["staff", "partners"], "stores"),
            "the stores are \"staff\", \"partners\""
        );
        assert_eq!(instead_of("zzz", [], "stores"), "there are no stores");
        assert_eq!(instead_of("x", ["y"], "stores"), "the stores are \"y\"");
        assert_eq!(instead_of("", ["y"], "stores"), "the stores are \"y\"");
    }

    #[test]
    fn the_beginning_of_one_name_is_enough_and_of_two_is_not() {
        assert_eq!(
            instead_of("ALIAS", ["id", "aliases"], "keys"),
            "did you mean \"aliases\"?"
        );
        assert_eq!(
            instead_of("origin", ["origin_a", "origin_b"], "keys"),
            "did you mean \"origin_a\"?"
        );
        assert_eq!(
            instead_of("ori", ["origin_a", "origin_b"], "keys"),
            "the keys are \"origin_a\", \"origin_b\""
        );
    }

    proptest! {
        #[test]
        fn the_distance_is_symmetric_and_bounded_by_the_longer_name(a in ".{0,20}", b in ".{0,20}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(distance(&a, &b) <= a.chars().count().max(b.chars().count()));
        }
    }
}
