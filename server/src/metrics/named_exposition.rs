//! The part of the page whose labels are names of the configuration: distributions, trust stores, origins.
//!
//! The page shows those statuses of a name that have occurred, and `Success` or `ok` always. Otherwise a
//! thousand distributions would make a page of twenty thousand zeros.

use std::sync::Arc;

use super::labels::{ConnectionStatus, Label as _, OriginResult, StatusClass};
use super::named::{
    CrlDates, Dates, Directory, DistributionCounters, DistributionName, OriginCounters, OriginName, PerCore,
};
use super::page::{Page, escape};

pub(super) fn show(page: &mut Page, names: &Directory) {
    let distributions = names.distributions();
    page.distribution_connections(&distributions);
    page.distribution_requests(&distributions);
    let origins = names.origins();
    page.origin_requests(&origins);
    page.origin_response_heads(&origins);
    page.dates(&names.dates());
}

impl Page {
    fn distribution_connections(&mut self, all: &[(DistributionName, Arc<DistributionCounters>)]) {
        let name = "bothways_distribution_connections_total";
        let help = "Finished connections by the distribution that their ClientHello led to, and the trust \
                    store that judges its clients.";
        self.head(name, help, "counter");
        for (of, counters) in all {
            let labels = distribution(of);
            for status in ConnectionStatus::ALL {
                let count = sum(counters, |cells| cells.connections.of(*status).get());
                if count > 0 || *status == ConnectionStatus::Success {
                    let status = status.as_str();
                    self.line(format_args!("{name}{{{labels},status=\"{status}\"}} {count}"));
                }
            }
        }
    }

    fn distribution_requests(&mut self, all: &[(DistributionName, Arc<DistributionCounters>)]) {
        let name = "bothways_distribution_requests_total";
        self.head(
            name,
            "Requests by distribution and class of their response.",
            "counter",
        );
        for (of, counters) in all {
            let labels = distribution(of);
            for class in StatusClass::ALL {
                let count = sum(counters, |cells| cells.requests.of(*class).get());
                let class = class.as_str();
                self.line(format_args!("{name}{{{labels},class=\"{class}\"}} {count}"));
            }
        }
    }

    fn origin_requests(&mut self, all: &[(OriginName, Arc<OriginCounters>)]) {
        let name = "bothways_origin_requests_total";
        self.head(name, "Requests for an origin by what came of them.", "counter");
        for (of, counters) in all {
            let labels = origin(of);
            for result in OriginResult::ALL {
                let count = sum(counters, |cells| cells.requests.of(*result).get());
                if count > 0 || *result == OriginResult::Response {
                    let result = result.as_str();
                    self.line(format_args!("{name}{{{labels},result=\"{result}\"}} {count}"));
                }
            }
        }
    }

    fn origin_response_heads(&mut self, all: &[(OriginName, Arc<OriginCounters>)]) {
        let name = "bothways_origin_response_seconds";
        let help = "From a request, its connection included, to the head of the origin's response.";
        self.head(name, help, "histogram");
        for (of, counters) in all {
            let labels = origin(of);
            let histograms = counters.iter().map(|cells| &cells.response_head);
            self.histogram_lines(name, &labels, histograms);
        }
    }

    fn dates(&mut self, dates: &Dates) {
        let name = "bothways_certificate_not_after_seconds";
        let help = "End of the validity of a distribution's own certificate, in seconds since 1970.";
        self.head(name, help, "gauge");
        for (id, not_after) in &dates.certificates {
            let id = escape(id);
            self.line(format_args!("{name}{{distribution=\"{id}\"}} {not_after}"));
        }
        let name = "bothways_crl_this_update_seconds";
        self.head(name, "thisUpdate of a CRL, in seconds since 1970.", "gauge");
        for crl in &dates.crls {
            self.line(format_args!("{name}{{{}}} {}", crl_labels(crl), crl.this_update));
        }
        let name = "bothways_crl_next_update_seconds";
        let help = "nextUpdate of a CRL, in seconds since 1970. Once it has passed, the CRL is out of \
                    date: see out_of_date_crl.";
        self.head(name, help, "gauge");
        for crl in &dates.crls {
            self.line(format_args!("{name}{{{}}} {}", crl_labels(crl), crl.next_update));
        }
    }
}

fn sum<T>(counters: &PerCore<T>, value: impl Fn(&T) -> u64) -> u64 {
    counters.iter().map(value).sum()
}

fn distribution(of: &DistributionName) -> String {
    let (distribution, store) = (escape(&of.distribution), escape(&of.trust_store));
    format!("distribution=\"{distribution}\",trust_store=\"{store}\"")
}

fn origin(of: &OriginName) -> String {
    let (distribution, origin) = (escape(&of.distribution), escape(&of.origin));
    format!("distribution=\"{distribution}\",origin=\"{origin}\"")
}

fn crl_labels(crl: &CrlDates) -> String {
    let (store, issuer, number) = (escape(&crl.trust_store), escape(&crl.issuer), crl.number);
    format!("trust_store=\"{store}\",issuer=\"{issuer}\",crl=\"{number}\"")
}
