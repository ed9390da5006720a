//! Choice of the cores to run on.

/// A count of cores or a list of them, as the core numbers. `allowed` are those that this process may use.
pub fn choose(text: &str, allowed: &[usize]) -> Result<Vec<usize>, String> {
    if let Ok(count) = text.parse::<usize>() {
        if count == 0 || count > allowed.len() {
            return Err(format!(
                "--cores {count}: this process may use {} cores",
                allowed.len()
            ));
        }
        let mut cores: Vec<usize> = allowed.iter().rev().take(count).copied().collect();
        cores.reverse();
        return Ok(cores);
    }
    let Some(mut cores) = parse_list(text) else {
        return Err(format!(
            "--cores: {text:?} is neither a number nor a list such as 0,3 or 2-3"
        ));
    };
    cores.sort_unstable();
    cores.dedup();
    if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
        return Err(format!(
            "--cores: core {core} is not among those this process may use, {allowed:?}"
        ));
    }
    Ok(cores)
}

/// Parses the kernel's list format: `0,2-4`.
pub fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last > CORE_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

const CORE_MAX: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_a_count_from_the_top_or_a_list() {
        assert_eq!(choose("2", &[0, 1, 5]).unwrap(), [1, 5]);
        assert_eq!(choose("5-5", &[0, 1, 5]).unwrap(), [5]);
        assert_eq!(choose("1,0,1", &[0, 1, 5]).unwrap(), [0, 1]);
        assert_eq!(parse_list("0,2-4\n"), Some(vec![0, 2, 3, 4]));
        assert_eq!(parse_list("4-2"), None);
        assert_eq!(parse_list(""), None);
    }
}
