//! Calls for whoever is writing a function: the event comes as JSON, as it was written down.
//!
//! Everything else is as it is online: the same engine, the same limits, the same meaning of the answer.

use std::sync::Arc;
use std::time::SystemTime;

use rquickjs::Value;

use super::connection::{ConnectionOutcome, outcome};
use super::engine::{Event, Makers};
use super::function::Function;

/// Calls a connection function with the object that `json` holds, its methods added. What is no JSON object
/// ends in [`super::Decision::Error`], as a fault of the function does.
pub fn try_connection(function: &Arc<Function>, json: &str, now: SystemTime) -> ConnectionOutcome {
    outcome(function, function.call(&Given(json), now))
}

struct Given<'a>(&'a str);

impl Event for Given<'_> {
    type Answer = ();
    type Built<'js> = ();

    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<(Value<'js>, ())> {
        let event: Value<'js> = makers.ctx().json_parse(self.0)?;
        Ok((makers.maker(GIVEN)?.call((event,))?, ()))
    }

    fn read<'js>(&self, _built: &(), _returned: &Value<'js>) -> rquickjs::Result<()> {
        Ok(())
    }
}

/// Among the makers of `prelude/connection.js`.
const GIVEN: usize = 2;
