//! Whether an ordinary user's network leads anywhere: a program that may be missing, or ended, connects it.

/// Routes of this network namespace by IPv4, and by IPv6 (`proc_pid_net(5)`).
const ROUTES: [&str; 2] = ["/proc/thread-self/net/route", "/proc/thread-self/net/ipv6_route"];

/// Whether there is a way out.
pub(super) fn leads_out() -> bool {
    let [four, six] = ROUTES.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    four.lines().any(is_default) || six.lines().any(is_default6)
}

/// Interface, destination in hexadecimal digits.
fn is_default(line: &str) -> bool {
    line.split_ascii_whitespace().nth(1) == Some("00000000")
}

/// Destination in hexadecimal digits, length of its prefix, and the interface last. `lo` refuses.
fn is_default6(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let to_all =
        words.next().is_some_and(|word| word.bytes().all(|byte| byte == b'0')) && words.next() == Some("00");
    to_all && words.last() != Some("lo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_is_known_by_its_destination() {
        assert!(is_default("outside\t00000000\t0A6207FE\t0003\t0\t0\t0\t00000000\t0\t0\t0"));
        assert!(!is_default("berth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0"));
        assert!(!is_default("Iface\tDestination\tGateway"));
        let line = |interface: &str| {
            let zeros = "0".repeat(32);
            format!(
                "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 {interface}"
            )
        };
        assert!(is_default6(&line(" outside")) && !is_default6(&line("      lo")));
    }
}
