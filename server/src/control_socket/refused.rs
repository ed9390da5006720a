//! Refusal of a command, and the reply that tells it.

use bothways_state::key_values::ETag;

use super::message::{RefusalCode, Reply};

/// Reason why a command was not carried out, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRefused {
    pub code: RefusalCode,
    pub message: String,
    /// ETag of the store that was asked for, as it is.
    pub etag: Option<ETag>,
}

impl CommandRefused {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            etag: None,
        }
    }

    /// No answer will come.
    pub fn ending() -> Self {
        Self::new(RefusalCode::Ending, "the server is about to end")
    }
}

impl From<CommandRefused> for Reply {
    fn from(refused: CommandRefused) -> Self {
        Self {
            error: Some(refused.code),
            message: Some(refused.message),
            etag: refused.etag.map(|etag| etag.to_string()),
            ..Self::default()
        }
    }
}
