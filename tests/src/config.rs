//! Configurations, written as the TOML that an operator would write, and the files that they name.

use std::fmt::Write as _;

use crate::pki::{Identity, Leaf, Pki};

/// The distribution that most tests use, and its name.
pub const EDGE: &str = "E2DX1SLDPK0123";
pub const EDGE_NAME: &str = "edge.example.com";

/// A configuration and its files. `text` may be edited after `render` by tests of bad configurations.
#[derive(Clone, Default)]
pub struct Config {
    cores: Option<String>,
    driver: Option<&'static str>,
    balance_connections: Option<bool>,
    limits: Vec<(&'static str, u64)>,
    listeners: Vec<&'static str>,
    without_admin: bool,
    file_sink: Option<&'static str>,
    control_socket: Option<&'static str>,
    trust_stores: Vec<TrustStore>,
    /// Tables that distributions refer to, as they stand.
    tables: String,
    distributions: Vec<Distribution>,
    files: Vec<(String, Vec<u8>)>,
}

impl Config {
    /// A configuration with one https listener, one core, an admin endpoint, records to stdout, no
    /// distribution yet.
    pub fn new() -> Self {
        Self {
            listeners: vec!["https"],
            ..Self::default()
        }
    }

    /// The usual edge: a default distribution in this mode ("none" for no client authentication) with the
    /// trust store "partners" and a fixed response of 200 "ok\n".
    pub fn edge(mode: &str) -> Self {
        Self::new()
            .trust_store(TrustStore::partners())
            .distribution(Distribution::edge(mode))
    }

    pub fn cores(self, count: u16) -> Self {
        Self {
            cores: Some(count.to_string()),
            ..self
        }
    }

    /// "auto" or "epoll".
    pub fn driver(self, driver: &'static str) -> Self {
        Self {
            driver: Some(driver),
            ..self
        }
    }

    pub fn balance_connections(self, balance: bool) -> Self {
        Self {
            balance_connections: Some(balance),
            ..self
        }
    }

    pub fn limit(mut self, name: &'static str, value: u64) -> Self {
        self.limits.push((name, value));
        self
    }

    /// A further listener: "https" or "http".
    pub fn listener(mut self, protocol: &'static str) -> Self {
        self.listeners.push(protocol);
        self
    }

    pub fn without_admin(self) -> Self {
        Self {
            without_admin: true,
            ..self
        }
    }

    /// With a control socket of this name in the working folder.
    pub fn control_socket(self, name: &'static str) -> Self {
        Self {
            control_socket: Some(name),
            ..self
        }
    }

    /// Records go to this file in the working folder, not to stdout.
    pub fn records_to(self, file: &'static str) -> Self {
        Self {
            file_sink: Some(file),
            ..self
        }
    }

    pub fn trust_store(mut self, store: TrustStore) -> Self {
        self.trust_stores.push(store);
        self
    }

    /// A key-value store with this import file, `<name>.json`.
    pub fn key_value_store(mut self, name: &str, import: impl Into<Vec<u8>>) -> Self {
        let _ = writeln!(
            self.tables,
            "\n[[key_value_stores]]\nname = \"{name}\"\nimport = \"{name}.json\""
        );
        self.file(&format!("{name}.json"), import)
    }

    /// A connection function with this code, in `<name>.js`, with the store of this name.
    pub fn connection_function(self, name: &str, code: &str, store: Option<&str>) -> Self {
        self.function("connection_functions", name, code, store)
    }

    /// A viewer function.
    pub fn viewer_function(self, name: &str, code: &str, store: Option<&str>) -> Self {
        self.function("functions", name, code, store)
    }

    fn function(mut self, table: &str, name: &str, code: &str, store: Option<&str>) -> Self {
        let _ = writeln!(
            self.tables,
            "\n[[{table}]]\nname = \"{name}\"\ncode = \"{name}.js\""
        );
        if let Some(store) = store {
            let _ = writeln!(self.tables, "key_value_store = \"{store}\"");
        }
        self.file(&format!("{name}.js"), code)
    }

    pub fn distribution(mut self, distribution: Distribution) -> Self {
        self.distributions.push(distribution);
        self
    }

    /// A further file in the working folder.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), contents.into()));
        self
    }

    /// The TOML text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "[runtime]\ncores = {}", self.cores.as_deref().unwrap_or("1"));
        if let Some(driver) = self.driver {
            let _ = writeln!(out, "driver = \"{driver}\"");
        }
        if let Some(balance) = self.balance_connections {
            let _ = writeln!(out, "balance_connections = {balance}");
        }
        out.push_str("\n[limits]\n");
        if self.limits.iter().all(|(name, _)| *name != CONNECTIONS) {
            let _writing_to_a_string = writeln!(out, "{CONNECTIONS} = {CONNECTIONS_MAX}");
        }
        if self.limits.iter().all(|(name, _)| *name != FUNCTION_TIME) {
            let _writing_to_a_string = writeln!(out, "{FUNCTION_TIME} = {FUNCTION_TIME_MAX}");
        }
        for (name, value) in &self.limits {
            let _ = writeln!(out, "{name} = {value}");
        }
        if !self.without_admin {
            out.push_str("\n[admin]\naddress = \"127.0.0.1:0\"\n");
        }
        if let Some(socket) = self.control_socket {
            let _ = writeln!(out, "\n[control]\nsocket = \"{socket}\"");
        }
        for protocol in &self.listeners {
            let _ = writeln!(
                out,
                "\n[[listeners]]\naddress = \"127.0.0.1:0\"\nprotocol = \"{protocol}\""
            );
        }
        self.trust_stores.iter().for_each(|store| store.render(&mut out));
        out.push_str(&self.tables);
        self.distributions
            .iter()
            .for_each(|distribution| distribution.render(&mut out));
        let sink = self
            .file_sink
            .map_or("\"stdout\"".to_owned(), |file| format!("{{ file = \"{file}\" }}"));
        let _ = writeln!(out, "\n[logs.connection]\nformat = \"json\"\nsink = {sink}");
        out
    }

    /// Every file that the text names, by name.
    pub fn all_files(&self) -> Vec<(String, Vec<u8>)> {
        let stores = self.trust_stores.iter().flat_map(|store| store.files.clone());
        let distributions = self.distributions.iter().flat_map(Distribution::files);
        stores.chain(distributions).chain(self.files.clone()).collect()
    }
}

#[derive(Clone)]
pub struct TrustStore {
    name: &'static str,
    settings: Vec<String>,
    revocations: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl TrustStore {
    pub fn new(name: &'static str, bundle: &str) -> Self {
        let files = vec![(format!("{name}.pem"), bundle.as_bytes().to_vec())];
        Self {
            name,
            settings: Vec::new(),
            revocations: Vec::new(),
            files,
        }
    }

    /// "partners": root and issuing CA of the shared PKI.
    pub fn partners() -> Self {
        Self::new("partners", &Pki::shared().bundle())
    }

    /// A further line of the table.
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// A serial list or a CRL, PEM or DER.
    /// A serial list without an entry is marked as allowed to be empty.
    pub fn revocations(self, file: &str, contents: impl Into<Vec<u8>>) -> Self {
        let contents = contents.into();
        let has_entries = contents
            .split(|octet| *octet == b'\n')
            .any(|line| !line.is_empty() && !line.starts_with(b"#"));
        let entry = match has_entries {
            true => format!("{file:?}"),
            false => format!("{{ file = {file:?}, may_be_empty = true }}"),
        };
        self.revocations_as(&entry, file, contents)
    }

    /// The same, written in the configuration as `entry`.
    pub fn revocations_as(mut self, entry: &str, file: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.revocations.push(entry.to_owned());
        self.files.push((file.to_owned(), contents.into()));
        self
    }

    fn render(&self, out: &mut String) {
        let Self {
            name, revocations, ..
        } = self;
        let _ = writeln!(
            out,
            "\n[[trust_stores]]\nname = \"{name}\"\nca_bundle = \"{name}.pem\""
        );
        let _ = writeln!(out, "revocations = [{}]", revocations.join(", "));
        self.settings
            .iter()
            .for_each(|line| out.push_str(&format!("{line}\n")));
    }
}

#[derive(Clone)]
pub struct Distribution {
    id: &'static str,
    aliases: Vec<&'static str>,
    mode: &'static str,
    trust_store: Option<&'static str>,
    mtls_settings: Vec<String>,
    default: bool,
    security_policy: Option<&'static str>,
    origin: String,
    origin_settings: Vec<String>,
    settings: Vec<String>,
    /// Pattern and body.
    answers: Vec<(String, String)>,
    request_headers: Vec<&'static str>,
    redirects: bool,
    behavior_settings: Vec<String>,
    identity: Identity,
}

impl Distribution {
    /// Modes: "required", "optional", "passthrough", "none". Answers 200 "ok\n". The trust store is
    /// "partners", but for "passthrough", which has none.
    pub fn new(id: &'static str, aliases: &[&'static str], mode: &str) -> Self {
        let mode = ["required", "optional", "passthrough", "none"]
            .into_iter()
            .find(|known| *known == mode);
        Self {
            id,
            aliases: aliases.to_vec(),
            mode: mode.expect("a mode of the harness"),
            trust_store: (mode != Some("passthrough")).then_some("partners"),
            mtls_settings: Vec::new(),
            default: false,
            security_policy: None,
            origin: "fixed_response = { status = 200, body = \"ok\\n\" }".to_owned(),
            origin_settings: Vec::new(),
            settings: Vec::new(),
            answers: Vec::new(),
            request_headers: Vec::new(),
            redirects: false,
            behavior_settings: Vec::new(),
            identity: Pki::shared().servers.issue(Leaf::server(aliases)),
        }
    }

    pub fn edge(mode: &str) -> Self {
        Self::new(EDGE, &[EDGE_NAME], mode).default(true)
    }

    /// Shows this certificate instead of one for its aliases.
    pub fn certificate(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    pub fn default(self, default: bool) -> Self {
        Self { default, ..self }
    }

    pub fn trust_store(self, trust_store: &'static str) -> Self {
        Self {
            trust_store: self.trust_store.and(Some(trust_store)),
            ..self
        }
    }

    /// A further line of the distribution's table.
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// A further line of the table `viewer_mtls`.
    pub fn mtls_setting(mut self, line: &str) -> Self {
        self.mtls_settings.push(line.to_owned());
        self
    }

    pub fn security_policy(self, policy: &'static str) -> Self {
        Self {
            security_policy: Some(policy),
            ..self
        }
    }

    /// Redirects plain http to https, instead of forbidding it.
    pub fn redirects(self) -> Self {
        Self {
            redirects: true,
            ..self
        }
    }

    /// Answers every request with this body.
    pub fn answers(self, body: &str) -> Self {
        Self {
            origin: format!("fixed_response = {{ status = 200, body = {body:?} }}"),
            ..self
        }
    }

    /// Answers requests for paths of this pattern with this body, before the behavior for all others is
    /// looked at.
    pub fn answers_at(mut self, pattern: &str, body: &str) -> Self {
        self.answers.push((pattern.to_owned(), body.to_owned()));
        self
    }

    /// Passes every request on to `url`.
    pub fn proxies_to(self, url: &str) -> Self {
        Self {
            origin: format!("url = \"{url}\""),
            ..self
        }
    }

    /// A further line of the origin's table.
    pub fn origin_setting(mut self, line: &str) -> Self {
        self.origin_settings.push(line.to_owned());
        self
    }

    /// Certificate headers that the origin gets.
    pub fn request_headers(self, names: &[&'static str]) -> Self {
        Self {
            request_headers: names.to_vec(),
            ..self
        }
    }

    /// A further line of the behavior's table.
    pub fn behavior_setting(mut self, line: &str) -> Self {
        self.behavior_settings.push(line.to_owned());
        self
    }

    /// The certificate that this distribution presents.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn render(&self, out: &mut String) {
        let Self {
            id,
            aliases,
            default,
            origin,
            request_headers,
            ..
        } = self;
        let _ = writeln!(
            out,
            "\n[[distributions]]\nid = \"{id}\"\naliases = {aliases:?}\ndefault = {default}"
        );
        let _ = writeln!(out, "certificate = \"{id}.pem\"\nprivate_key = \"{id}.key\"");
        if let Some(policy) = self.security_policy {
            let _ = writeln!(out, "security_policy = \"{policy}\"");
        }
        self.settings
            .iter()
            .for_each(|line| out.push_str(&format!("{line}\n")));
        if self.mode != "none" {
            let _ = writeln!(out, "\n[distributions.viewer_mtls]\nmode = \"{}\"", self.mode);
            if let Some(store) = self.trust_store {
                let _ = writeln!(out, "trust_store = \"{store}\"");
            }
            self.mtls_settings
                .iter()
                .for_each(|line| out.push_str(&format!("{line}\n")));
        }
        let _ = writeln!(out, "\n[[distributions.origins]]\nid = \"app\"\n{origin}");
        self.origin_settings
            .iter()
            .for_each(|line| out.push_str(&format!("{line}\n")));
        for (at, (pattern, body)) in self.answers.iter().enumerate() {
            let _ = writeln!(
                out,
                "\n[[distributions.origins]]\nid = \"answer-{at}\"\nfixed_response = {{ body = {body:?} }}\n\
                 \n[[distributions.behaviors]]\npath_pattern = {pattern:?}\norigin = \"answer-{at}\""
            );
        }
        let _ = writeln!(
            out,
            "\n[[distributions.behaviors]]\npath_pattern = \"*\"\norigin = \"app\""
        );
        if self.redirects {
            out.push_str("viewer_protocol_policy = \"redirect-to-https\"\n");
        }
        self.behavior_settings
            .iter()
            .for_each(|line| out.push_str(&format!("{line}\n")));
        if !request_headers.is_empty() {
            let _ = writeln!(out, "origin_request_policy = {{ headers = {request_headers:?} }}");
        }
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let file = |suffix: &str, text: String| (format!("{}.{suffix}", self.id), text.into_bytes());
        vec![
            file("pem", self.identity.chain_pem()),
            file("key", self.identity.key_pem()),
        ]
    }
}

const CONNECTIONS: &str = "connections_per_core";
/// Connections for each core: as many as a machine with an ordinary limit on open files can serve, so that no
/// server warns of it at its start.
const CONNECTIONS_MAX: u64 = 2_000;
const FUNCTION_TIME: &str = "function_time_ms";
/// Time of a function: as much as may be configured. A function that ends is never stopped for what else the
/// machine does.
const FUNCTION_TIME_MAX: u64 = 1_000;
