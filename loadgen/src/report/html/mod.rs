//! The report as one self-contained page: one run in full, or several beside each other.
//!
//! Made from what the JSON file says and nothing else. No script, no font, no picture from anywhere: the page
//! says so to the browser, too. All text from outside is escaped by [`markup`].

mod charts;
mod compare;
mod format;
mod headline;
mod markup;
mod over_time;
mod parts;
mod plot;
mod scale;
mod scenario;
mod sections;
mod tables;
#[cfg(test)]
mod tests;
mod tiles;

use super::document::Document;
use super::latency::Latency;
use format::{or_unknown, time};
use markup::Markup;

/// A run as a page shows it.
pub struct Run {
    /// Short name of lines and columns where there are several runs.
    letter: String,
    /// File that the run was read from.
    name: String,
    document: Document,
}

impl Run {
    fn percentile(&self, value: fn(&Latency) -> Option<f64>) -> String {
        let latency = self.document.latency_us.operation.as_ref();
        or_unknown(latency.and_then(value), time)
    }
}

/// The page of one run.
pub fn page(document: Document) -> String {
    let run = Run {
        letter: "A".to_owned(),
        name: String::new(),
        document,
    };
    let title = headline::title(&run.document);
    frame(&title, |out| {
        headline::head(out, &run.document, &title);
        tiles::tiles(out, &run.document);
        headline::remarks(out, &run.document);
        draw(out, std::slice::from_ref(&run));
        sections::tables(out, &run.document);
    })
}

/// The page of several runs, each with the name of where it comes from; the first is what the others are
/// compared with.
pub fn comparison(documents: Vec<(String, Document)>) -> String {
    let letters = ('A'..='Z').cycle();
    let runs: Vec<Run> = documents
        .into_iter()
        .zip(letters)
        .map(|((name, document), letter)| Run {
            letter: letter.to_string(),
            name,
            document,
        })
        .collect();
    frame("loadgen: runs beside each other", |out| {
        compare::head(out, &runs);
        compare::figures(out, &runs);
        draw(out, &runs);
        parts::tables(out, &runs);
        compare::settings(out, &runs);
    })
}

fn draw(out: &mut Markup, runs: &[Run]) {
    for chart in charts::charts(runs) {
        chart.draw(out);
    }
}

fn frame(title: &str, body: impl FnOnce(&mut Markup)) -> String {
    let mut out = Markup::new("<!DOCTYPE html>\n");
    out.element("html", &[("lang", "en")], |out| {
        out.element("head", &[], |out| {
            out.void("meta", &[("charset", "utf-8")]);
            out.void(
                "meta",
                &[
                    ("name", "viewport"),
                    ("content", "width=device-width, initial-scale=1"),
                ],
            );
            out.void(
                "meta",
                &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)],
            );
            out.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
            out.leaf("title", &[], title);
            out.style(include_str!("style.css"));
        });
        out.element("body", &[], |out| out.element("main", &[], body));
    });
    out.finish()
}

/// The looks of the `index`th run.
fn run_class(index: usize) -> String {
    format!("run{}", index % RUN_COLOURS + 1)
}

/// Number of colours in the style sheet.
const RUN_COLOURS: usize = 6;
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
