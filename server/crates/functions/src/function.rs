//! A function that was checked and compiled, and the place where its live version stands.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bothways_state::key_values::Store;
use bothways_trust::sha256;

use super::compile;
use super::engine::{Allowance, Called, Engine, Event, Recipe};
use super::fault::{Fault, FaultKind};
use super::pool;
use super::program::Program;
use super::source::{CompileError, FunctionKind, FunctionLimits, FunctionSource};

/// A version of a function, checked. Cores make their engines from it.
#[derive(Debug)]
pub struct Function {
    name: Arc<str>,
    kind: FunctionKind,
    /// Unlike that of any other version in this process.
    version: u64,
    /// SHA-256 of the code: the same code is the same to tickets, before and after a restart.
    digest: [u8; 32],
    program: Program,
    key_value_store: Option<Arc<Store>>,
    limits: FunctionLimits,
    /// It writes to built-in objects, so each call gets an engine of its own.
    is_alone: AtomicBool,
}

impl Function {
    /// Checks and compiles.
    ///
    /// # Errors
    /// Too long, not UTF-8, a syntax error, no handler, or its top level throws.
    pub fn compile(source: FunctionSource<'_>) -> Result<Self, CompileError> {
        let program = compile::program(&source)?;
        let function = Self {
            name: source.name.into(),
            kind: source.kind,
            version: NEXT_VERSION.fetch_add(1, Ordering::Relaxed),
            digest: sha256(source.code),
            program,
            key_value_store: source.key_value_store,
            limits: source.limits,
            is_alone: AtomicBool::new(false),
        };
        match function.try_top_level() {
            Ok(()) => Ok(function),
            Err(fault) => Err(compile::refusal(fault, source.kind)),
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn kind(&self) -> FunctionKind {
        self.kind
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub fn limits(&self) -> &FunctionLimits {
        &self.limits
    }

    /// Makes this thread's engine now, so that the first call does not wait for it. A fault shows at that
    /// call.
    pub fn warm(&self) {
        if self.is_alone.load(Ordering::Relaxed) {
            return;
        }
        let engine = pool::take(self.version).map_or_else(|| self.engine(true), Ok);
        if let Ok(engine) = engine {
            pool::put(&self.name, self.kind, self.version, engine);
        }
    }

    /// Bytes that this thread's engine holds, if it has one: for measurements.
    pub fn engine_bytes(&self) -> Option<usize> {
        let engine = pool::take(self.version)?;
        let bytes = engine.bytes();
        pool::put(&self.name, self.kind, self.version, engine);
        Some(bytes)
    }

    /// Makes one call. If it ends at a write to something frozen, it is made again with the time that is
    /// left, in an engine that is open and for this call only. If that call ends otherwise, the function
    /// needs such an engine for every call.
    pub(super) fn call<E: Event>(&self, event: &E, now: SystemTime) -> Called<E::Answer> {
        let allowance = self.allowance(self.limits.time, now);
        if self.is_alone.load(Ordering::Relaxed) {
            return self.call_alone(event, allowance);
        }
        let first = self.call_pooled(event, allowance);
        if !first.wrote_to_frozen() {
            return first;
        }
        let left = self.limits.time.saturating_sub(first.elapsed);
        let mut second = self.call_alone(event, self.allowance(left, now));
        if !second.wrote_to_frozen() {
            self.be_alone();
        }
        second.elapsed += first.elapsed;
        second
    }

    fn call_pooled<E: Event>(&self, event: &E, allowance: Allowance) -> Called<E::Answer> {
        let mut engine = match pool::take(self.version).map_or_else(|| self.engine(true), Ok) {
            Ok(engine) => engine,
            Err(fault) => return Called::failed(fault),
        };
        let called = engine.call(&self.program, allowance, event);
        if engine.tidy(self.limits.memory_bytes) {
            pool::put(&self.name, self.kind, self.version, engine);
        }
        called
    }

    fn call_alone<E: Event>(&self, event: &E, allowance: Allowance) -> Called<E::Answer> {
        match self.engine(false) {
            Ok(engine) => engine.call(&self.program, allowance, event),
            Err(fault) => Called::failed(fault),
        }
    }

    /// The top level runs at each call; here it shows what it would throw then.
    fn try_top_level(&self) -> Result<(), Fault> {
        let time = self.limits.time * CHECK_TIME_FACTOR;
        let result = |is_hardened| {
            let allowance = self.allowance(time, SystemTime::now());
            let engine = self.engine(is_hardened)?;
            engine.try_top_level(&self.program, allowance).result
        };
        match result(true) {
            Err(fault) if fault.kind == FaultKind::WroteToFrozen => {
                result(false)?;
                self.be_alone();
                Ok(())
            }
            result => result,
        }
    }

    fn be_alone(&self) {
        if !self.is_alone.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                function = &*self.name,
                "the function writes to built-in objects: each call gets an engine of its own, which costs \
                 about 0.3 ms"
            );
        }
    }

    fn engine(&self, is_hardened: bool) -> Result<Engine, Fault> {
        Engine::new(Recipe {
            program: &self.program,
            kind_prelude: self.kind.prelude(),
            store_name: self.key_value_store.as_deref().map(Store::name),
            is_hardened,
        })
    }

    fn allowance(&self, time: Duration, now: SystemTime) -> Allowance {
        Allowance {
            time,
            memory_bytes: self.limits.memory_bytes,
            now,
            store: self.key_value_store.as_deref().map(Store::current),
        }
    }
}

/// The live version of a function: what `bothways function publish` swaps without touching a connection.
pub struct LiveFunction {
    current: ArcSwap<Function>,
}

impl LiveFunction {
    pub fn new(function: Function) -> Self {
        Self {
            current: ArcSwap::from_pointee(function),
        }
    }

    pub fn current(&self) -> Arc<Function> {
        self.current.load_full()
    }

    pub fn publish(&self, function: Function) {
        self.current.store(Arc::new(function));
    }
}

impl fmt::Debug for LiveFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveFunction")
            .field(self.current().name())
            .finish()
    }
}

static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);
/// A check runs cold, beside a server at work; what cannot pass even so would never pass.
const CHECK_TIME_FACTOR: u32 = 10;
