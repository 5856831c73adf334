//! Many endpoints, and both families.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::lab::{Answer, Machine, tcp};
use e2e::programs;
use serde_json::json;

use super::{NET, fleet, knows, reaches};

/// Endpoints of a machine that exists in the store alone.
const MANY: usize = 1000;

/// How many forwarding entries a tunnel, and how many lasting neighbours its bridge has.
fn entries(machine: &Machine, network: &str) -> Result<(usize, usize)> {
    let (tunnel, bridge) = (format!("vx-{}", &network[..12]), format!("br-{}", &network[..12]));
    let fdb =
        machine.netns.run(Command::new("/usr/sbin/bridge").args(["fdb", "show", "dev", &tunnel]))?.ok()?;
    let near = machine.netns.ip(&format!("neigh show dev {bridge} nud permanent"))?;
    Ok((fdb.lines().filter(|line| line.contains(" dst ")).count(), near.lines().count()))
}

#[test]
fn a_thousand_endpoints_of_another_machine_come_and_go() -> Result<()> {
    let fleet = fleet(1, &["--subnet", "fd00:88::/64", "--ipv6"])?;
    let a = fleet.at(0)?;
    let network = a.ok(&["network", "inspect", "-f", "{{.Id}}", NET])?;
    a.container("one", NET, &[])?;
    ensure!(entries(a, &network)? == (0, 0));
    let key = |kind: &str, rest: &str| format!("berth/v1/{kind}/{rest}");
    let machine = json!({"id": "load", "name": "load", "address": "192.0.2.77", "port": 0});
    fleet.etcd.put(&key("hosts", "load"), &machine.to_string())?;
    let endpoint = |number: usize, ip: &str| {
        let mac = format!("02:42:99:00:{:02x}:{:02x}", number >> 8, number & 0xff);
        let (id, name) = (format!("{number:064x}"), format!("load{number}"));
        let value = json!({"id": id, "host": "load", "name": name, "ip6": ip, "mac": mac, "names": [name]});
        fleet.etcd.put(&key("endpoints", &format!("{network}/{id}")), &value.to_string())?;
        anyhow::Ok(key("endpoints", &format!("{network}/{id}")))
    };
    let mut keys = Vec::new();
    for number in 0..MANY {
        keys.push(endpoint(number, &format!("fd00:88::1:{number:x}"))?);
    }
    // One that claims to be the gateway, and one from elsewhere.
    keys.push(endpoint(MANY, "fd00:88::1")?);
    keys.push(endpoint(MANY + 1, "fd00:99::7")?);
    programs::eventually("all are known to the kernel", || {
        Ok((entries(a, &network)? == (MANY, MANY)).then_some(()))
    })?;
    let found = a.ok(&["exec", "one", "nslookup", "-type=aaaa", "load999"])?;
    ensure!(found.contains("fd00:88::1:3e7"), "{found}");
    for gone in &keys[..keys.len() - 3] {
        fleet.etcd.delete(gone)?;
    }
    programs::eventually("most are gone", || Ok((entries(a, &network)? == (1, 1)).then_some(())))?;
    // The machine goes, and with it all that it had, though the store still names it.
    fleet.etcd.delete(&key("hosts", "load"))?;
    programs::eventually("the last is gone", || Ok((entries(a, &network)? == (0, 0)).then_some(())))?;
    for key in &keys {
        fleet.etcd.delete(key)?;
    }
    fleet.finish()
}

#[test]
fn both_families_cross_machines() -> Result<()> {
    let fleet = fleet(2, &["--subnet", "fd00:88::/64", "--ipv6"])?;
    let [a, b] = [fleet.at(0)?, fleet.at(1)?];
    let one = a.container("one", NET, &[])?;
    let two = b.container("two", NET, &["--ip6", "fd00:88::77"])?;
    knows(a, "one", "two")?;
    knows(b, "two", "one")?;
    reaches(&one, &two)?;
    let found = a.ok(&["exec", "one", "nslookup", "-type=aaaa", "two"])?;
    ensure!(found.contains("fd00:88::77"), "{found}");
    let own =
        a.ok(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}", "one"])?;
    let _server = two.tcp(80)?;
    let heard = tcp(&one.netns, SocketAddr::new("fd00:88::77".parse()?, 80))?;
    ensure!(heard == Answer::Heard(format!("two {own}")), "{heard}");
    a.ok(&["exec", "one", "ping", "-6", "-c", "1", "-W", "5", "fd00:88::77"])?;
    fleet.finish()
}

#[test]
fn what_cannot_be_shared_is_refused_by_name() -> Result<()> {
    let fleet = fleet(1, &[])?;
    let a = fleet.at(0)?;
    let list = "com.docker.network.driver.overlay.vxlanid_list";
    let sealed = a.berth.docker(["network", "create", "-d", "overlay", "-o", "encrypted", "sealed"])?;
    // where the kernel has WireGuard, berthd has made it load that
    if std::path::Path::new("/sys/module/wireguard").exists() {
        sealed.ok()?;
        a.berth.docker(["network", "rm", "sealed"])?.ok()?;
    } else {
        sealed.fails(1, "--opt encrypted")?;
    }
    for (args, what) in [
        (&["-o", &format!("{list}=x")][..], list),
        (&["-o", "colour=red"], "colour=red"),
        (&["--subnet", "10.88.0.128/25"], "overlap"),
    ] {
        a.berth
            .docker([&["network", "create", "-d", "overlay"], args, &["other"]].concat())?
            .fails(1, what)?;
    }
    a.ok(&[
        "network",
        "create",
        "-d",
        "overlay",
        "-o",
        &format!("{list}=4242"),
        "-o",
        "com.docker.network.driver.mtu=1300",
        "other",
    ])?;
    a.container("box", "other", &[])?;
    ensure!(a.ok(&["exec", "box", "cat", "/sys/class/net/eth0/mtu"])? == "1300");
    ensure!(a.netns.ip("-d link show type vxlan")?.contains("vxlan id 4242 "));
    a.container("plain", NET, &[])?;
    ensure!(a.ok(&["exec", "plain", "cat", "/sys/class/net/eth0/mtu"])? == "1450");
    fleet.finish()
}
