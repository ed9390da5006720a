//! Trial calls of viewer functions: the same question as online, and the same changes to the request or the
//! response.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bothways_functions::Function;
use bothways_functions::viewer::{
    EdgeLocation, RequestFacts, ShownRequest, ShownResponse, ViewerContext, ViewerFault, ViewerFaultKind,
    ViewerOutcome, ViewerRemarks,
};
use bothways_trust::CertificateHeader;
use bytes::Bytes;
use http::{request, response};
use hyper::ext::ReasonPhrase;
use serde::Serialize;

use super::compute::Compute;
use super::renamed::Renamed;
use super::viewer_event::ViewerEvent;
use super::viewer_output::ViewerOutput;
use crate::http::{Asked, CertificateEdits, apply, ask_viewer_request, ask_viewer_response};

/// Answer of a viewer function to an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ViewerTrial {
    compute_utilization: Compute,
    function_execution_logs: Vec<String>,
    function_error_message: String,
    /// JSON in a string, as the managed service has it; empty: a 502 is sent.
    function_output: String,
    #[serde(rename = "viewer-request-log-data", skip_serializing_if = "Option::is_none")]
    request_log_data: Option<Box<str>>,
    #[serde(rename = "viewer-response-log-data", skip_serializing_if = "Option::is_none")]
    response_log_data: Option<Box<str>>,
    /// Wishes to `cf.mtls`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    renamed_certificate_headers: Vec<Renamed>,
    /// Headers that the function took out of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withheld_certificate_headers: Vec<&'static str>,
    #[serde(skip)]
    decision: String,
    /// The output, for people.
    #[serde(skip)]
    pretty: String,
}

/// Request or response that goes on.
struct Going {
    decision: String,
    json: String,
    pretty: String,
    certificates: CertificateEdits,
}

impl ViewerTrial {
    pub fn of(function: &Arc<Function>, event: ViewerEvent, at: SystemTime) -> Self {
        let is_response = event.response.is_some();
        let ViewerOutcome { result, remarks } = ask(function, event, at);
        let compute = Compute::of(function, remarks.elapsed);
        match result {
            Ok(going) => Self::going(compute, remarks, going),
            Err(fault) => Self::failed(compute, remarks, fault),
        }
        .of_response(is_response)
    }

    fn going(compute: Compute, remarks: ViewerRemarks, going: Going) -> Self {
        let CertificateEdits { withheld, renames } = &going.certificates;
        Self {
            function_output: going.json,
            renamed_certificate_headers: renames.wishes().map(Renamed::of).collect(),
            withheld_certificate_headers: withheld.iter().map(|header| header.as_str()).collect(),
            decision: going.decision,
            pretty: going.pretty,
            ..Self::silent(compute, remarks)
        }
    }

    fn failed(compute: Compute, remarks: ViewerRemarks, fault: ViewerFault) -> Self {
        let why = match fault.kind {
            ViewerFaultKind::Error => "it failed",
            ViewerFaultKind::Limit => "out of time or memory",
            ViewerFaultKind::Invalid => "what it returned cannot be sent",
        };
        Self {
            function_error_message: fault.sentence,
            decision: format!("502 ({why})"),
            ..Self::silent(compute, remarks)
        }
    }

    fn silent(compute_utilization: Compute, remarks: ViewerRemarks) -> Self {
        Self {
            compute_utilization,
            function_execution_logs: remarks.console,
            function_error_message: String::new(),
            function_output: String::new(),
            request_log_data: remarks.custom_data,
            response_log_data: None,
            renamed_certificate_headers: Vec::new(),
            withheld_certificate_headers: Vec::new(),
            decision: String::new(),
            pretty: String::new(),
        }
    }

    /// The two moments have a field each for what is logged.
    fn of_response(mut self, is_response: bool) -> Self {
        if is_response {
            self.response_log_data = self.request_log_data.take();
        }
        self
    }

    pub fn is_sendable(&self) -> bool {
        !self.function_output.is_empty()
    }
}

impl fmt::Display for ViewerTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "decision     {}", self.decision)?;
        if let Some(text) = self.request_log_data.as_ref().or(self.response_log_data.as_ref()) {
            writeln!(f, "custom data  {text}")?;
        }
        for line in &self.function_execution_logs {
            writeln!(f, "console      {line}")?;
        }
        for renamed in &self.renamed_certificate_headers {
            writeln!(f, "certificate  {renamed}")?;
        }
        for header in &self.withheld_certificate_headers {
            writeln!(f, "certificate  {header} is withheld")?;
        }
        if !self.function_error_message.is_empty() {
            writeln!(f, "error        {}", self.function_error_message)?;
        }
        writeln!(f, "compute      {}", self.compute_utilization)?;
        match &*self.pretty {
            "" => Ok(()),
            pretty => writeln!(f, "output       {pretty}"),
        }
    }
}

fn ask(function: &Arc<Function>, event: ViewerEvent, at: SystemTime) -> ViewerOutcome<Going> {
    let certificate: Vec<_> = event
        .certificate
        .iter()
        .map(|(header, value)| (*header, &**value))
        .collect();
    let edge = Rc::new(EdgeLocation {
        name: "test".to_owned(),
        server_ip: "127.0.0.1".to_owned(),
        region: "local".to_owned(),
    });
    let context = ViewerContext {
        distribution_domain_name: &event.distribution_domain_name,
        distribution_id: &event.distribution_id,
        endpoint: &event.endpoint,
        request_id: &event.request_id,
        client_ip: &event.client_ip,
        edge: &edge,
    };
    match event.response {
        None => ask_about_request(function, context, &certificate, event.request, at),
        Some(head) => {
            let request = facts(&event.request, &certificate);
            let ViewerOutcome { result, remarks } =
                ask_viewer_response(function, context, request, &head, at);
            let result = result.map(|edits| {
                let before = response_output(&head, None).json;
                let mut head = head;
                let body = apply(&mut head, edits);
                response_output(&head, body.as_ref()).noting("continue", &before)
            });
            ViewerOutcome { result, remarks }
        }
    }
}

fn ask_about_request(
    function: &Arc<Function>,
    context: ViewerContext<'_>,
    certificate: &[(CertificateHeader, &str)],
    mut head: request::Parts,
    at: SystemTime,
) -> ViewerOutcome<Going> {
    let before = request_output(&head, certificate).json;
    let ViewerOutcome { result, remarks } = ask_viewer_request(function, context, certificate, &mut head, at);
    let result = result.map(|asked| match asked {
        Asked::Respond(response) => {
            let (head, body) = response.into_parts();
            let body = Some(&body).filter(|body| !body.is_empty());
            let going = response_output(&head, body);
            going.noting(&format!("respond {}", head.status.as_u16()), "")
        }
        Asked::Continue(certificates) => {
            let text = |wanted| certificate.iter().find(|(header, _)| *header == wanted);
            let text = |wanted| text(wanted).map(|(_, value)| *value);
            certificates.renames.apply(&mut head.headers, text);
            let left = certificate.iter().copied();
            let left: Vec<_> = left
                .filter(|(header, _)| !certificates.leave_out(*header))
                .collect();
            Going {
                certificates,
                ..request_output(&head, &left).noting("continue", &before)
            }
        }
    });
    ViewerOutcome { result, remarks }
}

fn facts<'a>(head: &'a request::Parts, certificate: &'a [(CertificateHeader, &'a str)]) -> RequestFacts<'a> {
    RequestFacts {
        method: &head.method,
        uri: &head.uri,
        headers: &head.headers,
        certificate,
    }
}

fn request_output(head: &request::Parts, certificate: &[(CertificateHeader, &str)]) -> Going {
    let shown = ShownRequest::new(facts(head, certificate));
    Going::of(&ViewerOutput::request(&shown))
}

fn response_output(head: &response::Parts, body: Option<&Bytes>) -> Going {
    let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let shown = ShownResponse::new(head.status, reason, &head.headers);
    Going::of(&ViewerOutput::response(&shown, body))
}

impl Going {
    fn of(output: &ViewerOutput<'_>) -> Self {
        Self {
            decision: String::new(),
            json: output.json(),
            pretty: output.pretty(),
            certificates: CertificateEdits::default(),
        }
    }

    fn noting(self, decision: &str, before: &str) -> Self {
        let is_same = self.json == before;
        let note = if is_same { " (nothing is changed)" } else { "" };
        Self {
            decision: format!("{decision}{note}"),
            ..self
        }
    }
}
