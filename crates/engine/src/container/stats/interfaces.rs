//! Counters of the interfaces in a container's network namespace, from `/proc/<pid>/net/dev` (proc_pid_net(5)).

use std::collections::BTreeMap;

use super::Traffic;
use crate::container::Container;

/// Longest text that is read: a container may make as many interfaces as it likes.
const MOST: usize = 1 << 20;

/// The counters of those interfaces that the engine gave the container, by name; none when they can't be read.
///
/// The file is opened each time: a descriptor that is kept would keep the namespace, and with it the container's
/// address, beyond the container's end.
pub(super) fn read(pid: u32, owner: &Container) -> BTreeMap<String, Traffic> {
    let networks = &owner.network.networks;
    if networks.is_empty() || networks.contains_key("host") || networks.contains_key("none") {
        return BTreeMap::new();
    }
    let Ok(text) = sys::file::read_bounded(format!("/proc/{pid}/net/dev"), MOST) else {
        return BTreeMap::new();
    };
    let given = crate::network::endpoint::interfaces(owner);
    parse(&String::from_utf8_lossy(&text), |name| given.iter().any(|given| given == name))
}

fn parse(text: &str, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Traffic> {
    let line = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let name = name.trim();
        let number: Vec<u64> = counters.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let traffic = |at: usize| number.get(at).copied().unwrap_or_default();
        wanted(name).then(|| {
            let counted = Traffic {
                rx_bytes: traffic(0),
                rx_packets: traffic(1),
                rx_errors: traffic(2),
                rx_dropped: traffic(3),
                tx_bytes: traffic(8),
                tx_packets: traffic(9),
                tx_errors: traffic(10),
                tx_dropped: traffic(11),
            };
            (name.to_owned(), counted)
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_that_we_gave_count() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n\
                    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n  eth0:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n\
                    docker0: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n";
        let found = parse(text, |name| name == "eth0");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["eth0"]);
        let eth0 = found["eth0"];
        assert_eq!((eth0.rx_bytes, eth0.rx_dropped, eth0.tx_bytes, eth0.tx_dropped), (1, 4, 5, 8));
    }
}
