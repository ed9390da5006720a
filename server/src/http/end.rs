//! End of every request, whoever answers it: counted, and given to hyper with its mark.
//!
//! Owns the only place where requests count: by the class of their status for the core and the distribution,
//! by what came of them for the origin, by the reason where they are refused. The mark of a request goes with
//! its body, and ends when hyper drops that. Requests that hyper refuses by itself (400 for what is no
//! HTTP/1, 414, 431 for a head that is too long) never come here.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::exchange::{Exchange, OriginAsked};
use super::no_response::limit_of;
use super::pending::{Answer, Body, PendingRequest};
use super::refusal::Refusal;
use super::viewer::{CoreResources, Viewer};
use crate::metrics::{DistributionCounters, StatusClass, count};
use crate::origin::{ForwardError, HttpOrigin};

/// Ends a request of an admitted client. Inlined, as all that an answer from memory passes: each function
/// that takes a response by value would copy its 200 bytes once more.
#[inline(always)]
pub(super) fn end(exchange: Exchange<'_>, answered: Result<Answer, Refusal<'_>>) -> Response<Body> {
    let answer = match answered {
        Ok(answer) => answer,
        Err(why) => Answer::Memory(refuse(&exchange, &why)),
    };
    let viewer = exchange.viewer;
    let tally = Tally {
        core: &viewer.core,
        distribution: Some(&viewer.site.counters),
        origin: exchange.asked,
    };
    tally.finish(exchange.pending, answer)
}

/// Ends a request of a plain `http` listener. It counts for no distribution: nobody was admitted to one.
pub(super) fn end_plain(
    core: &CoreResources,
    pending: PendingRequest,
    response: Response<&'static str>,
) -> Response<Body> {
    let tally = Tally {
        core,
        distribution: None,
        origin: None,
    };
    tally.finish(pending, Answer::Memory(in_bytes(response)))
}

/// Counts a refused request by its reason, tells the operator, and words the answer.
#[cold]
fn refuse(exchange: &Exchange<'_>, why: &Refusal<'_>) -> Response<Bytes> {
    let viewer = exchange.viewer;
    match why {
        Refusal::NoResponse(origin, error) => note_no_response(viewer, origin, error),
        _ => {
            let (core, path) = (&viewer.core, exchange.request.uri().path());
            core.refusals
                .note(why, &core.counters, &viewer.site.distribution_id, path);
        }
    }
    in_bytes(why.response())
}

/// Counts the bound that the request ran into, if it ran into one, and tells the operator once in a while.
fn note_no_response(viewer: &Viewer, origin: &HttpOrigin, error: &ForwardError) {
    if let Some(limit) = limit_of(error) {
        viewer.core.counters.requests_limited.of(limit).add(1);
    }
    if matches!(error, ForwardError::Viewer(_) | ForwardError::ViewerTimeout) {
        // The viewer's doing: no reason to look at the origin.
        tracing::debug!(%error, "a request was not sent whole");
    } else {
        let (pool, distribution) = (&viewer.core.pool, &*viewer.site.distribution_id);
        pool.complain(origin, Some(distribution), error, "no response from the origin");
    }
}

fn in_bytes(response: Response<&'static str>) -> Response<Bytes> {
    response.map(|text| Bytes::from_static(text.as_bytes()))
}

/// Everything that a request counts for.
struct Tally<'a> {
    core: &'a CoreResources,
    distribution: Option<&'a DistributionCounters>,
    origin: Option<OriginAsked<'a>>,
}

impl Tally<'_> {
    #[inline(always)]
    fn finish(&self, pending: PendingRequest, answer: Answer) -> Response<Body> {
        self.count(answer.status());
        pending.respond(answer)
    }

    #[inline(always)]
    fn count(&self, status: StatusCode) {
        let class = StatusClass::of(status.as_u16());
        self.core.counters.requests.of(class).add(1);
        if let Some(distribution) = self.distribution {
            count(distribution, self.core.index, |cells| cells.requests.of(class));
        }
        if let Some(asked) = &self.origin {
            self.count_origin(asked);
        }
    }

    fn count_origin(&self, asked: &OriginAsked<'_>) {
        let cells = asked.counters.and_then(|counters| counters.of(self.core.index));
        if let Some(cells) = cells {
            cells.requests.of(asked.result).add(1);
            let elapsed = asked.elapsed.into_iter();
            elapsed.for_each(|elapsed| cells.response_head.record(elapsed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::logs::Console;
    use crate::metrics::{CoreCounters, DistributionName, OriginName, OriginResult, Registry};
    use crate::origin::{OriginPool, Shares};

    fn core() -> CoreResources {
        let counters = Arc::new(CoreCounters::default());
        CoreResources {
            index: 0,
            console: RefCell::new(Console::default()),
            pool: Rc::new(OriginPool::new(counters.clone())),
            shares: Shares::default(),
            counters,
            refusals: Default::default(),
            host_name: "edge-1".to_owned(),
        }
    }

    #[test]
    fn a_request_counts_once_for_its_core_its_distribution_and_the_origin_that_was_asked() {
        let (core, registry) = (core(), Registry::new(1));
        let distribution = registry.named.distribution(DistributionName {
            distribution: "E1".into(),
            trust_store: "partners".into(),
        });
        let origin = registry.named.origin(OriginName {
            distribution: "E1".into(),
            origin: "app".into(),
        });
        let asked = |result, elapsed| OriginAsked {
            counters: Some(&origin),
            result,
            elapsed,
        };
        let answered = asked(OriginResult::Response, Some(Duration::from_millis(1)));
        for (distribution, origin, status) in [
            (None, None, StatusCode::MOVED_PERMANENTLY),
            (Some(&*distribution), None, StatusCode::FORBIDDEN),
            (Some(&*distribution), Some(answered), StatusCode::OK),
            (
                Some(&*distribution),
                Some(asked(OriginResult::Timeout, None)),
                StatusCode::GATEWAY_TIMEOUT,
            ),
        ] {
            let core = &core;
            Tally {
                core,
                distribution,
                origin,
            }
            .count(status);
        }
        let of_core = |class| core.counters.requests.of(class).get();
        let of_distribution = |class| distribution.of(0).map(|cells| cells.requests.of(class).get());
        for (class, core, distribution) in [
            (StatusClass::of(200), 1, Some(1)),
            (StatusClass::of(300), 1, Some(0)),
            (StatusClass::of(400), 1, Some(1)),
            (StatusClass::of(500), 1, Some(1)),
        ] {
            assert_eq!(
                (of_core(class), of_distribution(class)),
                (core, distribution),
                "{class:?}"
            );
        }
        let of_origin = |result| origin.of(0).map(|cells| cells.requests.of(result).get());
        assert_eq!(of_origin(OriginResult::Response), Some(1));
        assert_eq!(of_origin(OriginResult::Timeout), Some(1));
    }
}
