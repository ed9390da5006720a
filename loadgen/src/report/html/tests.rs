//! Pages of hostile, empty and odd reports: always well-formed, never with a script, a link or a number that
//! is none.

use serde_json::{Value, json};

use super::{comparison, page};
use crate::report::document::Document;

const HOSTILE: &str =
    "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&\u{202e}\u{1b}[31m\0]]>";

fn report(changes: impl FnOnce(&mut Value)) -> Document {
    let interval = |start: f64| {
        json!({"start_s": start, "length_s": 1.0, "ok": 1000, "failed": 3, "not_resumed": 0, "received_bytes": 5, "sent_bytes": 6,
            "latency_us": {"p50": 100.0, "p90": 200.0, "p99": 400.0, "p99.9": null, "max": 900.0}, "connections_open": 4,
            "backlog": 0, "generator_busy_percent": 40.0, "server_busy_percent": 90.0, "server_resident_bytes": 1000})
    };
    let latency = json!({"count": 2000, "mean": 120.0, "min": 50.0, "p50": 100.0, "p75": 150.0, "p90": 200.0, "p99": 400.0,
        "p99.9": 800.0, "p99.99": null, "max": 900.0});
    let mut value = json!({
        "format": "bothways-loadgen/1", "started_at": "2026-11-20T08:30:00Z", "loadgen": "0.1.0",
        "settings": {"mode": "handshake", "server_name": "a.example", "command_line": "loadgen x", "rate": null, "warm_up_s": 1.0, "files": {"ca": ["a"]}},
        "window": {"seconds": 2.0}, "operations": {"total": 2006, "ok": 2000, "failed": 6},
        "failures": [{"kind": "connect: refused", "count": 6}], "latency_us": {"operation": latency},
        "latency_curves": {"operation": [{"percentile": 0.0, "us": 50.0, "count": 1}, {"percentile": 100.0, "us": 900.0, "count": 2000}]},
        "server": {"cpu_us_per_operation": 80.0, "busy_percent": 90.0, "resident_bytes": 1000},
        "generator": {"was_the_limit": true, "threads": [{"core": 1, "busy_percent": 99.0}]},
        "timeline": {"interval_s": 1.0, "intervals": [interval(-1.0), interval(0.0), interval(1.0)]},
        "phases": [
            {"name": "before", "start_s": 0.0, "end_s": 1.0, "measured": false},
            {"name": "ramp", "start_s": 1.0, "end_s": 2.0, "measured": true, "rate": {"from": 10.0, "to": 500.0}, "ok": 7},
            {"name": "hold", "start_s": 2.0, "end_s": 3.0, "measured": true, "clients": {"from": 4.0, "to": 4.0},
                "idle": {"connections": 50, "alive": 49, "lost": [{"kind": "closed", "count": 1}], "server_memory": {"bytes_per_connection": 23456.0}},
                "storm": {"dropped": 50, "reopened": 50, "all_after_ms": 120.0, "reopened_per_s": 416.0,
                    "failed_attempts": [{"kind": "reset", "count": 2}]}}
        ],
        "entries": [{"name": "one", "work": "handshake", "expect": "refused", "weight": 3, "ok": 5, "failed": 1, "latency_us": null,
                "failures": [{"kind": "admitted", "count": 1}], "refusals": [{"kind": "alert unknown_ca (48)", "count": 5}]}, {"name": "two"}],
        "limits": [{"kind": "cpu", "by_generator": true, "what": "its core was busy", "remedy": "more cores"}],
        "warnings": ["the generator was the limit: its core was busy; more cores", "stopped early"],
        "as_expected": false
    });
    changes(&mut value);
    serde_json::from_value(value).unwrap()
}

/// Parses the page strictly and looks at everything that could do harm.
#[track_caller]
fn check(page: &str) -> String {
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let tree = roxmltree::Document::parse_with_options(page, options)
        .unwrap_or_else(|error| panic!("{error}\n{page}"));
    for node in tree.descendants().filter(roxmltree::Node::is_element) {
        let tag = node.tag_name().name();
        assert!(
            !["script", "img", "link", "iframe", "a", "object", "image", "use"].contains(&tag),
            "<{tag}>"
        );
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(
                !name.starts_with("on") && !["href", "src"].contains(&name),
                "{tag} {name}={value}"
            );
            if ["d", "x", "y", "width", "height", "cx", "cy", "viewBox"].contains(&name) {
                assert!(
                    !value.contains("NaN") && !value.contains("inf"),
                    "{tag} {name}={value}"
                );
            }
        }
    }
    tree.descendants().filter_map(|node| node.text()).collect()
}

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

#[test]
fn a_page_shows_tiles_charts_limits_phases_and_reasons() {
    let page = page(report(|_| ()));
    let text = check(&page);
    for expected in [
        "handshake a.example",
        "The generator was the limit",
        "more cores",
        "stopped early",
        "connect: refused",
        "before",
        "ramp",
        "10 to 500",
        "49 of 50 idle connections alive at the end; 23.5 kB",
        "hold: idle connections lost: closed (1).",
        "all after 120 ms (416 per second)",
        "attempts to open again that failed: reset (2).",
        "before (unmeasured)",
        "one: failed by admitted (1).",
        "one: refused as expected by alert unknown_ca (48) (5).",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    assert_eq!(
        count(&text, "its core was busy"),
        1,
        "a limit is not told again as a warning"
    );
    assert_eq!(
        count(&page, "<figure"),
        6,
        "the server's memory too, because connections are held"
    );
    assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
}

#[test]
fn hostile_text_is_shown_as_text_wherever_it_stands() {
    let document = report(|value| {
        for pointer in [
            "/settings/server_name",
            "/settings/command_line",
            "/settings/mode",
            "/failures/0/kind",
            "/phases/0/name",
        ] {
            *value.pointer_mut(pointer).unwrap() = json!(HOSTILE);
        }
        for pointer in [
            "/entries/0/name",
            "/entries/0/failures/0/kind",
            "/phases/2/idle/lost/0/kind",
            "/phases/2/storm/failed_attempts/0/kind",
            "/limits/0/what",
            "/warnings/1",
            "/started_at",
            "/settings/files/ca/0",
        ] {
            *value.pointer_mut(pointer).unwrap() = json!(HOSTILE);
        }
        value["settings"][HOSTILE] = json!(HOSTILE);
        value["negotiated"] = json!([{"kind": HOSTILE, "count": 1}]);
    });
    let text = check(&page(document));
    assert!(count(&text, "<script>alert(1)</script>") >= 10);
    assert!(!text.contains('\u{202e}') && text.contains("\\u{202e}"));
}

#[test]
fn several_hostile_runs_beside_each_other_are_text_too() {
    let hostile = report(|value| value["settings"]["path"] = json!(HOSTILE));
    let page = comparison(vec![
        (HOSTILE.to_owned(), hostile),
        ("b.json".to_owned(), report(|_| ())),
    ]);
    let text = check(&page);
    assert!(text.contains("<script>alert(1)</script>") && text.contains("b.json"));
    assert!(text.contains("+0.0 %"), "the difference to the first");
}

/// The rows of all tables, their cells separated by bars.
fn rows(page: &str) -> Vec<String> {
    check(page);
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let tree = roxmltree::Document::parse_with_options(page, options).unwrap();
    let cell = |cell: roxmltree::Node<'_, '_>| {
        let texts = cell.descendants().filter(roxmltree::Node::is_text);
        texts.filter_map(|text| text.text()).collect::<String>()
    };
    let rows = tree.descendants().filter(|node| node.has_tag_name("tr"));
    rows.map(|row| row.children().map(cell).collect::<Vec<_>>().join("|"))
        .collect()
}

#[track_caller]
fn assert_row(page: &str, start: &str) {
    let rows = rows(page);
    assert!(
        rows.iter().any(|row| row.starts_with(start)),
        "{start}: {rows:#?}"
    );
}

#[test]
fn phases_count_from_the_start_of_the_run_and_the_page_from_that_of_the_window() {
    let shifted = report(|value| value["settings"]["warm_up_s"] = json!(2.0));
    assert_row(&page(report(|_| ())), "before (unmeasured)|-1 s|0 s|");
    assert_row(&page(shifted), "before (unmeasured)|-2 s|-1 s|");
}

#[test]
fn entries_and_phases_of_several_runs_are_compared_by_name() {
    let first = report(|value| value["phases"][1]["operations_per_s"] = json!(100.0));
    let slower = report(|value| {
        value["phases"][1]["operations_per_s"] = json!(50.0);
        value["entries"][0]["ok"] = json!(4);
        value["entries"][1] = json!({"name": "another", "ok": 2});
    });
    let page = comparison(vec![("a.json".to_owned(), first), ("b.json".to_owned(), slower)]);
    assert_row(&page, "one: op/s|2.50|2.00 -20.0 %");
    assert_row(&page, "another: op/s|–|1.00");
    assert_row(&page, "ramp: op/s|100|50.0 -50.0 %");
    assert_row(&page, "hold: all open again after|120 ms|120 ms +0.0 %");
    assert!(
        page.contains(">ramp</text>"),
        "the same phases are drawn behind the lines"
    );
}

#[test]
fn a_run_of_idle_connections_only_shows_them_in_place_of_operations_that_nobody_asked_for() {
    let idle = report(|value| {
        value["phases"] = json!([value["phases"][2].take()]);
        value["phases"][0]["clients"] = json!(null);
        value["settings"]["scenario"] = json!("hold.toml");
        value["operations"] = json!({});
        value["latency_us"] = json!({});
    });
    let page = page(idle);
    let text = check(&page);
    for expected in [
        "hold a.example",
        "idle connections only",
        "alive of 50",
        "Server memory",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    assert!(
        !text.contains("Throughput") && !text.contains("Closed loop"),
        "{text}"
    );
}

#[test]
fn a_run_without_operations_or_intervals_has_a_page() {
    let empty = report(|value| {
        *value = json!({"format": "bothways-loadgen/1"});
    });
    let text = check(&page(empty));
    assert!(text.contains("No operation was completed in the window"));
}

#[test]
fn a_run_with_one_point_or_odd_numbers_has_a_page() {
    for (start, length, rate) in [
        (0.0, 1.0, 1.0),
        (0.0, 0.0, 0.0),
        (-1e308, 1e308, 1e308),
        (1e308, 1e308, 1e-308),
        (0.0, -5.0, -1.0),
    ] {
        let document = report(|value| {
            let mut interval = value["timeline"]["intervals"][0].clone();
            interval["start_s"] = json!(start);
            interval["length_s"] = json!(length);
            interval["latency_us"]["p50"] = json!(rate);
            interval["latency_us"]["max"] = json!(-rate);
            interval["server_busy_percent"] = json!(rate);
            value["timeline"]["intervals"] = json!([interval]);
            value["throughput"] = json!({"operations_per_s": rate});
            value["latency_curves"]["operation"] = json!([{"percentile": rate, "us": rate, "count": 0}]);
            value["phases"] = json!([{"name": "x", "start_s": rate, "end_s": start}]);
        });
        check(&page(document));
    }
}

#[test]
fn figures_that_are_no_measurement_are_never_green() {
    let doubtful = report(|value| {
        value["as_expected"] = json!(true);
        value["verdict"] = json!({"invalid": ["its core 1 had no time left"]});
    });
    let page = page(doubtful);
    let text = check(&page);
    assert!(
        text.contains("Not a valid measurement: its core 1 had no time left"),
        "{text}"
    );
    assert!(!page.contains("verdict good"));
}

#[test]
fn thresholds_statuses_and_the_account_are_shown() {
    let account =
        json!({"asked": 9, "ok": 5, "failed": 1, "in_flight": 2, "not_started": 1, "balanced": true});
    let told = report(|value| {
        value["as_expected"] = json!(false);
        value["verdict"] =
            json!({"crossed": ["p99 < 1ms (was 2.00ms)"], "unexpected": ["1 failed"], "exit_code": 3});
        value["thresholds"] =
            json!([{"threshold": "p99 < 1ms", "measured": 2000.0, "unit": "us", "held": false}]);
        value["statuses"] = json!([{"status": 204, "count": 5}]);
        value["account"] = account;
    });
    let page = page(told);
    let text = check(&page);
    assert!(
        text.contains("Not every threshold held: p99 < 1ms (was 2.00ms)"),
        "{text}"
    );
    assert_row(&page, "p99 < 1ms|2.00ms|crossed");
    assert_row(&page, "204|5|100 %");
    assert_row(&page, "all|9|5|1|0|2|1");
}
