#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use bothways_state::key_values::{Store, StoreLimits};
use crossbeam_channel::{Receiver, Sender};

use super::*;
use crate::operations::{ReloadReport, Reloaded, testing};

struct Fixture {
    folder: tempfile::TempDir,
    server: ControlServer,
    store: Arc<Store>,
    reload: Sender<Reloaded>,
    reload_begun: Receiver<()>,
}

struct OneStore(Arc<Store>);

impl Questions for OneStore {
    fn stores(&self) -> Vec<Arc<Store>> {
        vec![self.0.clone()]
    }

    fn connections(&self, _wanted: &ConnectionsWanted) -> Result<Connections, CommandRefused> {
        Ok(Connections::default())
    }
}

/// A reload ends when the test says so.
fn serve(limit: Duration) -> Fixture {
    let (folder, store) = testing::store("s");
    let (reload, reloads) = crossbeam_channel::unbounded();
    let (begun, reload_begun) = crossbeam_channel::unbounded();
    let backend = Backend {
        operations: testing::without_a_server(reloads, begun),
        questions: Arc::new(OneStore(store.clone())),
    };
    let socket = ControlSocket::bind(&folder.path().join("c.sock")).unwrap();
    let server = socket.serve_within(backend, limit).unwrap();
    Fixture {
        folder,
        server,
        store,
        reload,
        reload_begun,
    }
}

impl Fixture {
    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.server.path()).unwrap()
    }

    /// Sends the bytes as they are and reads the reply.
    fn exchange(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect();
        let _the_server_may_have_heard_enough = stream.write_all(bytes.as_ref());
        read_reply(&mut stream)
    }

    fn ask(&self, request: &Request, payload: &[u8]) -> Reply {
        send(&self.server.path(), request, payload).unwrap()
    }

    fn put(&self, key: &str, value: &str, if_match: Option<String>) -> Reply {
        let (store, key, value) = ("s".to_owned(), key.to_owned(), value.to_owned());
        self.ask(
            &Request::Put {
                store,
                key,
                value,
                if_match,
            },
            b"",
        )
    }

    fn import(&self, merge: bool, text: &str) -> Reply {
        let (store, bytes, if_match) = ("s".to_owned(), text.len(), None);
        self.ask(
            &Request::Import {
                store,
                bytes,
                merge,
                if_match,
            },
            text.as_bytes(),
        )
    }
}

fn read_reply(stream: &mut UnixStream) -> Reply {
    let mut text = String::new();
    let _a_reset_follows_what_was_not_read = stream.read_to_string(&mut text);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn refusal(reply: &Reply, code: RefusalCode) -> &str {
    assert_eq!((reply.ok, reply.error), (false, Some(code)), "{reply:?}");
    reply.message.as_deref().unwrap()
}

#[test]
fn a_value_is_put_read_listed_and_deleted() {
    let fixture = serve(TIME_LIMIT);
    let (store, key) = ("s".to_owned(), "k\n".to_owned());
    let put = fixture.put("k\n", "v\u{0}", None);
    assert!(
        put.ok && put.etag == Some(fixture.store.current().etag().to_string()),
        "{put:?}"
    );
    let get = fixture.ask(
        &Request::Get {
            store: store.clone(),
            key: key.clone(),
        },
        b"",
    );
    assert_eq!((get.value.as_deref(), get.etag), (Some("v\u{0}"), put.etag));
    let list = fixture
        .ask(&Request::List { store: store.clone() }, b"")
        .items
        .unwrap();
    let keys: Vec<&str> = list.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys, ["a", "k\n"]);
    let describe = fixture.ask(&Request::Describe { store: store.clone() }, b"");
    assert_eq!(
        (describe.item_count, describe.total_size_in_bytes),
        (Some(2), Some(6))
    );
    assert!(describe.import.unwrap().ends_with("store.json"));
    let delete = Request::Delete {
        store: store.clone(),
        key: key.clone(),
        if_match: None,
    };
    assert!(fixture.ask(&delete, b"").ok);
    refusal(&fixture.ask(&delete, b""), RefusalCode::NoSuchKey);
    refusal(
        &fixture.ask(&Request::Get { store, key }, b""),
        RefusalCode::NoSuchKey,
    );
}

#[test]
fn an_etag_that_is_out_of_date_is_told_with_the_current_one() {
    let fixture = serve(TIME_LIMIT);
    let first = fixture.store.current().etag().to_string();
    let second = fixture.put("a", "2", Some(first.clone())).etag.unwrap();
    let late = fixture.put("a", "3", Some(first));
    assert!(refusal(&late, RefusalCode::EtagMismatch).contains(&second));
    assert_eq!(late.etag, Some(second));
    refusal(
        &fixture.put("a", "3", Some("not one".to_owned())),
        RefusalCode::BadRequest,
    );
}

#[test]
fn an_import_follows_its_line() {
    let fixture = serve(TIME_LIMIT);
    let text = "{\"data\":\n[{\"key\":\"b\",\"value\":\"\"}]}";
    assert!(fixture.import(true, text).ok);
    assert_eq!(fixture.store.current().len(), 2);
    assert!(fixture.import(false, text).ok);
    assert_eq!(fixture.store.current().sorted(), [("b", "")]);
    let bad = fixture.import(false, "{\"data\":[{\"key\":\"b\"}]}");
    assert!(
        refusal(&bad, RefusalCode::InvalidData).contains("entry 1"),
        "{bad:?}"
    );
    let large = " ".repeat(StoreLimits::default().store_bytes_max + 1);
    let refused = fixture.import(false, &large);
    assert!(refusal(&refused, RefusalCode::BadRequest).contains("limits.key_value_store_bytes"));
    let line = r#"{"command":"kvs import","store":"s","bytes":2}"#;
    refusal(&fixture.exchange(format!("{line}\n123")), RefusalCode::BadRequest);
}

#[test]
fn what_is_no_request_is_told_so() {
    let fixture = serve(TIME_LIMIT);
    for bytes in [
        "\n",
        "[]\n",
        "{\"command\":\"kvs get\"}\n",
        "\u{1}\u{2}\n",
        "{\"command\":\"kvs list\",\"store\":7}\n",
    ] {
        refusal(&fixture.exchange(bytes), RefusalCode::BadRequest);
    }
    let endless = fixture.exchange("x".repeat(100_000));
    assert!(
        refusal(&endless, RefusalCode::BadRequest).contains("more than"),
        "{endless:?}"
    );
    let stranger = fixture.exchange("{\"command\":\"kvs list\",\"store\":\"t\"}\n");
    assert!(refusal(&stranger, RefusalCode::NoSuchStore).contains("\"s\""));
}

#[test]
fn a_function_is_published_by_its_name() {
    let fixture = serve(TIME_LIMIT);
    let publish = |name: &str| {
        fixture.ask(
            &Request::PublishFunction {
                name: name.to_owned(),
            },
            b"",
        )
    };
    assert_eq!(publish("good").message.as_deref(), Some("published"));
    assert!(refusal(&publish("bad"), RefusalCode::NoSuchFunction).contains("\"bad\""));
}

#[test]
fn silent_clients_are_put_out_and_others_served() {
    let fixture = serve(Duration::from_secs(2));
    let mut silent: Vec<UnixStream> = (0..COMMANDS_MAX / 2).map(|_| fixture.connect()).collect();
    assert!(fixture.put("k", "", None).ok);
    for stream in &mut silent {
        refusal(&read_reply(stream), RefusalCode::BadRequest);
    }
}

#[test]
fn one_stuck_client_keeps_nobody_waiting() {
    let fixture = serve(Duration::from_secs(600));
    let _silent = fixture.connect();
    let mut half = fixture.connect();
    half.write_all(b"{\"command\":\"kvs import\",\"store\":\"s\",\"bytes\":9}\n")
        .unwrap();
    assert!(fixture.put("k", "", None).ok);
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let fixture = serve(TIME_LIMIT);
    let mut stream = fixture.connect();
    for byte in b"{\"command\":\"kvs get\",\"store\":\"s\",\"key\":\"a\"}\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_reply(&mut stream).value.as_deref(), Some("1"));
}

#[test]
fn stopping_waits_for_no_silent_client_and_removes_the_socket() {
    let fixture = serve(Duration::from_secs(600));
    let silent: Vec<UnixStream> = (0..COMMANDS_MAX).map(|_| fixture.connect()).collect();
    let (folder, path) = (fixture.folder, fixture.server.path());
    drop(fixture.server);
    drop(silent);
    assert!(!path.exists());
    assert!(matches!(
        send(&path, &Request::List { store: String::new() }, b""),
        Err(ClientError::NoServer { .. })
    ));
    ControlSocket::bind(&path).unwrap();
    drop(folder);
}

fn reloaded(generation: u64) -> Reloaded {
    Ok(ReloadReport {
        generation,
        distributions: 2,
        revocation_entries: [("new", 7, None), ("partners", 7, Some(6)), ("same", 1, Some(1))]
            .map(|(store, now, before)| (store.to_owned(), now, before))
            .to_vec(),
    })
}

#[test]
fn a_reload_is_answered_when_it_has_ended_with_what_it_has_published() {
    let fixture = serve(TIME_LIMIT);
    fixture.reload.send(reloaded(5)).unwrap();
    let reply = fixture.ask(&Request::Reload { timeout_ms: 60_000 }, b"");
    assert_eq!(
        (reply.ok, reply.generation, reply.distributions),
        (true, Some(5), Some(2))
    );
    let entries = [("new", 7), ("partners", 7), ("same", 1)].map(|(store, now)| (store.to_owned(), now));
    assert_eq!(reply.revocation_entries, Some(BTreeMap::from(entries)));
    assert_eq!(
        reply.message.as_deref(),
        Some(
            "reload published: generation 5; distributions: 2; \
             revocation entries: new 7 (new), partners 7 (before: 6), same 1"
        )
    );
    fixture.reload.send(Err("it is broken".to_owned())).unwrap();
    let refused = fixture.ask(&Request::Reload { timeout_ms: 60_000 }, b"");
    assert_eq!(refusal(&refused, RefusalCode::ReloadRefused), "it is broken");
    let late = fixture.ask(&Request::Reload { timeout_ms: 10 }, b"");
    assert!(refusal(&late, RefusalCode::Timeout).starts_with("the reload has not ended after 10ms: "));
    let reply = fixture.exchange("{\"command\":\"logs reopen\"}\n");
    assert_eq!(reply.message.as_deref(), Some("reopened"));
}

#[test]
fn commands_that_wait_leave_room_for_others_and_go_with_their_clients() {
    let fixture = serve(TIME_LIMIT);
    let line = b"{\"command\":\"reload\",\"timeout_ms\":3600000}\n";
    let wait = |_| {
        let mut stream = fixture.connect();
        stream.write_all(line).unwrap();
        stream
    };
    let await_commands = |count| {
        while *fixture.server.shared.commands.lock().unwrap() != count {
            thread::yield_now();
        }
    };
    let mut waiting: Vec<UnixStream> = (1..COMMANDS_MAX).map(wait).collect();
    await_commands(COMMANDS_MAX - 1);
    assert!(fixture.put("k", "", None).ok, "one place is left");
    await_commands(COMMANDS_MAX - 1);
    waiting.push(wait(0));
    await_commands(COMMANDS_MAX);
    refusal(&fixture.exchange(""), RefusalCode::Busy);
    drop(waiting);
    await_commands(0);
    assert!(fixture.put("k", "", None).ok);
}

#[test]
fn the_end_is_told_to_whoever_waits() {
    let fixture = serve(TIME_LIMIT);
    let path = fixture.server.path();
    let waiting = thread::spawn(move || {
        send(
            &path,
            &Request::Reload {
                timeout_ms: 3_600_000,
            },
            b"",
        )
        .unwrap()
    });
    fixture.reload_begun.recv().unwrap();
    drop(fixture.server);
    refusal(&waiting.join().unwrap(), RefusalCode::Ending);
}
