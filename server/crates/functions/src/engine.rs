//! The engine: a QuickJS runtime with one context, in which calls of one version of a function run, one after
//! the other.
//!
//! Invariants:
//! - Customer's code runs only while a [`Budget`] is running, its getters and `toString` included.
//! - Between calls no job is queued, and in a *hardened* engine nothing that customer's code can reach has
//!   changed: all of it is frozen (`prelude/harden.js`), and module-level variables are made anew by each
//!   call (`source.rs`). An *open* engine is for one call only.
//! - After a call that ran out of anything the engine is unfit and must be dropped: QuickJS does not promise
//!   to be whole then.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bothways_state::key_values::KeyValues;
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{Array, Context, Ctx, Error, Function, Module, Object, Persistent, Runtime, Value};

use super::budget::{Budget, Exhausted, Meter};
use super::call::{Call, Said};
use super::fault::{Fault, FaultKind};
use super::natives;
use super::program::Program;

/// An event of one kind of function: it builds the argument of the handler, and reads the answer.
pub(super) trait Event {
    type Answer;
    /// A memory of what `build` made, for `read`.
    type Built<'js>;

    /// Before anything of the call runs.
    fn begin(&self, _call: &Call) {}

    /// The handler's argument, made by functions of the kind's prelude.
    fn build<'js>(&self, makers: &Makers<'_, 'js>) -> rquickjs::Result<(Value<'js>, Self::Built<'js>)>;

    /// Reads what the handler has returned or its promise has come to. May run customer's code.
    fn read<'js>(&self, built: &Self::Built<'js>, returned: &Value<'js>) -> rquickjs::Result<Self::Answer>;
}

/// The recipe that an engine is made from.
#[derive(Clone, Copy)]
pub(super) struct Recipe<'a> {
    pub(super) program: &'a Program,
    /// The prelude of the function's kind: JavaScript that gives its makers, and what of theirs all calls
    /// share.
    pub(super) kind_prelude: &'a str,
    pub(super) store_name: Option<&'a str>,
    pub(super) is_hardened: bool,
}

/// The allowance of one call: what it may take and see.
pub(super) struct Allowance {
    pub(super) time: Duration,
    pub(super) memory_bytes: usize,
    pub(super) now: SystemTime,
    pub(super) store: Option<Arc<KeyValues>>,
}

/// The result of a call.
pub(super) struct Called<T> {
    pub(super) result: Result<T, Fault>,
    pub(super) said: Said,
    pub(super) elapsed: Duration,
}

impl<T> Called<T> {
    pub(super) fn failed(fault: Fault) -> Self {
        Self {
            result: Err(fault),
            said: Said::default(),
            elapsed: Duration::ZERO,
        }
    }

    pub(super) fn wrote_to_frozen(&self) -> bool {
        matches!(&self.result, Err(fault) if fault.kind == FaultKind::WroteToFrozen)
    }
}

pub(super) struct Engine {
    // Values first: they must go before their context, and it before its runtime.
    factory: Persistent<Function<'static>>,
    makers: Vec<Persistent<Function<'static>>>,
    context: Context,
    runtime: Runtime,
    call: Rc<Call>,
    budget: Rc<Budget>,
    bytes_at_rest: usize,
}

/// The functions that a kind's prelude offers to Rust.
pub(super) struct Makers<'a, 'js> {
    ctx: &'a Ctx<'js>,
    functions: &'a [Persistent<Function<'static>>],
}

impl<'js> Makers<'_, 'js> {
    pub(super) fn ctx(&self) -> &Ctx<'js> {
        self.ctx
    }

    /// The maker at this place in the prelude's `makers`.
    pub(super) fn maker(&self, index: usize) -> rquickjs::Result<Function<'js>> {
        let function = self.functions.get(index).ok_or(Error::Unknown)?;
        function.clone().restore(self.ctx)
    }
}

impl Engine {
    pub(super) fn new(recipe: Recipe<'_>) -> Result<Self, Fault> {
        let budget = Rc::new(Budget::default());
        let call = Rc::new(Call::default());
        let runtime = Runtime::new_with_alloc(Meter(Rc::clone(&budget))).map_err(no_engine)?;
        runtime.set_max_stack_size(STACK_BYTES);
        // Garbage is collected between calls alone ([`Engine::tidy`]). Within one QuickJS would also collect
        // while it throws for want of memory, when what it was changing is not whole.
        runtime.set_gc_threshold(usize::MAX);
        watch(&runtime, &budget, &call);
        let context = Context::custom::<Intrinsics>(&runtime).map_err(no_engine)?;
        let (factory, makers) = context.with(|ctx| {
            prepare(&ctx, &call, &budget, recipe).map_err(|error| Fault::of(&ctx, &error, recipe.program))
        })?;
        let mut engine = Self {
            factory,
            makers,
            context,
            runtime,
            call,
            budget,
            bytes_at_rest: 0,
        };
        engine.collect();
        Ok(engine)
    }

    pub(super) fn call<E: Event>(
        &self,
        program: &Program,
        allowance: Allowance,
        event: &E,
    ) -> Called<E::Answer> {
        self.limited(program, allowance, |ctx| self.run(ctx, event))
    }

    /// Runs the top level alone: whether it throws, and whether there is a handler.
    pub(super) fn try_top_level(&self, program: &Program, allowance: Allowance) -> Called<()> {
        self.limited(program, allowance, |ctx| self.handler(ctx).map(drop))
    }

    /// Bytes that the engine holds between calls.
    pub(super) fn bytes(&self) -> usize {
        self.budget.bytes_in_use()
    }

    /// Clears away what a call has left, once there is much of it: so it counts neither against the memory
    /// nor against the time of the next one. `false`: the engine is unfit.
    pub(super) fn tidy(&mut self, memory_bytes: usize) -> bool {
        if self.budget.exhausted().is_some() || self.runtime.is_job_pending() {
            return false;
        }
        if self.bytes() <= self.bytes_at_rest.saturating_add(GARBAGE_BYTES_MAX) {
            return true;
        }
        let before = self.bytes_at_rest;
        self.collect();
        self.bytes() <= before.saturating_add(memory_bytes)
    }

    fn collect(&mut self) {
        self.runtime.run_gc();
        self.bytes_at_rest = self.bytes();
    }

    fn limited<T>(
        &self,
        program: &Program,
        mut allowance: Allowance,
        run: impl for<'js> FnOnce(&Ctx<'js>) -> Result<T, Stop>,
    ) -> Called<T> {
        // One generation of the store for the whole call, whatever is published meanwhile.
        self.call.begin(allowance.now, allowance.store.take());
        self.budget.start(allowance.time, allowance.memory_bytes);
        let mut elapsed = None;
        let result = self.context.with(|ctx| {
            let stop = match run(&ctx) {
                // A native operation may end after the time is over, without an interruption: late all the
                // same.
                Ok(value) if !self.budget.is_spent() => return Ok(value),
                Ok(_) => Stop::Exhausted,
                Err(stop) => stop,
            };
            let exhausted = self.budget.exhausted();
            if exhausted.is_some() {
                // The time is taken now. Reading the fault below is our work and not the function's.
                elapsed = Some(self.budget.stop());
                // Reading where it was stopped runs the customer's getters again, so it has a budget too.
                self.budget.start(GRACE_TIME, GRACE_BYTES);
            }
            let fault = stop.fault(&ctx, program);
            // A call that was within its budget can still run out of it here: its error's getters are its
            // own.
            let exhausted = exhausted.or(self.budget.exhausted());
            // Noted again, since the second start has forgotten it: the engine is thrown away for it later.
            self.budget.exhaust(exhausted);
            Err(match exhausted {
                Some(exhausted) => Fault {
                    place: fault.place,
                    ..too_much(exhausted, &allowance)
                },
                None => fault,
            })
        });
        let rest = self.budget.stop();
        Called {
            result,
            said: self.call.take(),
            elapsed: elapsed.unwrap_or(rest),
        }
    }

    fn run<E: Event>(&self, ctx: &Ctx<'_>, event: &E) -> Result<E::Answer, Stop> {
        event.begin(&self.call);
        let handler = self.handler(ctx)?;
        let (argument, built) = event.build(&Makers {
            ctx,
            functions: &self.makers,
        })?;
        let returned: Value<'_> = handler.call((argument,))?;
        self.drain(ctx)?;
        let settled = match returned.as_promise() {
            Some(promise) => match promise.result::<Value<'_>>() {
                Some(result) => result?,
                None => return Err(Stop::NeverEnded),
            },
            None => returned,
        };
        let answer = event.read(&built, &settled)?;
        self.drain(ctx)?;
        if self.call.has_unhandled_rejection() {
            return Err(Stop::Unhandled);
        }
        Ok(answer)
    }

    fn handler<'js>(&self, ctx: &Ctx<'js>) -> Result<Function<'js>, Stop> {
        let factory = self.factory.clone().restore(ctx)?;
        let handler: Value<'js> = factory.call(())?;
        handler.into_function().ok_or(Stop::NoHandler)
    }

    /// Runs what the call has queued, until nothing is left or time is up.
    fn drain(&self, ctx: &Ctx<'_>) -> Result<(), Stop> {
        let mut jobs: u32 = 0;
        while ctx.execute_pending_job() {
            jobs = jobs.wrapping_add(1);
            if jobs.is_multiple_of(JOBS_BETWEEN_LOOKS) && self.budget.is_spent() {
                return Err(Stop::Exhausted);
            }
        }
        Ok(())
    }
}

/// A reason why a run ended early.
enum Stop {
    Js(Error),
    NoHandler,
    NeverEnded,
    Unhandled,
    /// Time or memory ran out; the budget knows which.
    Exhausted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Js(error)
    }
}

impl Stop {
    fn fault(self, ctx: &Ctx<'_>, program: &Program) -> Fault {
        match self {
            Self::Js(error) => Fault::of(ctx, &error, program),
            Self::NoHandler => Fault::new(FaultKind::NoHandler, "no handler"),
            Self::NeverEnded => Fault::new(FaultKind::NeverEnded, "its promise was never resolved"),
            Self::Unhandled => Fault::new(FaultKind::Thrown, "a promise was rejected and nothing awaited it"),
            Self::Exhausted => Fault::new(FaultKind::OutOfTime, "out of time"),
        }
    }
}

/// Interrupts that no code can catch, and an eye on promises that fail unnoticed.
fn watch(runtime: &Runtime, budget: &Rc<Budget>, call: &Rc<Call>) {
    let budget = Rc::clone(budget);
    runtime.set_interrupt_handler(Some(Box::new(move || budget.is_spent())));
    let call = Rc::clone(call);
    runtime.set_host_promise_rejection_tracker(Some(Box::new(move |_, _, _, is_handled| {
        call.note_rejection(is_handled);
    })));
}

fn prepare<'js>(
    ctx: &Ctx<'js>,
    call: &Rc<Call>,
    budget: &Rc<Budget>,
    recipe: Recipe<'_>,
) -> rquickjs::Result<(Persistent<Function<'static>>, Vec<Persistent<Function<'static>>>)> {
    let natives = natives::object(ctx, call, budget, recipe.store_name)?;
    let prelude = |name: &str, text: &str| prelude(ctx, name, text);
    prelude("<runtime>", RUNTIME)?.call::<_, ()>((natives.clone(),))?;
    let modules = match mentions_modules(recipe.program) {
        true => prelude("<modules>", MODULES)?.call::<_, Object<'js>>((natives.clone(),))?,
        false => Object::new(ctx.clone())?,
    };
    let cloudfront: Object<'js> = prelude("<cloudfront>", CLOUDFRONT)?.call((natives.clone(),))?;
    modules.set("cloudfront", cloudfront.get::<_, Value<'js>>("module")?)?;
    let require: Value<'js> = prelude("<require>", REQUIRE)?.call((modules.clone(),))?;
    let module: Value<'js> = modules.get("cloudfront")?;
    let kind: Object<'js> = prelude("<kind>", recipe.kind_prelude)?.call((natives, module))?;
    if recipe.is_hardened {
        let shared = [cloudfront.get("shared")?, kind.get("shared")?];
        harden(&prelude("<harden>", HARDEN)?, &modules, &require, shared)?;
    }
    let (module, evaluated) =
        Module::declare(ctx.clone(), recipe.program.name(), recipe.program.text())?.eval()?;
    evaluated.finish::<()>()?;
    let program: Function<'js> = module.get("default")?;
    let factory: Function<'js> = program.call((modules, require))?;
    let makers: Vec<Function<'js>> = kind.get("makers")?;
    let makers = makers.into_iter().map(|maker| Persistent::save(ctx, maker));
    Ok((Persistent::save(ctx, factory), makers.collect()))
}

fn harden<'js>(
    harden: &Function<'js>,
    modules: &Object<'js>,
    require: &Value<'js>,
    shared: [Array<'js>; 2],
) -> rquickjs::Result<()> {
    let reachable = Array::new(harden.ctx().clone())?;
    reachable.set(0, modules.clone())?;
    reachable.set(1, require.clone())?;
    for (index, shared) in shared.into_iter().enumerate() {
        reachable.set(index + 2, shared)?;
    }
    harden.call((reachable,))
}

fn prelude<'js>(ctx: &Ctx<'js>, name: &str, text: &str) -> rquickjs::Result<Function<'js>> {
    let mut options = EvalOptions::default();
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(text, options)
}

/// Without one of these words (or a way to spell one in escapes) code cannot ask for a module, so it need not
/// bear their memory.
fn mentions_modules(program: &Program) -> bool {
    let words = [
        "require",
        "Buffer",
        "\\u",
        "$modules.crypto",
        "$modules.querystring",
        "$modules.buffer",
    ];
    words.iter().any(|word| program.code().contains(word))
}

fn no_engine(error: Error) -> Fault {
    Fault::new(FaultKind::Engine, format!("no engine could be made: {error}"))
}

fn too_much(exhausted: Exhausted, allowance: &Allowance) -> Fault {
    match exhausted {
        Exhausted::Time => Fault::new(
            FaultKind::OutOfTime,
            format!("ran longer than {} ms", allowance.time.as_millis()),
        ),
        Exhausted::Memory => Fault::new(
            FaultKind::OutOfMemory,
            format!("took more than {} bytes of memory", allowance.memory_bytes),
        ),
    }
}

/// The intrinsics that a context has. Left out are weak references (they show when garbage is collected),
/// performance (a clock), proxies and DOM exceptions (the service has none).
type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

const RUNTIME: &str = include_str!("prelude/runtime.js");
const MODULES: &str = include_str!("prelude/modules.js");
const CLOUDFRONT: &str = include_str!("prelude/cloudfront.js");
const REQUIRE: &str = include_str!("prelude/require.js");
const HARDEN: &str = include_str!("prelude/harden.js");

/// Threads have 2 MiB; a handshake that calls a function uses a part of it.
const STACK_BYTES: usize = 256 * 1024;
const GARBAGE_BYTES_MAX: usize = 256 * 1024;
const JOBS_BETWEEN_LOOKS: u32 = 64;
const GRACE_TIME: Duration = Duration::from_micros(500);
const GRACE_BYTES: usize = 64 * 1024;
