//! The limits of the configuration, as functions and key-value stores take them.

use bothways_config::Limits;
use bothways_functions::FunctionLimits;
use bothways_state::key_values::StoreLimits;

/// Bounds of one call of a function.
pub fn function_limits(limits: &Limits) -> FunctionLimits {
    FunctionLimits {
        time: limits.function_time,
        memory_bytes: limits.function_memory_bytes,
        code_bytes: limits.function_code_bytes,
    }
}

/// Bounds of a key-value store.
pub fn store_limits(limits: &Limits) -> StoreLimits {
    StoreLimits {
        store_bytes_max: limits.key_value_store_bytes_max,
        key_bytes_max: limits.key_bytes_max,
        value_bytes_max: limits.value_bytes_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_and_a_configuration_have_the_same_defaults() {
        assert_eq!(store_limits(&Limits::default()), StoreLimits::default());
    }
}
