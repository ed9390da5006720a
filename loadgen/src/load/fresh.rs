//! Work `handshake` and `resume`: a connection per operation.
//!
//! An operation runs from connect to the last byte of the response. The request says `Connection: close`, and
//! the client is free again only when the server has closed (a second at most): so the server does all of its
//! work before the next operation starts, the same for every server, and TIME_WAIT stays on its side. That
//! wait is no part of the latency; it is recorded apart, because it bounds the throughput.

use std::rc::Rc;
use std::time::{Duration, Instant};

use monoio::time::timeout;
use rustls::HandshakeKind;

use super::job::Job;
use super::tally::{Answer, Done, Outcome};
use super::{Core, pause_after};
use crate::failure::{Failure, Stage};
use crate::identity::{Client, Clients};
use crate::options::Expect;
use crate::wire::http1::Response;
use crate::wire::{Connection, Input, Progress, Taken};

/// A client's place for work with a connection per operation.
pub struct Hand {
    core: Rc<Core>,
    pub job: Rc<Job>,
    clients: Clients,
    /// The next client, and the reason why it cannot operate.
    ready: Option<(Rc<Client>, Result<(), Failure>)>,
    /// Connection left by the last operation.
    connection: Option<Connection>,
    failed: Option<Failure>,
}

/// Result of a completed operation.
struct Exchange {
    answer: Answer,
    kind: HandshakeKind,
}

impl Hand {
    /// The place of client number `client` of the plan.
    pub fn new(core: Rc<Core>, job: Rc<Job>, client: usize) -> Self {
        let clients = job.clients(&core.plan, client);
        Hand {
            core,
            job,
            clients,
            ready: None,
            connection: None,
            failed: None,
        }
    }

    /// Makes sure that there is a session where sessions are resumed, by a full handshake outside of any
    /// operation.
    pub async fn prepare(&mut self) {
        if self.ready.is_none() {
            let client = self.clients.next();
            let session = self.obtain_session(&client).await;
            self.ready = Some((client, session));
        }
    }

    /// Runs an operation of the client that [`Hand::prepare`] has chosen. The connection stays for
    /// [`Hand::settle`].
    pub async fn operate(&mut self) -> Done {
        let progress = Rc::new(Progress::default());
        let (client, ready) = match self.ready.take() {
            Some(ready) => ready,
            None => (self.clients.next(), Ok(())),
        };
        let result = match ready {
            Ok(()) => self.limited_exchange(&client, &progress).await,
            Err(failure) => Err(failure),
        };
        self.failed = result.as_ref().err().cloned();
        let answer = result.as_ref().ok().map(|exchange| exchange.answer);
        let outcome = judge(&self.job, &client, &progress, result);
        Done { outcome, answer }
    }

    /// Waits for the server to close the connection of the last operation and records that wait; then pauses
    /// after a failure that would repeat at once.
    pub async fn settle(&mut self) {
        self.see_out().await;
        if let Some(failure) = self.failed.take() {
            pause_after(&failure).await;
        }
    }

    async fn obtain_session(&mut self, client: &Rc<Client>) -> Result<(), Failure> {
        let Some(sessions) = &client.sessions else {
            return Ok(());
        };
        if sessions.can_resume() {
            return Ok(());
        }
        self.limited_exchange(client, &Rc::new(Progress::default()))
            .await?;
        self.see_out().await;
        if sessions.can_resume() {
            Ok(())
        } else {
            Err(Failure::NoTicket)
        }
    }

    /// Waits until the server has closed.
    async fn see_out(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let began = Instant::now();
        let closed = timeout(SERVER_CLOSES, connection.wait_for_close()).await;
        if self.failed.is_none() {
            let after = closed.is_ok().then(|| began.elapsed());
            self.core.recorder.borrow_mut().closed(after);
        }
    }

    async fn limited_exchange(
        &mut self,
        client: &Rc<Client>,
        progress: &Rc<Progress>,
    ) -> Result<Exchange, Failure> {
        let exchange = exchange(&self.core, &self.job, client, progress, &mut self.connection);
        self.core.limited(self.core.deadline(), progress, exchange).await
    }
}

/// Runs an operation. The connection is left in `slot`, however far it came.
async fn exchange(
    core: &Core,
    job: &Job,
    client: &Rc<Client>,
    progress: &Rc<Progress>,
    slot: &mut Option<Connection>,
) -> Result<Exchange, Failure> {
    let (connection, kind) = core.open(&job.party, client, progress, slot).await?;
    connection.check_nothing_read().await?;
    let ready = Instant::now();
    let (answer, _) = ask(core, job, connection, &job.last_request).await?;
    core.recorder.borrow_mut().request(ready.elapsed());
    Ok(Exchange { answer, kind })
}

/// Sends a request and reads its response; `true`: the connection may carry another.
pub async fn ask(
    core: &Core,
    job: &Job,
    connection: &mut Connection,
    head: &[u8],
) -> Result<(Answer, bool), Failure> {
    connection.records.progress.stage.set(Stage::Response);
    let began = Instant::now();
    let sent = match connection.send(head, &job.body).await {
        Err(failure) if !failure.is_disconnect() => return Err(failure),
        sent => sent, // a server that hangs up within a request may have answered it
    };
    let wants_server = !core.recorder.borrow().knows_server();
    let response = Response::new(job.is_head()).with_server(wants_server);
    let (response, all_sent) = match (sent, receive(connection, response).await) {
        (sent, Ok(response)) => (response, sent.is_ok_and(|all| all)),
        (Err(failure), Err(_)) | (Ok(_), Err(failure)) => return Err(failure),
    };
    if let Some(product) = response.server.clone() {
        core.recorder.borrow_mut().server(product);
    }
    let first = response.first_byte.unwrap_or(began);
    let answer = Answer {
        status: response.status,
        body_bytes: response.body_bytes,
        first_byte: first.saturating_duration_since(began),
    };
    Ok((answer, all_sent && !response.close))
}

async fn receive(connection: &mut Connection, mut response: Response) -> Result<Response, Failure> {
    let progress = connection.records.progress.clone();
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
            Input::Cut if response.end() => Err(Failure::Truncated),
            Input::End | Input::Cut => Err(Failure::Closed(progress.stage.get())),
        })
        .await?;
    Ok(response)
}

/// Judges the result by the outcome that the entry expects.
fn judge(job: &Job, client: &Client, progress: &Progress, result: Result<Exchange, Failure>) -> Outcome {
    let entry = &job.entry;
    match (entry.expect, result) {
        (Expect::Ok, Ok(exchange)) => match job.check(exchange.answer) {
            Err(failure) => Outcome::Failed(failure),
            Ok(()) if client.sessions.is_some() && exchange.kind != HandshakeKind::Resumed => {
                Outcome::NotResumed
            }
            Ok(()) => Outcome::Ok,
        },
        (Expect::Ok, Err(failure)) => Outcome::Failed(failure),
        (Expect::Refused, Ok(exchange)) => {
            let status = exchange.answer.status;
            if entry.refusal_status.contains(&status) {
                Outcome::Refused(Failure::Status(status))
            } else {
                Outcome::Failed(Failure::Admitted(status))
            }
        }
        (Expect::Refused, Err(failure)) if failure.is_refusal(progress.certificate_requested.get()) => {
            Outcome::Refused(failure)
        }
        (Expect::Refused, Err(failure)) => Outcome::Failed(failure),
    }
}

/// Time in which a server has to close after its response, or after its alert.
const SERVER_CLOSES: Duration = Duration::from_secs(1);
