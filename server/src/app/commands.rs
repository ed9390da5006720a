//! What the control socket acts on: the stores of the snapshot of the moment, and the control thread.

use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, bounded};

use super::control::Event;
use super::error::AppError;
use crate::config::Config;
use crate::control_socket::{Backend, ControlSocket, Refusal, RefusalCode};
use crate::kvs::Store;
use crate::snapshot::Snapshot;

/// Called on the threads of the control socket.
pub struct Commands {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) events: Sender<Event>,
}

impl Backend for Commands {
    fn stores(&self) -> Vec<Arc<Store>> {
        self.snapshot.load().key_value_stores.clone()
    }

    fn publish_function(&self, name: &str) -> Result<String, Refusal> {
        let (reply, answer) = bounded(1);
        let name = name.to_owned();
        // An event that the control thread will never handle is dropped with it, and its reply channel too.
        let _told_below = self.events.send(Event::PublishFunction { name, reply });
        answer
            .recv()
            .unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Ending, "the server is about to end")))
    }
}

/// Takes the socket that the configuration names, if it names one.
///
/// # Errors
/// Another server has it, or it cannot be made.
pub fn bind(config: &Config) -> Result<Option<ControlSocket>, AppError> {
    let Some(control) = &config.control else {
        return Ok(None);
    };
    let socket = &control.socket;
    ControlSocket::bind(&socket.path).map(Some).map_err(|error| {
        let fault = format!("{}: {error}", socket.path.display());
        config.source.error(&socket.key, fault, error.remedy()).into()
    })
}
