#![allow(clippy::unwrap_used)]

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use proptest::prelude::*;

use super::*;

/// Takes so many bytes of each write in turn; 0 is an error. Past the list it takes all. Not a file, or one
/// that others cut.
#[derive(Debug, Default)]
struct Scripted {
    takes: std::collections::VecDeque<usize>,
    bytes: Vec<u8>,
    is_file: bool,
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

impl Output for Scripted {
    fn length(&self) -> Option<u64> {
        self.is_file.then_some(self.bytes.len() as u64)
    }

    fn last_byte(&self) -> Option<u8> {
        self.bytes.last().copied()
    }

    fn await_room(&self, _: Duration) -> bool {
        false
    }
}

fn scripted(takes: impl IntoIterator<Item = usize>) -> LineWriter<Scripted> {
    let output = Scripted {
        takes: takes.into_iter().collect(),
        ..Scripted::default()
    };
    LineWriter::new(output, Duration::ZERO)
}

fn file(takes: impl IntoIterator<Item = usize>) -> LineWriter<Scripted> {
    let mut writer = scripted(takes);
    writer.output.is_file = true;
    writer
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

#[test]
fn no_half_of_a_line_stands_first_in_a_file_that_was_cut_meanwhile() {
    let mut writer = file([6, 0]);
    writer.append(b"one\ntwo\n");
    writer.output.bytes.clear();
    let appended = writer.append(b"three\n");
    assert_eq!((appended.written, appended.dropped), (1, 1));
    assert_eq!(text(&writer), "three\n");
}

#[test]
fn a_file_that_was_cut_within_a_line_goes_on_with_the_next() {
    let mut writer = file([]);
    writer.append(b"one\ntwo\n");
    writer.output.bytes.truncate(6);
    assert_eq!(writer.append(b"three\n").written, 1);
    assert_eq!(text(&writer), "one\ntw\nthree\n");
    writer.output.bytes.truncate(4);
    writer.append(b"four\n");
    assert_eq!(text(&writer), "one\nfour\n");
}

#[test]
fn a_torn_line_behind_which_somebody_else_has_written_is_given_up() {
    let mut writer = file([6, 0]);
    writer.append(b"one\ntwo\n");
    writer.output.bytes.extend_from_slice(b" by hand");
    let appended = writer.append(b"three\n");
    assert_eq!((appended.written, appended.dropped), (1, 1));
    assert_eq!(text(&writer), "one\ntw by hand\nthree\n");
}

proptest! {
    #[test]
    fn whatever_fails_where_lines_stay_whole_and_every_one_is_counted_once(
        takes in proptest::collection::vec(0usize..9, 0..40),
        batches in proptest::collection::vec(proptest::collection::vec("[a-z]{0,6}", 0..5), 1..9),
        is_file in any::<bool>(),
    ) {
        let mut writer = scripted(takes);
        writer.output.is_file = is_file;
        let (mut written, mut dropped, mut sent) = (0, 0, Vec::new());
        for batch in batches {
            let lines: String = batch.iter().map(|line| format!("{line}\n")).collect();
            sent.extend(batch);
            let appended = writer.append(lines.as_bytes());
            written += appended.written;
            dropped += appended.dropped;
        }
        let rest = match &writer.first {
            First::Rest(rest) => String::from_utf8(rest.clone()).unwrap(),
            _ => String::new(),
        };
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

    #[test]
    fn whoever_cuts_the_file_whatever_fails_no_line_is_joined_with_another(
        takes in proptest::collection::vec(0usize..9, 0..40),
        batches in proptest::collection::vec((1usize..5, proptest::option::of(0usize..30)), 1..9),
    ) {
        let mut writer = file(takes);
        let (mut counted, mut sent) = (0, 0);
        for (lines, cut) in batches {
            let appended = writer.append("<line>\n".repeat(lines).as_bytes());
            counted += appended.written + appended.dropped;
            sent += lines as u64;
            if let Some(left) = cut {
                writer.output.bytes.truncate(left);
            }
        }
        prop_assert_eq!(counted + writer.give_up(), sent);
        for line in text(&writer).lines() {
            prop_assert!("<line>".starts_with(line), "{line} in {:?}", text(&writer));
        }
    }
}

#[test]
fn a_pipe_without_room_is_waited_for_so_long_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut reader = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)
        .unwrap();
    let mut writer = LineWriter::new(files::open_log(&fifo, 0o600).unwrap(), Duration::from_millis(20));
    let line = [b"x".repeat(9_999), b"\n".to_vec()].concat();
    let stuck = std::iter::repeat_with(|| writer.append(&line)).find(|appended| appended.error.is_some());
    assert_eq!(stuck.unwrap().error.unwrap().kind(), io::ErrorKind::WouldBlock);
    let mut read = Vec::new();
    let _all_that_is_there = reader.read_to_end(&mut read);
    writer.append(b"next\n");
    let _the_rest = reader.read_to_end(&mut read);
    let text = String::from_utf8(read).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.last(), Some(&"next"));
    assert!(lines.iter().all(|line| line.len() == 9_999 || *line == "next"));

    // Half a line is in the pipe when its reader goes; the next reader gets whole ones.
    let torn = std::iter::repeat_with(|| writer.append(&line)).find(|appended| appended.error.is_some());
    assert!(torn.is_some() && writer.has_torn_line());
    drop(reader);
    assert_eq!(writer.append(b"lost\n").dropped, 2);
    let mut reader = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)
        .unwrap();
    let _what_is_left = reader.read_to_end(&mut Vec::new());
    writer.append(b"again\n");
    let mut read = Vec::new();
    let _all_that_is_there = reader.read_to_end(&mut read);
    assert!(read.ends_with(b"\nagain\n"), "{read:?}");
}
