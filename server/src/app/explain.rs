//! `bothways explain`: what would be decided about a client certificate, step by step, and why.
//!
//! Owns the words around a decision that [`Policy::explain`] makes with the code that decides online. Loads the configuration and one
//! trust store, opens no socket. The text is for people; the JSON has the same content under stable names.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::AlertDescription;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Serialize;

use super::AppError;
use crate::config::{self, ConfigError};
use crate::files;
use crate::metrics::ConnectionStatus;
use crate::snapshot;
use crate::tls::alert_of;
use crate::trust::{CertificateFacts, Policy, RejectedKind, Step};
use crate::worker::code_of;

/// What is asked.
pub struct Question {
    pub config: PathBuf,
    pub distribution: String,
    /// A PEM file, leaf first.
    pub chain: PathBuf,
    pub at: UnixTime,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    distribution_id: String,
    trust_store: String,
    presented: Vec<Presented>,
    steps: Vec<ToldStep>,
    admitted: bool,
    /// As the connection record would have it.
    connection_status: &'static str,
    /// Why the client is refused; or what is remarkable about admitting it.
    reason: Option<String>,
    alert: Option<Alert>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Presented {
    /// `None`: it cannot be read.
    #[serde(flatten)]
    facts: Option<Facts>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    subject: String,
    issuer: String,
    serial_number: String,
    validity: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct ToldStep {
    check: &'static str,
    passed: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Alert {
    number: u8,
    name: String,
}

/// Decides about the chain as the distribution would.
///
/// # Errors
/// The configuration or the PEM file cannot be used, or there is no such distribution, or it does not ask for certificates.
pub fn explain(question: &Question) -> Result<Explanation, AppError> {
    let config = config::load(&question.config)?;
    let distribution = config.distribution(&question.distribution)?;
    let unasked = || -> ConfigError {
        config.source.error(
            &distribution.key,
            format!(
                "the distribution {:?} asks no client for a certificate",
                question.distribution
            ),
            "add [distributions.viewer_mtls], or name another distribution",
        )
    };
    let policy = snapshot::policy(&config, distribution)?.ok_or_else(unasked)?;
    let chain = read_chain(&question.chain)
        .map_err(|fault| AppError::Config(format!("{}: {fault}", question.chain.display())))?;
    let [leaf, intermediates @ ..] = chain.as_slice() else {
        let fault = "holds no CERTIFICATE block; name a PEM file with the client's certificate first";
        return Err(AppError::Config(format!("{}: {fault}", question.chain.display())));
    };
    Ok(decide(
        &policy,
        &question.distribution,
        leaf,
        intermediates,
        question.at,
    ))
}

fn decide(
    policy: &Policy,
    distribution_id: &str,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    at: UnixTime,
) -> Explanation {
    let (verdict, steps) = policy.explain(leaf, intermediates, at);
    let (status, reason, kind) = match verdict {
        Ok(client) => (
            ConnectionStatus::Success,
            client.caveat().map(str::to_owned),
            None,
        ),
        Err(rejected) => {
            let status = ConnectionStatus::Failed(code_of(rejected.kind));
            (status, Some(rejected.reason), Some(rejected.kind))
        }
    };
    Explanation {
        distribution_id: distribution_id.to_owned(),
        trust_store: policy.store().name().to_owned(),
        presented: std::iter::once(leaf)
            .chain(intermediates)
            .map(Presented::of)
            .collect(),
        steps: steps.into_iter().map(ToldStep::of).collect(),
        admitted: kind.is_none(),
        connection_status: status.as_str(),
        reason,
        alert: kind.map(Alert::of),
    }
}

impl Explanation {
    pub fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "distribution {}, trust store {}",
            self.distribution_id, self.trust_store
        )?;
        for (number, presented) in (1..).zip(&self.presented) {
            match &presented.facts {
                Some(facts) => write!(f, "\ncertificate {number}\n{facts}")?,
                None => writeln!(f, "\ncertificate {number}\n  cannot be read")?,
            }
        }
        writeln!(f, "\nchecks")?;
        for step in &self.steps {
            let outcome = if step.passed { "ok    " } else { "FAILED" };
            writeln!(f, "  {outcome} {}: {}", step.check, step.detail)?;
        }
        let decision = if self.admitted { "admitted" } else { "refused" };
        writeln!(f, "\n{decision}: {}", self.connection_status)?;
        if let Some(reason) = &self.reason {
            writeln!(f, "  reason: {reason}")?;
        }
        match &self.alert {
            Some(alert) => writeln!(f, "  alert:  {} ({})", alert.name, alert.number),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  subject  {}", self.subject)?;
        writeln!(f, "  issuer   {}", self.issuer)?;
        writeln!(f, "  serial   {}", self.serial_number)?;
        writeln!(f, "  validity {}", self.validity)?;
        writeln!(f, "  SHA-256  {}", self.sha256)
    }
}

impl Presented {
    fn of(der: &CertificateDer<'_>) -> Self {
        let facts = CertificateFacts::parse(der).map(|facts| Facts {
            subject: facts.subject,
            issuer: facts.issuer,
            serial_number: facts.serial_number,
            validity: facts.validity,
            sha256: facts.sha256,
        });
        Self { facts }
    }
}

impl ToldStep {
    fn of(step: Step) -> Self {
        Self {
            check: step.check.name(),
            passed: step.passed,
            detail: step.detail,
        }
    }
}

impl Alert {
    fn of(kind: RejectedKind) -> Self {
        let alert = alert_of(kind);
        Self {
            number: alert.into(),
            name: name_of(alert),
        }
    }
}

/// The name of RFC 8446 §6, of those that [`alert_of`] gives.
fn name_of(alert: AlertDescription) -> String {
    let name = match alert {
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        other => return format!("{other:?}"),
    };
    name.to_owned()
}

/// Text around the blocks is fine, keys are not looked at: people paste what they have.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem =
        files::read_argument(path, PEM_BYTES_MAX).map_err(|error| format!("cannot be read: {error}"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.map_err(|error| format!("is not well-formed PEM: {error}"))
}

/// Ten certificates of 16 KiB are the most that is looked at.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
