//! Choice of the CPUs that the cores run on.

use std::path::Path;

use bothways_config::{Config, ConfigError, Cores, KeyPath};
use bothways_state::files;

/// The CPU number of each core, in core order.
///
/// # Errors
/// A CPU was asked for that this process may not run on.
pub fn choose(config: &Config) -> Result<Vec<usize>, ConfigError> {
    let allowed = allowed();
    let key = KeyPath::root().child("runtime").child("cores");
    match &config.runtime.cores {
        Cores::All => Ok(allowed),
        Cores::Count(count) if count.get() <= allowed.len() => {
            Ok(allowed.into_iter().take(count.get()).collect())
        }
        Cores::Count(count) => {
            let fault = format!(
                "{count} cores are asked for, and this process may use {}",
                allowed.len()
            );
            Err(config.source.error(&key, fault, "lower it, or say \"all\""))
        }
        Cores::List(list) => match list.iter().find(|cpu| !allowed.contains(cpu)) {
            None => Ok(list.clone()),
            Some(cpu) => {
                let fault = format!("this process may not run on CPU {cpu}");
                Err(config
                    .source
                    .error(&key, fault, format!("choose among {allowed:?}")))
            }
        },
    }
}

/// The CPUs of this process's affinity mask, as the kernel lists them; CPU 0 to n-1 where it does not.
fn allowed() -> Vec<usize> {
    let status = files::read_text(Path::new("/proc/self/status"), STATUS_BYTES_MAX).unwrap_or_default();
    let listed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(cpu_list);
    listed.unwrap_or_else(|| (0..std::thread::available_parallelism().map_or(1, usize::from)).collect())
}

/// Parses the kernel's list format, `0-3,8` (cpuset(7)).
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if last > CPU_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

const CPU_MAX: usize = 65_535;
/// A list of CPUs may be long.
const STATUS_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(cpu_list("\t0-2,5,7-8\n"), Some(vec![0, 1, 2, 5, 7, 8]));
        for bad in ["", "a", "1-", "-1", "0-99999999"] {
            assert_eq!(cpu_list(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed().is_empty());
    }
}
