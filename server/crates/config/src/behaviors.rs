//! `[[distributions.behaviors]]`: which origin answers which path, and what it is told about the client.

use bothways_trust::CertificateHeader;

use super::error::Problem;
use super::functions::Functions;
use super::key::KeyPath;
use super::origins::Origin;
use super::path_pattern::{InvalidPathPattern, PathPattern};
use super::raw::{RawBehavior, RawFunctionAssociations, RawOriginRequestPolicy};
use super::suggest::{choose, instead_of};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Behavior {
    pub key: KeyPath,
    pub path_pattern: PathPattern,
    /// Index into the origins of the same distribution.
    pub origin: usize,
    pub viewer_protocol_policy: ViewerProtocolPolicy,
    pub origin_request_policy: OriginRequestPolicy,
    pub function_associations: FunctionAssociations,
}

/// Indexes into the viewer functions of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FunctionAssociations {
    pub viewer_request: Option<usize>,
    pub viewer_response: Option<usize>,
}

/// Answer of an `http` listener to a request for this path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViewerProtocolPolicy {
    HttpsOnly,
    RedirectToHttps,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OriginRequestPolicy {
    /// Each at most once.
    pub headers: Vec<CertificateHeader>,
    /// True if the origin is told the connection's id, as the connection's record has it.
    pub connection_id: bool,
}

/// First match wins; the last one matches everything.
pub(super) fn behaviors(
    key: &KeyPath,
    raw: &[RawBehavior],
    origins: &[Origin],
    functions: &Functions,
) -> Result<Vec<Behavior>, Problem> {
    let mut behaviors: Vec<Behavior> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let behavior = behavior(&key.index(index), raw, origins, functions)?;
        check_against_earlier(&behavior, &behaviors)?;
        behaviors.push(behavior);
    }
    match behaviors.last() {
        Some(last) if last.path_pattern.is_any() => Ok(behaviors),
        Some(last) => {
            let fault = "the last behavior must have path_pattern = \"*\"";
            let remedy = "add one that serves the paths that no other one matches";
            Err(Problem::new(&last.key.child("path_pattern"), fault, remedy))
        }
        None => {
            let remedy = "add [[distributions.behaviors]] with path_pattern = \"*\" and an origin";
            Err(Problem::new(key, "there is no behavior", remedy))
        }
    }
}

/// A behavior that no request can reach is a mistake.
fn check_against_earlier(behavior: &Behavior, earlier: &[Behavior]) -> Result<(), Problem> {
    let key = behavior.key.child("path_pattern");
    if let Some(first) = earlier
        .iter()
        .find(|first| first.path_pattern == behavior.path_pattern)
    {
        let fault = format!("{} has this pattern too", first.key);
        return Err(Problem::new(&key, fault, "give each behavior its own"));
    }
    if let Some(first) = earlier.iter().find(|first| first.path_pattern.is_any()) {
        let fault = format!("{} matches everything, so this one is never reached", first.key);
        return Err(Problem::new(
            &key,
            fault,
            "move the behavior with \"*\" to the end",
        ));
    }
    Ok(())
}

fn behavior(
    key: &KeyPath,
    raw: &RawBehavior,
    origins: &[Origin],
    functions: &Functions,
) -> Result<Behavior, Problem> {
    Ok(Behavior {
        key: key.clone(),
        path_pattern: path_pattern(&key.child("path_pattern"), &raw.path_pattern)?,
        origin: origin_index(&key.child("origin"), &raw.origin, origins)?,
        viewer_protocol_policy: viewer_protocol_policy(
            &key.child("viewer_protocol_policy"),
            raw.viewer_protocol_policy.as_deref(),
        )?,
        origin_request_policy: match &raw.origin_request_policy {
            None => OriginRequestPolicy::default(),
            Some(policy) => origin_request_policy(&key.child("origin_request_policy"), policy)?,
        },
        function_associations: match &raw.function_associations {
            None => FunctionAssociations::default(),
            Some(raw) => function_associations(&key.child("function_associations"), raw, functions)?,
        },
    })
}

fn path_pattern(key: &KeyPath, text: &str) -> Result<PathPattern, Problem> {
    PathPattern::parse(text).map_err(|fault| match fault {
        InvalidPathPattern::Length => Problem::new(
            key,
            "the pattern is empty or too long",
            "use 1 to 255 characters, \"*\" for every path",
        ),
        InvalidPathPattern::Character(c) => Problem::new(
            key,
            format!("{c:?} cannot be in a path"),
            "write it percent-encoded",
        ),
        InvalidPathPattern::Segment => Problem::new(
            key,
            "no path has \"//\", \"/./\" or \"/../\" in it when patterns are looked at",
            "write the pattern without; runs of slashes count as one, and dots are resolved before",
        ),
    })
}

fn origin_index(key: &KeyPath, id: &str, origins: &[Origin]) -> Result<usize, Problem> {
    origins.iter().position(|origin| origin.id == id).ok_or_else(|| {
        let known = origins.iter().map(|origin| origin.id.as_str());
        let fault = format!("no origin of this distribution has the id {id:?}");
        Problem::new(key, fault, instead_of(id, known, "ids"))
    })
}

fn viewer_protocol_policy(key: &KeyPath, given: Option<&str>) -> Result<ViewerProtocolPolicy, Problem> {
    let choices = [
        ("https-only", ViewerProtocolPolicy::HttpsOnly),
        ("redirect-to-https", ViewerProtocolPolicy::RedirectToHttps),
    ];
    match given {
        None => Ok(ViewerProtocolPolicy::HttpsOnly),
        Some("allow-all") => {
            let fault = "\"allow-all\" would serve clients that nobody has authenticated";
            Err(Problem::new(
                key,
                fault,
                "use \"https-only\" or \"redirect-to-https\"",
            ))
        }
        Some(name) => choose(key, name, &choices),
    }
}

fn origin_request_policy(
    key: &KeyPath,
    raw: &RawOriginRequestPolicy,
) -> Result<OriginRequestPolicy, Problem> {
    let key = key.child("headers");
    if raw.headers.len() > HEADERS_MAX {
        let fault = format!("{} headers are too many", raw.headers.len());
        return Err(Problem::new(&key, fault, format!("name {HEADERS_MAX} at most")));
    }
    let mut policy = OriginRequestPolicy::default();
    for (index, name) in raw.headers.iter().enumerate() {
        let key = key.index(index);
        let is_new = match CertificateHeader::parse(name) {
            None if name.eq_ignore_ascii_case(CONNECTION_ID) => {
                !std::mem::replace(&mut policy.connection_id, true)
            }
            None => return Err(unknown_header(&key, name)),
            Some(header) if policy.headers.contains(&header) => false,
            Some(header) => {
                policy.headers.push(header);
                true
            }
        };
        if !is_new {
            let fault = format!("{name} is in the list twice");
            return Err(Problem::new(&key, fault, "name each header once"));
        }
    }
    Ok(policy)
}

fn unknown_header(key: &KeyPath, name: &str) -> Problem {
    let known = CertificateHeader::ALL.map(CertificateHeader::as_str);
    let known = known.into_iter().chain([CONNECTION_ID]);
    let fault = format!("{name:?} is no header that the server can add");
    Problem::new(key, fault, instead_of(name, known, "headers"))
}

fn function_associations(
    key: &KeyPath,
    raw: &RawFunctionAssociations,
    functions: &Functions,
) -> Result<FunctionAssociations, Problem> {
    let find = |event: &'static str, name: &Option<String>| {
        let name = name.as_deref();
        name.map(|name| functions.viewer_function(&key.child(event), name))
            .transpose()
    };
    Ok(FunctionAssociations {
        viewer_request: find("viewer_request", &raw.viewer_request)?,
        viewer_response: find("viewer_response", &raw.viewer_response)?,
    })
}

/// In what an origin is told the connection's id; `header_name::is_ours` keeps clients from it.
const CONNECTION_ID: &str = "Bothways-Connection-Id";
/// The managed service's quota of headers in one policy.
const HEADERS_MAX: usize = 10;
