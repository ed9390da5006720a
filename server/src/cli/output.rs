//! Output of commands: results to standard output, faults to standard error. Writing to neither panics,
//! unlike `println!`.

use std::io::{self, Write as _};

use crate::app::AppError;

/// Prints a result.
///
/// # Errors
/// Standard output cannot be written: a command whose result is lost has failed. A reader that closes the
/// pipe early is no error.
pub(super) fn print(text: &str) -> Result<(), AppError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let fault = format!("cannot write to standard output: {error}");
            Err(AppError::Setup(fault))
        }
        _ => Ok(()),
    }
}

/// Writes a remark or a fault to standard error. If that cannot be written, the exit code alone tells.
pub(super) fn say(text: &str) {
    let _nobody_may_hear_it = io::stderr().lock().write_all(text.as_bytes());
}
