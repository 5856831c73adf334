//! `/etc/hosts` (hosts(5)).

use std::fmt::Write as _;
use std::net::IpAddr;

/// Names that every container knows.
const LOCAL: &str = "127.0.0.1\tlocalhost\n\
::1\tlocalhost ip6-localhost ip6-loopback\n\
fe00::\tip6-localnet\n\
ff00::\tip6-mcastprefix\n\
ff02::1\tip6-allnodes\n\
ff02::2\tip6-allrouters\n";

/// One line: an address and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub ip: IpAddr,
    /// The names, separated by blanks.
    pub names: String,
}

/// The container itself: `ip name.domain name`, or `ip name` without a domain.
pub fn own(ip: IpAddr, hostname: &str, domainname: &str) -> Entry {
    // A hostname may carry its own domain; its first label is then the short name.
    let names = match (domainname, hostname.split_once('.')) {
        ("", None) => hostname.to_owned(),
        ("", Some((short, _))) => format!("{hostname} {short}"),
        (domain, _) => format!("{hostname}.{domain} {hostname}"),
    };
    Entry { ip, names }
}

/// The file of a container with its own network: the local names, `extra` (`--add-host`, in the
/// order given), then the container's `own` addresses.
pub fn build(extra: &[Entry], own: &[Entry]) -> String {
    append(LOCAL.to_owned(), extra.iter().chain(own))
}

/// The file of a container on the host's network: the `host`'s own file, then `extra`.
pub fn on_host(host: &str, extra: &[Entry]) -> String {
    let mut text = host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    append(text, extra)
}

fn append<'a>(mut text: String, entries: impl IntoIterator<Item = &'a Entry>) -> String {
    for Entry { ip, names } in entries {
        let _ = writeln!(text, "{ip}\t{names}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_finds_itself_after_the_extra_hosts() {
        let extra = [Entry { ip: [10, 0, 0, 1].into(), names: "db".into() }];
        let text = build(&extra, &[own([172, 17, 0, 2].into(), "web", "")]);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost"));
        assert!(text.ends_with("ff02::2\tip6-allrouters\n10.0.0.1\tdb\n172.17.0.2\tweb\n"));
    }

    #[test]
    fn domains_come_first() {
        let ip = IpAddr::from([1, 2, 3, 4]);
        assert_eq!(own(ip, "web", "example.org").names, "web.example.org web");
        assert_eq!(own(ip, "web.example.org", "").names, "web.example.org web");
    }

    #[test]
    fn the_hosts_file_is_kept_as_it_is() {
        let extra = [Entry { ip: [10, 0, 0, 1].into(), names: "db".into() }];
        assert_eq!(on_host("127.0.0.1 localhost", &extra), "127.0.0.1 localhost\n10.0.0.1\tdb\n");
        assert_eq!(on_host("", &[]), "");
    }
}
