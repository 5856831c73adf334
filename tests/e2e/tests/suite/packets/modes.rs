//! The kinds of network: none, host, another container's, the default bridge, and bridges that persons make.

use anyhow::Result;
use e2e::lab::{Lab, Site, at, ping, tcp, udp};

super::on_both! {
    bridge [];
    user_defined [];
    none_host_container [];
}

/// The default bridge: out with the host's address, in only from the host and from neighbours on the bridge.
fn bridge(lab: &Lab) -> Result<()> {
    let (a, b) = (lab.container("aa", &[])?, lab.container("bb", &[])?);
    talk(lab, &a, &b)
}

/// The same of a network that a person made.
fn user_defined(lab: &Lab) -> Result<()> {
    lab.engine.ok(&["network", "create", "net"])?;
    let (a, b) = (lab.container("aa", &["--network", "net"])?, lab.container("bb", &["--network", "net"])?);
    talk(lab, &a, &b)
}

fn talk(lab: &Lab, a: &e2e::lab::Inside, b: &e2e::lab::Inside) -> Result<()> {
    let (a_ip, b_ip) = (a.ip()?, b.ip()?);
    let (_tcp, _udp) = (b.tcp(80)?, b.udp(80)?);
    let to_b = std::net::SocketAddr::new(b_ip, 80);
    let (site, from_a) = (&lab.site, format!("bb {a_ip}"));
    lab.sees("a to b by tcp", &from_a, || tcp(&a.netns, to_b))?;
    lab.sees("a to b by udp", &from_a, || udp(&a.netns, to_b))?;
    lab.sees("a to b by ping", "pong", || ping(&a.netns, b_ip, 56))?;
    lab.sees("a whole packet", "pong", || ping(&a.netns, b_ip, 1472))?;
    lab.sees("more than a packet", "too long", || ping(&a.netns, b_ip, 1473))?;
    let gateway = lab.engine.ok(&["exec", "aa", "sh", "-c", "ip route | awk '/^default/ {print $3}'"])?;
    lab.sees("the host to b by tcp", &format!("bb {gateway}"), || tcp(&site.host, to_b))?;
    lab.sees("a to its gateway", "pong", || ping(&a.netns, at(&gateway, 0)?.ip(), 56))?;
    // Out of the host: with its address, even to what is not on its segment.
    let _far = e2e::lab::Server::tcp(&site.outside, at("0.0.0.0", 7)?, "far")?;
    let _far_udp = e2e::lab::Server::udp(&site.outside, at("0.0.0.0", 7)?, "far")?;
    let from_host = format!("far {}", Site::HOST);
    lab.sees("out by tcp", &from_host, || tcp(&a.netns, at(Site::FAR, 7)?))?;
    lab.sees("out by udp", &from_host, || udp(&a.netns, at(Site::OUTSIDE, 7)?))?;
    lab.sees("out by ping", "pong", || ping(&a.netns, at(Site::FAR, 0)?.ip(), 56))?;
    lab.sees("what nobody listens to, outside", "refused", || tcp(&a.netns, at(Site::FAR, 8)?))?;
    lab.sees("what nobody listens to, inside", "refused", || tcp(&a.netns, (b_ip, 81).into()))?;
    Ok(())
}

fn none_host_container(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let none = lab.container("none", &["--network", "none"])?;
    let host = lab.container("host", &["--network", "host"])?;
    let web = lab.container("web", &["-p", "8080:80"])?;
    let same = lab.container("same", &["--network", "container:web"])?;
    let _far = e2e::lab::Server::tcp(&site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("none is alone", "unreachable", || tcp(&none.netns, at(Site::FAR, 7)?))?;
    lab.sees("none has a loopback", "refused", || tcp(&none.netns, at("127.0.0.1", 7)?))?;
    lab.is("host is the host's", site.host.inode()?, host.netns.inode()?);
    lab.is("container: is the other's", web.netns.inode()?, same.netns.inode()?);
    let _server = same.tcp(80)?;
    let seen = format!("same {}", Site::NEIGHBOUR);
    lab.sees("a port that the other published", &seen, || tcp(&site.neighbour, at(Site::HOST, 8080)?))?;
    // The namespace is the first one's: it is gone with it, whoever is left there.
    lab.engine.ok(&["restart", "-t", "0", "web"])?;
    lab.is("a restart makes a new one", true, lab.inside("web")?.netns.inode()? != same.netns.inode()?);
    Ok(())
}
