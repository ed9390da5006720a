//! `[runtime]`: on which cores the server runs and how it talks to the kernel.
//!
//! Whether the named CPUs exist is known only at start, on the machine that runs the server.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use super::error::Problem;
use super::key::KeyPath;
use super::raw::{RawCores, RawRuntime};
use super::suggest::choose;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    pub cores: Cores,
    pub driver: Driver,
    /// True if a core hands what it accepts over to a core that holds noticeably fewer connections.
    pub balance_connections: bool,
    /// True if another server of the same user may listen on the same addresses at the same time.
    pub reuse_port: bool,
}

/// CPUs that get a core thread each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// Every CPU that the process may run on.
    All,
    /// The first so many of them.
    Count(NonZeroUsize),
    /// These CPU numbers, each once, in this order; never empty.
    List(Vec<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring, stepping down where the kernel refuses it.
    Auto,
    Epoll,
}

pub(super) fn runtime(raw: &RawRuntime) -> Result<RuntimeConfig, Problem> {
    let key = KeyPath::root().child("runtime");
    let cores = cores(&key.child("cores"), raw.cores.as_ref())?;
    let driver = match raw.driver.as_deref() {
        None => Driver::Auto,
        Some(name) => choose(
            &key.child("driver"),
            name,
            &[("auto", Driver::Auto), ("epoll", Driver::Epoll)],
        )?,
    };
    Ok(RuntimeConfig {
        cores,
        driver,
        balance_connections: raw.balance_connections.unwrap_or(true),
        reuse_port: raw.reuse_port.unwrap_or(false),
    })
}

fn cores(key: &KeyPath, raw: Option<&RawCores>) -> Result<Cores, Problem> {
    match raw {
        None => Ok(Cores::All),
        Some(RawCores::Name(name)) if name == "all" => Ok(Cores::All),
        Some(RawCores::Name(name)) => Err(Problem::new(
            key,
            format!("{name:?} names no cores"),
            CORES_REMEDY,
        )),
        Some(RawCores::Count(count)) => {
            let count = usize::try_from(*count).ok().filter(|count| *count <= CPUS_MAX);
            let count = count.and_then(NonZeroUsize::new);
            count.map(Cores::Count).ok_or_else(|| {
                let remedy = format!("give a number from 1 to {CPUS_MAX}, or \"all\"");
                Problem::new(key, "this number of cores is out of range", remedy)
            })
        }
        Some(RawCores::List(list)) => core_list(key, list),
    }
}

fn core_list(key: &KeyPath, list: &[i64]) -> Result<Cores, Problem> {
    if list.is_empty() {
        return Err(Problem::new(key, "the list of CPUs is empty", CORES_REMEDY));
    }
    let mut seen = HashSet::new();
    let mut cpus = Vec::with_capacity(list.len());
    for (index, &number) in list.iter().enumerate() {
        let key = key.index(index);
        let cpu = usize::try_from(number)
            .ok()
            .filter(|cpu| *cpu < CPUS_MAX)
            .ok_or_else(|| {
                let remedy = format!("give CPU numbers from 0 to {}", CPUS_MAX - 1);
                Problem::new(&key, format!("{number} is no CPU number"), remedy)
            })?;
        if !seen.insert(cpu) {
            return Err(Problem::new(
                &key,
                format!("CPU {cpu} is in the list twice"),
                "name each CPU once",
            ));
        }
        cpus.push(cpu);
    }
    Ok(Cores::List(cpus))
}

const CORES_REMEDY: &str = "give \"all\", a number of cores, or a list of CPU numbers such as [0, 1]";

/// Size of the kernel's `cpu_set_t`.
const CPUS_MAX: usize = 1_024;
