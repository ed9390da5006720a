//! Compilation: from the bytes of a file to a program that parses. Checks size, UTF-8, syntax and imports.

use std::rc::Rc;
use std::time::Duration;

use rquickjs::{Context, Module, Runtime};

use super::budget::{Budget, Exhausted};
use super::fault::{Fault, FaultKind};
use super::program::{IMPORTS, MODULES, Program, without_import};
use super::source::{CompileError, FunctionKind, FunctionSource};

/// # Errors
/// With the customer's line and column where there is one.
pub(super) fn program(source: &FunctionSource<'_>) -> Result<Program, CompileError> {
    let code = text(source)?;
    let refuse = |fault| refusal(fault, source.kind);
    let parser = Parser::new().map_err(refuse)?;
    parser
        .parse(&Program::as_written(source.name, code))
        .map_err(refuse)?;
    let mut code = code.to_owned();
    for _ in 0..IMPORTS_MAX {
        let program = Program::new(source.name, &code, source.kind.handler());
        let Err(fault) = parser.parse(&program) else {
            return Ok(program);
        };
        // It is a module but no function body: an import or an export stands there.
        let Some(place) = fault.place else {
            return Err(refuse(fault));
        };
        code = without_import(&code, place).map_err(|message| CompileError {
            line: Some(place.line),
            column: Some(place.column),
            message,
        })?;
    }
    Err(sentence(format!("more than {IMPORTS_MAX} imports")))
}

/// The words of `bothways check` for a fault at load.
pub(super) fn refusal(fault: Fault, kind: FunctionKind) -> CompileError {
    let message = match fault.kind {
        FaultKind::NoHandler => format!("there is no function {}", kind.handler()),
        FaultKind::OutOfTime | FaultKind::OutOfMemory => format!("the top level {}", fault.message),
        _ => fault.message,
    };
    CompileError {
        line: fault.place.map(|place| place.line),
        column: fault.place.map(|place| place.column),
        message,
    }
}

fn text<'a>(source: &FunctionSource<'a>) -> Result<&'a str, CompileError> {
    let (bytes, bytes_max) = (source.code.len(), source.limits.code_bytes);
    if bytes > bytes_max {
        return Err(sentence(format!(
            "the code has {bytes} bytes, more than function_code_bytes = {bytes_max}"
        )));
    }
    let code = std::str::from_utf8(source.code).map_err(|error| {
        let (line, column) = position(source.code, error.valid_up_to());
        CompileError {
            line: Some(line),
            column: Some(column),
            message: "not UTF-8".to_owned(),
        }
    })?;
    match code.find('\0') {
        None => Ok(code),
        Some(offset) => {
            let (line, column) = position(source.code, offset);
            Err(CompileError {
                line: Some(line),
                column: Some(column),
                message: "a NUL character".to_owned(),
            })
        }
    }
}

/// Line and column of an octet, from 1.
fn position(code: &[u8], offset: usize) -> (u32, u32) {
    let before = code.get(..offset).unwrap_or_default();
    let line_start = before
        .iter()
        .rposition(|&octet| octet == b'\n')
        .map_or(0, |at| at + 1);
    let lines = before.iter().filter(|&&octet| octet == b'\n').count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
    (count(lines), count(before.len() - line_start))
}

fn sentence(message: String) -> CompileError {
    CompileError {
        line: None,
        column: None,
        message,
    }
}

/// A context in which nothing ever runs.
struct Parser {
    context: Context,
    budget: Rc<Budget>,
}

impl Parser {
    fn new() -> Result<Self, Fault> {
        let no_parser = |error| Fault::new(FaultKind::Engine, format!("no parser could be made: {error}"));
        let runtime = Runtime::new().map_err(no_parser)?;
        runtime.set_memory_limit(PARSER_BYTES_MAX);
        let budget = Rc::new(Budget::default());
        let handler = Rc::clone(&budget);
        runtime.set_interrupt_handler(Some(Box::new(move || handler.is_spent())));
        let context = Context::full(&runtime).map_err(no_parser)?;
        Ok(Self { context, budget })
    }

    /// Every core that makes an engine parses again, patterns included, so what takes long is refused here.
    fn parse(&self, program: &Program) -> Result<(), Fault> {
        let time = TIME_MAX + TIME_PER_KIB * u32::try_from(program.text().len() / 1024).unwrap_or(u32::MAX);
        self.budget.start(time, PARSER_BYTES_MAX);
        let parsed = self.declare(program);
        self.budget.stop();
        match self.budget.exhausted() {
            Some(Exhausted::Time) => Err(Fault::new(
                FaultKind::Thrown,
                format!(
                    "compiling it takes longer than {} ms; a regular expression is too large, most likely",
                    time.as_millis()
                ),
            )),
            _ => parsed,
        }
    }

    fn declare(&self, program: &Program) -> Result<(), Fault> {
        self.context.with(|ctx| {
            // QuickJS looks for the imported modules while it parses.
            let declare = |name: &str, text: &str| Module::declare(ctx.clone(), name, text);
            let declared = MODULES
                .iter()
                .try_for_each(|module| declare(module, "export default 0").map(drop))
                .and_then(|()| declare(program.name(), program.text()).map(drop));
            declared.map_err(|error| {
                let fault = Fault::of(&ctx, &error, program);
                match fault.message.contains("could not load module") {
                    true => Fault {
                        message: IMPORTS.to_owned(),
                        ..fault
                    },
                    false => fault,
                }
            })
        })
    }
}

const IMPORTS_MAX: usize = 8;
const PARSER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// CPU time, twenty times that of ordinary code.
const TIME_MAX: Duration = Duration::from_millis(100);
const TIME_PER_KIB: Duration = Duration::from_millis(1);
