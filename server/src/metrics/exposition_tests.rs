#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::metrics::{
    ConnectionStatus, DropReason, FailureCode, OriginName, OriginResult, ReloadResult, TicketDecline,
};

/// Series → value, and family → type; panics at what the format does not allow.
fn parse(page: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut series, mut types) = (BTreeMap::new(), BTreeMap::new());
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| family.strip_suffix(suffix))
                .unwrap_or(family);
            assert!(types.contains_key(family) || types.contains_key(base), "{line}");
            let value = value.parse().unwrap();
            assert!(series.insert(name.to_owned(), value).is_none(), "{line}");
        }
    }
    (series, types)
}

#[test]
fn every_documented_family_is_shown_before_anything_happened() {
    let (series, types) = parse(&render(&Registry::new(2)));
    let names: Vec<&str> = types.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bothways_bodies_stalled_total",
            "bothways_build_info",
            "bothways_candidate_decisions_total",
            "bothways_certificate_not_after_seconds",
            "bothways_connection_function_calls_total",
            "bothways_connection_function_seconds",
            "bothways_connection_rests_total",
            "bothways_connections_accepted_total",
            "bothways_connections_cut_total",
            "bothways_connections_no_longer_admitted_total",
            "bothways_connections_open",
            "bothways_connections_total",
            "bothways_connections_unused_total",
            "bothways_core_connections_accepted_total",
            "bothways_core_connections_handed_over_total",
            "bothways_core_connections_open",
            "bothways_crl_next_update_seconds",
            "bothways_crl_this_update_seconds",
            "bothways_distribution_connections_total",
            "bothways_distribution_requests_total",
            "bothways_draining",
            "bothways_function_calls_stuck_total",
            "bothways_handshake_seconds",
            "bothways_handshakes_open",
            "bothways_handshakes_total",
            "bothways_messages_dropped_total",
            "bothways_origin_connections_spoilt_total",
            "bothways_origin_lookups_total",
            "bothways_origin_requests_total",
            "bothways_origin_response_seconds",
            "bothways_panics_total",
            "bothways_records_dropped_total",
            "bothways_records_written_total",
            "bothways_reload_under_way_seconds",
            "bothways_reloads_deferred_total",
            "bothways_reloads_total",
            "bothways_requests_limited_total",
            "bothways_requests_refused_total",
            "bothways_requests_total",
            "bothways_revocation_entries",
            "bothways_shed_total",
            "bothways_snapshot_generation",
            "bothways_sweeps_total",
            "bothways_tickets_declined_total",
            "bothways_tickets_issued_total",
            "bothways_tickets_redeemed_total",
            "bothways_verdicts_evicted_total",
            "bothways_verdicts_total",
            "bothways_viewer_function_seconds",
            "bothways_viewer_request_function_calls_total",
            "bothways_viewer_response_function_calls_total",
            "process_start_time_seconds",
        ]
    );
    let begins = |(name, _): &(&String, &f64)| {
        name.starts_with("bothways_build_info") || *name == "process_start_time_seconds"
    };
    let counts = series.iter().filter(|one| !begins(one));
    assert!(counts.into_iter().all(|(_, value)| *value == 0.0));
    let statuses = series
        .keys()
        .filter(|name| name.starts_with("bothways_connections_total{"));
    assert_eq!(statuses.count(), ConnectionStatus::COUNT);
}

#[test]
fn counts_of_all_cores_are_summed_under_their_label() {
    let registry = Registry::new(2);
    let expired = ConnectionStatus::Failed(FailureCode::ClientCertExpired);
    for core in &registry.cores {
        core.connections.of(expired).add(2);
        core.connections_open.increment();
        core.connections_handed_over.add(3);
        core.tickets_declined.of(TicketDecline::Revoked).add(1);
    }
    let (records, lane) = (&registry.process.records, registry.process.records.lane());
    records.unshipped.of(DropReason::QueueFull).add(2);
    lane.dropped.of(DropReason::QueueFull).add(3);
    lane.written.add(7);
    registry.process.reloads.of(ReloadResult::Refused).add(1);
    let (series, _) = parse(&render(&registry));
    let expected = [
        (
            r#"bothways_connections_total{status="Failed:ClientCertExpired"}"#,
            4.0,
        ),
        ("bothways_connections_open", 2.0),
        (r#"bothways_core_connections_open{core="0"}"#, 1.0),
        (r#"bothways_core_connections_open{core="1"}"#, 1.0),
        (r#"bothways_core_connections_accepted_total{core="1"}"#, 0.0),
        (r#"bothways_core_connections_handed_over_total{core="1"}"#, 3.0),
        (r#"bothways_tickets_declined_total{reason="revoked"}"#, 2.0),
        ("bothways_records_written_total", 7.0),
        (r#"bothways_records_dropped_total{reason="queue_full"}"#, 5.0),
        (r#"bothways_reloads_total{result="refused"}"#, 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(series.get(name), Some(&value), "{name}");
    }
}

#[test]
fn origins_have_a_histogram_each() {
    let registry = Registry::new(2);
    let name = OriginName {
        distribution: "E1".into(),
        origin: "app".into(),
    };
    let counters = registry.named.origin(name);
    for (core, ms) in [(0, 1), (1, 20_000)] {
        let cells = counters.of(core).unwrap();
        cells.response_head.record(Duration::from_millis(ms));
        cells.requests.of(OriginResult::Timeout).add(1);
    }
    let (series, _) = parse(&render(&registry));
    let at = |name: &str| *series.get(name).unwrap();
    assert_eq!(
        at(r#"bothways_origin_requests_total{distribution="E1",origin="app",result="timeout"}"#),
        2.0
    );
    assert_eq!(
        at(r#"bothways_origin_requests_total{distribution="E1",origin="app",result="response"}"#),
        0.0
    );
    let bucket = r#"bothways_origin_response_seconds_bucket{distribution="E1",origin="app",le="10"}"#;
    assert_eq!(at(bucket), 1.0);
    assert_eq!(
        at(r#"bothways_origin_response_seconds_count{distribution="E1",origin="app"}"#),
        2.0
    );
    assert_eq!(
        at(r#"bothways_origin_response_seconds_sum{distribution="E1",origin="app"}"#),
        20.001
    );
}

#[test]
fn handshake_buckets_are_cumulated_over_the_cores() {
    let registry = Registry::new(2);
    for (core, ms) in registry.cores.iter().zip([1, 20_000]) {
        core.handshake_duration.record(Duration::from_millis(ms));
    }
    let (series, _) = parse(&render(&registry));
    let at = |name: &str| *series.get(name).unwrap();
    assert_eq!(at(r#"bothways_handshake_seconds_bucket{le="0.0005"}"#), 0.0);
    assert_eq!(at(r#"bothways_handshake_seconds_bucket{le="0.001"}"#), 1.0);
    assert_eq!(at(r#"bothways_handshake_seconds_bucket{le="10"}"#), 1.0);
    assert_eq!(at(r#"bothways_handshake_seconds_bucket{le="+Inf"}"#), 2.0);
    assert_eq!(at("bothways_handshake_seconds_count"), 2.0);
    assert_eq!(at("bothways_handshake_seconds_sum"), 20.001);
}

#[test]
fn a_label_value_cannot_break_out_of_its_quotes() {
    let registry = Registry::new(0);
    let store = "a\"} 1\nforged \\";
    registry.process.set_revocation_entries([(store.to_owned(), 7)]);
    let page = render(&registry);
    let line = page
        .lines()
        .find(|line| line.starts_with("bothways_revocation_entries{"));
    assert_eq!(
        line,
        Some(r#"bothways_revocation_entries{trust_store="a\"} 1\nforged \\"} 7"#)
    );
}

#[test]
fn a_trust_store_that_is_gone_is_shown_no_longer() {
    let registry = Registry::new(0);
    for store in ["old", "new"] {
        registry.process.set_revocation_entries([(store.to_owned(), 1)]);
    }
    let page = render(&registry);
    assert!(page.contains(r#"trust_store="new""#));
    assert!(!page.contains(r#"trust_store="old""#));
}

/// Items of the document as name → (type, meaning): "- `name` (type by label): meaning", which may go on in
/// indented lines.
fn documented(document: &str) -> BTreeMap<String, (String, String)> {
    let document = document.replace("\n  ", " ");
    let items = document.lines().filter_map(|line| line.strip_prefix("- `"));
    let split = |item: &str| {
        let (name, rest) = item.split_once("` (")?;
        let (kind, meaning) = rest.split_once("): ")?;
        let kind = kind.split(' ').next()?;
        Some((name.to_owned(), (kind.to_owned(), meaning.to_owned())))
    };
    items.map(|item| split(item).expect(item)).collect()
}

#[test]
fn the_document_has_an_item_for_each_family_with_its_help_and_no_other() {
    let page = render(&Registry::new(1));
    let (_, types) = parse(&page);
    let help = page
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let shown: BTreeMap<String, (String, String)> = help
        .map(|(name, help)| {
            (
                name.to_owned(),
                (types.get(name).unwrap().clone(), help.to_owned()),
            )
        })
        .collect();
    assert_eq!(documented(include_str!("../../../config/metrics.md")), shown);
}
