//! Numbers, times and kinds as the table and sentences show them, and characters that no text may have.

use std::fmt::{self, Write};

use super::counts::Kind;

/// 1234567 as 1,234,567.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Microseconds in the unit that fits, four digits wide.
pub fn time(micros: Option<f64>) -> String {
    match micros {
        None => "-".to_owned(),
        Some(us) if us < 999.95 => format!("{us:.1}us"),
        Some(us) if us < 999_950.0 => format!("{:.2}ms", us / 1e3),
        Some(us) => format!("{:.2}s", us / 1e6),
    }
}

/// A number of bytes in the unit that fits.
pub fn bytes(number: f64) -> String {
    let (scaled, unit) = match number {
        n if n < 1e3 => (n, "B"),
        n if n < 1e6 => (n / 1e3, "kB"),
        n if n < 1e9 => (n / 1e6, "MB"),
        n => (n / 1e9, "GB"),
    };
    let mut out = String::new();
    let _ = write!(out, "{scaled:.1} {unit}");
    out
}

/// Writes the kinds with their counts, after `label`; nothing where there are none.
pub fn kinds(out: &mut String, label: &str, kinds: &[Kind]) -> fmt::Result {
    kinds.iter().try_for_each(|kind| {
        let one_line = kind.kind.replace('\n', " ");
        writeln!(out, "{label} {:>11}  {one_line}", count(kind.count))
    })
}

/// Controls, marks that change the direction of writing (they can make a text look like another), and what
/// XML forbids.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fffe}'
                | '\u{ffff}'
        )
}
