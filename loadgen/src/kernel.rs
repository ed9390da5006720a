//! A count of this machine's kernel that nobody else has: connections that a full listen queue turned away.

use std::fs;

/// Connection attempts, since boot and in our network namespace, for which a listening socket had no room.
///
/// The client hears nothing of it and asks again after a second. `None` where the kernel does not say.
pub fn listen_overflows() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/net/netstat").ok()?;
    parse_counter(&text, "TcpExt:", "ListenOverflows")
}

/// The file has pairs of lines: names, then values, both after the same heading.
fn parse_counter(text: &str, heading: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(heading));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split_whitespace().position(|column| column == name)?;
    values.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text =
            "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 42 43\nIpExt: A\nIpExt: 7\n";
        assert_eq!(parse_counter(text, "TcpExt:", "ListenOverflows"), Some(42));
        assert_eq!(parse_counter(text, "TcpExt:", "Absent"), None);
        assert_eq!(
            parse_counter("TcpExt: ListenOverflows\n", "TcpExt:", "ListenOverflows"),
            None
        );
        assert_eq!(parse_counter("", "TcpExt:", "ListenOverflows"), None);
    }

    #[test]
    fn this_kernel_counts_listen_overflows() {
        assert!(listen_overflows().is_some());
    }
}
