#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;

/// Takes so many bytes of each write in turn; 0 is an error. Past the list it takes all.
#[derive(Debug, Default)]
struct Scripted {
    takes: std::collections::VecDeque<usize>,
    bytes: Vec<u8>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.takes.pop_front() {
            Some(0) => Err(io::ErrorKind::StorageFull.into()),
            taken => {
                let taken = taken.unwrap_or(usize::MAX).min(bytes.len());
                self.bytes.extend(bytes.iter().take(taken));
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scripted(takes: impl IntoIterator<Item = usize>) -> LineWriter<Scripted> {
    LineWriter::new(Scripted {
        takes: takes.into_iter().collect(),
        ..Scripted::default()
    })
}

fn text(writer: &LineWriter<Scripted>) -> &str {
    std::str::from_utf8(&writer.output.bytes).unwrap()
}

#[test]
fn a_line_torn_by_an_error_is_finished_before_the_next() {
    let mut writer = scripted([6, 0]);
    let appended = writer.append(b"one\ntwo\nthree\n");
    assert!(appended.error.is_some());
    assert_eq!((appended.written, appended.dropped), (1, 1));
    assert_eq!(text(&writer), "one\ntw");

    let appended = writer.append(b"four\n");
    assert!(appended.error.is_none());
    assert_eq!((appended.written, appended.dropped), (2, 0));
    assert_eq!(text(&writer), "one\ntwo\nfour\n");
}

#[test]
fn an_error_between_lines_leaves_nothing_to_finish() {
    let mut writer = scripted([4, 0]);
    let appended = writer.append(b"one\ntwo\n");
    assert_eq!((appended.written, appended.dropped), (1, 1));
    assert_eq!(writer.give_up(), 0);
    assert_eq!(writer.append(b"three\n").written, 1);
    assert_eq!(text(&writer), "one\nthree\n");
}

#[test]
fn a_torn_line_that_is_given_up_counts_as_lost() {
    let mut writer = scripted([2, 0]);
    assert_eq!(writer.append(b"one\n").dropped, 0);
    assert_eq!(writer.give_up(), 1);
    assert_eq!(writer.give_up(), 0);
}

proptest! {
    #[test]
    fn whatever_fails_where_lines_stay_whole_and_every_record_is_counted_once(
        takes in proptest::collection::vec(0usize..9, 0..40),
        batches in proptest::collection::vec(proptest::collection::vec("[a-z]{0,6}", 0..5), 1..9),
    ) {
        let mut writer = scripted(takes);
        let (mut written, mut dropped, mut sent) = (0, 0, Vec::new());
        for batch in batches {
            let lines: String = batch.iter().map(|line| format!("{line}\n")).collect();
            sent.extend(batch);
            let appended = writer.append(lines.as_bytes());
            written += appended.written;
            dropped += appended.dropped;
        }
        let rest = String::from_utf8(writer.rest.clone()).unwrap();
        dropped += writer.give_up();
        prop_assert_eq!(written + dropped, sent.len() as u64);
        // With a torn line's rest added, what was written is some of the lines, whole and in order.
        let whole = format!("{}{rest}", text(&writer));
        prop_assert!(whole.is_empty() || whole.ends_with('\n'));
        let mut expected = sent.iter();
        for line in whole.lines() {
            prop_assert!(expected.any(|sent| sent == line), "{line} in {whole:?}");
        }
    }
}

#[test]
fn a_file_is_made_for_its_owner_and_group_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connection.log");
    Sink::File(path.clone()).open().unwrap();
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !FILE_MODE, 0);
}

#[test]
fn a_missing_folder_is_an_error_that_names_key_path_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/connection.log");
    let message = Sink::File(path.clone()).open().unwrap_err().to_string();
    assert!(message.starts_with("logs.connection.sink: cannot append to "));
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert!(message.ends_with("create its folder first"), "{message}");
}

#[test]
fn half_a_line_left_by_a_killed_server_does_not_join_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connection.log");
    fs::write(&path, "whole\nhal").unwrap();
    let mut sink = Sink::File(path.clone()).open().unwrap();
    sink.append(b"next\n");
    drop(sink);
    let mut sink = Sink::File(path.clone()).open().unwrap();
    sink.append(b"last\n");
    assert_eq!(fs::read_to_string(path).unwrap(), "whole\nhal\nnext\nlast\n");
}

#[test]
fn a_full_disk_drops_and_a_path_made_good_takes_lines_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connection.log");
    symlink("/dev/full", &path).unwrap();
    let mut sink = Sink::File(path.clone()).open().unwrap();
    let appended = sink.append(b"one\ntwo\n");
    assert_eq!((appended.written, appended.dropped), (0, 2));
    assert_eq!(appended.error.unwrap().kind(), io::ErrorKind::StorageFull);
    assert_eq!(sink.append(b"three\n").dropped, 1);

    fs::remove_file(&path).unwrap();
    let appended = sink.append(b"four\n");
    assert_eq!((appended.written, appended.dropped), (1, 0));
    assert_eq!(fs::read_to_string(path).unwrap(), "four\n");
}

#[test]
fn a_path_that_cannot_be_opened_again_leaves_the_old_file_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let mut sink = Sink::File(inner.join("connection.log")).open().unwrap();
    let moved = folder.path().join("moved");
    fs::rename(&inner, &moved).unwrap();
    assert!(sink.reopen().is_err());
    assert_eq!(sink.append(b"one\n").written, 1);
    assert_eq!(fs::read_to_string(moved.join("connection.log")).unwrap(), "one\n");
}
