//! Modes `handshake` and `resume`: a connection per operation.
//!
//! An operation runs from connect to the last byte of the response. The request says `Connection: close`, and the
//! connection slot is free again only when the server has closed (a second at most): so the server does all of its work
//! before the next operation starts, the same for every server, and TIME_WAIT stays on its side.

use std::rc::Rc;
use std::time::{Duration, Instant};

use monoio::time::timeout;
use rustls::HandshakeKind;

use super::recorder::Outcome;
use super::{Core, check_status, pause_after};
use crate::failure::{Failure, Stage};
use crate::identity::Client;
use crate::options::Expect;
use crate::plan::Plan;
use crate::wire::http1::{self, Response};
use crate::wire::{Connection, Input, Progress, Taken};

/// What a completed operation has shown.
struct Exchange {
    status: u16,
    kind: HandshakeKind,
}

pub async fn run(core: Rc<Core>, clients: Vec<Client>) {
    let request = http1::request(&core.plan, true);
    for client in clients.iter().cycle() {
        if core.gate.is_over() {
            return;
        }
        let prepared = prepare(&core, client, &request).await;
        let Some(start) = core.next().await else { return };
        let progress = Rc::new(Progress::default());
        let mut connection = None;
        let result = match prepared {
            Ok(()) => {
                core.limited(
                    &progress,
                    exchange(&core, client, &progress, &request, &mut connection),
                )
                .await
            }
            Err(failure) => Err(failure),
        };
        let pause = result.as_ref().err().cloned();
        core.finish(start, judge(&core.plan, client, &progress, result));
        if let Some(connection) = &mut connection {
            let _ = timeout(SERVER_CLOSES, connection.wait_for_close()).await;
        }
        if let Some(failure) = pause {
            pause_after(&failure).await;
        }
    }
}

/// In resume mode, makes sure that there is a session to resume, by a full handshake outside of any operation.
async fn prepare(core: &Core, client: &Client, request: &[u8]) -> Result<(), Failure> {
    let Some(sessions) = &client.sessions else {
        return Ok(());
    };
    if sessions.can_resume() {
        return Ok(());
    }
    let progress = Rc::new(Progress::default());
    let mut connection = None;
    core.limited(
        &progress,
        exchange(core, client, &progress, request, &mut connection),
    )
    .await?;
    if let Some(connection) = &mut connection {
        let _ = timeout(SERVER_CLOSES, connection.wait_for_close()).await;
    }
    if sessions.can_resume() {
        Ok(())
    } else {
        Err(Failure::NoTicket)
    }
}

/// One operation. The connection is left in `slot`, however far it came.
async fn exchange(
    core: &Core,
    client: &Client,
    progress: &Rc<Progress>,
    request: &[u8],
    slot: &mut Option<Connection>,
) -> Result<Exchange, Failure> {
    let (connection, kind) = core.open(client, progress, slot).await?;
    let ready = Instant::now();
    let response = ask(connection, request, core.plan.method == http::Method::HEAD).await?;
    core.recorder.borrow_mut().request(ready.elapsed());
    Ok(Exchange {
        status: response.status,
        kind,
    })
}

/// Sends a request and reads its response.
pub async fn ask(connection: &mut Connection, request: &[u8], head: bool) -> Result<Response, Failure> {
    let progress = connection.records.progress.clone();
    progress.stage.set(Stage::Response);
    let mut response = Response::new(head);
    connection.send(request).await?;
    connection
        .receive(|input| match input {
            Input::Bytes(bytes) => {
                progress.stage.set(Stage::Body);
                Ok(if response.push(bytes)? {
                    Taken::Done(())
                } else {
                    Taken::More
                })
            }
            Input::End if response.end() => Ok(Taken::Done(())),
            Input::End => Err(Failure::Closed(progress.stage.get())),
        })
        .await?;
    Ok(response)
}

/// What the result means for the outcome that the plan expects.
fn judge(plan: &Plan, client: &Client, progress: &Progress, result: Result<Exchange, Failure>) -> Outcome {
    match (plan.expect, result) {
        (Expect::Ok, Ok(exchange)) => match check_status(exchange.status) {
            Err(failure) => Outcome::Failed(failure),
            Ok(()) if client.sessions.is_some() && exchange.kind != HandshakeKind::Resumed => {
                Outcome::NotResumed
            }
            Ok(()) => Outcome::Ok,
        },
        (Expect::Ok, Err(failure)) => Outcome::Failed(failure),
        (Expect::Refused, Ok(exchange)) if plan.refusal_status.contains(&exchange.status) => {
            Outcome::Refused(Failure::Status(exchange.status))
        }
        (Expect::Refused, Ok(exchange)) => Outcome::Failed(Failure::Admitted(exchange.status)),
        (Expect::Refused, Err(failure)) if failure.is_refusal(progress.certificate_requested.get()) => {
            Outcome::Refused(failure)
        }
        (Expect::Refused, Err(failure)) => Outcome::Failed(failure),
    }
}

/// How long a server may take to close after its response, or after its alert.
const SERVER_CLOSES: Duration = Duration::from_secs(1);
