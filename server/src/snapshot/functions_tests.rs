//! Functions that a reload keeps, and versions that publishing swaps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use bothways_state::key_values::KeyValues;
use tempfile::TempDir;

use super::*;

const ALLOW: &str = "function connectionHandler(connection) { connection.allow(); }";
const DENY: &str = "function connectionHandler(connection) { connection.deny(); }";

const EDGE: &str = r#"
[[listeners]]
address = "127.0.0.1:0"

[[key_value_stores]]
name = "serials"
import = "serials.json"

[[connection_functions]]
name = "gate"
code = "gate.js"
key_value_store = "serials"

[[connection_functions]]
name = "spare"
code = "spare.js"

[[distributions]]
id = "E1"
default = true
certificate = "a"
private_key = "b"
[[distributions.origins]]
id = "app"
fixed_response = { body = "ok" }
[[distributions.behaviors]]
path_pattern = "*"
origin = "app"
"#;

impl Functions {
    fn publish(&self, name: &str) -> Result<Publication, Unpublished> {
        let version = self.read_again(name)?;
        let is_new = version.is_some();
        version.into_iter().for_each(NewVersion::publish);
        Ok(if is_new {
            Publication::Published
        } else {
            Publication::Unchanged
        })
    }
}

/// A folder with the code of both functions, and their store.
struct Folder(TempDir, Vec<Arc<Store>>);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap(), vec![store()]);
        folder.write("gate.js", ALLOW);
        folder.write("spare.js", ALLOW);
        folder
    }

    fn write(&self, file: &str, code: &str) {
        fs::write(self.0.path().join(file), code).unwrap();
    }

    fn load(&self, text: &str, before: Option<&Functions>) -> Result<Functions, ConfigError> {
        let config = bothways_config::parse(&self.0.path().join("edge.toml"), text).unwrap();
        Functions::load(&config, &self.1, before)
    }
}

fn store() -> Arc<Store> {
    let now = std::time::UNIX_EPOCH;
    Arc::new(Store::new("serials", KeyValues::new([], now, now)))
}

fn versions(functions: &Functions) -> Vec<u64> {
    functions.live().map(|function| function.version()).collect()
}

/// True for "gate", and for "spare", if it has kept its version after this change.
fn kept(text: &str, change: impl FnOnce(&mut Folder)) -> [bool; 2] {
    let mut folder = Folder::new();
    let before = folder.load(EDGE, None).unwrap();
    change(&mut folder);
    let after = folder.load(text, Some(&before)).unwrap();
    let (before, after) = (versions(&before), versions(&after));
    [before[0] == after[0], before[1] == after[1]]
}

#[test]
fn a_function_keeps_its_version_until_its_code_its_store_or_its_limits_change() {
    assert_eq!(kept(EDGE, |_| {}), [true, true]);
    assert_eq!(kept(EDGE, |folder| folder.write("gate.js", DENY)), [false, true]);
    assert_eq!(kept(EDGE, |folder| folder.1 = vec![store()]), [false, true]);
    let longer = format!("[limits]\nfunction_time_ms = 6\n{EDGE}");
    assert_eq!(kept(&longer, |_| {}), [false, false]);
    let renamed = EDGE.replace("name = \"spare\"", "name = \"other\"");
    assert_eq!(kept(&renamed, |_| {}), [true, false]);
    let moved = EDGE.replace("code = \"spare.js\"", "code = \"moved.js\"");
    assert_eq!(
        kept(&moved, |folder| folder.write("moved.js", ALLOW)),
        [true, true]
    );
}

#[test]
fn a_reload_leaves_the_functions_in_force_as_they_are() {
    let folder = Folder::new();
    let before = folder.load(EDGE, None).unwrap();
    let in_force = versions(&before);
    folder.write("gate.js", DENY);
    let after = folder.load(EDGE, Some(&before)).unwrap();
    assert_eq!(versions(&before), in_force);
    assert_ne!(versions(&after), in_force);
}

#[test]
fn publishing_swaps_the_live_version_of_one_function() {
    let folder = Folder::new();
    let functions = folder.load(EDGE, None).unwrap();
    let live = functions.connection[0].live.clone();
    let before = versions(&functions);
    assert_eq!(functions.publish("gate"), Ok(Publication::Unchanged));
    assert_eq!(versions(&functions), before);
    folder.write("gate.js", DENY);
    assert_eq!(functions.publish("gate"), Ok(Publication::Published));
    assert_eq!(
        live.current().digest(),
        Digest::of_bytes(DENY.as_bytes()).octets()
    );
    assert_ne!(live.current().version(), before[0]);
    assert_eq!(versions(&functions)[1], before[1]);
    // What a reload finds then is what is live already.
    let after = folder.load(EDGE, Some(&functions)).unwrap();
    assert_eq!(versions(&after), versions(&functions));
}

#[test]
fn what_cannot_be_published_leaves_the_live_version_and_says_why() {
    let folder = Folder::new();
    let functions = folder.load(EDGE, None).unwrap();
    let before = versions(&functions);
    let unknown = functions.publish("gat").unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no function is named \"gat\"; there are [\"gate\", \"spare\"]"
    );
    folder.write(
        "gate.js",
        "function connectionHandler(connection) {\n    connection.allow(;\n}",
    );
    let broken = functions.publish("gate").unwrap_err().to_string();
    assert!(broken.contains("gate.js:2:"), "{broken}");
    folder.write("gate.js", &" ".repeat(10_241));
    let long = functions.publish("gate").unwrap_err().to_string();
    assert!(long.contains("function_code_bytes"), "{long}");
    fs::remove_file(folder.0.path().join("gate.js")).unwrap();
    let gone = functions.publish("gate").unwrap_err().to_string();
    assert!(gone.starts_with("cannot read "), "{gone}");
    assert_eq!(versions(&functions), before);
}

#[test]
fn a_function_that_cannot_be_loaded_is_told_with_key_file_and_place() {
    let folder = Folder::new();
    folder.write("spare.js", "const a = ;");
    let error = folder.load(EDGE, None).unwrap_err().to_string();
    assert!(error.contains("connection_functions[1].code: "), "{error}");
    assert!(error.contains("spare.js:1:"), "{error}");
    assert!(error.ends_with("(line 16)"), "{error}");
}
