//! Revocations do not vanish by accident, and files of them are judged with what the configuration says about
//! them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use bothways_test_pki::{Ca, bundle};
use tempfile::TempDir;

use super::super::configuration::load_config;
use super::super::inventory::{Inventory, Loading};
use super::super::trust_stores::{self, LoadedTrust};
use super::*;

/// A folder with a bundle of one CA, "O=Example, CN=Root".
struct Folder {
    folder: TempDir,
    ca: Ca,
}

impl Folder {
    fn new() -> Self {
        let (folder, ca) = (tempfile::tempdir().unwrap(), Ca::root("Root"));
        fs::write(folder.path().join("ca.pem"), bundle(&[&ca])).unwrap();
        Self { folder, ca }
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(file), content).unwrap();
    }

    /// Loads one trust store as a reload does. `settings`: lines of its table.
    fn load(&self, settings: &str, before: &[StoreRevocations]) -> Result<Vec<StoreRevocations>, String> {
        self.load_named("partners", settings, before)
    }

    fn load_named(
        &self,
        name: &str,
        settings: &str,
        before: &[StoreRevocations],
    ) -> Result<Vec<StoreRevocations>, String> {
        let text = EDGE.replace("NAME", name).replace("SETTINGS", settings);
        let path = self.folder.path().join("edge.toml");
        fs::write(&path, text).unwrap();
        let config = load_config(&path).map_err(|error| error.to_string())?;
        let nothing = Inventory::default();
        let loaded = trust_stores::load(&config, before, &mut Loading::after(&nothing));
        let stores = loaded.map_err(|error| error.to_string())?;
        Ok(stores.iter().map(LoadedTrust::store_revocations).collect())
    }
}

const EDGE: &str = r#"
[[listeners]]
address = "127.0.0.1:0"
[limits]
revocation_file_bytes = 2048
[[trust_stores]]
name = "NAME"
ca_bundle = "ca.pem"
SETTINGS
[[distributions]]
id = "E1"
default = true
certificate = "a"
private_key = "b"
viewer_mtls = { mode = "required", trust_store = "NAME" }
[[distributions.origins]]
id = "app"
fixed_response = { body = "ok" }
[[distributions.behaviors]]
path_pattern = "*"
origin = "app"
"#;

const LIST: &str = "revocations = [{ file = \"list\", may_be_empty = true }]";
const ALLOWED: &str = "allow_losing_all_revocations = true";

#[track_caller]
fn assert_refused(loaded: Result<Vec<StoreRevocations>, String>, parts: &[&str]) {
    let message = loaded.map(|_| ()).unwrap_err();
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

#[test]
fn a_reload_that_leaves_nobody_revoked_is_refused_unless_the_configuration_allows_it() {
    let folder = Folder::new();
    folder.write("list", "05\n06\n");
    let before = folder.load(LIST, &[]).unwrap();
    folder.write("list", "# all of them\n");
    let parts = [
        "trust_stores[0].revocations",
        "where 2 serial numbers are",
        "allow_losing_all_revocations",
    ];
    assert_refused(folder.load(LIST, &before), &parts);
    assert_refused(folder.load("", &before), &parts);
    assert_refused(folder.load("revocations = []", &before), &parts);
    assert_refused(folder.load_named("renamed", "", &before), &parts);
    assert!(folder.load(&format!("{LIST}\n{ALLOWED}"), &before).is_ok());
    assert!(folder.load(ALLOWED, &before).is_ok());
    assert!(
        folder.load(LIST, &[]).is_ok(),
        "a start has nothing to compare with"
    );
    folder.write("list", "05\n");
    assert!(folder.load(LIST, &before).is_ok());
}

#[test]
fn a_file_that_is_named_as_a_crl_is_no_serial_list() {
    let folder = Folder::new();
    for file in ["partners.crl", "partners.CRL", "crl.pem", "crl.der"] {
        let settings = format!("revocations = [\"{file}\"]");
        folder.write(file, folder.ca.crl(&[&[5]]));
        let before = folder.load(&settings, &[]).unwrap();
        // An error page or a status code that could pass for one.
        for digits in ["404", "503\n", "deadbeef\n", "\u{feff}00\n"] {
            folder.write(file, digits);
            let parts = [file, "named as a CRL, and holds none", "download the CRL again"];
            assert_refused(folder.load(&settings, &before), &parts);
            assert_refused(folder.load(&settings, &[]), &parts);
        }
        let described = format!("revocations = [{{ file = \"{file}\", may_be_empty = true }}]");
        assert!(folder.load(&described, &[]).is_ok());
    }
    folder.write("serials.txt", "404\n");
    assert!(folder.load("revocations = [\"serials.txt\"]", &[]).is_ok());
}

#[test]
fn a_crl_of_nobody_after_one_of_somebody_is_such_a_reload_too() {
    let folder = Folder::new();
    let with_crl = "revocations = [\"crl\"]";
    folder.write("crl", folder.ca.crl(&[&[5]]));
    let before = folder.load(with_crl, &[]).unwrap();
    folder.write("crl", folder.ca.crl(&[]));
    assert_refused(folder.load(with_crl, &before), &["where 1 serial numbers are"]);
    assert!(folder.load(&format!("{with_crl}\n{ALLOWED}"), &before).is_ok());
    let of_nobody = folder.load(with_crl, &[]).unwrap();
    assert!(folder.load(with_crl, &of_nobody).is_ok());
}

#[test]
fn the_last_crl_does_not_go_without_a_word() {
    let folder = Folder::new();
    folder.write("crl", folder.ca.crl(&[&[5]]));
    folder.write("list", "05\n06\n");
    let before = folder.load("revocations = [\"crl\", \"list\"]", &[]).unwrap();
    let parts = ["the last CRL of trust store partners is gone", "ca_without_crl"];
    assert_refused(folder.load("revocations = [\"list\"]", &before), &parts);
    for said in [
        "ca_without_crl = \"accept\"",
        "ca_without_crl = \"reject\"",
        ALLOWED,
    ] {
        let settings = format!("revocations = [\"list\"]\n{said}");
        assert!(folder.load(&settings, &before).is_ok(), "{said}");
    }
}

#[test]
fn a_store_that_is_really_another_is_not_compared() {
    let folder = Folder::new();
    folder.write("list", "05\n");
    let before = folder.load(LIST, &[]).unwrap();
    let (ca, other) = (&folder.ca, Ca::root("Other"));
    folder.write("ca.pem", bundle(&[&other, ca]));
    assert!(
        folder.load_named("another", "", &before).is_err(),
        "it has the CA of the one that is gone"
    );
    folder.write("ca.pem", bundle(&[&other]));
    assert!(folder.load_named("another", "", &before).is_ok());
}

#[test]
fn a_revocation_file_has_a_bound_in_bytes() {
    let folder = Folder::new();
    let setting = "revocations = [\"list\"]";
    folder.write("list", "5a45\n".repeat(409));
    assert!(folder.load(setting, &[]).is_ok());
    folder.write("list", "5a45\n".repeat(410));
    assert_refused(
        folder.load(setting, &[]),
        &["list is larger than 2048 bytes", "trust_stores[0].revocations[0]"],
    );
    // A sparse one claims what it has not.
    let sparse = fs::File::create(folder.folder.path().join("list")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert_refused(folder.load(setting, &[]), &["larger than 2048 bytes"]);
}

#[test]
fn errors_name_file_key_and_remedy() {
    let folder = Folder::new();
    folder.write("list", "");
    assert_refused(
        folder.load("revocations = [\"list\"]", &[]),
        &[
            "trust_stores[0].revocations[0]",
            "list: the file is empty",
            "may_be_empty = true",
        ],
    );
    folder.write("list", "05\n");
    assert_refused(
        folder.load("revocations = [{ file = \"list\", issuer = \"CN=Nobody\" }]", &[]),
        &[
            "trust_stores[0].revocations[0].issuer",
            "no CA of the bundle is \"CN=Nobody\"",
            "O=Example, CN=Root",
        ],
    );
    assert!(
        folder
            .load(
                "revocations = [{ file = \"list\", issuer = \"O=Example, CN=Root\" }]",
                &[]
            )
            .is_ok()
    );
    folder.write("crl", folder.ca.crl(&[&[5]]));
    assert_refused(
        folder.load(
            "revocations = [{ file = \"crl\", issuer = \"O=Example, CN=Root\" }]",
            &[],
        ),
        &["revocations[0].issuer", "says itself who issued it"],
    );
}
