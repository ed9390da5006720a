//! `bothways explain`: what would be decided about a client certificate, step by step, and why.
//!
//! Owns the words around a decision that [`Policy::explain`], and after it the distribution's connection
//! function, make with the code that decides online. Loads the configuration, one trust store and one
//! function, opens no socket. The text is for people; the JSON has the same content under stable names.

mod explanation;
mod function;

use std::path::PathBuf;

use bothways_config::{Config, ConfigError, Distribution, MtlsPolicy};
use bothways_trust::{Policy, Rejected, UncheckedClient};
use rustls::AlertDescription;
use rustls_pki_types::{CertificateDer, UnixTime};

pub use self::explanation::Explanation;
use self::explanation::{Alert, Presented, ToldStep};
pub use self::function::Circumstances;
use super::chain::read_chain;
use crate::admission::{ClientAuth, Consequence};
use crate::app::AppError;
use crate::metrics::{ConnectionStatus, FailureCode};
use crate::snapshot;

/// Question to be answered.
pub(super) struct Question {
    pub config: PathBuf,
    pub distribution: String,
    /// A PEM file, leaf first.
    pub chain: PathBuf,
    pub at: UnixTime,
    pub circumstances: Circumstances,
}

/// Decides about the chain as the distribution would.
///
/// # Errors
/// The configuration or the PEM file cannot be used, or there is no such distribution, or it does not ask for
/// certificates.
pub(super) fn explain(question: &Question) -> Result<Explanation, AppError> {
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

/// Refusal of a client.
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
        let consequence = Consequence::of(rejected.kind);
        Self {
            code: consequence.code,
            alert: consequence.alert(),
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
