//! The page's text, and the way each kind of cell is shown on it. Knows no counter by name.

use std::fmt::Write as _;

use super::cells::{BUCKETS, Counter, Family, Gauge, Histogram, Scale, SharedCounter, SharedGauge};
use super::labels::Label;

/// Text in the Prometheus format, as far as it is written.
pub(super) struct Page {
    text: String,
}

/// A cell that holds one number.
pub(super) trait Number {
    const KIND: &'static str;

    fn get(&self) -> u64;
}

/// Cells of one family. A family is shown as the sum over the cores, or over the one cell of the process.
pub(super) trait Cell {
    const KIND: &'static str;

    fn show<'c>(page: &mut Page, name: &str, label: &str, cells: impl Iterator<Item = &'c Self> + Clone)
    where
        Self: 'c;
}

impl Page {
    pub(super) fn new() -> Self {
        Self {
            text: String::with_capacity(BYTES_TYPICAL),
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Shows one family: its head, and a line for each series.
    pub(super) fn family<'c, C: Cell + 'c>(
        &mut self,
        name: &str,
        label: &str,
        help: &str,
        cells: impl Iterator<Item = &'c C> + Clone,
    ) {
        self.head(name, help, C::KIND);
        C::show(self, name, label, cells);
    }

    /// Shows a number of each core on a line of its own.
    pub(super) fn by_core<'c, N: Number + 'c>(
        &mut self,
        name: &str,
        help: &str,
        cells: impl Iterator<Item = &'c N>,
    ) {
        self.head(name, help, N::KIND);
        for (core, cell) in cells.enumerate() {
            self.line(format_args!("{name}{{core=\"{core}\"}} {}", cell.get()));
        }
    }

    /// Writes one histogram under `labels` (`a="b",c="d"`, or none). The histograms of all cores are taken
    /// together.
    pub(super) fn histogram_lines<'h, S: Scale + 'h>(
        &mut self,
        name: &str,
        labels: &str,
        cores: impl Iterator<Item = &'h Histogram<S>>,
    ) {
        let mut counts = [0; BUCKETS];
        let mut sum_ns = 0u64;
        for histogram in cores {
            let buckets = histogram.buckets();
            counts.iter_mut().zip(buckets).for_each(|(a, b)| *a += b);
            sum_ns = sum_ns.wrapping_add(histogram.sum_ns());
        }
        let (comma, braced) = match labels.is_empty() {
            true => ("", String::new()),
            false => (",", format!("{{{labels}}}")),
        };
        let bounds = S::BOUNDS.map(|(_, seconds)| seconds);
        let bounds = bounds.into_iter().chain(["+Inf"]);
        let mut below = 0;
        for (bound, count) in bounds.zip(counts) {
            below += count;
            self.line(format_args!(
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}"
            ));
        }
        let (whole, fraction) = (sum_ns / NS_PER_S, sum_ns % NS_PER_S);
        self.line(format_args!("{name}_sum{braced} {whole}.{fraction:09}"));
        self.line(format_args!("{name}_count{braced} {below}"));
    }

    pub(super) fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    pub(super) fn labelled<L: Label>(&mut self, name: &str, label: &str, value: impl Fn(L) -> u64) {
        for of in L::ALL {
            let (text, value) = (escape(of.text()), value(*of));
            self.line(format_args!("{name}{{{label}=\"{text}\"}} {value}"));
        }
    }

    pub(super) fn single(&mut self, name: &str, value: u64) {
        self.line(format_args!("{name} {value}"));
    }

    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

macro_rules! numbers {
    ($($Cell:ident: $kind:literal),+) => {
        $(impl Number for $Cell {
            const KIND: &'static str = $kind;

            fn get(&self) -> u64 {
                self.get()
            }
        })+
    };
}

numbers!(Counter: "counter", Gauge: "gauge", SharedCounter: "counter", SharedGauge: "gauge");

impl<N: Number> Cell for N {
    const KIND: &'static str = N::KIND;

    fn show<'c>(page: &mut Page, name: &str, _: &str, cells: impl Iterator<Item = &'c Self> + Clone)
    where
        Self: 'c,
    {
        page.single(name, cells.map(Number::get).sum());
    }
}

impl<L: Label, N: Number + Default> Cell for Family<L, N> {
    const KIND: &'static str = N::KIND;

    fn show<'c>(page: &mut Page, name: &str, label: &str, cells: impl Iterator<Item = &'c Self> + Clone)
    where
        Self: 'c,
    {
        page.labelled(name, label, |of: L| {
            cells.clone().map(|family| family.of(of).get()).sum()
        });
    }
}

impl<S: Scale> Cell for Histogram<S> {
    const KIND: &'static str = "histogram";

    fn show<'c>(page: &mut Page, name: &str, _: &str, cells: impl Iterator<Item = &'c Self> + Clone)
    where
        Self: 'c,
    {
        page.histogram_lines(name, "", cells);
    }
}

/// A label value between its quotes: backslash, quote and line feed are escaped, all else stays.
pub(super) fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

const NS_PER_S: u64 = 1_000_000_000;
const BYTES_TYPICAL: usize = 8 * 1024;
