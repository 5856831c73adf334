//! IPv6 from end to end: what containers have, whom they reach, and what clients see of it. By packets.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use e2e::lab::{Answer, Inside, Kind, Lab, Server, Site, at, ping, tcp, udp};

/// Takes steps with a new engine on a new site; what they hold of containers goes before the engine.
fn take(options: &[&str], steps: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, options)?;
    steps(&mut lab)?;
    lab.finish()
}

/// A container's IPv6 address on a network.
fn v6(lab: &Lab, name: &str, network: &str) -> Result<IpAddr> {
    let format = format!("{{{{.NetworkSettings.Networks.{network}.GlobalIPv6Address}}}}");
    let told = lab.engine.ok(&["inspect", "-f", &format, name])?;
    told.parse().with_context(|| format!("{name} has the address {told:?} on {network}"))
}

fn says(lab: &Lab, name: &str, command: &str) -> Result<String> {
    lab.engine.ok(&["exec", name, "sh", "-c", command])
}

/// Everything gets from a container to an address with servers on port 80, which say `heard`.
fn reaches(lab: &Lab, from: &Inside, to: IpAddr, heard: &str) -> Result<()> {
    let to = SocketAddr::new(to, 80);
    lab.sees(&format!("{} to {to} by tcp", from.name), heard, || tcp(&from.netns, to))?;
    lab.sees(&format!("{} to {to} by udp", from.name), heard, || udp(&from.netns, to))?;
    lab.sees(&format!("{} to {to} by ping", from.name), "pong", || ping(&from.netns, to.ip(), 56))
}

/// Nothing does.
fn apart(lab: &Lab, from: &Inside, to: IpAddr, seen: &Answer) -> Result<()> {
    let (seen, to) = (seen.to_string(), SocketAddr::new(to, 80));
    lab.sees(&format!("{} to {to} by tcp", from.name), &seen, || tcp(&from.netns, to))?;
    lab.sees(&format!("{} to {to} by udp", from.name), &seen, || udp(&from.netns, to))?;
    if seen == Answer::Silence.to_string() {
        lab.sees(&format!("{} to {to} by ping", from.name), &seen, || ping(&from.netns, to.ip(), 56))?;
    }
    Ok(())
}

/// Servers outside.
fn outside(lab: &Lab) -> Result<[Server; 2]> {
    Ok([
        Server::tcp(&lab.site.outside, at("::", 80)?, "outside")?,
        Server::udp(&lab.site.outside, at("::", 80)?, "outside")?,
    ])
}

#[test]
fn containers_reach_each_other_by_name_and_the_world_with_the_hosts_address() -> Result<()> {
    take(&[], |lab| {
        lab.engine.ok(&["network", "create", "--ipv6", "--subnet", "fd00:5::/64", "net"])?;
        let aa = lab.container("aa", &["--network", "net", "--hostname", "aa"])?;
        let bb = lab.container("bb", &["--network", "net", "--ip6", "fd00:5::b"])?;
        let (a6, b6) = (v6(lab, "aa", "net")?, v6(lab, "bb", "net")?);
        lab.is("the first address", "fd00:5::2", a6);
        lab.is("the chosen address", "fd00:5::b", b6);
        let _servers = (aa.tcp(80)?, bb.tcp(80)?, bb.udp(80)?, outside(lab)?);
        reaches(lab, &aa, b6, &format!("bb {a6}"))?;
        reaches(lab, &aa, at(Site::OUTSIDE6, 0)?.ip(), &format!("outside {}", Site::HOST6))?;
        lab.sees("from the host", "aa fd00:5::1", || tcp(&lab.site.host, SocketAddr::new(a6, 80)))?;
        // Nothing is published: a neighbour with a route reaches nothing.
        lab.site.neighbour.ip(&format!("route add fd00:5::/64 via {}", Site::HOST6))?;
        lab.sees("from a neighbour", "silence", || tcp(&lab.site.neighbour, SocketAddr::new(a6, 80)))?;
        says(lab, "aa", "ping -6 -c 1 -W 5 bb")?;
        lab.is("in the hosts file", "fd00:5::2\taa", says(lab, "aa", "grep fd00 /etc/hosts")?);
        let named = says(lab, "aa", "nslookup -type=aaaa bb | grep Address: | tail -n 1")?;
        lab.is("by name", "Address: fd00:5::b", named);
        let reverse = "b.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.0.0.0.0.0.d.f.ip6.arpa";
        let told = says(lab, "aa", &format!("nslookup -type=ptr {reverse}"))?;
        ensure!(told.contains("bb.net"), "{told}");
        for (format, expected) in [
            ("{{.EnableIPv6}}", "true"),
            ("{{range .IPAM.Config}}{{.Subnet}} {{end}}", "172.18.0.0/16 fd00:5::/64"),
            ("{{range .Containers}}{{if eq .Name \"bb\"}}{{.IPv6Address}}{{end}}{{end}}", "fd00:5::b/64"),
        ] {
            lab.is(format, expected, lab.engine.ok(&["network", "inspect", "-f", format, "net"])?.trim());
        }
        let listed = lab.engine.ok(&["network", "ls", "--filter", "name=net", "--format", "{{.IPv6}}"])?;
        lab.is("network ls", "true", listed);
        Ok(())
    })
}

#[test]
fn a_network_may_have_ipv6_alone_and_gets_a_private_subnet() -> Result<()> {
    take(&[], |lab| {
        // Debian's client knows nothing of --ipv4.
        lab.engine.berth()?.berth(["network", "create", "--ipv6", "--ipv4=false", "six"])?.ok()?;
        let shown = lab.engine.ok(&[
            "network",
            "inspect",
            "-f",
            "{{range .IPAM.Config}}{{.Subnet}}{{end}}",
            "six",
        ])?;
        ensure!(shown.starts_with("fd") && shown.ends_with("::/64"), "{shown}");
        let (aa, bb) =
            (lab.container("aa", &["--network", "six"])?, lab.container("bb", &["--network", "six"])?);
        ensure!(aa.ip.is_none() && bb.ip.is_none());
        let (a6, b6) = (v6(lab, "aa", "six")?, v6(lab, "bb", "six")?);
        let _servers = (bb.tcp(80)?, bb.udp(80)?, outside(lab)?);
        reaches(lab, &aa, b6, &format!("bb {a6}"))?;
        reaches(lab, &aa, at(Site::OUTSIDE6, 0)?.ip(), &format!("outside {}", Site::HOST6))?;
        lab.is("IPv4 routes", "", says(lab, "aa", "ip -4 route")?);
        // The name is there and has no IPv4 address: an answer without one, not a name that doesn't exist.
        let told = says(lab, "aa", "nslookup -type=a bb 2>&1 || true")?;
        ensure!(!told.contains("NXDOMAIN") && !told.contains("Address: fd"), "{told}");
        let neither = lab.engine.berth()?.berth(["network", "create", "--ipv4=false", "none-at-all"])?;
        ensure!(
            neither.code != 0 && neither.stderr.contains("IPv4 or IPv6 must be enabled"),
            "{}",
            neither.stderr
        );
        Ok(())
    })
}

#[test]
fn networks_are_apart_in_ipv6_and_an_internal_one_leads_nowhere() -> Result<()> {
    take(&[], |lab| {
        for network in [&["one"][..], &["two"], &["--internal", "inner"]] {
            lab.engine.ok(&[&["network", "create", "--ipv6"], network].concat())?;
        }
        let one = lab.container("c1", &["--network", "one"])?;
        let two = lab.container("c2", &["--network", "two"])?;
        let inner = lab.container("c3", &["--network", "inner"])?;
        let friend = lab.container("c4", &["--network", "inner"])?;
        let _servers = [&one, &two, &inner, &friend].map(|it| (it.tcp(80), it.udp(80)));
        let _outside = outside(lab)?;
        apart(lab, &one, v6(lab, "c2", "two")?, &Answer::Silence)?;
        apart(lab, &two, v6(lab, "c1", "one")?, &Answer::Silence)?;
        apart(lab, &one, v6(lab, "c3", "inner")?, &Answer::Silence)?;
        apart(lab, &inner, at(Site::OUTSIDE6, 0)?.ip(), &Answer::Unreachable)?;
        reaches(lab, &inner, v6(lab, "c4", "inner")?, &format!("c4 {}", v6(lab, "c3", "inner")?))?;
        Ok(())
    })
}

#[test]
fn a_running_container_comes_to_ipv6_and_goes_from_it() -> Result<()> {
    take(&[], |lab| {
        lab.engine.ok(&["network", "create", "four"])?;
        lab.engine.ok(&["network", "create", "--ipv6", "--subnet", "fd00:6::/64", "six"])?;
        let aa = lab.container("aa", &["--network", "four"])?;
        let bb = lab.container("bb", &["--network", "six"])?;
        let _servers = (bb.tcp(80)?, bb.udp(80)?, outside(lab)?);
        let (b6, far) = (v6(lab, "bb", "six")?, at(Site::OUTSIDE6, 0)?.ip());
        apart(lab, &aa, b6, &Answer::Unreachable)?;
        lab.engine.ok(&["network", "connect", "--ip6", "fd00:6::a", "six", "aa"])?;
        reaches(lab, &aa, b6, "bb fd00:6::a")?;
        reaches(lab, &aa, far, &format!("outside {}", Site::HOST6))?;
        lab.is("in the hosts file", "1", says(lab, "aa", "grep -c ^fd00:6::a /etc/hosts")?);
        lab.engine.ok(&["network", "disconnect", "six", "aa"])?;
        apart(lab, &aa, b6, &Answer::Unreachable)?;
        lab.is("in the hosts file", "0", says(lab, "aa", "grep -c ^fd00:6::a /etc/hosts || true")?);
        reaches(lab, &aa, at(Site::OUTSIDE, 0)?.ip(), &format!("outside {}", Site::HOST))?;
        Ok(())
    })
}

#[test]
fn addresses_are_held_over_the_daemons_death() -> Result<()> {
    take(&[], |lab| {
        lab.engine.ok(&["network", "create", "--ipv6", "--subnet", "fd00:7::/64", "net"])?;
        let aa = lab.container("aa", &["--network", "net"])?;
        let a6 = v6(lab, "aa", "net")?;
        lab.engine.berth()?.kill()?;
        lab.engine.berth()?.spawn()?;
        let bb = lab.container("bb", &["--network", "net"])?;
        let b6 = v6(lab, "bb", "net")?;
        lab.is("the next address", "fd00:7::3", b6);
        let _servers = (aa.tcp(80)?, aa.udp(80)?, outside(lab)?);
        reaches(lab, &bb, a6, &format!("aa {b6}"))?;
        reaches(lab, &aa, at(Site::OUTSIDE6, 0)?.ip(), &format!("outside {}", Site::HOST6))?;
        lab.is(
            "the network is as it was",
            "true",
            lab.engine.ok(&["network", "inspect", "-f", "{{.EnableIPv6}}", "net"])?,
        );
        Ok(())
    })
}

#[test]
fn the_default_network_has_what_the_daemon_is_told() -> Result<()> {
    let options = ["--ipv6", "--fixed-cidr-v6=fd00:8::/80", "--default-gateway-v6=fd00:8::1"];
    take(&options, |lab| {
        let (aa, bb) = (lab.container("aa", &[])?, lab.container("bb", &[])?);
        let (a6, b6) = (v6(lab, "aa", "bridge")?, v6(lab, "bb", "bridge")?);
        lab.is("the first address", "fd00:8::2", a6);
        let _servers = (bb.tcp(80)?, bb.udp(80)?, outside(lab)?);
        reaches(lab, &aa, b6, &format!("bb {a6}"))?;
        reaches(lab, &aa, at(Site::OUTSIDE6, 0)?.ip(), &format!("outside {}", Site::HOST6))?;
        lab.is("shown", "true", lab.engine.ok(&["network", "inspect", "-f", "{{.EnableIPv6}}", "bridge"])?);
        Ok(())
    })
}

#[test]
fn switches_of_a_container_keep_ipv6_off() -> Result<()> {
    take(&[], |lab| {
        lab.engine.ok(&["network", "create", "--ipv6", "net"])?;
        lab.container("aa", &["--network", "net", "--sysctl", "net.ipv6.conf.all.disable_ipv6=1"])?;
        lab.is("addresses", "", says(lab, "aa", "ip -6 -o addr show eth0")?);
        lab.container(
            "bb",
            &["--network", "net", "--link-local-ip", "fe80::77", "--link-local-ip", "169.254.7.7"],
        )?;
        let has = says(lab, "bb", "ip -o addr show eth0")?;
        ensure!(has.contains("fe80::77/64") && has.contains("169.254.7.7/16"), "{has}");
        lab.container("cc", &[])?;
        lab.is("on a network without IPv6", "", says(lab, "cc", "ip -6 -o addr show eth0")?);
        // Nobody on a bridge is listened to as a router.
        lab.is("routers", "0", says(lab, "bb", "cat /proc/sys/net/ipv6/conf/eth0/accept_ra")?);
        Ok(())
    })
}

#[test]
fn published_ports_are_found_by_ipv6_and_know_who_asks() -> Result<()> {
    take(&[], |lab| {
        lab.engine.ok(&["network", "create", "--ipv6", "net"])?;
        let aa =
            lab.container("aa", &["--network", "net", "-p", "8080:80", "-p", "[2001:db8:51::1]:8081:80"])?;
        let bb = lab.container("bb", &["--network", "net"])?;
        let _servers = (aa.tcp(80)?, aa.udp(80)?);
        let ports = lab.engine.ok(&["port", "aa", "80/tcp"])?;
        ensure!(ports.contains("0.0.0.0:8080") && ports.contains("2001:db8:51::1"), "{ports}");
        for port in [8080, 8081] {
            let to = at(Site::HOST6, port)?;
            let heard = format!("aa {}", Site::NEIGHBOUR6);
            lab.sees("from a neighbour", &heard, || tcp(&lab.site.neighbour, to))?;
            let gateway = v6_gateway(lab, "aa", "net")?;
            lab.sees("from a container", &format!("aa {gateway}"), || tcp(&bb.netns, to))?;
        }
        lab.sees("IPv4 of the other", "refused", || tcp(&lab.site.neighbour, at(Site::HOST, 8081)?))?;
        lab.engine.ok(&["network", "disconnect", "net", "aa"])?;
        lab.sees("cut", "refused", || tcp(&lab.site.neighbour, at(Site::HOST6, 8080)?))
    })
}

/// The way out of a container's network.
fn v6_gateway(lab: &Lab, name: &str, network: &str) -> Result<String> {
    let format = format!("{{{{.NetworkSettings.Networks.{network}.IPv6Gateway}}}}");
    lab.engine.ok(&["inspect", "-f", &format, name])
}

#[test]
fn what_cannot_be_is_refused_in_words() -> Result<()> {
    take(&[], |lab| {
        lab.engine.ok(&["network", "create", "--ipv6", "--subnet", "fd00:9::/64", "net"])?;
        lab.engine.ok(&["network", "create", "--ipv6", "any"])?;
        let create = |words: &[&str]| -> Result<String> {
            let ran = lab.engine.run(&[&["network", "create", "--ipv6"], words].concat())?;
            ensure!(ran.code != 0, "{words:?} went well");
            Ok(ran.stderr)
        };
        for (words, why) in [
            (&["--subnet", "fd00:9::/80", "x"][..], "Pool overlaps"),
            (&["--subnet", "fd00:a::5/64", "x"], "it should be fd00:a::/64"),
            (&["--subnet", "fe80::/64", "x"], "no addresses for hosts"),
            (&["--opt", "com.docker.network.driver.mtu=1000", "x"], "IPv6 needs 1280"),
        ] {
            let said = create(words)?;
            ensure!(said.contains(why), "{words:?}: {said}");
        }
        let run = |words: &[&str]| -> Result<String> {
            let ran = lab.engine.run(&[&["run", "--rm"], words, &[e2e::daemon::IMAGE, "true"]].concat())?;
            ensure!(ran.code == 125, "{words:?}: {}", ran.code);
            Ok(ran.stderr)
        };
        for (words, why) in [
            (
                &["--network", "net", "--ip6", "fd00:b::1"][..],
                "does not belong to any of this network's subnets",
            ),
            (&["--network", "net", "--ip6", "fd00:9::1"], "Address already in use"),
            (&["--network", "any", "--ip6", "fd00:9::5"], "networks with user configured subnets"),
        ] {
            let said = run(words)?.to_lowercase();
            ensure!(said.contains(&why.to_lowercase()), "{words:?}: {said}");
        }
        Ok(())
    })
}
