//! Functions and connections for the tests of this module.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bothways_state::key_values::{KeyValues, Store};
use bothways_test_pki::{Ca, leaf};
use bothways_trust::CertificateFacts;
use rustix::time::{ClockId, clock_gettime};

use super::*;

pub(super) fn compile(code: &str) -> Result<Function, CompileError> {
    compile_with(code, None)
}

pub(super) fn compile_with(code: &str, store: Option<Arc<Store>>) -> Result<Function, CompileError> {
    Function::compile(FunctionSource {
        name: "judge",
        kind: FunctionKind::Connection,
        code: code.as_bytes(),
        key_value_store: store,
        limits: limits(),
    })
}

/// Limits with so much time that time never ends a call, whatever else the machine does. Tests of the time
/// have their own limit.
pub(super) fn limits() -> FunctionLimits {
    FunctionLimits {
        time: Duration::from_secs(10),
        memory_bytes: 2 * 1024 * 1024,
        code_bytes: 10_240,
    }
}

pub(super) fn function(code: &str) -> Arc<Function> {
    Arc::new(compile(code).unwrap())
}

pub(super) fn function_with(code: &str, items: &[(&str, &str)]) -> Arc<Function> {
    Arc::new(compile_with(code, Some(store(items))).unwrap())
}

pub(super) fn store(items: &[(&str, &str)]) -> Arc<Store> {
    Arc::new(Store::new("revocations", generation(items)))
}

pub(super) fn generation(items: &[(&str, &str)]) -> KeyValues {
    let items = items.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    let created = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    KeyValues::new(items, created, created + Duration::from_secs(60))
}

/// Serial 00:b1:43:ed, subject `O=Example, CN=client`.
pub(super) fn client() -> CertificateFacts {
    let der = Ca::root("Root").issue(leaf("client").serial(&[0xb1, 0x43, 0xed]));
    CertificateFacts::parse(&der).unwrap()
}

pub(super) fn event<'a>(
    leaf: Option<&'a CertificateFacts>,
    intermediates: &'a [Arc<CertificateFacts>],
) -> ConnectionEvent<'a> {
    ConnectionEvent {
        connection_id: "NpvTe1925xfj24a67sPQr7ae42BIq03FGhJJKfrQYWZcWZFp96SIIg==",
        client_ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 42)),
        endpoint: "api.example.com",
        distribution_id: "E1NXS4MQZH501R",
        leaf,
        intermediates,
        tls: TlsFacts {
            protocol: Some("TLSv1.3"),
            cipher: Some("TLS_AES_128_GCM_SHA256"),
            sni: Some("api.example.com"),
            resumed: false,
        },
    }
}

/// A call with a client certificate.
pub(super) fn call(function: &Arc<Function>) -> ConnectionOutcome {
    call_connection(function, &event(Some(&client()), &[]))
}

/// The decision of a call with a client certificate that was not out of time by chance: on a machine that
/// does much else a good call can take a short limit, too. The last of a few counts.
pub(super) fn call_generously(function: &Arc<Function>) -> Decision {
    let mut decisions = (0..20).map(|_| call(function).decision);
    let good = decisions.find(|decision| *decision == Decision::Allow);
    good.unwrap_or_else(|| call(function).decision)
}

/// A call without one.
pub(super) fn call_anonymous(function: &Arc<Function>) -> ConnectionOutcome {
    call_connection(function, &event(None, &[]))
}

/// Decision of a function's one call.
pub(super) fn decision(code: &str) -> Decision {
    call(&function(code)).decision
}

pub(super) fn console(code: &str) -> Vec<String> {
    let outcome = call(&function(code));
    assert_eq!(outcome.decision, Decision::Allow, "{code}");
    outcome.console
}

pub(super) fn error(code: &str) -> String {
    match decision(code) {
        Decision::Error(sentence) => sentence,
        other => panic!("{other:?} of {code}"),
    }
}

/// CPU time that a call with a limit of 5 ms may take, in a debug build too.
pub(super) const CPU_MAX: Duration = Duration::from_millis(250);

/// Result of a call, and its CPU time. A call beyond [`CPU_MAX`] is tried again a few times. Caches and
/// clocks that others use make a call slow now and then; an operation that holds its core is slow each time.
pub(super) fn fastest<T>(call: impl Fn() -> T) -> (Duration, T) {
    let timed = || {
        let before = thread_time();
        let result = call();
        (thread_time().saturating_sub(before), result)
    };
    let mut tries = (0..4).map(|_| timed());
    let fast = tries.find(|(taken, _)| *taken < CPU_MAX);
    fast.unwrap_or_else(timed)
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}
