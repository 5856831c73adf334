//! Containers directly on the host's segment (macvlan): what each mode lets pass, names, live joins, and what a
//! daemon that is killed finds again.

use anyhow::{Result, ensure};
use e2e::daemon::IMAGE;
use e2e::lab::{Inside, Kind, Lab, Site, at, ping, tcp, tcp_from};

super::on_both! {
    bridge [];
    private [];
    vepa [];
    passthru [];
    names_and_live_joins [];
    no_ports_are_published [];
    both_families [];
}

/// A network on the segment, in a mode.
fn network(lab: &Lab, mode: &str) -> Result<()> {
    let mode = format!("macvlan_mode={mode}");
    let (host, second) = (format!("host={}", Site::HOST), format!("second={}", Site::SECOND));
    let network = ["network", "create", "-d", "macvlan", "-o", "parent=eth0", "-o", &mode];
    let addresses =
        ["--subnet", "198.51.100.0/24", "--gateway", Site::OUTSIDE, "--ip-range", "198.51.100.64/26"];
    let others = ["--aux-address", &host, "--aux-address", &second, "lan"];
    lab.engine.ok(&[&network[..], &addresses, &others].concat()).map(drop)
}

fn two(lab: &Lab, mode: &str) -> Result<(Inside, Inside)> {
    network(lab, mode)?;
    Ok((lab.container("aa", &["--network", "lan"])?, lab.container("bb", &["--network", "lan"])?))
}

/// With its own address, to the segment and beyond it, and back.
fn on_the_segment(lab: &Lab, a: &Inside) -> Result<()> {
    let ip = a.ip()?;
    let site = &lab.site;
    let (_served, _far) = (a.tcp(80)?, e2e::lab::Server::tcp(&site.outside, at("0.0.0.0", 7)?, "far")?);
    let heard = format!("{} {}", a.name, Site::NEIGHBOUR);
    lab.sees("the segment to a container", &heard, || tcp(&site.neighbour, (ip, 80).into()))?;
    let from_a = format!("far {ip}");
    lab.sees("a container beyond the segment", &from_a, || tcp(&a.netns, at(Site::FAR, 7)?))?;
    lab.sees("by ping", "pong", || ping(&a.netns, at(Site::FAR, 0)?.ip(), 56))
}

fn bridge(lab: &Lab) -> Result<()> {
    let (a, b) = two(lab, "bridge")?;
    on_the_segment(lab, &a)?;
    let _served = b.tcp(80)?;
    let to_b = std::net::SocketAddr::new(b.ip()?, 80);
    lab.sees("a to b", &format!("bb {}", a.ip()?), || tcp(&a.netns, to_b))?;
    // So the kernel has it. Its own address answers it "no host" after three questions, which takes longer.
    lab.sees("the host to b", "silence", || tcp(&lab.site.host, to_b))
}

fn private(lab: &Lab) -> Result<()> {
    let (a, b) = two(lab, "private")?;
    on_the_segment(lab, &a)?;
    on_the_segment(lab, &b)?;
    lab.site.switch.ip("link set p1 type bridge_slave hairpin on")?;
    let _served = b.tcp(80)?;
    let to_b = std::net::SocketAddr::new(b.ip()?, 80);
    lab.sees("a to b, sent back by the switch", "silence", || tcp(&a.netns, to_b))
}

fn vepa(lab: &Lab) -> Result<()> {
    let (a, b) = two(lab, "vepa")?;
    on_the_segment(lab, &a)?;
    let _served = b.tcp(80)?;
    let to_b = std::net::SocketAddr::new(b.ip()?, 80);
    lab.sees("a to b by itself", "silence", || tcp(&a.netns, to_b))?;
    lab.site.switch.ip("link set p1 type bridge_slave hairpin on")?;
    lab.sees("a to b, sent back by the switch", &format!("bb {}", a.ip()?), || tcp(&a.netns, to_b))
}

fn passthru(lab: &Lab) -> Result<()> {
    network(lab, "passthru")?;
    let a = lab.container("aa", &["--network", "lan"])?;
    on_the_segment(lab, &a)?;
    let second = lab.engine.run(&["run", "-d", "--name", "bb", "--network", "lan", IMAGE, "sleep", "100"])?;
    lab.is("a second one", true, second.code != 0);
    // Its place is free as soon as the first has gone.
    lab.engine.ok(&["rm", "-f", "aa", "bb"])?;
    on_the_segment(lab, &lab.container("cc", &["--network", "lan"])?)
}

fn names_and_live_joins(lab: &Lab) -> Result<()> {
    let (a, b) = two(lab, "bridge")?;
    let asked = |name: &str| lab.engine.run(&["exec", "aa", "nslookup", "-type=a", name]);
    ensure!(asked("bb")?.stdout.contains(&b.ip()?.to_string()), "a name on the network");
    let _served = a.tcp(80)?;
    let to_a = std::net::SocketAddr::new(a.ip()?, 80);
    let heard = format!("aa {}", Site::NEIGHBOUR);
    lab.engine.ok(&["network", "disconnect", "lan", "aa"])?;
    lab.sees("one that has left", "silence", || tcp(&lab.site.neighbour, to_a))?;
    let address = a.ip()?.to_string();
    lab.engine.ok(&["network", "connect", "--ip", &address, "--alias", "again", "lan", "aa"])?;
    lab.sees("one that has come back", &heard, || tcp(&lab.site.neighbour, to_a))?;
    let asked = lab.engine.run(&["exec", "bb", "nslookup", "-type=a", "again"])?;
    ensure!(asked.stdout.contains(&address), "its new name: {}", asked.stdout);
    // With a hardware address of its choice, and again after a restart.
    let mac = ["--network", "lan", "--mac-address", "02:11:22:33:44:55", "--ip", "198.51.100.99"];
    let c = lab.container("cc", &mac)?;
    for _ in 0..3 {
        ensure!(lab.engine.ok(&["exec", "cc", "cat", "/sys/class/net/eth0/address"])? == "02:11:22:33:44:55");
        lab.engine.ok(&["restart", "-t", "0", "cc"])?;
    }
    lab.sees("by ping", "pong", || ping(&lab.site.neighbour, c.ip()?, 56))
}

fn no_ports_are_published(lab: &Lab) -> Result<()> {
    network(lab, "bridge")?;
    let a = lab.container("aa", &["--network", "lan", "-p", "8080:80"])?;
    let _served = a.tcp(80)?;
    lab.sees("a port of the host", "refused", || tcp(&lab.site.neighbour, at(Site::HOST, 8080)?))?;
    lab.is("what is told of it", "", lab.engine.ok(&["port", "aa"])?);
    // One that has a bridge, too, keeps what is published there while its default route leads through that.
    lab.engine.ok(&["rm", "-f", "aa"])?;
    let b = lab.container("bb", &["-p", "8080:80"])?;
    let _served = b.tcp(80)?;
    lab.engine.ok(&["network", "connect", "lan", "bb"])?;
    let (heard, far) = (format!("bb {}", Site::FAR), at(Site::FAR, 0)?);
    lab.sees("by the bridge", &heard, || tcp_from(&lab.site.outside, far, at(Site::HOST, 8080)?))?;
    // Whom it has on the segment it answers there, and with an address that was not asked.
    lab.sees("by the segment", "silence", || tcp(&lab.site.neighbour, at(Site::HOST, 8080)?))
}

fn both_families(lab: &Lab) -> Result<()> {
    let four = ["--subnet", "198.51.100.0/24", "--gateway", Site::OUTSIDE];
    let six = ["--ipv6", "--subnet", "2001:db8:51::/64", "--gateway", Site::OUTSIDE6];
    let network = ["network", "create", "-d", "macvlan", "-o", "parent=eth0"];
    lab.engine.ok(&[&network[..], &four, &six, &["lan"]].concat())?;
    let [one, two] = ["2001:db8:51::64", "2001:db8:51::65"];
    let a = lab.container("aa", &["--network", "lan", "--ip", "198.51.100.64", "--ip6", one])?;
    let b = lab.container("bb", &["--network", "lan", "--ip", "198.51.100.65", "--ip6", two])?;
    on_the_segment(lab, &a)?;
    let site = &lab.site;
    let (_a, _b) = (a.tcp(81)?, b.tcp(81)?);
    let _far = e2e::lab::Server::tcp(&site.outside, at("::", 81)?, "far")?;
    let heard = format!("aa {}", Site::NEIGHBOUR6);
    lab.sees("the segment to a container", &heard, || tcp(&site.neighbour, at(one, 81)?))?;
    lab.sees("a container beyond the segment", &format!("far {one}"), || tcp(&a.netns, at(Site::FAR6, 81)?))?;
    lab.sees("a to b", &format!("bb {one}"), || tcp(&a.netns, at(two, 81)?))?;
    lab.sees("by ping", "pong", || ping(&site.neighbour, at(two, 0)?.ip(), 56))?;
    // It leaves and comes back while it runs.
    lab.engine.ok(&["network", "disconnect", "lan", "bb"])?;
    lab.sees("one that has left", "silence", || tcp(&a.netns, at(two, 81)?))?;
    // Its hardware address follows from that of IPv4, and so is the one that others remember.
    lab.engine.ok(&["network", "connect", "--ip", "198.51.100.65", "--ip6", two, "lan", "bb"])?;
    lab.sees("one that has come back", &format!("bb {one}"), || tcp(&a.netns, at(two, 81)?))?;
    lab.sees("and goes beyond", &format!("far {two}"), || tcp(&b.netns, at(Site::FAR6, 81)?))
}

#[test]
fn the_default_route_goes_where_a_live_join_ranks_it() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    network(&lab, "bridge")?;
    let a = lab.container("aa", &["-p", "8080:80"])?;
    let _served = a.tcp(80)?;
    let _far = e2e::lab::Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    let mine = "198.51.100.99";
    let far = format!("far {mine}");
    let masked = format!("far {}", Site::HOST);
    lab.sees("by the bridge", &masked, || tcp(&a.netns, at(Site::FAR, 7)?))?;
    let join = |lab: &mut Lab, priority: &str| {
        let words = ["network", "connect", "--gw-priority", priority, "--ip", mine, "lan", "aa"];
        lab.engine.berth()?.berth(words)?.ok().map(drop)
    };
    join(&mut lab, "10")?;
    lab.sees("by the segment", &far, || tcp(&a.netns, at(Site::FAR, 7)?))?;
    lab.sees("its port is no more", "refused", || tcp(&lab.site.outside, at(Site::HOST, 8080)?))?;
    lab.engine.ok(&["network", "disconnect", "lan", "aa"])?;
    lab.sees("by the bridge again", &masked, || tcp(&a.netns, at(Site::FAR, 7)?))?;
    let heard = format!("aa {}", Site::OUTSIDE);
    lab.sees("and its port", &heard, || tcp(&lab.site.outside, at(Site::HOST, 8080)?))?;
    join(&mut lab, "-1")?;
    lab.sees("by the bridge still", &masked, || tcp(&a.netns, at(Site::FAR, 7)?))?;
    lab.finish()
}

#[test]
fn a_killed_daemon_finds_it_all_again() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    let (a, b) = two(&lab, "bridge")?;
    let _served = a.tcp(80)?;
    lab.engine.berth()?.kill()?;
    on_the_segment(&lab, &b)?;
    lab.engine.berth()?.spawn()?;
    let heard = format!("aa {}", Site::NEIGHBOUR);
    lab.sees("after it", &heard, || tcp(&lab.site.neighbour, (a.ip()?, 80).into()))?;
    let asked = lab.engine.run(&["exec", "aa", "nslookup", "-type=a", "bb"])?;
    ensure!(asked.stdout.contains(&b.ip()?.to_string()), "names: {}", asked.stdout);
    let c = lab.container("cc", &["--network", "lan"])?;
    ensure!(c.ip()? != a.ip()? && c.ip()? != b.ip()?, "its address is taken");
    // What is told of them: a path that leads to the namespace, and their traffic.
    let key = lab.engine.ok(&["inspect", "-f", "{{.NetworkSettings.SandboxKey}}", "aa"])?;
    let entered = std::process::Command::new("/usr/bin/nsenter")
        .arg(format!("--net={key}"))
        .args(["ip", "-4", "addr"])
        .output()?;
    ensure!(String::from_utf8_lossy(&entered.stdout).contains(&a.ip()?.to_string()), "{key}");
    let traffic = lab.engine.ok(&["stats", "--no-stream", "--format", "{{.NetIO}}", "aa"])?;
    ensure!(!traffic.starts_with("0B"), "{traffic}");
    lab.engine.ok(&["rm", "-f", "aa", "bb", "cc"])?;
    lab.engine.ok(&["network", "rm", "lan"])?;
    lab.finish()
}

#[test]
fn endpoints_have_options_of_their_own() -> Result<()> {
    let lab = Lab::start(Kind::Berth, &[])?;
    network(&lab, "bridge")?;
    lab.engine.ok(&["network", "create", "net"])?;
    let name = "driver-opt=com.docker.network.endpoint.ifname=lan0";
    let switch = "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1";
    let run = format!("name=lan,\"{name}\",\"{switch}\"");
    lab.container("aa", &["--network", &run])?;
    let told = lab.engine.ok(&["exec", "aa", "cat", "/proc/sys/net/ipv4/conf/lan0/log_martians"])?;
    ensure!(told == "1", "{told}");
    let name = "com.docker.network.endpoint.ifname=net7";
    lab.engine.ok(&["network", "connect", "--driver-opt", name, "net", "aa"])?;
    lab.engine.ok(&["exec", "aa", "ip", "addr", "show", "dev", "net7"])?;
    lab.engine
        .run(&["network", "connect", "--driver-opt", "colour=red", "net", "aa"])?
        .fails(1, "colour=red")?;
    let taken = lab.engine.run(&["network", "connect", "--driver-opt", name, "bridge", "aa"])?;
    taken.fails(1, "interface name net7 is in use")?;
    // Its interfaces count, whatever they are called.
    let asks = "ping -c 1 -W 10 $(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')";
    lab.engine.ok(&["exec", "aa", "sh", "-c", asks])?;
    let traffic = lab.engine.ok(&["stats", "--no-stream", "--format", "{{.NetIO}}", "aa"])?;
    ensure!(!traffic.starts_with("0B"), "{traffic}");
    lab.finish()
}
