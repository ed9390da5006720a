//! The command line, as a shell sees it.

use std::process::Command;

#[test]
fn no_subcommand_is_a_usage_error() {
    let status = Command::new(env!("CARGO_BIN_EXE_bothways"))
        .status()
        .expect("the binary was built");
    assert!(status.code().is_some());
}
