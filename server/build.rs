//! Facts of the build for `bothways --version` and the metric `bothways_build_info`: the compiler, the target
//! and, where whoever builds sets BOTHWAYS_REVISION, the revision of the source. Git is not asked: a commit
//! is no reason to compile again.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BOTHWAYS_REVISION");
    let revision = env::var("BOTHWAYS_REVISION").unwrap_or_else(|_| "unknown".to_owned());
    let target = env::var("TARGET").unwrap_or_default();
    for (name, value) in [("REVISION", revision), ("TARGET", target), ("RUSTC", rustc())] {
        println!(
            "cargo::rustc-env=BOTHWAYS_BUILD_{name}={}",
            value.replace('\n', " ")
        );
    }
}

/// Version of the compiler, as in "1.91.0".
fn rustc() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = text
        .ok()
        .and_then(|text| text.split(' ').nth(1).map(str::to_owned));
    version.unwrap_or_else(|| "unknown".to_owned())
}
