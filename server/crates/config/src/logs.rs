//! `[logs]`: where connection records go.

use super::error::Problem;
use super::key::KeyPath;
use super::raw::{RawConnectionLog, RawLogs, RawSink};
use super::reference::FileRef;
use super::source::Source;
use super::suggest::choose;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogsConfig {
    pub connection: ConnectionLog,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLog {
    pub format: LogFormat,
    pub sink: Sink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object on each line.
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    Stdout,
    File(FileRef),
}

pub(super) fn logs(source: &Source, raw: &RawLogs) -> Result<LogsConfig, Problem> {
    let default = ConnectionLog {
        format: LogFormat::Json,
        sink: Sink::Stdout,
    };
    let connection = raw
        .connection
        .as_ref()
        .map_or(Ok(default), |connection| connection_log(source, connection))?;
    Ok(LogsConfig { connection })
}

fn connection_log(source: &Source, raw: &RawConnectionLog) -> Result<ConnectionLog, Problem> {
    let key = KeyPath::root().child("logs").child("connection");
    let format = match raw.format.as_deref() {
        None => LogFormat::Json,
        Some(name @ ("w3c" | "plain" | "raw" | "parquet")) => {
            let fault = format!("the format {name:?} is not supported yet");
            return Err(Problem::new(&key.child("format"), fault, "use \"json\""));
        }
        Some(name) => choose(&key.child("format"), name, &[("json", LogFormat::Json)])?,
    };
    let sink = match &raw.sink {
        None => Sink::Stdout,
        Some(RawSink::Name(name)) if name == "stdout" => Sink::Stdout,
        Some(RawSink::Name(name)) => {
            let remedy = "use \"stdout\", or { file = \"…\" } for a file";
            return Err(Problem::new(
                &key.child("sink"),
                format!("{name:?} is no sink"),
                remedy,
            ));
        }
        Some(RawSink::File(file)) => Sink::File(source.file_ref(&key.child("sink").child("file"), file)?),
    };
    Ok(ConnectionLog { format, sink })
}
