//! Turns: which change is begun, and which waits for one before it. No thread, no clock.

use std::collections::VecDeque;

use super::order::{Order, Subject};

/// The changes that wait, by subject. A lane is there for as long as a change of its subject is under way.
#[derive(Default)]
pub(super) struct Queue {
    lanes: Vec<Lane>,
}

struct Lane {
    subject: Subject,
    waiting: VecDeque<Order>,
}

/// Turn of a change that is asked for.
pub(super) enum Turn {
    /// Begins now.
    Now(Order),
    /// Begins after the changes of its subject that were asked for before it.
    Waits,
    /// Answered together with a change that waits already, which reads everything when it begins.
    Joined,
}

impl Queue {
    pub(super) fn ask(&mut self, order: Order) -> Turn {
        let subject = order.subject();
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.subject == subject) else {
            let waiting = VecDeque::new();
            self.lanes.push(Lane { subject, waiting });
            return Turn::Now(order);
        };
        let left = lane
            .waiting
            .iter_mut()
            .try_fold(order, |order, waiting| waiting.join(order));
        let Some(order) = left else {
            return Turn::Joined;
        };
        lane.waiting.push_back(order);
        Turn::Waits
    }

    /// Notes that the change of `subject` that was under way has ended. Gives the next one, to be begun now.
    pub(super) fn done(&mut self, subject: &Subject) -> Option<Order> {
        let at = self.lanes.iter().position(|lane| lane.subject == *subject)?;
        let next = self.lanes.get_mut(at)?.waiting.pop_front();
        if next.is_none() {
            self.lanes.swap_remove(at);
        }
        next
    }

    /// Drops the changes of `subject` that wait.
    pub(super) fn clear(&mut self, subject: &Subject) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.subject == *subject) {
            lane.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::Receiver;

    use super::*;
    use crate::operations::asker::Places;
    use crate::operations::publish::PublishOrder;
    use crate::operations::reload::{ReloadOrder, Reloaded};
    use crate::operations::testing::{store, write};

    fn reload() -> (Order, Receiver<Reloaded>) {
        let (asker, answer) = Places::default().take().unwrap();
        (Order::Reload(ReloadOrder::of(asker)), answer)
    }

    fn publish(name: &str) -> Order {
        let (asker, _) = Places::default().take().unwrap();
        let name = name.to_owned();
        Order::Publish(PublishOrder { name, asker })
    }

    /// Names the change that is to be begun.
    fn begun(turn: Turn) -> Option<String> {
        match turn {
            Turn::Now(order) => Some(name(&order)),
            Turn::Waits | Turn::Joined => None,
        }
    }

    fn name(order: &Order) -> String {
        match order {
            Order::Reload(_) => "reload".to_owned(),
            Order::Publish(order) => order.name.clone(),
            Order::Write(order) => order.write.store.name().to_owned(),
            Order::Reopen(_) => "reopen".to_owned(),
        }
    }

    #[test]
    fn changes_of_the_snapshot_take_turns_in_the_order_in_which_they_were_asked_for() {
        let mut queue = Queue::default();
        assert_eq!(begun(queue.ask(publish("a"))).as_deref(), Some("a"));
        for order in [publish("b"), reload().0, publish("c"), publish("c")] {
            assert!(matches!(queue.ask(order), Turn::Waits));
        }
        let mut order = Vec::new();
        while let Some(next) = queue.done(&Subject::Snapshot) {
            order.push(name(&next));
        }
        assert_eq!(order, ["b", "reload", "c", "c"]);
        assert_eq!(
            begun(queue.ask(publish("d"))).as_deref(),
            Some("d"),
            "nothing is left"
        );
    }

    #[test]
    fn reloads_that_wait_are_one_and_the_one_under_way_is_not_joined() {
        let mut queue = Queue::default();
        let (first, begun_before) = reload();
        let Turn::Now(_under_way) = queue.ask(first) else {
            panic!("nothing is under way");
        };
        let (second, answer) = reload();
        assert!(matches!(queue.ask(second), Turn::Waits));
        assert!(matches!(queue.ask(publish("a")), Turn::Waits));
        let (third, answer_too) = reload();
        assert!(matches!(queue.ask(third), Turn::Joined));
        assert_eq!(
            queue.done(&Subject::Snapshot).as_ref().map(name).as_deref(),
            Some("reload")
        );
        assert!(begun_before.try_recv().is_err());
        // The order of both was dropped with what `done` gave, so neither waits any more.
        assert!(answer.recv().is_err() && answer_too.recv().is_err());
        assert_eq!(
            queue.done(&Subject::Snapshot).as_ref().map(name).as_deref(),
            Some("a")
        );
    }

    #[test]
    fn a_write_waits_for_writes_of_its_store_and_for_nothing_else() {
        let mut queue = Queue::default();
        let (_folder, first) = store("first");
        let (_other_folder, second) = store("second");
        assert!(begun(queue.ask(reload().0)).is_some());
        assert_eq!(begun(queue.ask(write(&first, "k"))).as_deref(), Some("first"));
        assert_eq!(begun(queue.ask(write(&second, "k"))).as_deref(), Some("second"));
        assert!(matches!(queue.ask(write(&first, "l")), Turn::Waits));
        assert!(queue.done(&Subject::Store(second.clone())).is_none());
        assert!(queue.done(&Subject::Store(first.clone())).is_some());
        assert!(queue.done(&Subject::Store(first)).is_none());
        assert!(queue.done(&Subject::Store(second)).is_none(), "not under way");
    }

    #[test]
    fn what_waits_for_the_snapshot_can_be_given_up_and_writes_go_on() {
        let mut queue = Queue::default();
        let (_folder, store) = store("s");
        let (waiting, answer) = reload();
        for order in [publish("a"), waiting, write(&store, "k"), write(&store, "l")] {
            queue.ask(order);
        }
        queue.clear(&Subject::Snapshot);
        assert!(answer.recv().is_err());
        assert!(queue.done(&Subject::Snapshot).is_none());
        assert!(queue.done(&Subject::Store(store)).is_some());
    }
}
