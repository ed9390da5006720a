//! The one answer to a change, and the number of changes that may wait for theirs.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Sending end of an answer. Dropped without one, it says that the server is about to end.
pub(super) struct Asker<T> {
    answer: Sender<T>,
    _place: Arc<()>,
}

impl<T> Asker<T> {
    pub(super) fn tell(self, answer: T) {
        let _nobody_may_wait_any_more = self.answer.send(answer);
    }
}

/// Places for changes that are asked for and not yet answered. The count of the `Arc` is the count of them.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<()>);

impl Places {
    pub(super) fn take<T>(&self) -> Result<(Asker<T>, Receiver<T>), TooMany> {
        let place = self.0.clone();
        // Every handle has one too. Two that ask at once may both be refused at the last place; that is well.
        if Arc::strong_count(&place) > WAITING_MAX {
            return Err(TooMany);
        }
        let (answer, answered) = bounded(1);
        let asker = Asker {
            answer,
            _place: place,
        };
        Ok((asker, answered))
    }
}

/// Refusal of a change: too many wait for their turn, or for their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many commands are under way; try again")
    }
}

impl std::error::Error for TooMany {}

/// Changes that were asked for and are not answered yet, those included whose asker has gone. Many times what
/// the control socket lets in at once; some hundred bytes each.
const WAITING_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_until_the_answer_is_given_also_where_nobody_waits_for_it() {
        let places = Places::default();
        let mut askers: Vec<Asker<()>> = Vec::new();
        while let Ok((asker, _has_gone)) = places.take() {
            askers.push(asker);
        }
        assert_eq!(askers.len(), WAITING_MAX - 1, "and the handle");
        let (first, second) = (askers.pop(), askers.pop());
        first.unwrap().tell(());
        let (asker, answer) = places.take().unwrap();
        assert!(places.take::<()>().is_err());
        drop(second);
        assert!(places.take::<()>().is_ok());
        asker.tell(7);
        assert_eq!(answer.recv(), Ok(7));
    }
}
