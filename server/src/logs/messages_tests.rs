#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;

/// An output that fails as it is told to; each write waits for its turn.
#[derive(Clone, Debug, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    written: Vec<u8>,
    faults: VecDeque<io::ErrorKind>,
}

impl Fake {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
    }

    fn fail(&self, kind: io::ErrorKind, times: usize) {
        self.0
            .lock()
            .unwrap()
            .faults
            .extend(std::iter::repeat_n(kind, times));
    }
}

impl Write for Fake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        match state.faults.pop_front() {
            Some(kind) => Err(kind.into()),
            None => state.written.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for Fake {
    fn length(&self) -> Option<u64> {
        None
    }

    fn last_byte(&self) -> Option<u8> {
        None
    }

    fn await_room(&self, _: Duration) -> bool {
        false
    }
}

const LONG: Duration = Duration::from_secs(60);

fn started() -> (Messages, Fake) {
    let (messages, unwritten) = Messages::new();
    let output = Fake::default();
    let far_end = output.clone();
    thread::spawn(move || unwritten.run(far_end));
    (messages, output)
}

#[test]
fn messages_from_before_the_thread_are_written_first() {
    let (messages, unwritten) = Messages::new();
    messages.push(b"early\n");
    let output = Fake::default();
    let far_end = output.clone();
    thread::spawn(move || unwritten.run(far_end));
    messages.push(b"later\n");
    assert!(messages.flush(LONG));
    assert_eq!(output.text(), "early\nlater\n");
}

#[test]
fn a_message_is_one_line_whatever_it_contains() {
    let (messages, output) = started();
    messages.push(b"first\nINFO forged\n");
    messages.push(b"without an end");
    messages.push("ä".repeat(MESSAGE_BYTES_MAX).as_bytes());
    assert!(messages.flush(LONG));
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.get(..2).unwrap(), [r"first\nINFO forged", "without an end"]);
    assert_eq!(lines.len(), 3);
    assert!(lines.last().unwrap().ends_with("… (cut)"));
}

#[test]
fn nobody_waits_for_a_queue_that_is_full_and_what_it_cannot_take_is_counted() {
    let (messages, _nobody_writes) = Messages::new();
    let more = 7;
    (0..QUEUE_MESSAGES_MAX + more).for_each(|_| messages.push(b"x\n"));
    let drops = messages.drops();
    assert_eq!(drops.of(DropReason::QueueFull).get(), more as u64);
    assert!(!messages.flush(Duration::from_millis(1)));
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let (messages, _nobody_writes) = Messages::new();
    let message = vec![b'x'; MESSAGE_BYTES_MAX];
    (0..2 * QUEUE_BYTES_MAX / MESSAGE_BYTES_MAX).for_each(|_| messages.push(&message));
    assert!(messages.waiting.bytes.load(Relaxed) <= QUEUE_BYTES_MAX);
    assert!(messages.drops().total() >= (QUEUE_BYTES_MAX / MESSAGE_BYTES_MAX) as u64);
}

#[test]
fn what_was_lost_is_told_when_messages_can_be_written_again() {
    for kind in [
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::StorageFull,
        io::ErrorKind::WouldBlock,
        io::ErrorKind::Other,
    ] {
        let (messages, output) = started();
        // The message, and the word about it.
        output.fail(kind, 2);
        messages.push(b"lost\n");
        assert!(messages.flush(LONG));
        assert_eq!(messages.drops().of(DropReason::SinkError).get(), 1, "{kind}");
        messages.push(b"heard\n");
        assert!(messages.flush(LONG));
        assert!(output.text().starts_with("heard\n"), "{kind}: {}", output.text());
    }
    let mut told = Told::default();
    let start = Instant::now();
    assert_eq!(told.next(0, start), None);
    assert_eq!(told.next(3, start), Some(3));
    assert_eq!(told.next(4, start), None, "it failed, and is not due again");
    assert_eq!(told.next(5, start + TELL_EVERY), Some(5));
    told.tell(5);
    assert!(told.are_all());
}
