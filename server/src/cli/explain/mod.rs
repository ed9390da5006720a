//! `bothways explain`: what would be decided about a client certificate, step by step, and why.
//!
//! Owns the words around a decision that [`Policy::explain`], and after it the distribution's connection
//! function, make with the code that decides online. Loads the configuration, one trust store and one
//! function, opens no socket. The text is for people; the JSON has the same content under stable names.

mod function;

use std::fmt;
use std::path::{Path, PathBuf};

use bothways_config::{Config, ConfigError, Distribution, MtlsPolicy};
use bothways_state::files;
use bothways_trust::{CertificateFacts, ForeignFormat, Policy, Rejected, Step, UncheckedClient};
use rustls::AlertDescription;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Serialize;

pub use self::function::Circumstances;
use self::function::Told;
use crate::admission::{ClientAuth, alert_of};
use crate::app::AppError;
use crate::metrics::{ConnectionStatus, FailureCode};
use crate::snapshot;
use crate::worker::code_of;

/// What is asked.
pub struct Question {
    pub config: PathBuf,
    pub distribution: String,
    /// A PEM file, leaf first.
    pub chain: PathBuf,
    pub at: UnixTime,
    pub circumstances: Circumstances,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    distribution_id: String,
    /// `None`: mode passthrough.
    trust_store: Option<String>,
    presented: Vec<Presented>,
    steps: Vec<ToldStep>,
    admitted: bool,
    /// As the connection record would have it.
    connection_status: &'static str,
    /// Why the client is refused; or what is remarkable about admitting it.
    reason: Option<String>,
    alert: Option<Alert>,
    /// `None`: the distribution has none, or it was not asked, the client being refused before.
    connection_function: Option<Told>,
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
/// The configuration or the PEM file cannot be used, or there is no such distribution, or it does not ask for
/// certificates.
pub fn explain(question: &Question) -> Result<Explanation, AppError> {
    let config = snapshot::load_config(&question.config)?;
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
    let chain = read_chain(&question.chain)
        .map_err(|fault| AppError::Config(format!("{}: {fault}", question.chain.display())))?;
    let [leaf, intermediates @ ..] = chain.as_slice() else {
        let fault = "holds no CERTIFICATE block; name a PEM file with the client's certificate first";
        return Err(AppError::Config(format!("{}: {fault}", question.chain.display())));
    };
    let verdict = match &distribution.viewer_mtls {
        MtlsPolicy::Off => return Err(unasked().into()),
        MtlsPolicy::Passthrough => Verdict::unchecked(leaf, intermediates),
        MtlsPolicy::Verify(_) => {
            let policy = snapshot::policy(&config, distribution)?.ok_or_else(unasked)?;
            Verdict::of(&policy, leaf, intermediates, question.at)
        }
    };
    let presented = chain.iter().map(Presented::of).collect();
    Ok(conclude(&config, distribution, question, verdict, presented)?)
}

/// Decision that is made before the connection function is asked.
struct Verdict {
    trust_store: Option<String>,
    steps: Vec<ToldStep>,
    client: Result<ClientAuth, Rejection>,
    /// Remark about admitting the client, if there is one.
    caveat: Option<String>,
}

/// Why a client is refused.
struct Rejection {
    code: FailureCode,
    reason: String,
    alert: AlertDescription,
}

impl Verdict {
    fn of(
        policy: &Policy,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Self {
        let (verdict, steps) = policy.explain(leaf, intermediates, at);
        let caveat = verdict.as_ref().ok().and_then(|client| client.caveat());
        Self {
            trust_store: Some(policy.store().name().to_owned()),
            steps: steps.into_iter().map(ToldStep::of).collect(),
            caveat: caveat.map(str::to_owned),
            client: verdict.map(ClientAuth::Verified).map_err(Rejection::from),
        }
    }

    fn unchecked(leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Self {
        let client = UncheckedClient::read(leaf, intermediates);
        let detail = match &client {
            Ok(_) => "passthrough: any certificate will do whose key the client holds".to_owned(),
            Err(rejected) => rejected.reason.clone(),
        };
        Self {
            trust_store: None,
            steps: vec![ToldStep {
                check: "mode",
                passed: client.is_ok(),
                detail,
            }],
            caveat: None,
            client: client.map(ClientAuth::Unchecked).map_err(Rejection::from),
        }
    }
}

impl From<Rejected> for Rejection {
    fn from(rejected: Rejected) -> Self {
        Self {
            code: code_of(rejected.kind),
            alert: alert_of(rejected.kind),
            reason: rejected.reason,
        }
    }
}

/// Asks the connection function about a client that has passed everything else, and puts the answer together.
fn conclude(
    config: &Config,
    distribution: &Distribution,
    question: &Question,
    verdict: Verdict,
    presented: Vec<Presented>,
) -> Result<Explanation, ConfigError> {
    let mut steps = verdict.steps;
    let heard = match &verdict.client {
        Ok(client) => function::hear(config, distribution, client, &question.circumstances, question.at)?,
        Err(_) => None,
    };
    steps.extend(heard.as_ref().map(function::Heard::step));
    let (barred, told) = heard.map_or((None, None), |heard| (heard.barred, Some(heard.told)));
    let barred = barred.map(|barred| Rejection {
        code: barred.code,
        reason: barred.reason,
        // RFC 8446 §6.2, as the gate answers.
        alert: AlertDescription::AccessDenied,
    });
    let rejection = verdict.client.err().or(barred);
    let status = rejection
        .as_ref()
        .map(|rejection| ConnectionStatus::Failed(rejection.code));
    Ok(Explanation {
        distribution_id: question.distribution.clone(),
        trust_store: verdict.trust_store,
        presented,
        steps,
        admitted: rejection.is_none(),
        connection_status: status.unwrap_or(ConnectionStatus::Success).as_str(),
        alert: rejection.as_ref().map(|rejection| Alert::of(rejection.alert)),
        reason: rejection.map_or(verdict.caveat, |rejection| Some(rejection.reason)),
        connection_function: told,
    })
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
        match &self.trust_store {
            Some(store) => writeln!(f, "distribution {}, trust store {store}", self.distribution_id)?,
            None => writeln!(f, "distribution {}, mode passthrough", self.distribution_id)?,
        }
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
        for line in self.connection_function.iter().flat_map(Told::lines) {
            writeln!(f, "         {line}")?;
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
    fn of(alert: AlertDescription) -> Self {
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
    if let Some(format) = ForeignFormat::of(&pem) {
        let command = format.certificates_command(&path.display().to_string());
        return Err(format!(
            "{format}, not PEM; the command that makes PEM of it is: {command}"
        ));
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.map_err(|error| snapshot::told_pem(&error).to_owned())
}

/// Ten certificates of 16 KiB are the most that is looked at.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
