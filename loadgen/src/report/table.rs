//! The report for people.

use std::fmt::{self, Write};

use super::counts::Status;
use super::latency::{Latency, PERCENTILES};
use super::text::{bytes, count, is_hidden, kinds, time};
use super::{Summary, scenario};
use crate::options::{Expect, Mode};

/// The whole report as text.
pub fn render(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut out, summary)
        .and_then(|()| counts(&mut out, summary))
        .and_then(|()| resources(&mut out, summary))
        .and_then(|()| latencies(&mut out, summary))
        .and_then(|()| scenario::render(&mut out, summary))
        .and_then(|()| verdict(&mut out, summary));
    out.lines().map(|line| fold(&shown(line), WIDTH)).collect()
}

/// A line in as many as it needs, broken between words; what follows is indented. A word that is too long
/// stays whole.
fn fold(line: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let wide = word.trim_end().chars().count();
        if column + wide > width && column > INDENT.len() {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.push_str(INDENT);
            column = INDENT.len();
        }
        out.push_str(word);
        column += word.chars().count();
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Texts that a server can choose must not steer the terminal.
fn shown(line: &str) -> String {
    line.chars()
        .map(|character| {
            if is_hidden(character) {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

fn head(out: &mut String, summary: &Summary) -> fmt::Result {
    let settings = &summary.settings;
    writeln!(
        out,
        "\nloadgen {}  {}  {} at {}{}",
        summary.loadgen,
        settings.scenario.as_deref().unwrap_or(settings.mode.name()),
        settings.server_name,
        settings.address,
        if settings.mode == Mode::Mix {
            ""
        } else {
            &settings.path
        }
    )?;
    for kind in &summary.negotiated {
        writeln!(out, "{}  ({} connections)", kind.kind, count(kind.count))?;
    }
    if !settings.addresses_tried.is_empty() {
        writeln!(out, "addresses tried: {}", settings.addresses_tried.join("; "))?;
    }
    if let Some(version) = &settings.server_version {
        writeln!(out, "server: {version}")?;
    }
    let clients = match (&settings.scenario, settings.mode) {
        (Some(_), _) if settings.connections == 0 => "idle connections only".to_owned(),
        (Some(_), _) => format!("at most {} clients", settings.connections),
        (None, Mode::H2) => format!(
            "{} connections x {} streams",
            settings.connections, settings.streams
        ),
        (None, _) => format!("{} connections", settings.connections),
    };
    let identities = match settings.identities {
        0 => "no client certificate".to_owned(),
        1 => "1 client certificate".to_owned(),
        many => format!("{many} client certificates"),
    };
    let pace = match settings.rate {
        Some(rate) if settings.scenario.is_some() => format!("open loop, {rate:.1} op/s on average, "),
        Some(rate) => format!("open loop, {rate} op/s, "),
        None if settings.connections == 0 => String::new(),
        None => format!("{} loop, ", settings.loop_kind),
    };
    writeln!(
        out,
        "{pace}{clients}, {identities}, core {} ({})",
        list(&settings.cores),
        summary.driver
    )?;
    writeln!(
        out,
        "window {:.3} s after {} s of warm-up; {}\n",
        summary.window.seconds, settings.warm_up_s, summary.window.rule
    )
}

fn counts(out: &mut String, summary: &Summary) -> fmt::Result {
    let operations = &summary.operations;
    let ok = if summary.settings.expect == Expect::Refused {
        "refused as expected"
    } else {
        "ok"
    };
    write!(
        out,
        "operations     {} {ok}, {} failed",
        count(operations.ok),
        count(operations.failed)
    )?;
    if summary.settings.mode == Mode::Resume || operations.not_resumed > 0 {
        write!(out, ", {} not resumed", count(operations.not_resumed))?;
    }
    if operations.retried > 0 {
        write!(out, ", {} retried", count(operations.retried))?;
    }
    writeln!(out)?;
    summary.account.render(out)?;
    statuses(out, &summary.statuses)?;
    kinds(out, "  failed", &summary.failures)?;
    kinds(out, "  refused", &summary.refusals)?;
    let warm_up = &summary.warm_up;
    if warm_up.failed + warm_up.not_resumed > 0 {
        let (failed, not_resumed) = (count(warm_up.failed), count(warm_up.not_resumed));
        writeln!(
            out,
            "  in the warm-up: {failed} failed, {not_resumed} not resumed"
        )?;
    }
    let handshakes = &summary.handshakes;
    write!(
        out,
        "handshakes     {} full, {} resumed",
        count(handshakes.full),
        count(handshakes.resumed)
    )?;
    writeln!(
        out,
        "; client certificate requested in {}",
        count(handshakes.client_certificate_requested)
    )?;
    let throughput = &summary.throughput;
    writeln!(
        out,
        "throughput     {:.1} op/s, received {}/s, sent {}/s",
        throughput.operations_per_s,
        bytes(throughput.received_bytes_per_s),
        bytes(throughput.sent_bytes_per_s)
    )?;
    open_loop(out, summary)
}

fn open_loop(out: &mut String, summary: &Summary) -> fmt::Result {
    if let Some(open) = &summary.open_loop {
        writeln!(
            out,
            "open loop      asked {:.1} op/s, done {:.1}; backlog at the end {}, its oldest {:.1} ms late",
            open.asked_per_s,
            open.done_per_s,
            count(open.backlog_at_end),
            open.oldest_wait_ms
        )?;
    }
    Ok(())
}

fn resources(out: &mut String, summary: &Summary) -> fmt::Result {
    let per_operation = |cpu: Option<f64>| cpu.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
    if let Some(server) = &summary.server {
        writeln!(
            out,
            "server CPU     {} us/op, {:.1} % of a core; {} resident",
            per_operation(server.cpu_us_per_operation),
            server.busy_percent,
            bytes(server.resident_bytes as f64)
        )?;
    }
    let generator = &summary.generator;
    write!(
        out,
        "generator CPU  {} us/op",
        per_operation(generator.cpu_us_per_operation)
    )?;
    for thread in &generator.threads {
        write!(out, ", core {} {:.1} % busy", thread.core, thread.busy_percent)?;
    }
    writeln!(out, "\n")
}

fn latencies(out: &mut String, summary: &Summary) -> fmt::Result {
    write!(out, "{:<20}", "latency")?;
    for (name, _) in PERCENTILES {
        write!(out, "{name:>10}")?;
    }
    writeln!(out, "{:>10}{:>10}", "max", "mean")?;
    let operation = match (summary.settings.rate, summary.settings.mode) {
        (Some(_), _) => "from scheduled time",
        (None, Mode::Keepalive | Mode::H2) => "request",
        (None, Mode::Handshake | Mode::Resume | Mode::Mix) => "operation",
    };
    let latency = &summary.latency_us;
    for (name, latency) in [
        (operation, &latency.operation),
        ("from actual start", &latency.from_actual_start),
        ("not resumed", &latency.not_resumed),
        ("  tcp connect", &latency.tcp_connect),
        ("  tls handshake", &latency.tls_handshake),
        ("  request", &latency.request),
        ("  first byte", &latency.first_byte),
        ("  close", &latency.close),
    ] {
        if let Some(latency) = latency {
            row(out, name, latency)?;
        }
    }
    if summary.settings.rate.is_none() && latency.operation.is_some() {
        writeln!(
            out,
            "closed loop: a server that stalls is asked less; a rate shows what its users would see"
        )?;
    }
    Ok(())
}

fn row(out: &mut String, name: &str, latency: &Latency) -> fmt::Result {
    write!(out, "{name:<20}")?;
    for value in latency.percentiles() {
        write!(out, "{:>10}", time(value))?;
    }
    writeln!(
        out,
        "{:>10}{:>10}",
        time(Some(latency.max)),
        time(Some(latency.mean))
    )
}

fn verdict(out: &mut String, summary: &Summary) -> fmt::Result {
    for warning in &summary.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    for threshold in &summary.thresholds {
        let held = if threshold.held { "held" } else { "CROSSED" };
        writeln!(
            out,
            "threshold      {}: {}, {held}",
            threshold.threshold,
            threshold.shown()
        )?;
    }
    summary.verdict.render(out, summary.operations.total)
}

fn statuses(out: &mut String, statuses: &[Status]) -> fmt::Result {
    if statuses.is_empty() {
        return Ok(());
    }
    let each = statuses
        .iter()
        .map(|seen| format!("{} {}", count(seen.count), seen.status));
    let each: Vec<String> = each.collect();
    writeln!(out, "responses      by status: {}", each.join(", "))
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// Width in columns: that of a terminal beside something else, and of a table that can be pasted into a
/// report.
const WIDTH: usize = 100;
const INDENT: &str = "               ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_words_and_lose_nothing() {
        let line = "warning: ".to_owned() + &"word ".repeat(60);
        let folded = fold(&line, WIDTH);
        assert!(folded.lines().count() > 3 && folded.lines().all(|line| line.chars().count() <= WIDTH));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&folded), words(&line));
        assert_eq!(fold("short  and aligned   ", WIDTH), "short  and aligned\n");
        assert_eq!(fold("", WIDTH), "\n");
        let long = "x".repeat(300);
        assert_eq!(fold(&long, WIDTH).trim_end(), long);
    }

    #[test]
    fn a_servers_text_cannot_steer_the_terminal() {
        assert_eq!(
            shown("tls: \u{1b}[2Jgone\u{7}\u{202e}"),
            "tls: \u{fffd}[2Jgone\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(time(Some(242.13)), "242.1us");
        assert_eq!(time(Some(12_345.0)), "12.35ms");
        assert_eq!(time(Some(2_500_000.0)), "2.50s");
        assert_eq!(time(None), "-");
        assert_eq!(bytes(2_500_000.0), "2.5 MB");
    }
}
