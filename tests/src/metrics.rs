//! The counters of one scrape.

use std::collections::BTreeMap;

/// Samples by name and labels as they stand in the exposition:
/// `bothways_connections_total{status="Success"}`.
#[derive(Clone, Debug, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the Prometheus text format. Panics at a line that is none of its.
    pub fn parse(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(samples.map(sample).collect())
    }

    /// A sample; one that is not there counts as 0, since a series may first appear when something is
    /// counted.
    pub fn get(&self, series: &str) -> u64 {
        self.0.get(series).map_or(0, |value| *value as u64)
    }

    pub fn has(&self, series: &str) -> bool {
        self.0.contains_key(series)
    }

    /// The finished connections with this status.
    pub fn connections(&self, status: &str) -> u64 {
        self.get(&format!("bothways_connections_total{{status=\"{status}\"}}"))
    }

    /// The completed handshakes of this kind, "full" or "resumed".
    pub fn handshakes(&self, kind: &str) -> u64 {
        self.get(&format!("bothways_handshakes_total{{kind=\"{kind}\"}}"))
    }

    /// The answered requests of this class, such as "2xx".
    pub fn requests(&self, class: &str) -> u64 {
        self.get(&format!("bothways_requests_total{{class=\"{class}\"}}"))
    }

    /// The sum over all label values of a metric.
    pub fn sum(&self, name: &str) -> u64 {
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.0
            .iter()
            .filter(|(series, _)| of_name(series))
            .map(|(_, value)| *value as u64)
            .sum()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0
            .keys()
            .map(|series| series.split('{').next().unwrap_or(series))
    }
}

fn sample(line: &str) -> (String, f64) {
    let (series, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("metrics line {line:?}"));
    let value = value
        .parse()
        .unwrap_or_else(|e| panic!("metrics line {line:?}: {e}"));
    (series.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_summed() {
        let text = "# HELP a b\n# TYPE a counter\na{k=\"x y\"} 2\na{k=\"z\"} 3\nab 7\n";
        let metrics = Metrics::parse(text);
        assert_eq!(
            (
                metrics.get("a{k=\"x y\"}"),
                metrics.get("ab"),
                metrics.get("none")
            ),
            (2, 7, 0)
        );
        assert_eq!(metrics.sum("a"), 5);
    }
}
