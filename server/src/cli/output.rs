//! Output of commands: results to standard output, faults to standard error. Writing to neither panics,
//! unlike `println!`.

use std::io::{self, Write as _};

use crate::app::AppError;

/// Prints a result.
///
/// # Errors
/// It could not be written: a result that is lost is none. A reader that has read enough is no error.
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

/// Says what is beside the result, or why there is none. Where nobody hears it, the exit code is left.
pub(super) fn say(text: &str) {
    let _nobody_may_hear_it = io::stderr().lock().write_all(text.as_bytes());
}
