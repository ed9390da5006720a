//! Mode `h2`: concurrent HTTP/2 requests on connections that stay open.
//!
//! Each connection runs `--streams` loops of request and response. When the server ends a connection (GOAWAY), streams
//! that it did not process are sent again on the next one, at most [`TRIES_MAX`] times, as RFC 9113 §8.7 allows; their
//! latency goes on counting.

use std::error::Error;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use monoio::task::JoinHandle;
use monoio::time::timeout;

use super::gate::Start;
use super::recorder::Outcome;
use super::{Core, check_status, pause_after};
use crate::failure::{Failure, Stage};
use crate::identity::Client;
use crate::plan::Plan;
use crate::wire::Progress;
use crate::wire::duplex::Duplex;
use crate::wire::http1::USER_AGENT;

pub async fn run(core: Rc<Core>, clients: Vec<Client>) {
    let request = Rc::new(Template::new(&core.plan));
    let mut unfinished = Vec::new();
    let mut was_open = false;
    for client in clients.iter().cycle() {
        if core.gate.is_over() && unfinished.is_empty() {
            break;
        }
        let progress = Rc::new(Progress::default());
        match core.limited(&progress, open(&core, client, &progress)).await {
            Ok(link) => {
                if !std::mem::replace(&mut was_open, true) {
                    core.recorder.borrow_mut().slot_opened();
                }
                unfinished = link.serve(&core, &request, unfinished).await;
            }
            Err(failure) => fail_one(&core, &mut unfinished, failure).await,
        }
    }
}

/// A connection could not be opened: that is how an operation ended.
async fn fail_one(core: &Core, unfinished: &mut Vec<Operation>, failure: Failure) {
    let start = match unfinished.pop() {
        Some(operation) => Some(operation.start),
        None => core.next().await,
    };
    let Some(start) = start else { return };
    core.finish(start, Outcome::Failed(failure.clone()));
    pause_after(&failure).await;
}

/// An operation that was started and may have been tried.
struct Operation {
    start: Start,
    tries: u32,
}

/// An open connection.
struct Link {
    sender: SendRequest<Empty<Bytes>>,
    progress: Rc<Progress>,
    driver: JoinHandle<()>,
}

async fn open(core: &Core, client: &Client, progress: &Rc<Progress>) -> Result<Link, Failure> {
    let mut slot = None;
    core.open(client, progress, &mut slot).await?;
    let Some(mut connection) = slot else {
        return Err(Failure::Closed(Stage::Connect));
    };
    if connection.records.tls.alpn_protocol() != Some(b"h2") {
        connection.close().await;
        return Err(Failure::NotHttp2);
    }
    connection.flush().await?;
    progress.stage.set(Stage::Response);
    let handshake = http2::Builder::new(OnThisThread)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(Duplex::new(connection))
        .await;
    let (sender, driver) = handshake.map_err(|error| classify(&error, progress))?;
    let driver = monoio::spawn(async move {
        let _ = driver.await; // its error reaches the requests
    });
    Ok(Link {
        sender,
        progress: progress.clone(),
        driver,
    })
}

impl Link {
    /// Runs all streams until the connection or the run ends; gives back the operations to be tried elsewhere.
    async fn serve(
        self,
        core: &Rc<Core>,
        request: &Rc<Template>,
        mut retried: Vec<Operation>,
    ) -> Vec<Operation> {
        let streams: Vec<_> = (0..core.plan.streams)
            .map(|_| {
                let stream = Stream {
                    core: core.clone(),
                    sender: self.sender.clone(),
                    progress: self.progress.clone(),
                    request: request.clone(),
                };
                monoio::spawn(stream.run(retried.pop()))
            })
            .collect();
        for stream in streams {
            retried.extend(stream.await);
        }
        drop(self.sender);
        let _ = timeout(GOODBYE, self.driver).await;
        retried
    }
}

struct Stream {
    core: Rc<Core>,
    sender: SendRequest<Empty<Bytes>>,
    progress: Rc<Progress>,
    request: Rc<Template>,
}

impl Stream {
    /// One request after the other. The operation that is given back should be tried on another connection.
    async fn run(mut self, mut first: Option<Operation>) -> Option<Operation> {
        loop {
            if first.is_none() && self.sender.is_closed() {
                return None;
            }
            let operation = match first.take() {
                Some(operation) => operation,
                None => Operation {
                    start: self.core.next().await?,
                    tries: 0,
                },
            };
            match self.operate().await {
                Ok(status) => self.finish(operation.start, check_status(status)),
                Err(Broken::Unprocessed) if operation.tries < TRIES_MAX => {
                    self.core.recorder.borrow_mut().retried();
                    return Some(Operation {
                        tries: operation.tries + 1,
                        ..operation
                    });
                }
                Err(Broken::Unprocessed) => {
                    self.finish(operation.start, Err(Failure::Closed(Stage::Response)))
                }
                Err(Broken::Failed(failure)) => self.finish(operation.start, Err(failure)),
            }
        }
    }

    fn finish(&self, start: Start, result: Result<(), Failure>) {
        self.core
            .finish(start, result.map_or_else(Outcome::Failed, |()| Outcome::Ok));
    }

    async fn operate(&mut self) -> Result<u16, Broken> {
        let exchange = exchange(&mut self.sender, &self.request, &self.progress);
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
) -> Result<u16, Broken> {
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
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| Broken::Failed(classify(&error, progress)))?;
    }
    Ok(status)
}

fn classify(error: &hyper::Error, progress: &Progress) -> Failure {
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
struct Template {
    method: http::Method,
    uri: http::Uri,
    headers: http::HeaderMap,
}

impl Template {
    fn new(plan: &Plan) -> Self {
        let uri = format!("https://{}{}", plan.host, plan.path);
        let mut headers: http::HeaderMap = plan.headers.iter().cloned().collect();
        headers
            .entry(http::header::USER_AGENT)
            .or_insert(http::HeaderValue::from_static(USER_AGENT));
        Template {
            method: plan.method.clone(),
            uri: uri.parse().expect("Plan has checked host and path"),
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

#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future + 'static> Executor<F> for OnThisThread
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(monoio::spawn(future));
    }
}

const TRIES_MAX: u32 = 3;
const GOODBYE: Duration = Duration::from_millis(200);
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
