//! A connection record, as the server wrote it.

use serde_json::Value;

/// Every key that a record can have, in the order in which they come.
pub const KEYS: [&str; 25] = [
    "eventTimestamp",
    "connectionId",
    "connectionStatus",
    "clientIp",
    "clientPort",
    "serverIp",
    "distributionId",
    "distributionTenantId",
    "tlsProtocol",
    "tlsCipher",
    "tlsHandshakeDuration",
    "tlsSni",
    "clientLeafCertSerialNumber",
    "clientLeafCertSubject",
    "clientLeafCertIssuer",
    "clientLeafCertValidity",
    "connectionLogCustomData",
    "reason",
    "closedBy",
    "candidateDecision",
    "candidateReason",
    "resumed",
    "bytesIn",
    "bytesOut",
    "requests",
];

#[derive(Clone, Debug)]
pub struct Record {
    pub line: String,
    value: Value,
}

impl Record {
    /// Panics where the line is no JSON object.
    pub fn parse(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("record {line:?}: {e}"));
        assert!(value.is_object(), "record {line:?} is no object");
        Self {
            line: line.to_owned(),
            value,
        }
    }

    pub fn status(&self) -> &str {
        self.text("connectionStatus")
            .unwrap_or_else(|| panic!("no connectionStatus in {}", self.line))
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key)?.as_str()
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.value.get(key)?.as_u64()
    }

    pub fn resumed(&self) -> Option<bool> {
        self.value.get("resumed")?.as_bool()
    }

    pub fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some()
    }

    pub fn value(&self, key: &str) -> Option<&Value> {
        self.value.get(key)
    }

    /// The keys in the order of the line.
    pub fn keys(&self) -> Vec<&str> {
        let object = self.value.as_object().expect("parsed as an object");
        let position = |key: &str| self.line.find(&format!("\"{key}\":")).expect("compact JSON");
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_by_key(|key| position(key));
        keys
    }

    pub fn client_port(&self) -> Option<u16> {
        self.number("clientPort")
            .and_then(|port| u16::try_from(port).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_order_of_the_line() {
        let record =
            Record::parse(r#"{"eventTimestamp":1,"connectionStatus":"Success","clientPort":9,"bytesIn":0}"#);
        assert_eq!(
            record.keys(),
            ["eventTimestamp", "connectionStatus", "clientPort", "bytesIn"]
        );
        assert_eq!((record.status(), record.client_port()), ("Success", Some(9)));
    }
}
