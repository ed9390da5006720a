//! Identity of this build.

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Revision of the source. It is "unknown" where whoever built the program did not say.
pub const REVISION: &str = env!("BOTHWAYS_BUILD_REVISION");
pub const RUSTC: &str = env!("BOTHWAYS_BUILD_RUSTC");
pub const TARGET: &str = env!("BOTHWAYS_BUILD_TARGET");
/// All of it.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nrevision: ",
    env!("BOTHWAYS_BUILD_REVISION"),
    "\nrustc: ",
    env!("BOTHWAYS_BUILD_RUSTC"),
    "\ntarget: ",
    env!("BOTHWAYS_BUILD_TARGET"),
);
