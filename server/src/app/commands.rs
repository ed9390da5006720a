//! What the control socket acts on: the stores of the snapshot of the moment, and the control thread.

use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::{Sender, bounded};

use super::census;
use super::control::Event;
use super::error::AppError;
use super::publish::PublishOrder;
use crate::config::Config;
use crate::control_socket::{Backend, Connections, ConnectionsWanted, ControlSocket, Refusal, RefusalCode};
use crate::kvs::Store;
use crate::snapshot::{Publication, Snapshot, Unpublished};

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
        let (answer, published) = bounded(1);
        let name = name.to_owned();
        // An event that the control thread will never handle is dropped with it, and its answer's channel too.
        let _told_below = self.events.send(Event::Publish(PublishOrder { name, answer }));
        let ending = || Refusal::new(RefusalCode::Ending, "the server is about to end");
        match published.recv().map_err(|_| ending())? {
            Ok(Publication::Published) => Ok("published".to_owned()),
            Ok(Publication::Unchanged) => Ok("unchanged: this code is live already".to_owned()),
            Err(Unpublished::NoSuchFunction(fault)) => Err(Refusal::new(RefusalCode::NoSuchFunction, fault)),
            Err(Unpublished::Unusable(fault)) => Err(Refusal::new(RefusalCode::InvalidFunction, fault)),
        }
    }

    fn connections(&self, wanted: &ConnectionsWanted) -> Result<Connections, Refusal> {
        census::gather(&self.events, wanted)
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
