#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::process::Command;

use super::*;

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

#[test]
fn a_fifo_is_not_waited_for_and_gets_records_from_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut sink = Sink::File(path.clone()).open().unwrap();
    let appended = sink.append(b"one\ntwo\n");
    assert_eq!((appended.written, appended.dropped), (0, 2));
    assert_eq!(appended.error.unwrap().raw_os_error(), Some(libc::ENXIO));

    let read = || {
        let mut options = File::options();
        options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .unwrap()
    };
    let mut reader = read();
    assert_eq!(sink.append(b"three\n").written, 1);
    let mut text = [0; 6];
    reader.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"three\n");

    drop(reader);
    assert_eq!(sink.append(b"four\n").dropped, 1);
    let mut reader = read();
    assert_eq!(sink.append(b"five.\n").written, 1);
    reader.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"five.\n");
}

#[test]
fn what_can_be_no_log_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(Sink::File(socket).open().is_err());
    assert!(Sink::File(folder.path().to_owned()).open().is_err());
}
