//! The compute utilization of a call.

use std::fmt;
use std::time::Duration;

use bothways_functions::Function;
use serde::{Serialize, Serializer};

/// Time that a call took, of the time that it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compute {
    elapsed: Duration,
    limit: Duration,
}

impl Compute {
    pub(super) fn of(function: &Function, elapsed: Duration) -> Self {
        Self {
            elapsed,
            limit: function.limits().time,
        }
    }

    /// Number from 0 to 100, as the managed service tells it.
    fn percent(self) -> String {
        let percent = self.elapsed.as_secs_f64() / self.limit.as_secs_f64() * 100.0;
        format!("{:.0}", percent.clamp(0.0, 100.0).ceil())
    }
}

impl Serialize for Compute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.percent())
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} % of {} ms ({:.3} ms)",
            self.percent(),
            self.limit.as_millis(),
            self.elapsed.as_secs_f64() * 1e3,
        )
    }
}
