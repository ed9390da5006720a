//! Errors of a server that did not start, or did not end well.

use std::fmt;

use bothways_config::{Config, ConfigError};

use crate::logs::StopError;

/// Each is one message for the operator.
#[derive(Debug)]
pub enum AppError {
    /// The configuration, or what it names: exit code 2.
    Config(String),
    /// This machine refused something: exit code 1.
    Setup(String),
    /// A core ended when none had been told to.
    Core(String),
    /// Records may be missing from the end of the log.
    Flush(StopError),
}

impl AppError {
    /// Error about something that cannot be opened because of what the configuration says.
    pub fn opening(config: &Config, error: &dyn fmt::Display) -> Self {
        Self::Config(format!("{}: {error}", config.source.file().display()))
    }

    /// Says what the configuration lacks for user `name`. Somebody else than that user reads the message.
    pub fn for_user(self, name: &str) -> Self {
        match self {
            Self::Config(message) => Self::Config(format!("as user {name}: {message}")),
            other => other,
        }
    }
}

impl From<ConfigError> for AppError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(message) | Self::Setup(message) | Self::Core(message) => f.write_str(message),
            Self::Flush(error) => write!(f, "the connection log was not flushed: {error}"),
        }
    }
}

impl std::error::Error for AppError {}
