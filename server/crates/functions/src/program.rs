//! The customer's code as a program that can be run again and again without remembering: a *factory*.
//!
//! The code stands, unchanged, in the body of a function. Each call of that function makes all module-level
//! variables anew and returns the handler, so nothing that the code keeps in a variable outlives a call. Two
//! things differ from the code as a module: the head of the first line, which positions are corrected for,
//! and `import cf from 'cloudfront'`, which becomes a `const` of the same length. Code that would mean
//! something else inside of a function is refused, because it must parse as a module first.

/// A program that QuickJS compiles as a module whose default export is `(modules, require) => factory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// The module's name in stack traces.
    name: String,
    text: String,
    /// Columns of the first line that are not the customer's.
    head_columns: u32,
}

/// Position in the customer's code. Lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Program {
    pub(super) fn new(name: &str, code: &str, handler: &str) -> Self {
        Self {
            name: format!("{name}.js"),
            text: format!("{HEAD}{code}\n;return typeof {handler}===\"function\"?{handler}:undefined}}));"),
            head_columns: HEAD_COLUMNS,
        }
    }

    /// The code as the module that it is.
    pub(super) fn as_written(name: &str, code: &str) -> Self {
        Self {
            name: format!("{name}.js"),
            text: code.to_owned(),
            head_columns: 0,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Text without the head that stands before the customer's code.
    pub(super) fn code(&self) -> &str {
        self.text.strip_prefix(HEAD).unwrap_or(&self.text)
    }

    /// The topmost frame of a stack trace that lies in the customer's code.
    pub(super) fn first_place(&self, stack: &str) -> Option<Place> {
        stack.lines().find_map(|frame| self.place_in(frame))
    }

    /// `    at connectionHandler (name:12:7)`, or `    at name:12:7`.
    fn place_in(&self, frame: &str) -> Option<Place> {
        let frame = frame.trim_end().trim_end_matches(')');
        let start = frame.rfind(&self.name)?;
        let numbers = frame.get(start + self.name.len()..)?.strip_prefix(':')?;
        let (line, column) = numbers.split_once(':')?;
        Some(self.place(line.parse().ok()?, column.parse().ok()?))
    }

    fn place(&self, line: u32, column: u32) -> Place {
        let head = if line == 1 { self.head_columns } else { 0 };
        Place {
            line,
            column: column.saturating_sub(head).max(1),
        }
    }
}

/// The module's own state, `import.meta`, would outlive a call.
const HEAD: &str =
    "Object.freeze(import.meta);export default Object.freeze(($modules,require)=>Object.freeze(()=>{";
const HEAD_COLUMNS: u32 = HEAD.len() as u32;

/// `code` with the import statement that starts at `place` turned into a `const`.
///
/// # Errors
/// Why it cannot be.
pub(super) fn without_import(code: &str, place: Place) -> Result<String, String> {
    let start = offset(code, place).ok_or(IMPORTS)?;
    let (before, statement) = code.split_at_checked(start).ok_or(IMPORTS)?;
    let (name, module, length) = default_import(statement).ok_or(IMPORTS)?;
    if !MODULES.contains(&module) {
        return Err(format!("there is no module {module:?}; {IMPORTS}"));
    }
    let (statement, after) = statement.split_at_checked(length).ok_or(IMPORTS)?;
    let replacement = format!("const {name}=$modules.{module}");
    Ok([before, &padded(replacement, statement), after].concat())
}

/// Pads `text` to as many lines as `like`, the last as long as its last.
fn padded(mut text: String, like: &str) -> String {
    let lines = like.matches('\n').count();
    let missing = match like.rsplit_once('\n') {
        Some((_, last)) => last.chars().count(),
        None => like.chars().count().saturating_sub(text.chars().count()),
    };
    text.extend(std::iter::repeat_n('\n', lines));
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// The name, the module and the statement's length without its semicolon: `import cf from 'cloudfront'`.
fn default_import(statement: &str) -> Option<(&str, &str, usize)> {
    let rest = statement.strip_prefix("import")?;
    let rest = after_space(rest)?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')))?;
    let (name, rest) = rest.split_at_checked(end)?;
    let rest = after_space(rest)?.strip_prefix("from")?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (module, rest) = rest.get(1..)?.split_once(quote)?;
    (!name.is_empty()).then_some((name, module, statement.len() - rest.len()))
}

fn after_space(text: &str) -> Option<&str> {
    let trimmed = text.trim_start();
    (trimmed.len() < text.len()).then_some(trimmed)
}

/// Offset of the `import` nearest before `place` or at it: parsers complain about it or about what follows
/// it.
fn offset(code: &str, place: Place) -> Option<usize> {
    let line_index = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let mut start = 0;
    for line in code.split_inclusive('\n').take(line_index) {
        start += line.len();
    }
    let line = code.get(start..)?.split_inclusive('\n').next()?;
    let column = usize::try_from(place.column).ok()?;
    let seen: usize = line
        .chars()
        .take(column + "import".len())
        .map(char::len_utf8)
        .sum();
    line.get(..seen)?.rfind("import").map(|at| start + at)
}

pub(super) const MODULES: &[&str] = &["cloudfront", "crypto", "querystring", "buffer"];
pub(super) const IMPORTS: &str = "only `import name from 'module'` is supported, of cloudfront, crypto, \
    querystring and buffer, and no export";
