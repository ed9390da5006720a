//! Work `h2`: concurrent HTTP/2 requests on connections that stay open and that clients share
//! ([`super::links`]).
//!
//! The server may end a connection (GOAWAY). A request that it did not process is then sent again on the next
//! one, at most [`TRIES_MAX`] times, as RFC 9113 §8.7 allows. Its latency goes on counting.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use monoio::time::timeout;

use super::h2_failure::{classify, is_unprocessed};
use super::job::Job;
use super::links::Lane;
use super::tally::{Answer, Done, Outcome};
use super::template::Template;
use super::{Core, pause_after};
use crate::failure::{Failure, Stage};
use crate::wire::Progress;
use crate::wire::http1::SERVER_CHARS_MAX;

/// A client's place for h2 work: at most one stream.
pub struct Hand {
    core: Rc<Core>,
    pub job: Rc<Job>,
    lane: Option<Lane>,
    /// The reason why there is none; the next operation ends with it.
    unopened: Option<Failure>,
    failed: Option<Failure>,
}

impl Hand {
    /// A place without a connection.
    pub fn new(core: Rc<Core>, job: Rc<Job>) -> Self {
        Hand {
            core,
            job,
            lane: None,
            unopened: None,
            failed: None,
        }
    }

    /// Joins a connection if the client has none.
    pub async fn prepare(&mut self) {
        if self.unopened.is_none() {
            self.unopened = self.ensure_lane(self.core.deadline()).await.err();
        }
    }

    /// Sends a request, again on another connection where the server has not processed it.
    pub async fn operate(&mut self) -> Done {
        let result = match self.unopened.take() {
            Some(failure) => Err(failure),
            None => self.request_until_processed(self.core.deadline()).await,
        };
        let done = self.job.judge(result);
        if let Outcome::Failed(failure) = &done.outcome {
            self.failed = Some(failure.clone());
        }
        done
    }

    /// Pauses after a failure that would repeat at once.
    pub async fn settle(&mut self) {
        if let Some(failure) = self.failed.take() {
            pause_after(&failure).await;
        }
    }

    /// Leaves the connection; the last client to leave closes it.
    pub async fn let_go(&mut self) {
        self.unopened = None;
        if let Some(lane) = self.lane.take() {
            self.job.links.leave(lane).await;
        }
    }

    async fn ensure_lane(&mut self, deadline: Instant) -> Result<(), Failure> {
        if self
            .lane
            .as_ref()
            .is_some_and(|lane| lane.is_done_with(&self.core, &self.job.entry))
        {
            self.let_go().await;
        }
        if self.lane.is_none() {
            let Job {
                entry, party, links, ..
            } = &*self.job;
            self.lane = Some(links.join(&self.core, entry, party, deadline).await?);
        }
        Ok(())
    }

    async fn request_until_processed(&mut self, deadline: Instant) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            self.ensure_lane(deadline).await?;
            match self.request(deadline).await {
                Ok(answer) => return Ok(answer),
                Err(Broken::Failed(failure)) => return Err(failure),
                Err(Broken::Unprocessed(failure)) if tries == TRIES_MAX => return Err(failure),
                Err(Broken::Unprocessed(_)) => {
                    tries += 1;
                    self.core.recorder.borrow_mut().retried(self.job.index);
                    self.let_go().await;
                }
            }
        }
    }

    async fn request(&mut self, deadline: Instant) -> Result<Answer, Broken> {
        let Some(lane) = &mut self.lane else {
            return Err(Broken::Unprocessed(Failure::Closed(Stage::Connect)));
        };
        lane.count_request();
        let exchange = exchange(&self.core, &mut lane.sender, &self.job.template, &lane.progress);
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = match timeout(left, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Broken::Failed(Failure::Timeout(Stage::Response))),
        };
        lane.tell_limit(&self.core, answer.is_ok());
        answer
    }
}

/// The reason why a request got no response.
enum Broken {
    /// The server has surely not processed it, and says so in this way.
    Unprocessed(Failure),
    Failed(Failure),
}

async fn exchange(
    core: &Core,
    sender: &mut SendRequest<Full<Bytes>>,
    request: &Template,
    progress: &Progress,
) -> Result<Answer, Broken> {
    let began = Instant::now();
    let response = sender
        .try_send_request(request.make())
        .await
        .map_err(|mut error| {
            let never_sent = error.take_message().is_some();
            let unprocessed =
                progress.failure.borrow().is_none() && (never_sent || is_unprocessed(error.error()));
            match classify(error.error(), progress) {
                failure if unprocessed => Broken::Unprocessed(failure),
                failure => Broken::Failed(failure),
            }
        })?;
    let first_byte = began.elapsed();
    tell_server(core, &response);
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::Failed(classify(&error, progress)))?;
        body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(Answer {
        status,
        body_bytes,
        first_byte,
    })
}

fn tell_server<B>(core: &Core, response: &http::Response<B>) {
    if core.recorder.borrow().knows_server() {
        return;
    }
    if let Some(product) = response.headers().get(http::header::SERVER) {
        let text = String::from_utf8_lossy(product.as_bytes());
        let text = text.chars().take(SERVER_CHARS_MAX).collect();
        core.recorder.borrow_mut().server(text);
    }
}

const TRIES_MAX: u32 = 3;
