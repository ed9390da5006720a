//! A chart as SVG: axes, bands, lines, labels beside the lines. It knows nothing of what is drawn.
//!
//! Each chart is drawn twice, for a wide and for a narrow window; the style sheet shows one of them. There is
//! no script: what lies under the pointer is shown by the browser's own tooltip and a line that the style
//! sheet lights up.

use super::markup::Markup;
use super::scale::Scale;

/// A chart with one horizontal and one vertical axis.
pub struct Chart {
    pub title: &'static str,
    /// Caption of the vertical axis.
    pub subtitle: String,
    /// Text for readers who do not see the picture.
    pub description: String,
    pub x: Axis,
    pub y: Axis,
    pub bands: Vec<Band>,
    pub series: Vec<Series>,
    /// Stretches of the horizontal axis with what is to be read there.
    pub spots: Vec<Spot>,
    /// Height of the drawing, without the axis' text, in units of the picture.
    pub height: f64,
}

/// An axis of a chart.
pub struct Axis {
    pub scale: Scale,
    /// Caption of the axis.
    pub label: &'static str,
    /// Text of a value beside its mark.
    pub text: fn(f64) -> String,
    /// Marks in place of the scale's own.
    pub marks: Option<Vec<(f64, String)>>,
}

/// A named stretch of the horizontal axis, drawn behind the lines.
#[derive(PartialEq)]
pub struct Band {
    pub name: String,
    /// Value on the horizontal axis.
    pub start: f64,
    /// Value on the horizontal axis.
    pub end: f64,
    /// Set apart from the others: what happens there does not count.
    pub shaded: bool,
}

/// A line of a chart.
pub struct Series {
    /// Text beside the line's end.
    pub name: String,
    /// Its looks, for the style sheet.
    pub class: String,
    /// Area below the line is filled.
    pub filled: bool,
    /// `None` interrupts the line.
    pub points: Vec<Option<(f64, f64)>>,
}

/// A stretch of the horizontal axis with a tooltip.
pub struct Spot {
    pub start: f64,
    pub end: f64,
    /// Text of the tooltip.
    pub text: String,
}

impl Axis {
    /// An axis with the scale's own marks; `text` is that of a mark.
    pub fn new(scale: Scale, label: &'static str, text: fn(f64) -> String) -> Self {
        Axis {
            scale,
            label,
            text,
            marks: None,
        }
    }
}

impl Chart {
    /// Draws the chart, once for a wide and once for a narrow window.
    pub fn draw(&self, out: &mut Markup) {
        out.element("figure", &[("class", "chart")], |out| {
            out.element("figcaption", &[], |out| {
                out.leaf("h3", &[], self.title);
                out.leaf("p", &[], &self.subtitle);
            });
            Canvas::new(self, WIDE, "wide").draw(out);
            Canvas::new(self, NARROW, "narrow").draw(out);
        });
    }
}

/// A chart at a size.
struct Canvas<'a> {
    chart: &'a Chart,
    class: &'static str,
    size: Size,
    height: f64,
}

#[derive(Clone, Copy)]
struct Size {
    width: f64,
    left: f64,
    /// Room for the names of the lines.
    right: f64,
    ticks_x: f64,
}

type Place = (f64, f64);

impl<'a> Canvas<'a> {
    fn new(chart: &'a Chart, size: Size, class: &'static str) -> Self {
        Canvas {
            chart,
            class,
            size,
            height: chart.height,
        }
    }

    fn draw(&self, out: &mut Markup) {
        let view = format!("0 0 {} {}", self.size.width, self.height);
        let attributes = [
            ("class", self.class),
            ("viewBox", view.as_str()),
            ("role", "img"),
            ("aria-label", &self.chart.description),
            ("xmlns", "http://www.w3.org/2000/svg"),
        ];
        out.element("svg", &attributes, |out| {
            self.bands(out);
            self.axis_y(out);
            self.axis_x(out);
            for series in &self.chart.series {
                self.series(out, series);
            }
            self.names(out);
            self.spots(out);
        });
    }

    fn right(&self) -> f64 {
        self.size.width - self.size.right
    }

    fn bottom(&self) -> f64 {
        self.height - BELOW
    }

    fn x(&self, value: f64) -> Option<f64> {
        let place = self.chart.x.scale.place(value)?;
        Some(self.size.left + place * (self.right() - self.size.left))
    }

    fn y(&self, value: f64) -> Option<f64> {
        let place = self.chart.y.scale.place(value)?;
        Some(self.bottom() - place * (self.bottom() - ABOVE))
    }

    fn bands(&self, out: &mut Markup) {
        for band in &self.chart.bands {
            let (Some(start), Some(end)) = (self.x(band.start), self.x(band.end)) else {
                continue;
            };
            let class = if band.shaded { "band shaded" } else { "band" };
            rectangle(out, class, (start, ABOVE), (end - start, self.bottom() - ABOVE));
            line(out, "border", (start, ABOVE), (start, self.bottom()));
            if band.name.chars().count() as f64 * LETTER < end - start {
                text(out, "band-name", "start", (start + 4.0, ABOVE + 12.0), &band.name);
            }
        }
    }

    fn axis_y(&self, out: &mut Markup) {
        let axis = &self.chart.y;
        for value in axis.scale.ticks((self.bottom() - ABOVE) / 48.0) {
            let Some(y) = self.y(value) else { continue };
            line(out, "grid", (self.size.left, y), (self.right(), y));
            text(
                out,
                "tick",
                "end",
                (self.size.left - 6.0, y + 4.0),
                &(axis.text)(value),
            );
        }
    }

    fn axis_x(&self, out: &mut Markup) {
        let axis = &self.chart.x;
        let own = || {
            let ticks = axis.scale.ticks(self.size.ticks_x).into_iter();
            ticks.map(|value| (value, (axis.text)(value))).collect()
        };
        let bottom = self.bottom();
        line(out, "axis", (self.size.left, bottom), (self.right(), bottom));
        let mut free_from = f64::MIN;
        for (value, name) in axis.marks.clone().unwrap_or_else(own) {
            let Some(x) = self.x(value).filter(|x| *x >= free_from) else {
                continue;
            };
            free_from = x + name.chars().count() as f64 * LETTER + 6.0;
            line(out, "axis", (x, bottom), (x, bottom + 4.0));
            text(out, "tick", "middle", (x, bottom + 17.0), &name);
        }
        text(
            out,
            "tick label",
            "end",
            (self.right(), bottom + 33.0),
            axis.label,
        );
    }

    fn series(&self, out: &mut Markup, series: &Series) {
        let class = format!("line {}", series.class);
        for run in self.runs(series) {
            match run.as_slice() {
                [] => {}
                [only, rest @ ..] if rest.iter().all(|place| close(*place, *only)) => {
                    circle(out, &format!("dot {}", series.class), *only)
                }
                points => {
                    if series.filled {
                        self.area(out, &format!("area {}", series.class), points);
                    }
                    out.void("path", &[("class", &class), ("d", &path(points))]);
                }
            }
        }
    }

    fn area(&self, out: &mut Markup, class: &str, points: &[Place]) {
        if let (Some(first), Some(last)) = (points.first(), points.last()) {
            let bottom = self.bottom();
            let closed = format!(
                "{}L{:.1} {bottom:.1}L{:.1} {bottom:.1}Z",
                path(points),
                last.0,
                first.0
            );
            out.void("path", &[("class", class), ("d", &closed)]);
        }
    }

    /// The stretches of a line without a gap.
    fn runs(&self, series: &Series) -> Vec<Vec<Place>> {
        let mut runs = vec![Vec::new()];
        for point in &series.points {
            let place = point.and_then(|(x, y)| Some((self.x(x)?, self.y(y)?)));
            match (place, runs.last_mut()) {
                (Some(place), Some(run)) => run.push(place),
                _ => runs.push(Vec::new()),
            }
        }
        runs
    }

    /// The name of each line, beside the drawing at the height of its end, moved up or down where they would
    /// overlap. A line that ends earlier has its name there, too: within the drawing it would lie on the
    /// others.
    fn names(&self, out: &mut Markup) {
        let mut names: Vec<(f64, &Series)> = Vec::new();
        for series in &self.chart.series {
            let last = series.points.iter().rev().flatten().next();
            if let Some(y) = last.and_then(|(_, y)| self.y(*y)) {
                names.push((y, series));
            }
        }
        if names.is_empty() {
            let middle = ((self.size.left + self.right()) / 2.0, self.bottom() / 2.0);
            text(out, "tick", "middle", middle, "nothing to show");
        }
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = names.iter().map(|name| name.0).collect();
        let heights = apart(&wanted, ABOVE, self.bottom());
        for (y, (_, series)) in heights.into_iter().zip(&names) {
            let class = format!("name {}", series.class);
            text(out, &class, "start", (self.right() + 7.0, y + 4.0), &series.name);
        }
    }

    fn spots(&self, out: &mut Markup) {
        if self.class == "narrow" {
            return; // made for fingers, which do not hover
        }
        for spot in &self.chart.spots {
            let (Some(start), Some(end)) = (self.x(spot.start), self.x(spot.end)) else {
                continue;
            };
            let middle = (start + end) / 2.0;
            out.element("g", &[("class", "spot")], |out| {
                out.leaf("title", &[], &spot.text);
                rectangle(out, "hit", (start, ABOVE), (end - start, self.bottom() - ABOVE));
                line(out, "cross", (middle, ABOVE), (middle, self.bottom()));
            });
        }
    }
}

/// Moves sorted heights at least a line apart, within the chart.
fn apart(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut heights: Vec<f64> = Vec::with_capacity(wanted.len());
    for &height in wanted {
        let least = heights.last().map_or(top, |last| last + LINE);
        heights.push(height.max(least));
    }
    let mut most = bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(most);
        most = *height - LINE;
    }
    heights
}

/// Too close for a line between them to be seen.
fn close(a: Place, b: Place) -> bool {
    (a.0 - b.0).abs() < 1.0 && (a.1 - b.1).abs() < 1.0
}

fn path(points: &[Place]) -> String {
    let mut data = String::with_capacity(points.len() * 12);
    for (index, (x, y)) in points.iter().enumerate() {
        data.push(if index == 0 { 'M' } else { 'L' });
        data.push_str(&format!("{x:.1} {y:.1}"));
    }
    data
}

fn line(out: &mut Markup, class: &str, from: Place, to: Place) {
    out.void("path", &[("class", class), ("d", &path(&[from, to]))]);
}

fn rectangle(out: &mut Markup, class: &str, at: Place, size: Place) {
    let [x, y, width, height] = [at.0, at.1, size.0.max(0.0), size.1.max(0.0)].map(|n| format!("{n:.1}"));
    let attributes = [
        ("class", class),
        ("x", x.as_str()),
        ("y", &y),
        ("width", &width),
        ("height", &height),
    ];
    out.void("rect", &attributes);
}

fn circle(out: &mut Markup, class: &str, at: Place) {
    let (x, y) = (format!("{:.1}", at.0), format!("{:.1}", at.1));
    out.void(
        "circle",
        &[("class", class), ("cx", &x), ("cy", &y), ("r", "2.5")],
    );
}

fn text(out: &mut Markup, class: &str, anchor: &str, at: Place, text: &str) {
    let (x, y) = (format!("{:.1}", at.0), format!("{:.1}", at.1));
    let attributes = [
        ("class", class),
        ("text-anchor", anchor),
        ("x", x.as_str()),
        ("y", &y),
    ];
    out.leaf("text", &attributes, text);
}

const WIDE: Size = Size {
    width: 960.0,
    left: 62.0,
    right: 84.0,
    ticks_x: 10.0,
};
const NARROW: Size = Size {
    width: 420.0,
    left: 56.0,
    right: 70.0,
    ticks_x: 6.0,
};
/// Above the drawing, and below it for the axis' text.
const ABOVE: f64 = 8.0;
const BELOW: f64 = 38.0;
const LINE: f64 = 14.0;
/// About the width of a letter.
const LETTER: f64 = 6.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_overlap_are_moved_apart() {
        assert_eq!(apart(&[10.0, 100.0], 0.0, 200.0), [10.0, 100.0]);
        assert_eq!(apart(&[50.0, 51.0, 52.0], 0.0, 200.0), [50.0, 64.0, 78.0]);
        assert_eq!(apart(&[195.0, 198.0, 200.0], 0.0, 200.0), [172.0, 186.0, 200.0]);
        assert!(apart(&[], 0.0, 1.0).is_empty());
    }

    #[test]
    fn what_is_no_number_interrupts_a_line_and_is_never_drawn() {
        let points = vec![
            Some((0.0, 1.0)),
            Some((1.0, f64::NAN)),
            None,
            Some((2.0, 3.0)),
            Some((f64::INFINITY, 1.0)),
        ];
        let axis = |label| Axis {
            scale: Scale::exact(0.0, 4.0),
            label,
            text: |value| value.to_string(),
            marks: None,
        };
        let chart = Chart {
            title: "t",
            subtitle: String::new(),
            description: String::new(),
            x: axis("x"),
            y: axis("y"),
            bands: vec![Band {
                name: "b".to_owned(),
                start: f64::NAN,
                end: 1.0,
                shaded: true,
            }],
            series: vec![Series {
                name: "s".to_owned(),
                class: "s1".to_owned(),
                filled: true,
                points,
            }],
            spots: Vec::new(),
            height: 200.0,
        };
        let mut out = Markup::new("");
        chart.draw(&mut out);
        let text = out.finish();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert_eq!(
            text.matches("<circle").count(),
            4,
            "two lone points, drawn in two sizes"
        );
    }
}
