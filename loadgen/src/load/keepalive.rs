//! Mode `keepalive`: HTTP/1.1 requests one after the other on connections that stay open.
//!
//! An operation is a request and its response; connections are opened before an operation starts, and their set-up is
//! recorded apart. A request on an idle connection that the server has closed meanwhile is sent again on a new one
//! (RFC 9112 §9.3.1) and counted as retried.

use std::rc::Rc;

use super::fresh::ask;
use super::recorder::Outcome;
use super::{Core, check_status, pause_after};
use crate::failure::{Failure, Stage};
use crate::identity::Client;
use crate::wire::http1;
use crate::wire::{Connection, Progress};

pub async fn run(core: Rc<Core>, clients: Vec<Client>) {
    let request = http1::request(&core.plan, false);
    let mut slot = Slot {
        core: &core,
        clients: clients.iter().cycle(),
        open: None,
        was_open: false,
    };
    loop {
        if core.gate.is_over() {
            break;
        }
        let opened = slot.ensure_open().await;
        let Some(start) = core.next().await else { break };
        let result = match opened {
            Ok(()) => slot.operate(&request).await,
            Err(failure) => Err(failure),
        };
        match result.and_then(check_status) {
            Ok(()) => core.finish(start, Outcome::Ok),
            Err(failure) => {
                core.finish(start, Outcome::Failed(failure.clone()));
                pause_after(&failure).await;
            }
        }
    }
    if let Some(open) = slot.open.take() {
        open.connection.close().await;
    }
}

/// The place of one connection.
struct Slot<'a, I> {
    core: &'a Core,
    clients: I,
    open: Option<Open>,
    was_open: bool,
}

struct Open {
    connection: Connection,
    progress: Rc<Progress>,
    /// It has carried a request already: should it be closed now, the server may just have been tired of it.
    used: bool,
}

impl<'a, I: Iterator<Item = &'a Client>> Slot<'a, I> {
    async fn ensure_open(&mut self) -> Result<(), Failure> {
        if self.open.is_some() {
            return Ok(());
        }
        let Some(client) = self.clients.next() else {
            return Ok(());
        }; // an endless cycle
        let progress = Rc::new(Progress::default());
        let mut connection = None;
        let opening = async {
            let (connection, _) = self.core.open(client, &progress, &mut connection).await?;
            connection.flush().await
        };
        self.core.limited(&progress, opening).await?;
        self.open = connection.map(|connection| Open {
            connection,
            progress,
            used: false,
        });
        if !std::mem::replace(&mut self.was_open, true) {
            self.core.recorder.borrow_mut().slot_opened();
        }
        Ok(())
    }

    /// One request; once more on a new connection when an idle one was closed under it.
    async fn operate(&mut self, request: &[u8]) -> Result<u16, Failure> {
        let was_used = self.open.as_ref().is_some_and(|open| open.used);
        match self.request(request).await {
            Err(Failure::Closed(Stage::Response) | Failure::Reset(Stage::Response))
                if was_used && self.core.plan.method.is_idempotent() =>
            {
                self.core.recorder.borrow_mut().retried();
                self.ensure_open().await?;
                self.request(request).await
            }
            other => other,
        }
    }

    /// One request on the open connection, which is kept only if it may be used again.
    async fn request(&mut self, request: &[u8]) -> Result<u16, Failure> {
        let Some(mut open) = self.open.take() else {
            return Err(Failure::Closed(Stage::Connect));
        };
        let head = self.core.plan.method == http::Method::HEAD;
        let response = self
            .core
            .limited(&open.progress, ask(&mut open.connection, request, head))
            .await?;
        if !response.close {
            open.used = true;
            self.open = Some(open);
        }
        Ok(response.status)
    }
}
