//! The daemon's options for networks, each by what packets do or what a container sees.

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::lab::{Engine, Kind, Lab, Server, Site, at, ping, tcp, udp};
use e2e::programs;

use super::isolation::{apart, together};

super::on_both! {
    addresses ["--bip=172.28.5.1/16", "--fixed-cidr=172.28.5.64/29", "--default-gateway=172.28.5.2"];
    mtu ["--mtu=1300"];
    icc ["--icc=false"];
    publish_address ["--ip=198.51.100.11"];
    no_masquerade ["--ip-masq=false", "--bip=172.28.5.1/24"];
    no_forwarding ["--ip-forward=false"];
    no_firewall ["--iptables=false", "--userland-proxy=false"];
    no_bridge ["--bridge=none"];
    pools ["--default-address-pool=base=172.30.0.0/16,size=28", "--default-address-pool=base=172.31.8.0/24,size=26"];
    names ["--dns=198.51.100.2", "--dns=198.51.100.3", "--dns-search=example.org", "--dns-opt=ndots:3", "--dns-opt=timeout:2"];
}

/// What a container says.
fn says(lab: &Lab, name: &str, command: &str) -> Result<String> {
    lab.engine.ok(&["exec", name, "sh", "-c", command])
}

fn addresses(lab: &Lab) -> Result<()> {
    let (aa, bb) = (lab.container("aa", &[])?, lab.container("bb", &[])?);
    for it in [&aa, &bb] {
        let last: u8 = it.ip()?.to_string().trim_start_matches("172.28.5.").parse()?;
        ensure!((64..72).contains(&last), "{} is not in the part that is handed out", it.ip()?);
        lab.is(
            "its prefix is the bridge's",
            "/16",
            says(lab, &it.name, "ip -o -4 addr show eth0 | grep -o /16")?,
        );
        lab.is("its way out", "172.28.5.2", says(lab, &it.name, "ip route | awk '/^default/ {print $3}'")?);
    }
    let _servers = (bb.tcp(80)?, bb.udp(80)?);
    together(lab, "on the bridge", &aa, (bb.ip()?, 80).into(), &format!("bb {}", aa.ip()?))?;
    lab.sees("the bridge's address", "pong", || ping(&aa.netns, at("172.28.5.1", 0)?.ip(), 56))?;
    // The part is full at some time, and no other address is given: two of eight are taken.
    for number in 0..7 {
        let run = ["run", "-d", "--name", &format!("c{number}"), IMAGE, "sleep", "100000"];
        if lab.engine.run(&run)?.code != 0 {
            lab.is("addresses that were free", 6, number);
            return Ok(());
        }
    }
    lab.is("there is an end of addresses", "", "there is none");
    Ok(())
}

fn mtu(lab: &Lab) -> Result<()> {
    let (aa, bb) = (lab.container("aa", &[])?, lab.container("bb", &[])?);
    lab.sees("fits", "pong", || ping(&aa.netns, bb.ip()?, 1272))?;
    lab.sees("doesn't", "too long", || ping(&aa.netns, bb.ip()?, 1273))?;
    lab.is("the interface's", "1300", says(lab, "aa", "cat /sys/class/net/eth0/mtu")?);
    // A network that a person makes has its own.
    lab.engine.ok(&["network", "create", "net"])?;
    lab.container("cc", &["--network", "net"])?;
    lab.is("another network's", "1500", says(lab, "cc", "cat /sys/class/net/eth0/mtu")?);
    Ok(())
}

fn icc(lab: &Lab) -> Result<()> {
    let (aa, bb) = (lab.container("aa", &[])?, lab.container("bb", &["-p", "8080:80"])?);
    let _servers = (bb.tcp(80)?, bb.udp(80)?);
    apart(lab, "on the default bridge", &aa, &bb)?;
    lab.sees("published", &format!("bb {}", Site::OUTSIDE), || {
        tcp(&lab.site.outside, at(Site::HOST, 8080)?)
    })?;
    lab.engine.ok(&["network", "create", "net"])?;
    let (cc, dd) = (lab.container("cc", &["--network", "net"])?, lab.container("dd", &["--network", "net"])?);
    let _servers = (_servers, dd.tcp(80)?, dd.udp(80)?);
    together(lab, "on another network", &cc, (dd.ip()?, 80).into(), &format!("dd {}", cc.ip()?))
}

fn publish_address(lab: &Lab) -> Result<()> {
    let site = &lab.site;
    let web = lab.container("web", &["-p", "8080:80", "-p", "198.51.100.1:8081:80", "-p", "8082:82/udp"])?;
    let _servers = (web.tcp(80)?, web.udp(82)?);
    let seen = format!("web {}", Site::OUTSIDE);
    lab.sees("at the option's address", &seen, || tcp(&site.outside, at(Site::SECOND, 8080)?))?;
    lab.sees("by udp", &seen, || udp(&site.outside, at(Site::SECOND, 8082)?))?;
    lab.sees("not at the host's other one", "refused", || tcp(&site.outside, at(Site::HOST, 8080)?))?;
    lab.sees("where asked", &seen, || tcp(&site.outside, at(Site::HOST, 8081)?))?;
    let told = lab.engine.ok(&["port", "web", "80/tcp"])?;
    lab.is("as it is told", true, told.lines().any(|line| line == "198.51.100.11:8080"));
    Ok(())
}

fn no_masquerade(lab: &Lab) -> Result<()> {
    let aa = lab.container("aa", &[])?;
    let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("no way back", "silence", || tcp(&aa.netns, at(Site::FAR, 7)?))?;
    lab.site.outside.ip(&format!("route add 172.28.5.0/24 via {}", Site::HOST))?;
    lab.sees("a way back", &format!("far {}", aa.ip()?), || tcp(&aa.netns, at(Site::FAR, 7)?))
}

/// The host was no router, and is none now; with the switch on, it would be.
fn no_forwarding(lab: &Lab) -> Result<()> {
    let web = lab.container("web", &["-p", "8080:80"])?;
    let _server = web.tcp(80)?;
    let forwarding =
        || lab.site.host.within(|| Ok(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")?));
    lab.is("the switch", "0", forwarding()?.trim());
    let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("out", "silence", || tcp(&web.netns, at(Site::FAR, 7)?))?;
    lab.sees("the host itself", "web 172.17.0.1", || tcp(&lab.site.host, (web.ip()?, 80).into()))
}

/// No rule is made, nothing is published, nobody is kept out.
fn no_firewall(lab: &Lab) -> Result<()> {
    let web = lab.container("web", &[])?;
    let _server = web.tcp(80)?;
    let rules = lab.site.host.nft("list ruleset")?;
    lab.is(
        "rules",
        "",
        rules.lines().filter(|line| line.contains("dnat") || line.contains("masq")).collect::<String>(),
    );
    lab.site.neighbour.ip(&format!("route add 172.17.0.0/16 via {}", Site::HOST))?;
    lab.sees("a neighbour with a route", &format!("web {}", Site::NEIGHBOUR), || {
        tcp(&lab.site.neighbour, (web.ip()?, 80).into())
    })
}

fn no_bridge(lab: &Lab) -> Result<()> {
    let links = lab.site.host.ip("-br link")?;
    lab.is("no bridge", 2, links.lines().count());
    let aa = lab.container("aa", &[])?;
    lab.is("nothing but a loopback", "lo", says(lab, "aa", "ls /sys/class/net | tr '\\n' ' '")?.trim());
    lab.sees("no way out", "unreachable", || tcp(&aa.netns, at(Site::FAR, 7)?))?;
    // Networks of persons work all the same.
    lab.engine.ok(&["network", "create", "net"])?;
    let bb = lab.container("bb", &["--network", "net"])?;
    let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("out of another", &format!("far {}", Site::HOST), || tcp(&bb.netns, at(Site::FAR, 7)?))
}

fn pools(lab: &Lab) -> Result<()> {
    let aa = lab.container("aa", &[])?;
    lab.is("the default bridge has the first", "172.30.0.2", aa.ip()?);
    for (number, ip) in [(1, "172.30.0.18"), (2, "172.30.0.34")] {
        let name = format!("net{number}");
        lab.engine.ok(&["network", "create", &name])?;
        lab.is(&name, ip, lab.container(&format!("of{number}"), &["--network", &name])?.ip()?);
    }
    let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
    lab.sees("out", &format!("far {}", Site::HOST), || tcp(&aa.netns, at(Site::FAR, 7)?))
}

/// On the default network the container asks the servers itself; elsewhere the embedded resolver asks them.
fn names(lab: &Lab) -> Result<()> {
    const LINES: &str = "grep -v '^#' /etc/resolv.conf";
    lab.container("aa", &[])?;
    let direct =
        "nameserver 198.51.100.2\nnameserver 198.51.100.3\nsearch example.org\noptions ndots:3 timeout:2";
    lab.is("resolv.conf", sorted(direct), sorted(&says(lab, "aa", LINES)?));
    lab.engine.ok(&["network", "create", "net"])?;
    lab.container("bb", &["--network", "net"])?;
    let embedded = "nameserver 127.0.0.11\nsearch example.org\noptions ndots:3 timeout:2";
    lab.is("with the embedded resolver", sorted(embedded), sorted(&says(lab, "bb", LINES)?));
    // A container's own count more.
    lab.container("cc", &["--dns", "192.0.2.1", "--dns-search", ".", "--dns-option", "use-vc"])?;
    lab.is("its own", sorted("nameserver 192.0.2.1\noptions use-vc"), sorted(&says(lab, "cc", LINES)?));
    lab.container("dd", &["--network", "net", "--dns-option", "use-vc"])?;
    let own = sorted("nameserver 127.0.0.11\nsearch example.org\noptions use-vc ndots:0");
    lab.is("its own with the embedded resolver", own, sorted(&says(lab, "dd", LINES)?));
    Ok(())
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.join("|")
}

/// A bridge that the administrator has made: containers join it, and it stays as it was.
fn administrators_bridge(kind: Kind) -> Result<()> {
    let mut site = Site::new()?;
    for line in ["link add br7 type bridge", "addr add 172.27.7.1/24 dev br7", "link set br7 up"] {
        site.host.ip(line)?;
    }
    site.keep()?;
    let lab = Lab::on(site, kind, &["-b", "br7", "--fixed-cidr=172.27.7.128/25"])?;
    {
        let web = lab.container("web", &["-p", "8080:80"])?;
        let _server = web.tcp(80)?;
        ensure!(web.ip()?.to_string().starts_with("172.27.7.1"), "{}", web.ip()?);
        lab.sees("published", &format!("web {}", Site::OUTSIDE), || {
            tcp(&lab.site.outside, at(Site::HOST, 8080)?)
        })?;
        let _far = Server::tcp(&lab.site.outside, at("0.0.0.0", 7)?, "far")?;
        lab.sees("out", &format!("far {}", Site::HOST), || tcp(&web.netns, at(Site::FAR, 7)?))?;
        lab.is("the gateway", "172.27.7.1", says(&lab, "web", "ip route | awk '/^default/ {print $3}'")?);
    }
    lab.finish()
}

#[test]
fn an_administrators_bridge_is_joined_and_stays() -> Result<()> {
    administrators_bridge(Kind::Berth)
}

#[test]
fn an_administrators_bridge_is_joined_and_stays_with_docker() -> Result<()> {
    administrators_bridge(Kind::Docker)
}

/// Docker 20.10 does not have this option.
#[test]
fn default_options_of_new_networks() -> Result<()> {
    let file = r#"{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1234"}}, "mtu": 1400,
        "bip": "172.28.6.1/24", "dns": ["192.0.2.53"], "default-address-pools": [{"base": "172.29.0.0/16", "size": 24}]}"#;
    let flags = ["--default-network-opt=bridge=com.docker.network.driver.mtu=1234"];
    for by_file in [false, true] {
        let mut lab = Lab::start(Kind::Berth, if by_file { &[] } else { &flags })?;
        if by_file {
            let berth = lab.engine.berth()?;
            berth.terminate()?;
            std::fs::write(berth.root().join("daemon.json"), file)?;
            berth.spawn()?;
            let zero = lab.container("zero", &[])?;
            lab.is("bip of the file", "172.28.6.2", zero.ip()?);
            lab.is("mtu of the file", "1400", says(&lab, "zero", "cat /sys/class/net/eth0/mtu")?);
            lab.is(
                "dns of the file",
                "nameserver 192.0.2.53",
                says(&lab, "zero", "grep nameserver /etc/resolv.conf")?,
            );
        }
        {
            lab.engine.ok(&["network", "create", "net"])?;
            let (aa, bb) =
                (lab.container("aa", &["--network", "net"])?, lab.container("bb", &["--network", "net"])?);
            lab.sees("fits", "pong", || ping(&aa.netns, bb.ip()?, 1206))?;
            lab.sees("doesn't", "too long", || ping(&aa.netns, bb.ip()?, 1207))?;
            lab.is("pool of the file", by_file, aa.ip()?.to_string().starts_with("172.29.0."));
            // A network's own count more.
            lab.engine.ok(&["network", "create", "-o", "com.docker.network.driver.mtu=1300", "own"])?;
            lab.container("cc", &["--network", "own"])?;
            lab.is("its own", "1300", says(&lab, "cc", "cat /sys/class/net/eth0/mtu")?);
        }
        lab.finish()?;
    }
    Ok(())
}

/// What contradicts itself or is none is refused by name before anything is made.
#[test]
fn what_cannot_be_meant_is_refused_by_name() -> Result<()> {
    let site = Site::new()?;
    for (options, words) in [
        (&["-b", "br0", "--bip=172.28.5.1/24"][..], "--bridge and --bip"),
        (&["-b", "nobody"], "nobody"),
        (&["--bip=172.28.5.0/24"], "172.28.5.0/24"),
        (&["--bip=x"], "bip"),
        (&["--bip=172.28.5.1/24", "--fixed-cidr=172.28.6.0/25"], "fixed-cidr"),
        (&["--bip=172.28.5.1/24", "--default-gateway=172.28.6.1"], "default-gateway"),
        (&["--fixed-cidr=172.28.5.0"], "fixed-cidr"),
        (&["--default-gateway=gate"], "default-gateway"),
        (&["--mtu=-1"], "mtu"),
        (&["--mtu=70000"], "mtu"),
        (&["--mtu=10"], "mtu"),
        (&["--ip=here"], "ip"),
        (&["--dns=one.example.org"], "dns"),
        (&["--default-address-pool=base=172.28.0.0/16,size=8"], "172.28.0.0/16"),
        (&["--default-address-pool=base=172.28.0.0/16"], "base=CIDR,size=PREFIX"),
        (&["--default-network-opt=mtu=1"], "DRIVER=NAME=VALUE"),
        (&["--icc=maybe"], "icc"),
        (&["--icc=false", "--iptables=false"], "--iptables=false with --icc=false"),
    ] {
        match Berth::inside(&site.host, options) {
            Ok(berth) => {
                // What is found out only when the bridge is made.
                berth.load(&e2e::image::Image::busybox()?, IMAGE)?;
                let ran = berth.berth(["run", "--rm", IMAGE, "true"])?;
                ensure!(ran.code == 125 && ran.stderr.contains(words), "{options:?} are taken: {ran:?}");
                berth.finish()?;
            }
            Err(error) => ensure!(format!("{error:#}").contains(words), "{options:?}: {error:#}"),
        }
    }
    site.is_as_before()
}

/// Only what Docker changes by a reload is changed by one; the rest is named, and counts after a restart.
#[test]
fn a_reload_leaves_networks_as_they_are() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    let Engine::Berth(berth) = &mut lab.engine else { unreachable!("this is Berth") };
    std::fs::write(berth.root().join("daemon.json"), r#"{"mtu": 1400, "labels": ["a=b"]}"#)?;
    let daemon = i32::try_from(berth.pid()?).ok().and_then(rustix::process::Pid::from_raw);
    let daemon = daemon.ok_or_else(|| anyhow::anyhow!("no daemon"))?;
    rustix::process::kill_process(daemon, rustix::process::Signal::HUP)?;
    programs::eventually("the reload is done", || {
        Ok((lab.engine.ok(&["info", "-f", "{{.Labels}}"])? == "[a=b]").then_some(()))
    })?;
    lab.container("aa", &[])?;
    lab.is("before a restart", "1500", says(&lab, "aa", "cat /sys/class/net/eth0/mtu")?);
    let log = lab.engine.berth()?.log();
    ensure!(log.contains("mtu"), "the log names what a reload does not change:\n{log}");
    lab.finish()
}
