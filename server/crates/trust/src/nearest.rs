//! The CA of a trust store that was probably meant, for the sentence that a support engineer reads.
//!
//! Runs only when a client has been refused, on names that the client chose: the work is bounded (at most 25
//! CAs, names of up to 32 attributes, values compared over the 32 characters in which they differ).

use super::names::{self, Part};
use super::store::{Anchor, TrustStore};

/// ``; nearest match: CN=Inter 1 (differs in CN)``, or nothing.
pub(super) fn told(store: &TrustStore, issuer: &[u8], authority_key_id: Option<&[u8]>) -> String {
    let by_key = authority_key_id.and_then(|id| {
        let mut anchors = store.anchors_by_preference();
        anchors.find(|anchor| anchor.key_id.as_deref() == Some(id))
    });
    let wanted = names::parts(issuer).unwrap_or_default();
    if wanted.is_empty() || wanted.len() > PARTS_MAX {
        return String::new();
    }
    let by_name = || {
        let rated = store
            .anchors_by_preference()
            .filter_map(|anchor| rate(&wanted, anchor));
        rated.min_by_key(|(rating, _, _)| *rating)
    };
    match by_key {
        Some(anchor) => {
            let theirs = names::parts(&anchor.subject).unwrap_or_default();
            let differs = match difference(&wanted, &theirs) {
                Some(difference) => format!("the same key identifier, but it differs in {difference}"),
                None => "the same key identifier".to_owned(),
            };
            format!("; nearest match: {} ({differs})", anchor.subject_text)
        }
        None => by_name().map_or_else(String::new, |(_, anchor, difference)| {
            format!(
                "; nearest match: {} (differs in {difference})",
                anchor.subject_text
            )
        }),
    }
}

/// Distance of a CA from `wanted`, and the difference in words. `None`: too far.
fn rate<'s>(wanted: &[Part], anchor: &'s Anchor) -> Option<(usize, &'s Anchor, String)> {
    let theirs = names::parts(&anchor.subject)?;
    let difference = difference(wanted, &theirs)?;
    let common = wanted.iter().filter(|part| theirs.contains(part)).count();
    let others = wanted.len().max(theirs.len()) - common;
    let same_cn = wanted
        .iter()
        .any(|part| part.name == "CN" && theirs.contains(part));
    let slips: Option<usize> = match wanted.len() == theirs.len() {
        true => wanted.iter().zip(&theirs).map(|(a, b)| slips_of(a, b)).sum(),
        false => None,
    };
    let rating = match (slips, same_cn) {
        (Some(slips), _) => slips,
        (None, true) => others * VALUE_CHARS_MAX,
        (None, false) => return None,
    };
    Some((rating, anchor, difference))
}

/// `CN, the string type of O`; `None`: the same.
fn difference(wanted: &[Part], theirs: &[Part]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for (part, others) in wanted
        .iter()
        .map(|part| (part, theirs))
        .chain(theirs.iter().map(|part| (part, wanted)))
    {
        if others.contains(part) {
            continue;
        }
        let same_text = |other: &&Part| other.name == part.name && other.text == part.text;
        let name = match others.iter().find(same_text) {
            Some(_) => format!("the string type of {}", part.name),
            None => part.name.clone(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let order_only = names.is_empty() && wanted != theirs;
    if order_only {
        names.push("the order of its attributes".to_owned());
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// `None`: too many to have been meant, more than one for each three characters.
fn slips_of(a: &Part, b: &Part) -> Option<usize> {
    if a == b {
        return Some(0);
    }
    if a.text.len().max(b.text.len()) > TEXT_BYTES_MAX {
        return None;
    }
    let (ours, theirs): (Vec<char>, Vec<char>) = (a.text.chars().collect(), b.text.chars().collect());
    let most = (ours.len().max(theirs.len()) / 3).max(1);
    let distance = distance(&ours, &theirs)?.max(1);
    (a.name == b.name && distance <= most).then_some(distance)
}

/// Characters inserted, left out or replaced (Levenshtein), once what both begin and end with is taken off.
fn distance(a: &[char], b: &[char]) -> Option<usize> {
    let prefix = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(prefix..)?, b.get(prefix..)?);
    let suffix = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (a, b) = (a.get(..a.len() - suffix)?, b.get(..b.len() - suffix)?);
    if a.len().max(b.len()) > VALUE_CHARS_MAX {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, from) in a.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let best = (diagonal + usize::from(from != to)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
    }
    match (a.is_empty(), row.last()) {
        (false, Some(last)) => Some(*last),
        _ => Some(b.len()),
    }
}

const PARTS_MAX: usize = 32;
const VALUE_CHARS_MAX: usize = 32;
const TEXT_BYTES_MAX: usize = 256;

#[cfg(test)]
#[path = "nearest_tests.rs"]
mod tests;
