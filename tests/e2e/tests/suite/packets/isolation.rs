//! Who reaches whom not: other networks, neighbours on a network without `icc`, internal networks; and what is
//! left open by a flush of the firewall.

use std::net::SocketAddr;

use anyhow::Result;
use e2e::lab::{Answer, Inside, Lab, Server, Site, at, ping, tcp, udp};

super::on_both! {
    between_networks [];
    two_networks_at_once [];
    without_icc [];
    internal [];
    without_masquerade [];
    mtu [];
}

/// Nothing gets from `from` to `to`, which listens on these ports.
pub(super) fn apart(lab: &Lab, what: &str, from: &Inside, to: &Inside) -> Result<()> {
    let ip = to.ip()?;
    lab.sees(&format!("{what} by tcp"), "silence", || tcp(&from.netns, (ip, 80).into()))?;
    lab.sees(&format!("{what} by udp"), "silence", || udp(&from.netns, (ip, 80).into()))?;
    lab.sees(&format!("{what} by ping"), "silence", || ping(&from.netns, ip, 56))
}

pub(super) fn together(lab: &Lab, what: &str, from: &Inside, to: SocketAddr, heard: &str) -> Result<()> {
    lab.sees(&format!("{what} by tcp"), heard, || tcp(&from.netns, to))?;
    lab.sees(&format!("{what} by udp"), heard, || udp(&from.netns, to))
}

fn between_networks(lab: &Lab) -> Result<()> {
    for net in ["one", "two"] {
        lab.engine.ok(&["network", "create", net])?;
    }
    let one = lab.container("one", &["--network", "one", "-p", "8080:80"])?;
    let two = lab.container("two", &["--network", "two"])?;
    let zero = lab.container("zero", &[])?;
    let _servers = [&one, &two, &zero].map(|it| (it.tcp(80), it.udp(80)));
    for (from, to) in [(&one, &two), (&two, &one), (&zero, &one), (&one, &zero)] {
        apart(lab, &format!("{} to {}", from.name, to.name), from, to)?;
    }
    // A network's gateway is the host, which answers to all of its addresses.
    let gateway =
        lab.engine.ok(&["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Gateway}}{{end}}", "two"])?;
    let pong = lab.engine.ok(&["exec", "two", "sh", "-c", "ip route | awk '/^default/ {print $3}'"])?;
    lab.is("the gateway that is told", &pong, if gateway.is_empty() { &pong } else { &gateway });
    lab.sees("another network's gateway", "pong", || ping(&one.netns, at(&pong, 0)?.ip(), 56))
}

/// A container on two networks is reached on each by its address there, and is no way from one to the other.
fn two_networks_at_once(lab: &Lab) -> Result<()> {
    for net in ["one", "two"] {
        lab.engine.ok(&["network", "create", net])?;
    }
    let both = lab.container("both", &["--network", "one"])?;
    let (first, second) =
        (lab.container("first", &["--network", "one"])?, lab.container("second", &["--network", "two"])?);
    let _servers = [&both, &first, &second].map(|it| (it.tcp(80), it.udp(80)));
    apart(lab, "before", &both, &second)?;
    lab.engine.ok(&["network", "connect", "two", "both"])?;
    let there = lab.engine.ok(&["inspect", "-f", "{{.NetworkSettings.Networks.two.IPAddress}}", "both"])?;
    together(lab, "second to both", &second, at(&there, 80)?, &format!("both {}", second.ip()?))?;
    together(lab, "first to both", &first, (both.ip()?, 80).into(), &format!("both {}", first.ip()?))?;
    together(lab, "both to second", &both, (second.ip()?, 80).into(), &format!("second {there}"))?;
    apart(lab, "first to second", &first, &second)?;
    // Cut: what goes on is cut as well, and comes back.
    lab.engine.ok(&["network", "disconnect", "two", "both"])?;
    lab.sees("cut", "silence", || tcp(&second.netns, at(&there, 80)?).map(unanswered))?;
    apart(lab, "cut, the other way", &both, &second)?;
    lab.engine.ok(&["network", "connect", "two", "both"])?;
    let there = lab.engine.ok(&["inspect", "-f", "{{.NetworkSettings.Networks.two.IPAddress}}", "both"])?;
    together(lab, "back", &second, at(&there, 80)?, &format!("both {}", second.ip()?))?;
    // A published port goes to the network that has it first, and to another when that is left.
    let web = lab.container("web", &["--network", "one", "-p", "8080:80"])?;
    let _server = web.tcp(80)?;
    lab.engine.ok(&["network", "connect", "two", "web"])?;
    let heard = format!("web {}", Site::OUTSIDE);
    let outside = || tcp(&lab.site.outside, at(Site::HOST, 8080)?);
    lab.sees("published", &heard, outside)?;
    lab.engine.ok(&["network", "disconnect", "one", "web"])?;
    lab.sees("published on the other", &heard, outside)
}

/// Whoever asks for an address that nobody has gets "unreachable" after some seconds or nothing.
fn unanswered(answer: Answer) -> Answer {
    if answer == Answer::Unreachable { Answer::Silence } else { answer }
}

fn without_icc(lab: &Lab) -> Result<()> {
    lab.engine.ok(&["network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "net"])?;
    let web = lab.container("web", &["--network", "net", "-p", "8080:80", "-p", "8082:82/udp"])?;
    let box_ = lab.container("box", &["--network", "net"])?;
    let _servers = (web.tcp(80)?, web.udp(80)?, web.tcp(81)?, web.udp(82)?);
    apart(lab, "box to web", &box_, &web)?;
    // Out, and in by published ports, works all the same; from a neighbour on the network as well.
    let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("out", &format!("far {}", Site::HOST), || tcp(&box_.netns, at(Site::FAR, 7)?))?;
    let heard = format!("web {}", Site::OUTSIDE);
    lab.sees("in", &heard, || tcp(&lab.site.outside, at(Site::HOST, 8080)?))?;
    // With br_netfilter, the kernel bridges a packet whose destination it has changed to another port of the same
    // bridge, and isolated ports get nothing from each other; docker-proxy takes it in user space. Without, it is routed.
    let published = || super::ports::head(tcp(&box_.netns, at(Site::HOST, 8080)?)?);
    let what = "by the published port";
    if std::path::Path::new("/proc/sys/net/bridge").exists() {
        lab.differs(what, ("silence", "web"), "isolated ports of the bridge", published)
    } else {
        lab.sees(what, "web", published)
    }
}

fn internal(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    lab.engine.ok(&["network", "create", "--internal", "--subnet", "172.29.3.0/24", "net"])?;
    let (web, box_) =
        (lab.container("web", &["--network", "net"])?, lab.container("box", &["--network", "net"])?);
    let other = lab.container("other", &[])?;
    let _servers = (web.tcp(80)?, web.udp(80)?, other.tcp(80)?, other.udp(80)?);
    together(lab, "inside", &box_, (web.ip()?, 80).into(), &format!("web {}", box_.ip()?))?;
    let _far = Server::tcp(&site.outside, at("0.0.0.0", 7)?, "far")?;
    let routed = ("unreachable", "silence");
    lab.differs("out", routed, "Docker 28 gives no route", || tcp(&box_.netns, at(Site::FAR, 7)?))?;
    lab.differs("to another network", routed, "the same", || tcp(&box_.netns, (other.ip()?, 80).into()))?;
    // Even if somebody inside gives it a way.
    box_.netns.ip("route replace default via 172.29.3.1")?;
    lab.sees("out by a route", "silence", || tcp(&box_.netns, at(Site::FAR, 7)?))?;
    apart(lab, "to another network by a route", &box_, &other)?;
    apart(lab, "from another network", &other, &web)?;
    super::ports::evil(site)?;
    lab.sees("from a neighbour", "silence", || tcp(&site.neighbour, (web.ip()?, 80).into()))?;
    lab.sees("the host reaches it", "web 172.29.3.1", || tcp(&site.host, (web.ip()?, 80).into()))
}

/// Without masquerading, others see the container's own address, and answer if they have a route.
fn without_masquerade(lab: &Lab) -> Result<()> {
    let create = ["network", "create", "--subnet", "172.29.4.0/24", "-o"];
    lab.engine
        .ok(&[&create[..], &["com.docker.network.bridge.enable_ip_masquerade=false", "net"]].concat())?;
    let box_ = lab.container("box", &["--network", "net"])?;
    let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("no way back", "silence", || tcp(&box_.netns, at(Site::FAR, 7)?))?;
    lab.site.outside.ip(&format!("route add 172.29.4.0/24 via {}", Site::HOST))?;
    lab.sees("a way back", &format!("far {}", box_.ip()?), || tcp(&box_.netns, at(Site::FAR, 7)?))
}

fn mtu(lab: &Lab) -> Result<()> {
    lab.engine.ok(&["network", "create", "-o", "com.docker.network.driver.mtu=1400", "net"])?;
    let (aa, bb) = (lab.container("aa", &["--network", "net"])?, lab.container("bb", &["--network", "net"])?);
    lab.sees("fits", "pong", || ping(&aa.netns, bb.ip()?, 1372))?;
    lab.sees("doesn't", "too long", || ping(&aa.netns, bb.ip()?, 1373))?;
    lab.sees("fits outside", "pong", || ping(&aa.netns, at(Site::FAR, 0)?.ip(), 1372))?;
    lab.sees("doesn't outside", "too long", || ping(&aa.netns, at(Site::FAR, 0)?.ip(), 1373))
}
