//! Containers of several machines find and reach each other; machines and daemons die.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use e2e::daemon::IMAGE;
use e2e::lab::{Answer, Flow, held, tcp};
use e2e::programs;

use super::{NET, fleet, knows, reaches};

#[test]
fn containers_of_three_machines_find_and_reach_each_other() -> Result<()> {
    let fleet = fleet(3, &["--attachable", "--label", "a=b"])?;
    let [a, b, c] = [fleet.at(0)?, fleet.at(1)?, fleet.at(2)?];
    let told = |machine: &e2e::lab::Machine| {
        machine.ok(&[
            "network",
            "inspect",
            "-f",
            "{{.Id}} {{.Driver}} {{.Attachable}} {{.Labels}} {{json .IPAM.Config}}",
            NET,
        ])
    };
    ensure!(told(a)? == told(b)? && told(b)? == told(c)?, "{} {} {}", told(a)?, told(b)?, told(c)?);
    let one = a.container("one", NET, &["--network-alias", "svc"])?;
    let two = b.container("two", NET, &["--network-alias", "svc"])?;
    let three = c.container("three", NET, &["-p", "8080:80"])?;
    for (machine, from) in [(a, "one"), (b, "two"), (c, "three")] {
        for to in ["one", "two", "three"] {
            knows(machine, from, to)?;
            ensure!(machine.pings(from, to)?, "{from} to {to} by name");
        }
    }
    for (from, to) in [(&one, &three), (&three, &one), (&two, &three), (&one, &two)] {
        reaches(from, to)?;
    }
    // Round robin and the way back from an address, across machines.
    let mut both = vec![one.ip()?.to_string(), two.ip()?.to_string()];
    both.sort();
    for (machine, from) in [(a, "one"), (b, "two"), (c, "three")] {
        ensure!(machine.addresses(from, "svc")? == both, "{:?}", machine.addresses(from, "svc"));
        let named = machine.ok(&["exec", from, "nslookup", &two.ip()?.to_string()])?;
        ensure!(named.contains("two.wide"), "{named}");
    }
    // A port that is published on C, from the machine A and from a container there.
    let server = three.tcp(80)?;
    let published = SocketAddr::new(c.ip, 8080);
    ensure!(tcp(&a.netns, published)? == Answer::Heard(format!("three {}", a.ip)));
    ensure!(matches!(tcp(&one.netns, published)?, Answer::Heard(words) if words.starts_with("three ")));
    drop(server);
    // A container leaves while it runs, and comes back.
    c.ok(&["network", "disconnect", NET, "three"])?;
    programs::eventually("who has left is not found", || {
        Ok(a.addresses("one", "three")?.is_empty().then_some(()))
    })?;
    ensure!(tcp(&one.netns, SocketAddr::new(three.ip()?, 80))? != Answer::Refused);
    c.ok(&["network", "connect", "--alias", "drei", NET, "three"])?;
    knows(a, "one", "drei")?;
    reaches(&one, &c.inside("three")?)?;
    fleet.finish()
}

#[test]
fn a_container_of_another_network_is_not_reached_and_internal_is_internal() -> Result<()> {
    let fleet = fleet(2, &[])?;
    let [a, b] = [fleet.at(0)?, fleet.at(1)?];
    a.ok(&["network", "create", "-d", "overlay", "--subnet", "10.89.0.0/24", "--internal", "inner"])?;
    programs::eventually("known", || {
        Ok((b.berth.docker(["network", "inspect", "inner"])?.code == 0).then_some(()))
    })?;
    let [one, two] = [a.container("one", NET, &[])?, b.container("two", NET, &[])?];
    let [in1, in2] = [a.container("in1", "inner", &[])?, b.container("in2", "inner", &[])?];
    knows(a, "one", "two")?;
    knows(a, "in1", "in2")?;
    reaches(&one, &two)?;
    reaches(&in1, &in2)?;
    ensure!(a.addresses("one", "in2")?.is_empty());
    let server = in2.tcp(80)?;
    ensure!(!matches!(tcp(&one.netns, SocketAddr::new(in2.ip()?, 80))?, Answer::Heard(_)));
    drop(server);
    // Outside is the switch.
    let outside: std::net::IpAddr = "192.0.2.254".parse()?;
    let _server = e2e::lab::Server::tcp(&fleet.switch, SocketAddr::new(outside, 99), "outside")?;
    ensure!(tcp(&one.netns, SocketAddr::new(outside, 99))? == Answer::Heard(format!("outside {}", a.ip)));
    ensure!(!matches!(tcp(&in1.netns, SocketAddr::new(outside, 99))?, Answer::Heard(_)));
    fleet.finish()
}

#[test]
fn a_machine_that_dies_gives_its_addresses_back_and_may_return() -> Result<()> {
    let mut fleet = fleet(3, &[])?;
    let one = fleet.at(0)?.container("one", NET, &[])?;
    let two = fleet.at(1)?.container("two", NET, &["--ip", "10.88.0.77"])?;
    let three = fleet.at(2)?.container("three", NET, &[])?;
    knows(fleet.at(0)?, "one", "two")?;
    reaches(&one, &two)?;
    drop(two);
    let taken =
        fleet.at(0)?.berth.docker(["run", "--rm", "--network", NET, "--ip", "10.88.0.77", IMAGE, "true"])?;
    ensure!(taken.code != 0, "the address is another machine's");
    fleet.power_off(1)?;
    let [a, c] = [fleet.at(0)?, fleet.at(2)?];
    let heir =
        ["run", "-d", "--name", "heir", "--network", NET, "--ip", "10.88.0.77", IMAGE, "sleep", "100000"];
    programs::eventually("the address of a dead machine returns", || {
        let ran = a.berth.docker(heir)?;
        if ran.code != 0 {
            a.ok(&["rm", "-f", "heir"])?;
        }
        Ok((ran.code == 0).then_some(()))
    })?;
    ensure!(a.addresses("one", "two")?.is_empty() && c.addresses("three", "two")?.is_empty());
    knows(c, "three", "heir")?;
    reaches(&three, &a.inside("heir")?)?;
    reaches(&one, &three)?;
    let hosts = held(&fleet.etcd)?.into_iter().find(|(kind, _)| *kind == "hosts");
    ensure!(hosts == Some(("hosts", 2)), "{hosts:?}");
    // It comes back: what it had is not its own any more, the rest works.
    fleet.power_on(1)?;
    let b = fleet.at(1)?;
    b.ok(&["rm", "-f", "two"])?;
    let four = b.container("four", NET, &[])?;
    knows(fleet.at(0)?, "one", "four")?;
    reaches(&one, &four)?;
    reaches(&four, &three)?;
    fleet.finish()
}

#[test]
fn no_packet_is_lost_while_a_daemon_is_killed_and_starts_again() -> Result<()> {
    let mut fleet = fleet(2, &[])?;
    let one = fleet.at(0)?.container("one", NET, &[])?;
    let two = fleet.at(1)?.container("two", NET, &[])?;
    knows(fleet.at(0)?, "one", "two")?;
    knows(fleet.at(1)?, "two", "one")?;
    let servers = [one.udp(7)?, two.udp(7)?];
    let there = Flow::start(&one.netns, SocketAddr::new(two.ip()?, 7))?;
    let back = Flow::start(&two.netns, SocketAddr::new(one.ip()?, 7))?;
    for _ in 0..3 {
        fleet.berth(0)?.kill()?;
        fleet.berth(0)?.spawn()?;
        // The store's view has arrived when a new container over there is known here.
        let new = fleet.at(1)?.container("new", NET, &[])?;
        knows(fleet.at(0)?, "one", "new")?;
        reaches(&one, &new)?;
        fleet.at(1)?.ok(&["rm", "-f", "new"])?;
    }
    for flow in [there, back] {
        let (sent, lost) = flow.end()?;
        ensure!(sent > 100 && lost == 0, "{lost} of {sent} packets were lost");
    }
    drop(servers);
    ensure!(fleet.at(0)?.pings("one", "two")?);
    fleet.finish()
}

#[test]
fn a_daemon_that_is_killed_while_containers_come_and_go_leaves_nothing() -> Result<()> {
    let mut fleet = fleet(2, &[])?;
    let one = fleet.at(1)?.container("one", NET, &[])?;
    for round in 0..6_u64 {
        let a = fleet.at(0)?;
        let begin = |words: &[&str]| -> Result<std::process::Child> {
            let mut command = a.berth.docker_command(words)?;
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            Ok(command.spawn()?)
        };
        let name = format!("c{round}");
        let mut clients = vec![
            begin(&["run", "-d", "--name", &name, "--network", NET, "-p", "8080", IMAGE, "sleep", "100000"])?,
            begin(&["network", "create", "-d", "overlay", &format!("net{round}")])?,
        ];
        if round > 0 {
            clients.push(begin(&["rm", "-f", &format!("c{}", round - 1)])?);
        }
        // The kill comes at another place each time.
        let (_end, ended) = std::sync::mpsc::channel::<()>();
        let _ = ended.recv_timeout(std::time::Duration::from_millis(40 + 60 * round));
        fleet.berth(0)?.kill()?;
        for mut client in clients {
            client.wait()?;
        }
        fleet.berth(0)?.spawn()?;
    }
    let two = fleet.at(0)?.container("two", NET, &[])?;
    knows(fleet.at(1)?, "one", "two")?;
    reaches(&one, &two)?;
    fleet.finish()
}
