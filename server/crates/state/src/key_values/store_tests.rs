//! A store against its file: writes, reloads, edits by hand and restarts, in any order.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Arc<Store>,
}

fn text(items: &[(&str, &str)]) -> String {
    let entry = |(key, value): &(&str, &str)| format!("{{\"key\":{key:?},\"value\":{value:?}}}");
    format!(
        "{{\"data\":[{}]}}",
        items.iter().map(entry).collect::<Vec<_>>().join(",")
    )
}

fn store_of(items: &[(&str, &str)]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.json");
    fs::write(&path, text(items)).unwrap();
    let store = Arc::new(Store::load("s", &path, &StoreLimits::default(), NOW).unwrap());
    Fixture {
        _folder: folder,
        path,
        store,
    }
}

impl Store {
    fn write(
        self: &Arc<Self>,
        change: Change,
        if_match: Option<ETag>,
        now: SystemTime,
    ) -> Result<Arc<KeyValues>, WriteError> {
        self.prepare(change, if_match, now).map(Written::publish)
    }
}

fn put(key: &str, value: &str) -> Change {
    Change::Put {
        key: key.into(),
        value: value.into(),
    }
}

fn delete(key: &str) -> Change {
    Change::Delete { key: key.into() }
}

impl Fixture {
    fn write(&self, change: Change) -> Result<Arc<KeyValues>, WriteError> {
        self.store.write(change, None, NOW)
    }

    fn reload(&self) -> Result<(), LoadError> {
        self.store
            .reload(&StoreLimits::default())
            .map(|candidate| self.store.publish(&candidate))
    }

    fn restarted(&self) -> Arc<Store> {
        Arc::new(Store::load("s", &self.path, &StoreLimits::default(), NOW).unwrap())
    }

    fn holds(&self, items: &[(&str, &str)]) {
        assert_eq!(self.store.current().sorted(), items);
    }
}

#[test]
fn a_write_is_on_disk_and_seen_when_it_returns() {
    let fixture = store_of(&[("a", "1")]);
    let before = fixture.store.current();
    let after = fixture.write(put("b", "2")).unwrap();
    fixture.holds(&[("a", "1"), ("b", "2")]);
    assert_eq!(fixture.restarted().current().etag(), after.etag());
    assert_eq!(before.sorted(), [("a", "1")], "a generation never changes");
    assert_eq!(ETag::new(sha256(&fs::read(&fixture.path).unwrap())), after.etag());
    fixture.write(delete("a")).unwrap();
    fixture.holds(&[("b", "2")]);
}

#[test]
fn of_two_writers_with_one_etag_the_second_is_told() {
    let fixture = store_of(&[("a", "1")]);
    let etag = fixture.store.current().etag();
    let first = fixture.store.write(put("a", "2"), Some(etag), NOW).unwrap();
    let second = fixture.store.write(put("a", "3"), Some(etag), NOW).unwrap_err();
    assert!(
        matches!(second, WriteError::Conflict { current } if current == first.etag()),
        "{second}"
    );
    assert!(second.to_string().contains(&first.etag().to_string()));
    fixture.holds(&[("a", "2")]);
    fixture
        .store
        .write(put("a", "3"), Some(first.etag()), NOW)
        .unwrap();
    fixture.holds(&[("a", "3")]);
}

#[test]
fn an_import_replaces_all_or_is_merged() {
    let fixture = store_of(&[("a", "1"), ("b", "2")]);
    fixture
        .write(Change::Merge {
            import: text(&[("b", "3"), ("c", "")]).into(),
        })
        .unwrap();
    fixture.holds(&[("a", "1"), ("b", "3"), ("c", "")]);
    fixture
        .write(Change::Replace {
            import: text(&[("d", "4")]).into(),
        })
        .unwrap();
    fixture.holds(&[("d", "4")]);
    let refused = fixture
        .write(Change::Merge {
            import: text(&[("e", "5"), ("e", "6")]).into(),
        })
        .unwrap_err();
    assert!(
        refused.to_string().contains("entry 2: the key \"e\""),
        "{refused}"
    );
    fixture.holds(&[("d", "4")]);
}

#[test]
fn what_no_store_may_hold_cannot_be_written() {
    let fixture = store_of(&[("a", "1")]);
    let limits = StoreLimits {
        store_bytes_max: 80,
        key_bytes_max: 4,
        value_bytes_max: 40,
    };
    fixture.store.publish(&fixture.store.reload(&limits).unwrap());
    for (change, part) in [
        (put("", "1"), "the key is empty"),
        (put("abcde", "1"), "more than 4"),
        (put("b", &"x".repeat(41)), "more than 40"),
        (put("b", &"x".repeat(40)), "more than 80"),
        (delete("b"), "there is no key \"b\""),
        (
            Change::Replace {
                import: vec![b' '; 81],
            },
            "more than 80",
        ),
        (
            Change::Replace {
                import: b"{".to_vec(),
            },
            "an import file is",
        ),
    ] {
        let refused = fixture.write(change).unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}\n  wanted: {part}");
        fixture.holds(&[("a", "1")]);
    }
    assert_eq!(
        fs::read_to_string(&fixture.path).unwrap(),
        text(&[("a", "1")]),
        "never written"
    );
}

#[test]
fn a_file_edited_by_hand_is_not_written_over_before_a_reload() {
    let fixture = store_of(&[("a", "1")]);
    fs::write(&fixture.path, text(&[("hand", "made")])).unwrap();
    let refused = fixture.write(put("b", "2")).unwrap_err();
    assert!(matches!(refused, WriteError::ChangedOnDisk(_)), "{refused}");
    assert!(
        refused.to_string().contains("SIGHUP") && refused.to_string().contains("store.json"),
        "{refused}"
    );
    fixture.holds(&[("a", "1")]);
    fixture.reload().unwrap();
    fixture.write(put("b", "2")).unwrap();
    fixture.holds(&[("b", "2"), ("hand", "made")]);
}

#[test]
fn a_reload_does_not_undo_a_write_that_came_between() {
    let fixture = store_of(&[("a", "1")]);
    let limits = StoreLimits {
        value_bytes_max: 1,
        ..StoreLimits::default()
    };
    let candidate = fixture.store.reload(&limits).unwrap();
    fixture.write(put("b", "2")).unwrap();
    fixture.store.publish(&candidate);
    fixture.holds(&[("a", "1"), ("b", "2")]);
    assert!(
        fixture.write(put("c", "12")).is_err(),
        "the limits are the reload's"
    );
    fixture.write(put("c", "3")).unwrap();
}

#[test]
fn a_reload_that_changes_nothing_keeps_the_generation() {
    let fixture = store_of(&[("a", "1")]);
    let before = fixture.store.current();
    fixture.reload().unwrap();
    assert!(Arc::ptr_eq(&before, &fixture.store.current()));
    fixture.write(put("a", "2")).unwrap();
    fixture.reload().unwrap();
    assert_eq!(fixture.store.current().created(), before.created());
}

#[test]
fn a_file_that_cannot_be_used_keeps_the_generation() {
    let fixture = store_of(&[("a", "1")]);
    fs::write(&fixture.path, "{").unwrap();
    assert!(matches!(fixture.reload(), Err(LoadError::Import(_))));
    fs::remove_file(&fixture.path).unwrap();
    assert!(matches!(fixture.reload(), Err(LoadError::Unreadable(_))));
    assert!(matches!(fixture.write(put("b", "2")), Err(WriteError::Disk(..))));
    fixture.holds(&[("a", "1")]);
}

#[test]
fn writers_at_once_lose_nothing() {
    const THREADS: usize = 4;
    const EACH: usize = 10;
    let fixture = store_of(&[]);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let fixture = &fixture;
            scope.spawn(move || {
                for number in 0..EACH {
                    fixture.write(put(&format!("{thread}.{number}"), "")).unwrap();
                    let candidate = fixture.store.reload(&StoreLimits::default()).unwrap();
                    fixture.store.publish(&candidate);
                }
            });
        }
    });
    assert_eq!(fixture.store.current().len(), THREADS * EACH);
    assert_eq!(
        fixture.restarted().current().etag(),
        fixture.store.current().etag()
    );
}

#[test]
fn a_write_is_seen_when_it_is_published_and_the_next_one_waits_for_that() {
    let fixture = store_of(&[("a", "1")]);
    let (first, second) = (put("a", "2"), put("a", "3"));
    let written = fixture.store.prepare(first, None, NOW).unwrap();
    fixture.holds(&[("a", "1")]);
    assert!(fs::read_to_string(&fixture.path).unwrap().contains("\"2\""));
    std::thread::scope(|scope| {
        let next = scope.spawn(|| fixture.write(second));
        written.publish();
        next.join().unwrap().unwrap();
    });
    fixture.holds(&[("a", "3")]);
    drop(fixture.store.prepare(put("a", "4"), None, NOW).unwrap());
    let not_published = fixture.write(put("a", "5")).unwrap_err();
    assert!(
        matches!(not_published, WriteError::ChangedOnDisk(_)),
        "{not_published}"
    );
}

#[test]
fn a_store_in_memory_is_not_written() {
    let store = Arc::new(Store::new("s", KeyValues::new([], NOW, NOW)));
    assert!(matches!(
        store.write(put("a", ""), None, NOW),
        Err(WriteError::InMemory)
    ));
    store.publish(&store.reload(&StoreLimits::default()).unwrap());
}

/// An event in the life of a store. Keys are few, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, String),
    Delete(u8),
    Replace(BTreeMap<u8, String>),
    Merge(BTreeMap<u8, String>),
    /// A put by somebody whose ETag is out of date.
    Late(u8),
    EditByHand(BTreeMap<u8, String>),
    BeginReload,
    EndReload,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let items = || proptest::collection::btree_map(0..6_u8, "[a-c\"é\n]{0,3}", 0..5);
    prop_oneof![
        4 => (0..6_u8, "[a-c\"é\n]{0,3}").prop_map(|(key, value)| Step::Put(key, value)),
        3 => (0..6_u8).prop_map(Step::Delete),
        1 => items().prop_map(Step::Replace),
        1 => items().prop_map(Step::Merge),
        1 => (0..6_u8).prop_map(Step::Late),
        2 => items().prop_map(Step::EditByHand),
        3 => Just(Step::BeginReload),
        3 => Just(Step::EndReload),
        1 => Just(Step::Restart),
    ]
}

/// The expected contents of the store and of its file, and those that a reload under way would lead to.
#[derive(Default)]
struct Model {
    seen: BTreeMap<String, String>,
    on_disk: BTreeMap<String, String>,
    /// True if the file has the bytes that the store knows.
    is_known: bool,
    read: Option<BTreeMap<String, String>>,
    written_since_read: bool,
}

fn named(items: &BTreeMap<u8, String>) -> BTreeMap<String, String> {
    items
        .iter()
        .map(|(key, value)| (format!("k{key}"), value.clone()))
        .collect()
}

fn import(items: &BTreeMap<String, String>) -> Vec<u8> {
    let items = items
        .iter()
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    KeyValues::rendered(items.collect(), NOW, NOW).1.into_bytes()
}

impl Model {
    /// Judges a write that should lead to `next`.
    fn write(&mut self, next: Option<BTreeMap<String, String>>, written: Result<Arc<KeyValues>, WriteError>) {
        match (next, written) {
            (Some(next), Ok(_)) if self.is_known => {
                self.seen = next.clone();
                self.on_disk = next;
                self.written_since_read = true;
            }
            (Some(_), Err(WriteError::ChangedOnDisk(_))) if !self.is_known => {}
            (None, Err(WriteError::NoSuchKey(_) | WriteError::Conflict { .. })) => {}
            (next, written) => panic!("{next:?}: {written:?}"),
        }
    }
}

/// The entries as [`KeyValues::sorted`] lists them.
fn listed(entries: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let entries = entries.iter();
    entries
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_the_store_holds_what_the_model_says(
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let mut fixture = store_of(&[]);
        let mut model = Model { is_known: true, ..Model::default() };
        let mut candidate = None;
        for (number, step) in steps.into_iter().enumerate() {
            let mut next = model.seen.clone();
            match step {
                Step::Put(key, value) => {
                    next.insert(format!("k{key}"), value.clone());
                    model.write(Some(next), fixture.write(put(&format!("k{key}"), &value)));
                }
                Step::Delete(key) => {
                    let is_there = next.remove(&format!("k{key}")).is_some();
                    model.write(is_there.then_some(next), fixture.write(delete(&format!("k{key}"))));
                }
                Step::Replace(items) => {
                    let import = import(&named(&items));
                    model.write(Some(named(&items)), fixture.write(Change::Replace { import }));
                }
                Step::Merge(items) => {
                    next.extend(named(&items));
                    let import = import(&named(&items));
                    model.write(Some(next), fixture.write(Change::Merge { import }));
                }
                Step::Late(key) => {
                    let late = Some(ETag::new([7; 32]));
                    model.write(None, fixture.store.write(put(&format!("k{key}"), ""), late, NOW));
                }
                Step::EditByHand(items) => {
                    // In a form that no write has.
                    let mut text = import(&named(&items));
                    text.extend(format!("{number:40}").replace(|c: char| c.is_ascii_digit(), "\t").bytes());
                    text.extend(vec![b' '; number]);
                    fs::write(&fixture.path, text).unwrap();
                    model.on_disk = named(&items);
                    model.is_known = false;
                }
                Step::BeginReload => {
                    candidate = Some(fixture.store.reload(&StoreLimits::default()).unwrap());
                    model.read = Some(model.on_disk.clone());
                    model.written_since_read = false;
                }
                Step::EndReload => {
                    if let (Some(candidate), Some(read)) = (candidate.take(), model.read.take()) {
                        fixture.store.publish(&candidate);
                        if !model.written_since_read {
                            model.seen = read;
                            // Whether somebody has edited the file since it was read, the store finds out.
                            let on_disk = file::read(&fixture.path, 10_000).unwrap();
                            model.is_known = candidate.next.file == on_disk.digest;
                        }
                    }
                }
                Step::Restart => {
                    fixture.store = fixture.restarted();
                    candidate = None;
                    model.read = None;
                    model.seen = model.on_disk.clone();
                    model.is_known = true;
                }
            }
            let seen = listed(&model.seen);
            let (current, restarted) = (fixture.store.current(), fixture.restarted().current());
            prop_assert_eq!(current.sorted(), seen);
            prop_assert_eq!(restarted.sorted(), listed(&model.on_disk));
        }
    }
}
