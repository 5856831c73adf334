//! `/etc/resolv.conf` (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr};

use crate::config::DnsConfig;
use crate::dns::ADDRESS;

/// Used when neither the options nor the host name a server that a container can reach.
const FALLBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4))];

/// Where systemd-resolved listens.
const RESOLVED_STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));

/// What such a file says, as far as containers care.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parsed<'a> {
    servers: Vec<Server<'a>>,
    search: Vec<&'a str>,
    options: Vec<&'a str>,
    other: Vec<&'a str>,
}

/// A server's text, which may carry a zone (`fe80::1%eth0`), and the address in it.
#[derive(Debug, PartialEq, Eq)]
struct Server<'a> {
    text: &'a str,
    ip: IpAddr,
}

/// The file of a container with its own network: what `dns` gives, and the `host`'s lines for what
/// it does not. Servers on the host's loopback are left out, and IPv6 ones unless `ipv6`, as the
/// container cannot reach them.
pub fn build(host: &str, dns: &DnsConfig, ipv6: bool) -> String {
    let parsed = parse(host);
    let mut servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
    if servers.is_empty() {
        let reachable = parsed.servers.iter().filter(|s| !s.ip.is_loopback() && (ipv6 || s.ip.is_ipv4()));
        // A zone names an interface of the host: it means nothing in the container.
        servers.extend(reachable.filter(|s| !s.text.contains('%')).map(|s| s.text.to_owned()));
    }
    if servers.is_empty() {
        servers.extend(FALLBACK.iter().map(ToString::to_string));
    }
    write(&servers, &parsed, dns)
}

/// The file of a container whose names the embedded resolver knows: that server alone, which asks
/// those of [`upstream`]. Names without dots are asked as they are, since containers' names have none.
pub fn embedded(host: &str, dns: &DnsConfig) -> String {
    let parsed = parse(host);
    let mut dns = dns.clone();
    if dns.options.is_empty() {
        dns.options = parsed.options.iter().map(|option| (*option).to_owned()).collect();
    }
    if !dns.options.iter().any(|option| option.starts_with("ndots:")) {
        dns.options.push("ndots:0".to_owned());
    }
    write(&[ADDRESS.to_string()], &Parsed { options: Vec::new(), ..parsed }, &dns)
}

/// The servers that the embedded resolver asks for other names: what `dns` gives, or the `host`'s,
/// those on its loopback too.
pub fn upstream(host: &str, dns: &DnsConfig) -> Vec<IpAddr> {
    if !dns.servers.is_empty() {
        return dns.servers.clone();
    }
    let servers: Vec<_> =
        parse(host).servers.iter().filter(|s| !s.text.contains('%')).map(|s| s.ip).collect();
    if servers.is_empty() { FALLBACK.to_vec() } else { servers }
}

/// The file of a container on the host's network: the `host`'s own text, or, when `dns` overrides
/// something, that with the rest of the host's lines.
pub fn on_host(host: &str, dns: &DnsConfig) -> String {
    if *dns == DnsConfig::default() {
        return host.to_owned();
    }
    let parsed = parse(host);
    let mut servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
    if servers.is_empty() {
        servers.extend(parsed.servers.iter().map(|s| s.text.to_owned()));
    }
    write(&servers, &parsed, dns)
}

/// Whether `text` names systemd-resolved's stub and nothing else.
pub(super) fn only_resolved_stub(text: &str) -> bool {
    let parsed = parse(text);
    !parsed.servers.is_empty() && parsed.servers.iter().all(|s| s.ip == RESOLVED_STUB)
}

fn write(servers: &[String], host: &Parsed<'_>, dns: &DnsConfig) -> String {
    let mut text = String::from("# Written by berth for this container.\n");
    for server in servers {
        line(&mut text, "nameserver", std::iter::once(server.as_str()));
    }
    if dns.search.is_empty() {
        line(&mut text, "search", host.search.iter().copied());
    } else if dns.search != ["."] {
        line(&mut text, "search", dns.search.iter().map(String::as_str));
    }
    if dns.options.is_empty() {
        line(&mut text, "options", host.options.iter().copied());
    } else {
        line(&mut text, "options", dns.options.iter().map(String::as_str));
    }
    for other in &host.other {
        line(&mut text, other, std::iter::empty());
    }
    text
}

/// Appends `keyword` and its words, unless it needs words and has none.
fn line<'a>(text: &mut String, keyword: &str, words: impl Iterator<Item = &'a str>) {
    let words: Vec<&str> = words.collect();
    if words.is_empty() && matches!(keyword, "search" | "options") {
        return;
    }
    text.push_str(keyword);
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
    text.push('\n');
}

fn parse(text: &str) -> Parsed<'_> {
    let mut parsed = Parsed::default();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', ';'])) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => parsed.servers.extend(words.next().and_then(server)),
            // The last `domain` or `search` line wins (resolv.conf(5)).
            Some("search" | "domain") => parsed.search = words.collect(),
            Some("options") => parsed.options.extend(words),
            _ => parsed.other.push(line),
        }
    }
    parsed
}

fn server(text: &str) -> Option<Server<'_>> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse().ok().map(|ip| Server { text, ip })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# by hand\nnameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n\
nameserver 2001:db8::53\nsearch a.example b.example\noptions ndots:2 timeout:1\nsortlist 10.0.0.0\n";

    #[test]
    fn servers_that_a_container_cannot_reach_are_left_out() {
        let text = build(HOST, &DnsConfig::default(), false);
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "nameserver 192.0.2.53",
                "search a.example b.example",
                "options ndots:2 timeout:1",
                "sortlist 10.0.0.0"
            ]
        );
        assert!(build(HOST, &DnsConfig::default(), true).contains("nameserver 2001:db8::53\n"));
    }

    #[test]
    fn with_no_server_left_public_ones_are_used() {
        let text = build("nameserver 127.0.0.53\n", &DnsConfig::default(), false);
        assert!(text.contains("nameserver 8.8.8.8\nnameserver 8.8.4.4\n"));
        assert!(build("", &DnsConfig::default(), false).contains("nameserver 8.8.8.8\n"));
    }

    #[test]
    fn each_option_replaces_its_own_lines_only() {
        let dns = DnsConfig {
            servers: vec![[1, 1, 1, 1].into()],
            search: vec![".".into()],
            ..DnsConfig::default()
        };
        let text = build(HOST, &dns, false);
        assert!(text.contains("nameserver 1.1.1.1\noptions ndots:2"), "{text}");
        assert!(!text.contains("search") && !text.contains("192.0.2.53"));
    }

    #[test]
    fn daemon_defaults_fill_what_the_container_leaves_open() {
        let daemon =
            DnsConfig { servers: vec![[9, 9, 9, 9].into()], search: vec!["d".into()], options: vec![] };
        let own = DnsConfig { search: vec!["c".into()], ..DnsConfig::default() }.or(&daemon);
        assert_eq!((own.servers.len(), own.search[0].as_str()), (1, "c"));
    }

    #[test]
    fn the_embedded_resolver_is_the_only_server_and_asks_the_others() {
        let text = embedded(HOST, &DnsConfig::default());
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "nameserver 127.0.0.11",
                "search a.example b.example",
                "options ndots:2 timeout:1",
                "sortlist 10.0.0.0"
            ]
        );
        let dns = DnsConfig { servers: vec![[1, 1, 1, 1].into()], ..DnsConfig::default() };
        assert!(embedded("", &dns).ends_with("nameserver 127.0.0.11\noptions ndots:0\n"));
        assert_eq!(upstream(HOST, &dns), dns.servers);
        let hosts: [IpAddr; 3] =
            [[127, 0, 0, 1].into(), [192, 0, 2, 53].into(), "2001:db8::53".parse().expect("ip")];
        assert_eq!(upstream(HOST, &DnsConfig::default()), hosts);
        assert_eq!(upstream("", &DnsConfig::default()), FALLBACK);
    }

    #[test]
    fn on_the_hosts_network_the_file_is_the_hosts() {
        assert_eq!(on_host(HOST, &DnsConfig::default()), HOST);
        let dns = DnsConfig { search: vec!["x".into()], ..DnsConfig::default() };
        assert!(on_host(HOST, &dns).contains("nameserver 127.0.0.1\n"));
    }

    #[test]
    fn only_the_stub_itself_counts_as_the_stub() {
        assert!(only_resolved_stub("nameserver 127.0.0.53\noptions edns0\n"));
        assert!(!only_resolved_stub("nameserver 127.0.0.53\nnameserver 1.1.1.1\n"));
        assert!(!only_resolved_stub(""));
    }
}
