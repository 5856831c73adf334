//! A host on a segment, a neighbour on the same segment, and a client outside that is the way to everywhere.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};

use super::{Namespace, flows};
use crate::programs;

/// Host, outside, neighbour; all with a link `eth0` to one switch.
pub struct Site {
    /// Where the engine lives.
    pub host: Namespace,
    /// A router and client: the host's default route.
    pub outside: Namespace,
    /// Another machine on the segment.
    pub neighbour: Namespace,
    /// The switch, bridge `sw0`.
    pub switch: Namespace,
    before: State,
}

/// What an engine must leave as it was.
#[derive(Debug, PartialEq, Eq)]
struct State {
    links: Vec<String>,
    routes: Vec<String>,
    rules: String,
    forwarding: [String; 2],
}

impl Site {
    /// Addresses of the host, the outside and the neighbour on the segment.
    pub const HOST: &str = "198.51.100.1";
    /// The outside's.
    pub const OUTSIDE: &str = "198.51.100.2";
    /// The neighbour's.
    pub const NEIGHBOUR: &str = "198.51.100.3";
    /// An address of the outside that is not on the segment.
    pub const FAR: &str = "203.0.113.9";
    /// The host's second address.
    pub const SECOND: &str = "198.51.100.11";
    /// The same in IPv6.
    pub const HOST6: &str = "2001:db8:51::1";
    /// The outside's.
    pub const OUTSIDE6: &str = "2001:db8:51::2";
    /// The neighbour's.
    pub const NEIGHBOUR6: &str = "2001:db8:51::3";
    /// Far away.
    pub const FAR6: &str = "2001:db8:9::9";

    /// Three hosts on one segment, no engine.
    pub fn new() -> Result<Self> {
        let [host, outside, neighbour, switch] =
            [Namespace::new()?, Namespace::new()?, Namespace::new()?, Namespace::new()?];
        switch.ip("link add sw0 type bridge")?;
        switch.ip("link set sw0 up")?;
        let members = [
            (&host, "p1", Self::HOST, Self::HOST6),
            (&outside, "p2", Self::OUTSIDE, Self::OUTSIDE6),
            (&neighbour, "p3", Self::NEIGHBOUR, Self::NEIGHBOUR6),
        ];
        for (member, port, ip, ip6) in members {
            // A namespace starts with some of the machine's switches: an engine has turned this one on there.
            member.within(|| Ok(std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")?))?;
            switch.cable(port, member, "eth0")?;
            switch.ip(&format!("link set {port} master sw0"))?;
            member.ip(&format!("addr add {ip}/24 dev eth0"))?;
            member.ip(&format!("addr add {ip6}/64 dev eth0 nodad"))?;
        }
        host.ip(&format!("addr add {}/24 dev eth0", Self::SECOND))?;
        host.ip(&format!("route add default via {}", Self::OUTSIDE))?;
        host.ip(&format!("route add default via {}", Self::OUTSIDE6))?;
        outside.ip(&format!("addr add {}/32 dev lo", Self::FAR))?;
        outside.ip(&format!("addr add {}/128 dev lo", Self::FAR6))?;
        neighbour.ip(&format!("route add {}/32 via {}", Self::FAR, Self::OUTSIDE))?;
        let before = State::of(&host)?;
        Ok(Self { host, outside, neighbour, switch, before })
    }

    /// What has been changed on the host since is to stay: asked for by the test, not by the engine.
    pub fn keep(&mut self) -> Result<()> {
        self.before = State::of(&self.host)?;
        Ok(())
    }

    /// Links, routes, rules and switches of the host are those of the beginning, and no flow is tracked that others
    /// than the site's machines took part in.
    pub fn is_as_before(&self) -> Result<()> {
        let mut now = State::of(&self.host)?;
        // A container's namespace, and the pair of interfaces with it, dies shortly after its last process.
        let settled = programs::eventually("the host is as before", || {
            now = State::of(&self.host)?;
            Ok((now == self.before).then_some(()))
        });
        settled.with_context(|| format!("left on the host: {now:#?}\nbefore: {:#?}", self.before))?;
        let left: Vec<_> = flows(&self.host)?.into_iter().filter(|flow| !flow.is_of_the_segment()).collect();
        ensure!(left.is_empty(), "flows are tracked still: {left:#?}");
        Ok(())
    }
}

impl State {
    fn of(host: &Namespace) -> Result<Self> {
        let lines = |text: String| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        let links = lines(host.ip("-br link")?);
        // Link-local addresses come when the kernel has found them to be unique, and its entry for each other address
        // a moment after that address.
        let routes = lines(host.ip("route show table all")?);
        let late = ["local fe80", "local 2001:db8:51:"];
        let routes = routes.into_iter().filter(|line| !late.iter().any(|late| line.starts_with(late)));
        let routes = routes.map(|line| line.replace(" linkdown", "")).collect();
        let read = |path: &str| host.within(|| Ok(std::fs::read_to_string(path)?.trim().to_owned()));
        Ok(Self {
            links: links
                .iter()
                .filter_map(|line| line.split_whitespace().next())
                .map(str::to_owned)
                .collect(),
            routes,
            rules: host.nft("list ruleset")?,
            forwarding: [
                read("/proc/sys/net/ipv4/ip_forward")?,
                read("/proc/sys/net/ipv6/conf/all/forwarding")?,
            ],
        })
    }
}

/// An address and a port.
pub fn at(ip: &str, port: u16) -> Result<SocketAddr> {
    let ip: IpAddr = ip.parse().with_context(|| format!("{ip:?} is no address"))?;
    Ok(SocketAddr::new(ip, port))
}
