//! Published ports: every form, from everywhere, with the address that is seen.

use anyhow::{Result, ensure};
use e2e::lab::{Inside, Lab, Server, Site, at, ping, tcp, tcp_from, udp, udp_from};

super::on_both! {
    forms [];
    everything_exposed [];
    loopback_only [];
    hairpin [];
    flows_after_a_restart [];
    unpublished [];
}

fn seen_from(ip: &str) -> String {
    format!("web {ip}")
}

fn forms(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let publish = [
        ["-p", "8080:80"],
        ["-p", "198.51.100.11:8081:80"],
        ["-p", "8082:82/udp"],
        ["-p", "8090-8092:90-92"],
        ["-p", "8100-8110:100"],
        ["-p", "101"],
        ["-p", "198.51.100.1::102/udp"],
        ["-p", "8120-8121:120-121/udp"],
    ]
    .concat();
    let web = lab.container("web", &publish)?;
    let _tcp =
        [80, 90, 91, 92, 100, 101].map(|port| web.tcp(port)).into_iter().collect::<Result<Vec<_>>>()?;
    let _udp = [82, 102, 120, 121].map(|port| web.udp(port)).into_iter().collect::<Result<Vec<_>>>()?;
    let (outside, neighbour) = (seen_from(Site::OUTSIDE), seen_from(Site::NEIGHBOUR));
    for port in [8080, 8090, 8091, 8092] {
        lab.sees(&format!("tcp {port}"), &outside, || tcp(&site.outside, at(Site::HOST, port)?))?;
    }
    lab.sees("far keeps its address", &seen_from(Site::FAR), || {
        tcp_from(&site.outside, at(Site::FAR, 0)?, at(Site::HOST, 8080)?)
    })?;
    lab.sees("the host's other address", &neighbour, || tcp(&site.neighbour, at(Site::SECOND, 8080)?))?;
    lab.sees("published there", &neighbour, || tcp(&site.neighbour, at(Site::SECOND, 8081)?))?;
    lab.sees("and not here", "refused", || tcp(&site.neighbour, at(Site::HOST, 8081)?))?;
    for port in [8082, 8120, 8121] {
        lab.sees(&format!("udp {port}"), &outside, || udp(&site.outside, at(Site::HOST, port)?))?;
    }
    lab.sees("udp has nothing on tcp's port", "refused", || udp(&site.outside, at(Site::HOST, 8080)?))?;
    lab.sees("tcp has nothing on udp's port", "refused", || tcp(&site.outside, at(Site::HOST, 8082)?))?;
    // One of a range, any, and any of one address: `docker port` says which.
    let one = published(lab, "100/tcp")?;
    ensure!((8100..=8110).contains(&one), "{one}");
    lab.sees("one of a range", &outside, || tcp(&site.outside, at(Site::HOST, one)?))?;
    let any = published(lab, "101/tcp")?;
    lab.sees("any", &outside, || tcp(&site.outside, at(Site::HOST, any)?))?;
    let any = published(lab, "102/udp")?;
    lab.sees("any of one address", &outside, || udp(&site.outside, at(Site::HOST, any)?))?;
    lab.sees("not of the other", "refused", || udp(&site.outside, at(Site::SECOND, any)?))?;
    // The host itself, by its addresses and its loopback.
    lab.sees("the host by its address", "web", || head(tcp(&site.host, at(Site::HOST, 8080)?)?))?;
    lab.sees("the host by its loopback", "web", || head(tcp(&site.host, at("127.0.0.1", 8080)?)?))?;
    lab.sees("the host by udp", "web", || head(udp(&site.host, at(Site::HOST, 8082)?)?))?;
    lab.sees("the host by udp on its loopback", "web", || head(udp(&site.host, at("127.0.0.1", 8082)?)?))?;
    let taken = lab.engine.run(&["run", "-d", "-p", "8080:80", e2e::daemon::IMAGE, "true"])?;
    taken.fails(125, "port is already allocated")?;
    // Stopped: nobody. Started: as before.
    drop((_tcp, _udp));
    lab.engine.ok(&["stop", "-t", "0", "web"])?;
    lab.sees("after the end", "refused", || tcp(&site.outside, at(Site::HOST, 8080)?))?;
    lab.engine.ok(&["start", "web"])?;
    let _tcp = lab.inside("web")?.tcp(80)?;
    lab.sees("after a start", &outside, || tcp(&site.outside, at(Site::HOST, 8080)?))
}

/// The server's name alone: which of the host's addresses it sees is the engine's affair.
pub(super) fn head(answer: e2e::lab::Answer) -> Result<e2e::lab::Answer> {
    use e2e::lab::Answer::Heard;
    Ok(match answer {
        Heard(words) => Heard(words.split(' ').next().unwrap_or_default().to_owned()),
        other => other,
    })
}

/// The IPv4 port that a container's port was published on.
fn published(lab: &Lab, port: &str) -> Result<u16> {
    let said = lab.engine.ok(&["port", "web", port])?;
    let first = said.lines().find(|line| !line.starts_with('[') && !line.starts_with(":::"));
    Ok(first.and_then(|line| line.rsplit(':').next()).unwrap_or_default().parse()?)
}

fn everything_exposed(lab: &Lab) -> Result<()> {
    let web = lab.container("web", &["-P", "--expose", "80", "--expose", "90-91", "--expose", "53/udp"])?;
    let _tcp = [80, 90, 91].map(|port| web.tcp(port)).into_iter().collect::<Result<Vec<_>>>()?;
    let _udp = web.udp(53)?;
    for port in [80, 90, 91] {
        let host = published(lab, &format!("{port}/tcp"))?;
        lab.sees(&format!("tcp {port}"), &seen_from(Site::OUTSIDE), || {
            tcp(&lab.site.outside, at(Site::HOST, host)?)
        })?;
    }
    let host = published(lab, "53/udp")?;
    lab.sees("udp", &seen_from(Site::OUTSIDE), || udp(&lab.site.outside, at(Site::HOST, host)?))
}

/// What is published on the host's loopback is the host's: a neighbour that sends packets for 127.0.0.1, or for
/// the container's address, to the host gets nothing (CVE-2025-54388).
fn loopback_only(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let web = lab.container("web", &["-p", "127.0.0.1:8080:80", "-p", "127.0.0.1:8082:82/udp"])?;
    let (_tcp, _udp) = (web.tcp(80)?, web.udp(82)?);
    lab.sees("the host", "web", || head(tcp(&site.host, at("127.0.0.1", 8080)?)?))?;
    lab.sees("the host by udp", "web", || head(udp(&site.host, at("127.0.0.1", 8082)?)?))?;
    lab.sees("its address", "refused", || tcp(&site.neighbour, at(Site::HOST, 8080)?))?;
    evil(site)?;
    let ip = web.ip()?;
    let (from, to) = (at(Site::NEIGHBOUR, 0)?, at("127.0.0.1", 8080)?);
    let open = seen_from(Site::NEIGHBOUR);
    let hole = ("silence", &*open);
    lab.differs("a neighbour, at 127.0.0.1", hole, "fixed in Docker 28.3.3", || {
        tcp_from(&site.neighbour, from, to)
    })?;
    let to = at("127.0.0.1", 8082)?;
    lab.differs("a neighbour, at 127.0.0.1 by udp", hole, "fixed in Docker 28.3.3", || {
        udp_from(&site.neighbour, from, to)
    })?;
    // Docker 20.10 forwards whatever a neighbour routes to a container's published port.
    lab.differs("a neighbour, at the container's address", hole, "fixed in Docker 28", || {
        tcp(&site.neighbour, (ip, 80).into())
    })
}

/// The neighbour routes 127/8 and the bridges' subnets to the host.
pub(crate) fn evil(site: &Site) -> Result<()> {
    site.neighbour.ip("addr del 127.0.0.1/8 dev lo")?;
    let via = format!("via {} dev eth0", Site::HOST);
    site.neighbour.ip(&format!("route add 127.0.0.0/8 {via} src {}", Site::NEIGHBOUR))?;
    site.neighbour.ip(&format!("route add 172.16.0.0/12 {via}"))?;
    site.neighbour.ip("link set eth0 up").map(drop)?;
    site.neighbour.within(|| Ok(std::fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1")?))
}

/// A container reaches what is published by the host's address: another's port, and its own.
fn hairpin(lab: &Lab) -> Result<()> {
    lab.engine.ok(&["network", "create", "net"])?;
    let web = lab.container("web", &["--network", "net", "-p", "8080:80", "-p", "8082:82/udp"])?;
    let (_tcp, _udp) = (web.tcp(80)?, web.udp(82)?);
    let same = lab.container("same", &["--network", "net"])?;
    let other = lab.container("other", &[])?;
    for (who, inside) in [("itself", &web), ("on its network", &same), ("on another network", &other)] {
        for ip in [Site::HOST, Site::SECOND] {
            lab.sees(&format!("{who} by tcp {ip}"), "web", || head(tcp(&inside.netns, at(ip, 8080)?)?))?;
            let answers = ("web", "silence");
            lab.differs(&format!("{who} by udp {ip}"), answers, "docker-proxy takes it", || {
                head(udp(&inside.netns, at(ip, 8082)?)?)
            })?;
        }
    }
    Ok(())
}

/// A client that never stops sending from one port reaches the container again after it has been restarted, though
/// it sent while nobody was there, and though the container has another address.
fn flows_after_a_restart(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let web = lab.container("web", &["-p", "8082:82/udp"])?;
    let server = web.udp(82)?;
    let (from, to) = (at(Site::OUTSIDE, 5555)?, at(Site::HOST, 8082)?);
    let ask = || udp_from(&site.outside, from, to);
    lab.sees("before", &seen_from(Site::OUTSIDE), ask)?;
    // what the kernel remembers of a flow without an answer, it may not forget on a slow machine
    site.host.within(|| Ok(std::fs::write("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "600")?))?;
    drop(server);
    lab.engine.ok(&["stop", "-t", "0", "web"])?;
    lab.sees("while it is down", "refused", ask)?;
    // Takes the address that was its.
    let taker = lab.container("taker", &[])?;
    lab.is("the address is another's", web.ip()?, taker.ip()?);
    lab.engine.ok(&["start", "web"])?;
    let web: Inside = lab.inside("web")?;
    let _server: Server = web.udp(82)?;
    let proxied = (&*seen_from(Site::OUTSIDE), "web 172.17.0.1");
    lab.differs("after", proxied, "the flow stays docker-proxy's", ask)
}

/// A neighbour that routes a network's subnet to the host reaches no port that is not published.
fn unpublished(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let web = lab.container("web", &["-p", "8080:80"])?;
    let _servers = (web.tcp(80)?, web.tcp(81)?, web.udp(81)?);
    evil(site)?;
    let ip = web.ip()?;
    lab.sees("published", &seen_from(Site::NEIGHBOUR), || tcp(&site.neighbour, at(Site::HOST, 8080)?))?;
    let to = (ip, 81).into();
    let open = seen_from(Site::NEIGHBOUR);
    lab.sees("tcp", "silence", || tcp(&site.neighbour, to))?;
    lab.sees("udp", "silence", || udp(&site.neighbour, to))?;
    lab.differs("the published one directly", ("silence", &open), "fixed in Docker 28", || {
        tcp(&site.neighbour, (ip, 80).into())
    })?;
    lab.sees("ping", "silence", || ping(&site.neighbour, ip, 56))
}
