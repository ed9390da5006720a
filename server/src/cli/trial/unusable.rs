//! Files of a trial that cannot be used.

use std::fmt;
use std::path::Path;

use crate::app::AppError;

/// Error that names the file.
pub(super) fn unusable(file: &Path, fault: &dyn fmt::Display) -> AppError {
    AppError::Config(format!("{}: {fault}", file.display()))
}
