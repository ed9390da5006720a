//! Sections and tables: the pieces that pages are made of.

use super::format::{UNKNOWN, percent};
use super::markup::Markup;
use crate::report::latency::PERCENTILES;

/// Writes a section with its heading.
pub fn section(out: &mut Markup, title: &str, inside: impl FnOnce(&mut Markup)) {
    out.element("section", &[], |out| {
        out.leaf("h2", &[], title);
        inside(out);
    });
}

/// A table whose first column names the rows; it scrolls where the window is too narrow.
pub fn table(out: &mut Markup, heads: &[&str], rows: impl FnOnce(&mut Markup)) {
    out.element("div", &[("class", "scroll")], |out| {
        out.element("table", &[], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for head in heads {
                        out.leaf("th", &[("scope", "col")], head);
                    }
                });
            });
            out.element("tbody", &[], rows);
        });
    });
}

/// Writes a table's row, whose first cell is its heading.
pub fn row(out: &mut Markup, cells: &[impl AsRef<str>]) {
    out.element("tr", &[], |out| {
        for (index, cell) in cells.iter().enumerate() {
            if index == 0 {
                out.leaf("th", &[("scope", "row")], cell.as_ref());
            } else {
                out.leaf("td", &[], cell.as_ref());
            }
        }
    });
}

/// Headings of a table of latencies: `first`, the percentiles, then `last`.
pub fn percentile_heads(first: &'static str, last: &[&'static str]) -> Vec<&'static str> {
    let names = PERCENTILES.iter().map(|(name, _)| *name);
    std::iter::once(first)
        .chain(names)
        .chain(last.iter().copied())
        .collect()
}

/// A share of `of` in percent, as text; unknown where `of` is 0.
pub fn share(number: u64, of: u64) -> String {
    if of == 0 {
        UNKNOWN.to_owned()
    } else {
        percent(100.0 * number as f64 / of as f64)
    }
}
