//! trust (to be written).
