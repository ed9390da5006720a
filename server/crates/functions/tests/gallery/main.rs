//! The functions of `config/functions/`, each run with the events that its first lines speak of.
#![allow(clippy::unwrap_used)]

mod connection;
mod viewer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bothways_functions::{Function, FunctionKind, FunctionLimits, FunctionSource};
use bothways_state::key_values::Store;

/// The files of the gallery that define this handler, in order.
fn files_with(handler: &str) -> Vec<String> {
    let mut found: Vec<_> = std::fs::read_dir(gallery())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".js"))
        .filter(|name| {
            let code = std::fs::read_to_string(gallery().join(name)).unwrap();
            code.contains(&format!("function {handler}("))
        })
        .collect();
    found.sort();
    found
}

fn load(file: &str, kind: FunctionKind, store: Option<Store>) -> Arc<Function> {
    let function = Function::compile(FunctionSource {
        name: file,
        kind,
        code: &std::fs::read(gallery().join(file)).unwrap(),
        key_value_store: store.map(Arc::new),
        limits: FunctionLimits {
            // Tests share their cores and are not optimized.
            time: Duration::from_secs(2),
            memory_bytes: 2 * 1024 * 1024,
            code_bytes: 10 * 1024,
        },
    });
    Arc::new(function.unwrap())
}

fn gallery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../config/functions")
}
