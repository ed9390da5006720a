//! The command that was given, so that a run can be repeated from its report; without what a report must not
//! give away.

/// The words of the command line, quoted for a shell.
pub fn command_line(words: impl Iterator<Item = String>) -> String {
    let mut after_header = false;
    let quoted = words.map(|word| {
        let is_value = std::mem::replace(&mut after_header, word == "--header");
        match word.strip_prefix("--header=") {
            Some(line) => quote(&format!("--header={}", without_secret(line))),
            None if is_value => quote(&without_secret(&word)),
            None => quote(&word),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A header line whose value is left out where it is one that lets others in.
pub fn without_secret(line: &str) -> String {
    match line.split_once(':') {
        Some((name, _)) if is_secret(name.trim()) => format!("{name}: (not shown)"),
        _ => line.to_owned(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Parts of header names: `Authorization`, `Proxy-Authorization`, `Cookie`, `X-Api-Key`, `X-Auth-Token`, …
const SECRET_PARTS: [&str; 6] = ["authorization", "cookie", "api-key", "apikey", "token", "secret"];

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        command_line(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn words_are_quoted_so_that_a_shell_gives_them_back() {
        assert_eq!(
            line(&[
                "loadgen",
                "https://a.example:8443/x?y=1&z",
                "--header",
                "X-A: it's",
                ""
            ]),
            r"loadgen 'https://a.example:8443/x?y=1&z' --header 'X-A: it'\''s' ''"
        );
    }

    #[test]
    fn values_that_let_others_in_are_not_shown() {
        for name in ["Authorization", "cookie", "X-Api-Key", "X-Auth-Token"] {
            let given = format!("{name}: s3cr3t");
            let expected = format!("'{name}: (not shown)'");
            assert_eq!(line(&["--header", &given]), format!("--header {expected}"));
            assert!(!line(&[&format!("--header={given}")]).contains("s3cr3t"));
        }
        assert_eq!(line(&["--header", "X-Test:yes"]), "--header X-Test:yes");
    }
}
