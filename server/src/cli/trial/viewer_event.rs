//! Events of viewer functions, in the managed service's form: from JSON to the parts of HTTP that functions
//! are asked about online.
//!
//! An event is read back as a function would see it. One that no request or response can lead to is refused,
//! key by key: a trial of it would prove nothing.

use std::net::IpAddr;

use bothways_config::IdentityHeaders;
use bothways_functions::viewer::{Moment, RequestFacts, ShownRequest, ShownResponse};
use bothways_trust::CertificateHeader;
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, request, response};
use hyper::ext::ReasonPhrase;

use super::event_field::{EventField, fields};
use super::json::{At, BadEvent, Json};
use crate::http::{SHOWN_TO_FUNCTIONS, clean_headers};

/// Event that a viewer function is tried with.
pub struct ViewerEvent {
    pub distribution_domain_name: String,
    pub distribution_id: String,
    pub endpoint: String,
    pub request_id: String,
    pub client_ip: String,
    pub request: request::Parts,
    /// Facts about the client's certificate; these are never among the headers of the request.
    pub certificate: Vec<(CertificateHeader, String)>,
    /// There is one where the function is for viewer responses.
    pub response: Option<response::Parts>,
}

impl ViewerEvent {
    /// # Errors
    /// A key is missing, or has what the event of no request has.
    pub fn read(json: &Json) -> Result<Self, BadEvent> {
        let root = At::root(json);
        root.has_only(&["version", "context", "viewer", "request", "response"])?;
        if let Some(version) = root.get("version").filter(|at| !matches!(at.text(), Ok("1.0"))) {
            return Err(version.bad("is not \"1.0\""));
        }
        let context = root.get("context");
        if let Some(context) = &context {
            context.has_only(&[
                "distributionDomainName",
                "distributionId",
                "endpoint",
                "eventType",
                "requestId",
            ])?;
        }
        let told = |name, default: &str| text_or(context.as_ref(), name, default);
        let domain_name = told("distributionDomainName", "test.example.com")?;
        let response = match moment(&root, context.as_ref())? {
            Moment::ViewerRequest => None,
            Moment::ViewerResponse => Some(read_response(&root.need("response")?)?),
        };
        let (request, certificate) = read_request(&root.need("request")?, response.is_some())?;
        Ok(Self {
            endpoint: told("endpoint", &domain_name)?,
            distribution_domain_name: domain_name,
            distribution_id: told("distributionId", "TEST")?,
            request_id: told("requestId", "TEST-1")?,
            client_ip: client_ip(&root)?,
            request,
            certificate,
            response,
        })
    }
}

fn moment(root: &At<'_>, context: Option<&At<'_>>) -> Result<Moment, BadEvent> {
    match context.and_then(|context| context.get("eventType")) {
        None if root.get("response").is_some() => Ok(Moment::ViewerResponse),
        None => Ok(Moment::ViewerRequest),
        Some(given) => [Moment::ViewerRequest, Moment::ViewerResponse]
            .into_iter()
            .find(|moment| matches!(given.text(), Ok(text) if text == moment.as_str()))
            .ok_or_else(|| given.bad("is neither \"viewer-request\" nor \"viewer-response\"")),
    }
}

fn client_ip(root: &At<'_>) -> Result<String, BadEvent> {
    let viewer = root.get("viewer");
    if let Some(viewer) = &viewer {
        viewer.has_only(&["ip"])?;
    }
    let ip = text_or(viewer.as_ref(), "ip", "127.0.0.1")?;
    match (ip.parse::<IpAddr>(), viewer) {
        (Err(_), Some(viewer)) => Err(viewer.need("ip")?.bad("is no IP address")),
        _ => Ok(ip),
    }
}

fn text_or(object: Option<&At<'_>>, name: &'static str, default: &str) -> Result<String, BadEvent> {
    let at = object.and_then(|object| object.get(name));
    at.map_or(Ok(default), |at| at.text()).map(str::to_owned)
}

type Certificate = Vec<(CertificateHeader, String)>;

fn read_request(at: &At<'_>, is_past_functions: bool) -> Result<(request::Parts, Certificate), BadEvent> {
    at.has_only(&["method", "uri", "querystring", "headers", "cookies"])?;
    let (headers, cookies) = (fields(at, "headers", false)?, fields(at, "cookies", false)?);
    let query = fields(at, "querystring", false)?;
    let (mut parts, ()) = Request::new(()).into_parts();
    let method = at.need("method")?;
    parts.method =
        Method::from_bytes(method.text()?.as_bytes()).map_err(|_| method.bad("is no method of HTTP"))?;
    parts.uri = uri(&at.need("uri")?, &query)?;

    let (certificate, headers): (Vec<_>, Vec<_>) = headers
        .into_iter()
        .partition(|field| certificate_header(field).is_some());
    parts.headers = header_map(&headers)?;
    // What goes before a viewer-request function is asked; it may add some of that for the next.
    if !is_past_functions {
        clean_headers(&mut parts.headers, &IdentityHeaders::default());
    }
    if let Some(value) = cookie(&cookies)? {
        parts.headers.insert(COOKIE, value);
    }
    let told = certificate.iter().filter_map(|field| {
        let (value, _) = field.values.first()?;
        Some((certificate_header(field)?, *value))
    });
    let told: Vec<_> = told.collect();
    let shown = ShownRequest::new(RequestFacts {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        certificate: &told,
    });
    for field in &query {
        field.check(&shown.querystring.fields)?;
    }
    for field in certificate.iter().chain(&headers) {
        field.check_header(&shown.headers)?;
    }
    for field in &cookies {
        field.check(&shown.cookies.fields)?;
    }
    let told = told.iter().map(|(header, value)| (*header, (*value).to_owned()));
    let told = told.collect();
    Ok((parts, told))
}

fn read_response(at: &At<'_>) -> Result<response::Parts, BadEvent> {
    at.has_only(&["statusCode", "statusDescription", "headers", "cookies"])?;
    let (headers, cookies) = (fields(at, "headers", false)?, fields(at, "cookies", true)?);
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status(&at.need("statusCode")?)?;
    if let Some(description) = at.get("statusDescription") {
        let reason = ReasonPhrase::try_from(description.text()?.as_bytes());
        let reason = reason.map_err(|_| description.bad("is no reason phrase of HTTP"))?;
        parts.extensions.insert(reason);
    }
    parts.headers = header_map(&headers)?;
    for field in &cookies {
        for (value, attributes) in &field.values {
            let separator = if attributes.is_some() { "; " } else { "" };
            let line = [field.name, "=", value, separator, attributes.unwrap_or_default()].concat();
            parts.headers.append(SET_COOKIE, field.value(&line)?);
        }
    }
    let shown = ShownResponse::new(parts.status, None, &parts.headers);
    for field in &headers {
        field.check_header(&shown.headers)?;
    }
    for field in &cookies {
        field.check(&shown.cookies.fields)?;
    }
    Ok(parts)
}

fn status(at: &At<'_>) -> Result<StatusCode, BadEvent> {
    let number = at.number()?;
    let status = (200..=599).find(|status| f64::from(*status) == number);
    match status.map(StatusCode::from_u16) {
        Some(Ok(status)) if status < StatusCode::BAD_REQUEST => Ok(status),
        Some(Ok(_)) => Err(at.bad("is an error, and functions are not asked about those")),
        _ => Err(at.bad("is not an integer from 200 to 399")),
    }
}

fn uri(at: &At<'_>, query: &[EventField<'_>]) -> Result<Uri, BadEvent> {
    let path = at.text()?;
    let parsed = PathAndQuery::try_from(path).ok();
    let is_path = |parsed: &PathAndQuery| parsed.path() == path && parsed.query().is_none();
    if !path.starts_with('/') || !parsed.as_ref().is_some_and(is_path) {
        return Err(at.bad("is no path of HTTP: it begins with /, and has neither ? nor #"));
    }
    let mut target = path.to_owned();
    let mut separator = '?';
    for field in query {
        for (value, _) in &field.values {
            let piece = [field.name, "=", value].concat();
            PathAndQuery::try_from(format!("/?{piece}")).map_err(|_| field.at.bad(NO_QUERY))?;
            target.push(std::mem::replace(&mut separator, '&'));
            target.push_str(&piece);
        }
    }
    let target = PathAndQuery::try_from(target).map_err(|_| at.bad("has too long a query string"))?;
    Ok(Uri::from(target))
}

fn header_map(fields: &[EventField<'_>]) -> Result<HeaderMap, BadEvent> {
    let mut headers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| field.at.bad("is no name of a header"))?;
        if name == COOKIE || name == SET_COOKIE {
            return Err(field.at.bad("belongs under cookies"));
        }
        if headers.contains_key(&name) {
            return Err(field.at.bad("is there twice, in different case"));
        }
        for (value, _) in &field.values {
            headers.append(&name, field.value(value)?);
        }
    }
    Ok(headers)
}

fn cookie(fields: &[EventField<'_>]) -> Result<Option<HeaderValue>, BadEvent> {
    let mut line = String::new();
    for field in fields {
        for (value, _) in &field.values {
            let piece = [field.name, "=", value].concat();
            field.value(&piece)?;
            line.push_str(if line.is_empty() { "" } else { "; " });
            line.push_str(&piece);
        }
    }
    // Each piece is good, so this is.
    let value = HeaderValue::from_bytes(line.as_bytes()).ok();
    Ok(value.filter(|_| !line.is_empty()))
}

/// Header of a certificate that functions are shown.
fn certificate_header(field: &EventField<'_>) -> Option<CertificateHeader> {
    CertificateHeader::parse(field.name).filter(|header| SHOWN_TO_FUNCTIONS.contains(header))
}

const NO_QUERY: &str = "has what no query string can have; percent-encode it";
