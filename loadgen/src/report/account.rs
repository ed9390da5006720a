//! The account of a run: what became of every operation that was asked for, and the check that the numbers
//! add up.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::counts::Operations;
use super::text::count;
use crate::load::account::Account;

/// `asked` = `ok` + `failed` + `not_resumed` + `in_flight` + `not_started`, always.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountReport {
    /// Operations that were due, or begun by a client that was free.
    pub asked: u64,
    /// Ended as expected while the run lasted.
    pub ok: u64,
    /// Ended otherwise while the run lasted.
    pub failed: u64,
    /// Ended by a full handshake in place of a resumed one.
    pub not_resumed: u64,
    /// Begun, and not ended when the run did.
    pub in_flight: u64,
    /// Due, and never begun.
    pub not_started: u64,
    /// The check of the above. `false` is a fault of the generator, whose figures are then worth nothing.
    pub balanced: bool,
}

impl AccountReport {
    /// The report of an account, with the check that its numbers add up.
    pub fn of(account: &Account) -> Self {
        let Account {
            asked,
            ok,
            failed,
            not_resumed,
            in_flight,
            not_started,
        } = *account;
        AccountReport {
            asked,
            ok,
            failed,
            not_resumed,
            in_flight,
            not_started,
            balanced: account.missing() == 0,
        }
    }

    /// The account of the whole run: operations counted as they ended must be those of the phases, too.
    pub fn of_run(account: &Account, window: &Operations, warm_up: &Operations) -> Self {
        let ended = [
            (account.ok, window.ok + warm_up.ok),
            (account.failed, window.failed + warm_up.failed),
            (account.not_resumed, window.not_resumed + warm_up.not_resumed),
        ];
        let mut report = AccountReport::of(account);
        report.balanced &= ended.iter().all(|(by_phase, by_part)| by_phase == by_part);
        report
    }

    /// Writes the lines of the table on the account.
    pub fn render(&self, out: &mut String) -> fmt::Result {
        write!(out, "asked for      {} operations", count(self.asked))?;
        write!(out, " = {} ok + {} failed", count(self.ok), count(self.failed))?;
        if self.not_resumed > 0 {
            write!(out, " + {} not resumed", count(self.not_resumed))?;
        }
        write!(out, " + {} in flight", count(self.in_flight))?;
        writeln!(
            out,
            " + {} not started; warm-up included",
            count(self.not_started)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            asked: 10,
            ok: 5,
            failed: 1,
            not_resumed: 1,
            in_flight: 2,
            not_started: 1,
        }
    }

    #[test]
    fn an_account_that_does_not_add_up_is_told() {
        assert!(AccountReport::of(&account()).balanced);
        let lost = Account {
            asked: 11,
            ..account()
        };
        assert!(!AccountReport::of(&lost).balanced);
        let twice = Account { ok: 6, ..account() };
        assert!(!AccountReport::of(&twice).balanced);
    }

    #[test]
    fn operations_that_ended_are_those_of_window_and_warm_up() {
        let operations = |ok, failed, not_resumed| Operations {
            ok,
            failed,
            not_resumed,
            ..Operations::default()
        };
        let (window, warm_up) = (operations(3, 1, 1), operations(2, 0, 0));
        assert!(AccountReport::of_run(&account(), &window, &warm_up).balanced);
        assert!(!AccountReport::of_run(&account(), &window, &window).balanced);
    }
}
