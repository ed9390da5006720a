//! Work `h2`: concurrent HTTP/2 requests on connections that stay open and that clients share ([`super::links`]).
//!
//! When the server ends a connection (GOAWAY), a request that it did not process is sent again on the next one, at most
//! [`TRIES_MAX`] times, as RFC 9113 §8.7 allows; its latency goes on counting.

use std::error::Error;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use monoio::time::timeout;

use super::job::{Answer, Job};
use super::links::Lane;
use super::tally::Outcome;
use super::{Core, pause_after};
use crate::failure::{Failure, Stage};
use crate::plan::Entry;
use crate::wire::Progress;
use crate::wire::http1::USER_AGENT;

pub struct Hand {
    core: Rc<Core>,
    pub job: Rc<Job>,
    lane: Option<Lane>,
    /// Why there is none: that is how the next operation ends.
    unopened: Option<Failure>,
    failed: Option<Failure>,
}

impl Hand {
    pub fn new(core: Rc<Core>, job: Rc<Job>) -> Self {
        Hand {
            core,
            job,
            lane: None,
            unopened: None,
            failed: None,
        }
    }

    pub async fn prepare(&mut self) {
        if self.unopened.is_none() {
            self.unopened = self.ensure_lane().await.err();
        }
    }

    pub async fn operate(&mut self) -> Outcome {
        let result = match self.unopened.take() {
            Some(failure) => Err(failure),
            None => self.request_until_processed().await,
        };
        match result.and_then(|answer| self.job.check(answer)) {
            Ok(()) => Outcome::Ok,
            Err(failure) => {
                self.failed = Some(failure.clone());
                Outcome::Failed(failure)
            }
        }
    }

    pub async fn settle(&mut self) {
        if let Some(failure) = self.failed.take() {
            pause_after(&failure).await;
        }
    }

    pub async fn let_go(&mut self) {
        self.unopened = None;
        if let Some(lane) = self.lane.take() {
            self.job.links.leave(lane).await;
        }
    }

    async fn ensure_lane(&mut self) -> Result<(), Failure> {
        if self
            .lane
            .as_ref()
            .is_some_and(|lane| lane.is_done_with(&self.core, &self.job))
        {
            self.let_go().await;
        }
        if self.lane.is_none() {
            self.lane = Some(self.job.links.join(&self.core, &self.job).await?);
        }
        Ok(())
    }

    async fn request_until_processed(&mut self) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            self.ensure_lane().await?;
            match self.request().await {
                Ok(answer) => return Ok(answer),
                Err(Broken::Failed(failure)) => return Err(failure),
                Err(Broken::Unprocessed) if tries == TRIES_MAX => {
                    return Err(Failure::Closed(Stage::Response));
                }
                Err(Broken::Unprocessed) => {
                    tries += 1;
                    self.core.recorder.borrow_mut().retried(self.job.index);
                    self.let_go().await;
                }
            }
        }
    }

    async fn request(&mut self) -> Result<Answer, Broken> {
        let Some(lane) = &mut self.lane else {
            return Err(Broken::Unprocessed);
        };
        lane.count_request();
        let exchange = exchange(&mut lane.sender, &self.job.template, &lane.progress);
        match timeout(self.core.plan.timeout, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Broken::Failed(Failure::Timeout(Stage::Response))),
        }
    }
}

/// Why a request got no response.
enum Broken {
    /// The server has surely not processed it.
    Unprocessed,
    Failed(Failure),
}

async fn exchange(
    sender: &mut SendRequest<Empty<Bytes>>,
    request: &Template,
    progress: &Progress,
) -> Result<Answer, Broken> {
    let response = sender
        .try_send_request(request.make())
        .await
        .map_err(|mut error| {
            let never_sent = error.take_message().is_some();
            match classify(error.error(), progress) {
                _ if progress.failure.borrow().is_none() && (never_sent || is_unprocessed(error.error())) => {
                    Broken::Unprocessed
                }
                failure => Broken::Failed(failure),
            }
        })?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut body_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Broken::Failed(classify(&error, progress)))?;
        body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(Answer { status, body_bytes })
}

pub fn classify(error: &hyper::Error, progress: &Progress) -> Failure {
    if let Some(failure) = progress.failure.borrow().clone() {
        return failure;
    }
    match h2_error(error) {
        Some(error) if error.is_go_away() => Failure::Http2(format!("GOAWAY {}", reason(error))),
        Some(error) if error.is_reset() => Failure::Http2(format!("RST_STREAM {}", reason(error))),
        Some(error) => match error.get_io() {
            Some(io) => Failure::from_io(io, Stage::Response),
            None => Failure::Http2(error.to_string()),
        },
        None if error.is_closed() || error.is_canceled() => Failure::Closed(Stage::Response),
        None => Failure::Http2(error.to_string()),
    }
}

/// RFC 9113 §8.7: streams above the last one of a graceful GOAWAY, and refused ones, were not processed.
fn is_unprocessed(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        let graceful = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (graceful || refused)
    })
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source()?.downcast_ref::<h2::Error>()
}

fn reason(error: &h2::Error) -> String {
    error
        .reason()
        .map_or_else(|| "without a reason".to_owned(), |reason| format!("{reason:?}"))
}

/// The request of every operation, made once.
pub struct Template {
    method: http::Method,
    uri: http::Uri,
    headers: http::HeaderMap,
}

impl Template {
    pub fn new(entry: &Entry) -> Self {
        let uri = format!("https://{}{}", entry.host, entry.path);
        let mut headers: http::HeaderMap = entry.headers.iter().cloned().collect();
        headers
            .entry(http::header::USER_AGENT)
            .or_insert(http::HeaderValue::from_static(USER_AGENT));
        Template {
            method: entry.method.clone(),
            uri: uri.parse().expect("the plan has checked host and path"),
            headers,
        }
    }

    fn make(&self) -> http::Request<Empty<Bytes>> {
        let mut request = http::Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

const TRIES_MAX: u32 = 3;
