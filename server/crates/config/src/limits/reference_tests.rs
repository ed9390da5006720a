//! The reference configuration says of each bound what the table says: the default, the range and the unit.

use std::fs;
use std::path::Path;

use super::*;

/// Keys that stand below one comment: the comment's lines, and each key with its number.
#[derive(Default)]
struct Block {
    comment: String,
    keys: Vec<(String, i64)>,
}

/// The blocks of `[limits]` in config/edge.toml.
fn blocks() -> Vec<Block> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config/edge.toml");
    let text = fs::read_to_string(file).unwrap();
    let section = text.split("\n[limits]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let mut blocks = vec![Block::default()];
    for line in section.lines().skip(1) {
        let block = blocks.last_mut().unwrap();
        match (line.strip_prefix("# "), line.split_once(" = ")) {
            (Some(comment), _) if block.keys.is_empty() => block.comment += &format!("{comment} "),
            (Some(comment), _) => blocks.push(Block {
                comment: format!("{comment} "),
                keys: Vec::new(),
            }),
            (None, Some((key, value))) => {
                let number = value.replace('_', "").parse().unwrap();
                block.keys.push((key.to_owned(), number));
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Every "(LEAST to MOST" of a comment.
fn ranges(comment: &str) -> Vec<RangeInclusive<i64>> {
    let in_brackets = comment.split('(').skip(1);
    let range = |text: &str| {
        let (least, rest) = text.split_once(" to ")?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(least.parse().ok()?..=digits.parse().ok()?)
    };
    in_brackets.filter_map(range).collect()
}

#[test]
fn the_reference_configuration_states_each_default_and_range() {
    let mut seen = 0;
    for block in blocks() {
        let told = ranges(&block.comment);
        assert_eq!(told.len(), block.keys.len(), "{}", block.comment);
        for ((key, number), range) in block.keys.iter().zip(told) {
            let row = ROWS.iter().find(|row| row.0 == key).expect(key);
            assert_eq!((number, &range), (&row.2, &row.3), "{key}");
            seen += 1;
        }
    }
    assert_eq!(seen, ROWS.len(), "a bound is not in the reference configuration");
}

#[test]
fn the_name_of_a_key_says_its_unit() {
    for (key, unit, ..) in ROWS {
        let said = match *key {
            key if key.ends_with("_ms") => "milliseconds",
            key if key.ends_with("_s") => "seconds",
            key if key.contains("_bytes_per_s") => "bytes_per_second",
            key if key.contains("bytes") => "bytes",
            _ => "count",
        };
        assert!(
            unit.starts_with(said) && (*unit != "bytes_per_second" || said == *unit),
            "{key} in {unit}"
        );
    }
}
