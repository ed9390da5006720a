//! Work `keepalive`: HTTP/1.1 requests one after the other on connections that stay open.
//!
//! An operation is a request and its response; connections are opened before an operation starts, and their
//! set-up is recorded apart. A request on an idle connection that the server has closed meanwhile, in silence
//! or with a 408, is sent on a new one (RFC 9112 §9.3.1, RFC 9110 §15.5.9) and counted as retried. Anything
//! else that came unasked on an idle connection is a failure, and its end.

use std::rc::Rc;
use std::time::Instant;

use super::fresh::ask;
use super::job::Job;
use super::tally::{Answer, Done, Outcome};
use super::{Core, pause_after};
use crate::failure::{Failure, Stage};
use crate::identity::{Client, Clients};
use crate::wire::{Connection, Progress};

/// The place of one connection.
pub struct Hand {
    core: Rc<Core>,
    pub job: Rc<Job>,
    clients: Clients,
    open: Option<Open>,
    /// The reason why it could not be opened; the next operation ends with it.
    unopened: Option<Failure>,
    was_open: bool,
    failed: Option<Failure>,
}

/// A connection between two requests.
pub struct Open {
    pub connection: Connection,
    /// Progress of the connection, which outlives an operation that was given up.
    pub progress: Rc<Progress>,
    /// The requests that it has carried: should it be closed after one, the server may just have been tired
    /// of it.
    requests: u64,
    /// Number of storms at the time when it was opened.
    storms: u64,
}

impl Hand {
    /// The place of client number `client` of the plan, with nothing open.
    pub fn new(core: Rc<Core>, job: Rc<Job>, client: usize) -> Self {
        let clients = job.clients(&core.plan, client);
        Hand {
            core,
            job,
            clients,
            open: None,
            unopened: None,
            was_open: false,
            failed: None,
        }
    }

    /// Opens the connection if there is none.
    pub async fn prepare(&mut self) {
        self.give_up_after_a_storm();
        if self.unopened.is_none() {
            self.unopened = self.ensure_open(self.core.deadline()).await.err();
        }
    }

    /// Sends a request and judges its response.
    pub async fn operate(&mut self) -> Done {
        self.give_up_after_a_storm();
        let result = match self.unopened.take() {
            Some(failure) => Err(failure),
            None => self.request_or_again(self.core.deadline()).await,
        };
        let done = self.job.judge(result);
        if let Outcome::Failed(failure) = &done.outcome {
            self.failed = Some(failure.clone());
        }
        done
    }

    /// Closes a connection that has carried enough requests, and pauses after a failure that would repeat at
    /// once.
    pub async fn settle(&mut self) {
        if self
            .open
            .as_ref()
            .is_some_and(|open| self.job.entry.is_worn(open.requests))
        {
            self.let_go().await;
        }
        if let Some(failure) = self.failed.take() {
            pause_after(&failure).await;
        }
    }

    /// Closes the connection.
    pub async fn let_go(&mut self) {
        self.unopened = None;
        if let Some(open) = self.open.take() {
            open.connection.close().await;
        }
    }

    fn give_up_after_a_storm(&mut self) {
        let storms = self.core.storms.get();
        if let Some(open) = self.open.take_if(|open| open.storms < storms) {
            open.connection.abort();
        }
    }

    async fn ensure_open(&mut self, deadline: Instant) -> Result<(), Failure> {
        if self.open.is_some() {
            return Ok(());
        }
        let client = self.clients.next();
        self.open = Some(Open::new(&self.core, &self.job, &client, deadline).await?);
        if !std::mem::replace(&mut self.was_open, true) {
            self.core.recorder.borrow_mut().slot_opened();
        }
        Ok(())
    }

    /// A request; on a new connection when an idle one was closed under it.
    async fn request_or_again(&mut self, deadline: Instant) -> Result<Answer, Failure> {
        self.ensure_open(deadline).await?;
        let was_used = self.open.as_ref().is_some_and(|open| open.requests > 0);
        let result = self.request(deadline).await;
        if !(was_used && self.job.may_repeat(&result)) {
            return result;
        }
        if let Some(open) = self.open.take() {
            open.connection.close().await;
        }
        self.core.recorder.borrow_mut().retried(self.job.index);
        self.ensure_open(deadline).await?;
        self.request(deadline).await
    }

    /// Sends a request on the open connection, which is kept only if it may be used again.
    async fn request(&mut self, deadline: Instant) -> Result<Answer, Failure> {
        let Some(mut open) = self.open.take() else {
            return Err(Failure::Closed(Stage::Connect));
        };
        let (answer, goes_on) = open.request(&self.core, &self.job, deadline).await?;
        self.open = goes_on.then_some(open);
        Ok(answer)
    }
}

impl Open {
    /// Connects and runs the handshake.
    pub async fn new(
        core: &Core,
        job: &Job,
        client: &Rc<Client>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let progress = Rc::new(Progress::default());
        let storms = core.storms.get();
        let mut connection = None;
        let opening = async {
            let (connection, _) = core.open(&job.party, client, &progress, &mut connection).await?;
            connection.flush().await
        };
        core.limited(deadline, &progress, opening).await?;
        Ok(Open {
            connection: connection.ok_or(Failure::Closed(Stage::Connect))?,
            progress,
            requests: 0,
            storms,
        })
    }

    /// A request; `true`: the connection may carry another.
    pub async fn request(
        &mut self,
        core: &Core,
        job: &Job,
        deadline: Instant,
    ) -> Result<(Answer, bool), Failure> {
        let progress = self.progress.clone();
        let asking = async {
            self.connection.check_quiet().await?;
            ask(core, job, &mut self.connection, &job.request).await
        };
        let answered = core.limited(deadline, &progress, asking).await?;
        self.requests += 1;
        Ok(answered)
    }
}
