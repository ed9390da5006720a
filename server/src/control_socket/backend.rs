//! Commands, as far as the rest of the server has a part in them: changes that it makes, questions that it
//! answers.

use std::sync::Arc;

use bothways_state::key_values::Store;

use super::connections::{Connections, ConnectionsWanted};
use super::refused::CommandRefused;
use crate::operations::Operations;

/// The running server, as commands see it.
#[derive(Clone)]
pub struct Backend {
    /// Changes.
    pub operations: Operations,
    /// Questions, which change nothing.
    pub questions: Arc<dyn Questions>,
}

/// Questions about a running server.
pub trait Questions: Send + Sync + 'static {
    /// The key-value stores of this moment.
    fn stores(&self) -> Vec<Arc<Store>>;

    /// The clients that are connected now.
    ///
    /// # Errors
    /// The question cannot be understood, or the server is about to end.
    fn connections(&self, wanted: &ConnectionsWanted) -> Result<Connections, CommandRefused>;
}
