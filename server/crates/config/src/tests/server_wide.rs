//! Refusals outside of distributions.

use super::*;

#[test]
fn listeners_need_a_free_address_and_one_of_them_https() {
    let listener = "[[listeners]]\naddress = \"127.0.0.1:8443\"";
    spoiled![
        (
            "[[listeners]]\naddress = \"127.0.0.1:8443\"",
            "",
            "listeners",
            ["https", "add [[listeners]]"]
        ),
        (
            "127.0.0.1:8443\"",
            "127.0.0.1:8443\"\nprotocol = \"http\"",
            "listeners",
            ["only redirect"]
        ),
        (
            "127.0.0.1:8443",
            "localhost:8443",
            "listeners[0].address",
            ["127.0.0.1:0"]
        ),
        ("127.0.0.1:8443", "127.0.0.1", "listeners[0].address", ["a port"]),
        (
            "127.0.0.1:8443\"",
            "127.0.0.1:8443\"\nprotocol = \"htps\"",
            "listeners[0].protocol",
            ["\"https\"?"]
        ),
    ];
    let text = good_with(listener, &format!("{listener}\n{listener}"));
    let message = message(&text);
    assert!(message.starts_with("config/edge.toml: listeners[1].address: 127.0.0.1:8443 is the address of"));
    assert!(message.contains("listeners[0]"), "{message}");
}

#[test]
fn addresses_that_overlap_are_told_before_the_kernel_would_refuse_them() {
    let two = |first: &str, second: &str| {
        let listener = |address: &str| format!("[[listeners]]\naddress = {address:?}\n");
        let both = format!("{}{}", listener(first), listener(second));
        good_with("[[listeners]]\naddress = \"127.0.0.1:8443\"", &both)
    };
    let overlapping = [
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("127.0.0.1:8443", "0.0.0.0:8443"),
        ("[::]:8443", "0.0.0.0:8443"),
        ("[::]:8443", "192.0.2.1:8443"),
        ("[2001:db8::1]:8443", "[::]:8443"),
        ("[::ffff:127.0.0.1]:8443", "127.0.0.1:8443"),
        ("[::ffff:0.0.0.0]:8443", "127.0.0.1:8443"),
    ];
    for (first, second) in overlapping {
        let message = message(&two(first, second));
        let start = "config/edge.toml: listeners[1].address: ";
        assert!(message.starts_with(start), "{message}");
        assert!(
            message.contains("overlap") && message.contains("listeners[0]"),
            "{message}"
        );
    }
    let apart = [
        ("127.0.0.1:8443", "127.0.0.1:8444"),
        ("127.0.0.1:8443", "127.0.0.2:8443"),
        ("0.0.0.0:8443", "[::1]:8443"),
        ("[fe80::1%1]:8443", "[fe80::1%2]:8443"),
        ("[::]:0", "0.0.0.0:0"),
    ];
    for (first, second) in apart {
        assert!(parse_text(&two(first, second)).is_ok(), "{first} {second}");
    }
}

#[test]
fn addresses_are_not_shared_unless_told_otherwise() {
    let text = good_with("[[listeners]]", "[runtime]\nreuse_port = true\n[[listeners]]");
    assert!(parse_text(&text).unwrap().runtime.reuse_port);
}

#[test]
fn any_number_of_listeners_may_leave_the_port_to_the_kernel() {
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    let text = good_with("[[listeners]]\naddress = \"127.0.0.1:8443\"", &listener.repeat(2));
    assert_eq!(parse_text(&text).unwrap().listeners.len(), 2);
}

#[test]
fn the_admin_endpoint_stays_on_this_machine_unless_told_otherwise() {
    let admin = |text: &str| good_with("[[trust_stores]]", &format!("[admin]\n{text}\n[[trust_stores]]"));
    for address in [
        "127.0.0.1:0",
        "127.9.9.9:9901",
        "[::1]:9901",
        "[::ffff:127.0.0.1]:9901",
    ] {
        let config = parse_text(&admin(&format!("address = {address:?}"))).unwrap();
        assert_eq!(config.admin, Some(address.parse().unwrap()));
    }
    for address in ["0.0.0.0:9901", "[::]:9901", "192.0.2.1:9901"] {
        let message = message(&admin(&format!("address = {address:?}")));
        assert!(
            message.starts_with("config/edge.toml: admin.address: "),
            "{message}"
        );
        assert!(message.contains("allow_remote = true"), "{message}");
        let allowed = admin(&format!("address = {address:?}\nallow_remote = true"));
        assert_eq!(
            parse_text(&allowed).unwrap().admin,
            Some(address.parse().unwrap())
        );
    }
    assert!(message(&admin("address = \"127.0.0.1:8443\"")).contains("listeners[0]"));
    let everywhere = admin("address = \"0.0.0.0:8443\"\nallow_remote = true");
    assert!(message(&everywhere).contains("overlap"));
}

#[test]
fn cores_are_all_a_number_or_a_list_without_repetition() {
    let cores = |text: &str| {
        good_with(
            "[[listeners]]",
            &format!("[runtime]\ncores = {text}\n[[listeners]]"),
        )
    };
    let good = [
        ("\"all\"", Cores::All),
        ("2", Cores::Count(2.try_into().unwrap())),
        ("[3, 0]", Cores::List(vec![3, 0])),
    ];
    for (text, expected) in good {
        assert_eq!(parse_text(&cores(text)).unwrap().runtime.cores, expected);
    }
    let bad = [
        ("0", "runtime.cores", "1 to 1024"),
        ("-1", "runtime.cores", "1 to 1024"),
        ("5000", "runtime.cores", "1 to 1024"),
        ("\"al\"", "runtime.cores", "\"all\""),
        ("[]", "runtime.cores", "empty"),
        ("[0, 1, 0]", "runtime.cores[2]", "twice"),
        ("[-1]", "runtime.cores[0]", "0 to 1023"),
        ("[1024]", "runtime.cores[0]", "0 to 1023"),
    ];
    for (text, key, part) in bad {
        let message = message(&cores(text));
        assert!(
            message.starts_with(&format!("config/edge.toml: {key}: ")),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
    let driver = good_with("[[listeners]]", "[runtime]\ndriver = \"epol\"\n[[listeners]]");
    assert!(message(&driver).starts_with("config/edge.toml: runtime.driver: "));
}

#[test]
fn connections_are_balanced_unless_told_otherwise() {
    let balance = |text: &str| {
        good_with(
            "[[listeners]]",
            &format!("[runtime]\nbalance_connections = {text}\n[[listeners]]"),
        )
    };
    for (text, expected) in [("true", true), ("false", false)] {
        let config = parse_text(&balance(text)).unwrap();
        assert_eq!(config.runtime.balance_connections, expected);
    }
    let message = message(&balance("\"no\""));
    assert!(
        message.starts_with("config/edge.toml: runtime.balance_connections: "),
        "{message}"
    );
}

#[test]
fn every_limit_says_its_range() {
    let ranges = [
        ("connections_per_core", "1 to 10000000"),
        ("handshakes_per_core", "1 to 1000000"),
        ("handshake_timeout_ms", "10 to 600000"),
        ("header_timeout_ms", "10 to 600000"),
        ("idle_timeout_ms", "10 to 86400000"),
        ("body_bytes_per_s_min", "0 to 1000000000"),
        ("lingering_time_ms", "0 to 3600000"),
        ("lingering_timeout_ms", "0 to 600000"),
        ("lingering_bytes_max", "0 to 1099511627776"),
        ("drain_timeout_ms", "0 to 3600000"),
        ("header_bytes_max", "8192 to 1048576"),
        ("header_fields_max", "16 to 4096"),
        ("origin_header_fields_max", "16 to 4096"),
        ("origin_buffer_bytes", "8192 to 16777216"),
        ("streams_per_connection_max", "1 to 10000"),
        ("origin_connections_per_core", "1 to 1000000"),
        ("origin_requests_per_client", "1 to 1000000"),
        ("resolve_interval_s", "1 to 86400"),
        ("key_value_store_bytes", "1024 to 1073741824"),
        ("key_bytes", "1 to 65536"),
        ("value_bytes", "1 to 16777216"),
        ("tickets_per_core", "1 to 16777216"),
        ("ticket_lifetime_s", "1 to 604800"),
        ("record_queue", "1 to 16777216"),
        ("function_time_ms", "1 to 1000"),
        ("function_memory_bytes", "65536 to 268435456"),
        ("function_code_bytes", "1 to 1048576"),
        ("revocation_file_bytes", "1024 to 4294967295"),
    ];
    for (name, range) in ranges {
        for value in ["-1", "9223372036854775807"] {
            let limit = format!("[limits]\n{name} = {value}\n[[listeners]]");
            let message = message(&good_with("[[listeners]]", &limit));
            assert!(
                message.starts_with(&format!("config/edge.toml: limits.{name}: {value} is")),
                "{message}"
            );
            assert!(message.contains(&format!("from {range} (line 3)")), "{message}");
        }
    }
}

#[test]
fn limits_are_taken_in_the_unit_of_their_key() {
    let text = "[limits]\nhandshake_timeout_ms = 250\nticket_lifetime_s = 7\nrecord_queue = 3\n[[listeners]]";
    let limits = parse_text(&good_with("[[listeners]]", text)).unwrap().limits;
    assert_eq!(limits.handshake_timeout, Duration::from_millis(250));
    assert_eq!(limits.ticket_lifetime, Duration::from_secs(7));
    assert_eq!(limits.record_queue, 3);
    assert_eq!(limits.idle_timeout, Limits::default().idle_timeout);
}

#[test]
fn one_clients_share_of_an_origin_is_a_quarter_unless_said_otherwise() {
    for (text, share) in [
        ("", 256),
        ("origin_connections_per_core = 8\n", 2),
        ("origin_connections_per_core = 1\n", 1),
        (
            "origin_connections_per_core = 8\norigin_requests_per_client = 8\n",
            8,
        ),
    ] {
        let text = format!("[limits]\n{text}[[listeners]]");
        let limits = parse_text(&good_with("[[listeners]]", &text)).unwrap().limits;
        assert_eq!(limits.origin_requests_per_client, share, "{text}");
    }
}

#[test]
fn trust_stores_are_named_once_and_well() {
    let again = "[[trust_stores]]\nname = \"partners\"\nca_bundle = \"x\"\n[[trust_stores]]";
    spoiled![
        (
            "name = \"partners\"",
            "name = \"part ners\"",
            "trust_stores[0].name",
            ["letters, digits"]
        ),
        (
            "name = \"partners\"",
            "name = \"\"",
            "trust_stores[0].name",
            ["1 to 64"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"\"",
            "trust_stores[0].ca_bundle",
            ["no file name"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"a\\u0000b\"",
            "trust_stores[0].ca_bundle",
            ["no file name"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nout_of_date_crl = \"accept\"",
            "trust_stores[0].out_of_date_crl",
            ["accept_and_log"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nca_without_crl = \"rejct\"",
            "trust_stores[0].ca_without_crl",
            ["did you mean \"reject\"?"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrequired_extended_key_usage = [\"clientAuth\", \"clientAut\"]",
            "trust_stores[0].required_extended_key_usage[1]",
            ["did you mean \"clientAuth\"?"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nmax_chain_depth = 1",
            "trust_stores[0].max_chain_depth",
            ["2 to 8"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nmax_chain_depth = 9",
            "trust_stores[0].max_chain_depth",
            ["2 to 8"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrevocations = [\"a\", \"\"]",
            "trust_stores[0].revocations[1]",
            ["file name"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrevocations = [\"a\", { file = \"\" }]",
            "trust_stores[0].revocations[1].file",
            ["file name"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrevocations = [{ issuer = \"CN=X\" }]",
            "trust_stores[0].revocations[0].file",
            ["missing"]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrevocations = [{ file = \"a\", isuer = \"CN=X\" }]",
            "trust_stores[0].revocations[0].isuer",
            ["unknown key", "did you mean \"issuer\""]
        ),
        (
            "\"pki/ca.pem\"",
            "\"x\"\nrevocations = [7]",
            "trust_stores[0].revocations[0]",
            ["may_be_empty = true"]
        ),
    ];
    let message = message(&good_with("[[trust_stores]]", again));
    assert!(message.contains("trust_stores[1].name: \"partners\" is the name of trust_stores[0] too"));
}

#[test]
fn key_value_stores_have_each_a_name_and_a_file() {
    let stores = |text: &str| good_with("[[listeners]]", &format!("{text}\n[[listeners]]"));
    let one = "[[key_value_stores]]\nname = \"a\"\nimport = \"a.json\"\n";
    let config = parse_text(&stores(one)).unwrap();
    assert_eq!(&*config.key_value_stores[0].name, "a");
    assert_eq!(
        config.key_value_stores[0].import.path,
        PathBuf::from("config/a.json")
    );
    for (text, key, part) in [
        (
            one.replace("\"a\"", "\"a b\""),
            "key_value_stores[0].name",
            "letters, digits",
        ),
        (
            one.replace("a.json", ""),
            "key_value_stores[0].import",
            "no file name",
        ),
        (
            one.replace("import", "imports"),
            "key_value_stores[0].imports",
            "unknown key",
        ),
        (
            one.replace("import = \"a.json\"\n", ""),
            "key_value_stores[0].import",
            "missing",
        ),
        (one.repeat(2), "key_value_stores[1].name", "key_value_stores[0]"),
        (
            format!("{one}{}", one.replace("\"a\"", "\"b\"")),
            "key_value_stores[1].import",
            "config/a.json is the import file of key_value_stores[0] too",
        ),
    ] {
        let message = message(&stores(&text));
        assert!(
            message.starts_with(&format!("config/edge.toml: {key}: ")),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_control_socket_has_a_path_that_the_kernel_takes() {
    let control = |path: &str| {
        good_with(
            "[[listeners]]",
            &format!("[control]\nsocket = {path:?}\n[[listeners]]"),
        )
    };
    let socket = |path: &str| parse_text(&control(path)).unwrap().control.unwrap().socket.path;
    assert_eq!(socket("run/b.sock"), PathBuf::from("config/run/b.sock"));
    assert_eq!(socket("/run/b.sock"), PathBuf::from("/run/b.sock"));
    assert_eq!(parse_text(GOOD).unwrap().control, None);
    for (path, part) in [
        ("", "no file name"),
        ("run/..", "names no file"),
        (&*"x".repeat(100), "107 bytes"),
    ] {
        let message = message(&control(path));
        assert!(
            message.starts_with("config/edge.toml: control.socket: "),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn records_go_to_stdout_or_to_a_file() {
    let logs = |text: &str| {
        good_with(
            "[[listeners]]",
            &format!("[logs.connection]\n{text}\n[[listeners]]"),
        )
    };
    let sink = |text: &str| parse_text(&logs(text)).unwrap().logs.connection.sink;
    assert_eq!(sink("sink = \"stdout\""), Sink::Stdout);
    assert_eq!(sink(""), Sink::Stdout);
    let Sink::File(file) = sink("sink = { file = \"logs/c.log\" }") else {
        panic!("a file")
    };
    assert_eq!(file.path, PathBuf::from("config/logs/c.log"));
    for (text, key, part) in [
        ("sink = \"stderr\"", "logs.connection.sink", "\"stdout\""),
        ("sink = {}", "logs.connection.sink.file", "missing"),
        (
            "sink = { file = \"\" }",
            "logs.connection.sink.file",
            "no file name",
        ),
        (
            "format = \"parquet\"",
            "logs.connection.format",
            "not supported yet",
        ),
        (
            "format = \"jsn\"",
            "logs.connection.format",
            "did you mean \"json\"?",
        ),
    ] {
        let message = message(&logs(text));
        assert!(
            message.starts_with(&format!("config/edge.toml: {key}: ")),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_command_finds_its_socket_in_a_configuration_that_is_wrong_elsewhere() {
    let read = |text: &str| read_control(Path::new("config/edge.toml"), text);
    let wrong = "[control]\nsocket = \"a.sock\"\n[limits]\nkey_value_store_bytes = 2_048\n\
        [[distributions]]\nmispelt = 1\n[logs]\nconnections = 7\n";
    assert!(parse_text(wrong).is_err());
    let access = read(wrong).unwrap();
    assert_eq!(access.socket, Path::new("config/a.sock"));
    assert_eq!(access.limits.key_value_store_bytes_max, 2_048);
    let refused = |text: &str| read(text).unwrap_err().to_string();
    for (text, told) in [
        (
            "[control]\nsockt = \"a.sock\"\n",
            "config/edge.toml: control.sockt: unknown key; did you mean \"socket\"? (line 2)",
        ),
        (
            "[control]\nsocket = \"\"\n",
            "config/edge.toml: control.socket: \"\" is no file name; give a path, relative to the folder of \
             this \
             file or absolute (line 2)",
        ),
        (
            "[limits]\nkey_value_store_bytes = 0\n[control]\nsocket = \"a.sock\"\n",
            "config/edge.toml: limits.key_value_store_bytes: 0 is out of range; give a number from 1024 to \
             1073741824 (line 2)",
        ),
        (
            "[admin]\naddress = \"127.0.0.1:9901\"\n",
            "config/edge.toml: control: there is no control socket to reach the server through; add \
             [control] with \
             socket = \"bothways.sock\" and restart the server",
        ),
    ] {
        assert_eq!(refused(text), told);
    }
    assert!(refused("[control\n").contains("this is not TOML"));
}
