//! Published ports of a user's containers: the host's, with the user's rights there.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::{Context as _, Result, ensure};
use e2e::lab::{Answer, Flow, Namespace, Server, tcp, udp};
use e2e::programs::eventually;

use super::machine::{ADDRESS, ADDRESS6, IMAGE, Machine, NEIGHBOUR, NEIGHBOUR6};

fn at(ip: &str, port: u16) -> Result<SocketAddr> {
    Ok(SocketAddr::new(ip.parse::<IpAddr>()?, port))
}

/// A container in which something answers by TCP and by UDP at port 80, and its gateway.
fn start(machine: &Machine, name: &str, words: &[&str]) -> Result<(Server, Server, String)> {
    let run = [&["run", "-d", "--name", name], words, &[IMAGE, "sleep", "100000"]].concat();
    machine.berth(&run)?.ok()?;
    let told = "{{.State.Pid}}{{range .NetworkSettings.Networks}} {{.Gateway}}{{end}}";
    let told = machine.berth(&["inspect", "-f", told, name])?.ok()?;
    let (pid, gateway) = told.split_once(' ').context("no gateway")?;
    let inside = Namespace::of(pid.parse()?)?;
    let everywhere = at("::", 80)?;
    let servers = (Server::tcp(&inside, everywhere, name)?, Server::udp(&inside, everywhere, name)?);
    Ok((servers.0, servers.1, gateway.to_owned()))
}

fn hears(what: &str, expected: &str, answer: Answer) -> Result<()> {
    let heard = answer.to_string();
    ensure!(heard == expected, "{what}: {heard:?}, not {expected:?}");
    Ok(())
}

#[test]
fn published_ports_lead_in_at_once_from_where_they_are_published() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let (host, outside) = (machine.host()?, machine.neighbour()?);
    let words =
        ["-p", "18080:80", "-p", "127.0.0.1:18081:80", "-p", "18053:80/udp", "-p", "18200-18270:200-270"];
    let (_tcp, _udp, gateway) = start(&machine, "web", &words)?;
    let (client, own, ours) =
        (format!("web {NEIGHBOUR}"), format!("web {ADDRESS}"), format!("web {gateway}"));
    hears("a neighbour", &client, tcp(&outside, at(ADDRESS, 18080)?)?)?;
    hears("a neighbour, by UDP", &client, udp(&outside, at(ADDRESS, 18053)?)?)?;
    hears("the host", &own, tcp(&host, at(ADDRESS, 18080)?)?)?;
    for ip in ["127.0.0.1", "::1"] {
        hears("the host's loopback", &ours, tcp(&host, at(ip, 18080)?)?)?;
        hears("the host's loopback, by UDP", &ours, udp(&host, at(ip, 18053)?)?)?;
    }
    hears("a neighbour by IPv6", &ours, tcp(&outside, at(ADDRESS6, 18080)?)?)?;
    // what is published on the host's loopback address is the host's alone
    hears("a port of the loopback", &ours, tcp(&host, at("127.0.0.1", 18081)?)?)?;
    hears("that port from elsewhere", "refused", tcp(&outside, at(ADDRESS, 18081)?)?)?;
    let hairpin = machine.sh(&[], &format!("nc -w 5 {ADDRESS} 18080"))?;
    ensure!(hairpin.starts_with("web "), "{hairpin}");

    // a killed daemon ends nothing
    let flow = Flow::start(&outside, at(ADDRESS, 18053)?)?;
    machine.kill_daemon()?;
    hears("without a daemon", &client, tcp(&outside, at(ADDRESS, 18080)?)?)?;
    ensure!(machine.berth(&["port", "web", "80/tcp"])?.ok()?.contains("127.0.0.1:18081"));
    hears("with the next", &client, tcp(&outside, at(ADDRESS, 18080)?)?)?;
    let (sent, lost) = flow.end()?;
    ensure!(sent > 0 && lost == 0, "{lost} of {sent} packets are lost");
    machine.berth(&["restart", "-t", "0", "web"])?.ok()?;
    machine.berth(&["rm", "-f", "web"])?.ok()?;
    for port in [18080, 18081, 18270] {
        host.within(|| Ok(TcpListener::bind(("0.0.0.0", port))?)).context("a port is not free again")?;
    }
    machine.finish()
}

#[test]
fn clients_by_ipv6_keep_their_addresses() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let outside = machine.neighbour()?;
    machine.berth(&["network", "create", "--ipv6", "--subnet", "fd00:98:77::/64", "six"])?.ok()?;
    let (_tcp, _udp, _) =
        start(&machine, "web", &["--network", "six", "-p", "18080:80", "-p", "18053:80/udp"])?;
    let client = format!("web {NEIGHBOUR6}");
    hears("by TCP", &client, tcp(&outside, at(ADDRESS6, 18080)?)?)?;
    hears("by UDP", &client, udp(&outside, at(ADDRESS6, 18053)?)?)?;
    // and the container leads out by it, where the program that connects the daemon's network gives that the family
    let outside_link =
        ["run", "--rm", "--network", "host", IMAGE, "ip", "-6", "-o", "addr", "show", "dev", "outside"];
    if !machine.berth(&outside_link)?.ok()?.contains(ADDRESS6) {
        let note = "NOT RUN: the way out by IPv6: pasta has given the daemon's network no address of it\n";
        let _ = std::io::stderr().write_all(note.as_bytes());
        machine.berth(&["rm", "-f", "web"])?.ok()?;
        machine.berth(&["network", "rm", "six"])?.ok()?;
        return machine.finish();
    }
    let there = Server::tcp(&outside, at(NEIGHBOUR6, 19000)?, "there")?;
    // Debian 12's pasta does not pass the end of such a stream on
    let expected = format!("there {ADDRESS6}");
    let ask = format!(
        "[ -p /f ] || mkfifo /f; nc {NEIGHBOUR6} 19000 </dev/null >/f & head -c {} /f; kill $!",
        expected.len()
    );
    let heard = eventually("the neighbour answers", || {
        let ran = machine.berth(&["exec", "web", "sh", "-c", &ask])?;
        Ok((!ran.stdout.is_empty()).then_some(ran.stdout))
    })?;
    ensure!(heard == expected, "{heard}");
    drop(there);
    machine.berth(&["rm", "-f", "web"])?.ok()?;
    machine.berth(&["network", "rm", "six"])?.ok()?;
    machine.finish()
}

#[test]
fn a_port_that_cannot_be_had_is_an_error() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let host = machine.host()?;
    let fails = |publish: &str, why: &str| -> Result<()> {
        // as docker's client has it
        let code = if why.contains("denied") { 126 } else { 125 };
        machine.berth(&["run", "--rm", "-p", publish, IMAGE, "true"])?.fails(code, why).map(drop)
    };
    let why = "cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to \
               /etc/sysctl.conf (currently 1024), or choose a larger port number (>= 1024): listen tcp 0.0.0.0:80: \
               bind: permission denied";
    fails("80:80", why)?;
    fails("80:80/udp", "listen udp 0.0.0.0:80: bind: permission denied")?;
    let taken = host.within(|| Ok(TcpListener::bind("0.0.0.0:18090")?))?;
    fails("18090:80", "port is already allocated")?;
    fails("127.0.0.1:18090:80", "port is already allocated")?;
    drop(taken);
    machine.sh(&["-p", "18090:80"], "true")?;
    fails("192.0.2.1:18090:80", "Cannot assign requested address")?;
    fails("18090:80/sctp", "publishes no SCTP ports")?;
    fails("20000-20999:20000-20999", "publishes 512 ports of a container at most")?;
    let left: Vec<_> = host.within(|| {
        Ok((20000..20999).filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_err()).collect())
    })?;
    ensure!(left.is_empty(), "{left:?}");
    // any port will do
    let (_tcp, _udp, _) = start(&machine, "web", &["-p", "80"])?;
    let port = machine.berth(&["port", "web", "80"])?.ok()?;
    let port = port.lines().next().and_then(|line| line.rsplit(':').next()).context("no port")?;
    hears(
        "a port of the kernel's choice",
        &format!("web {ADDRESS}"),
        tcp(&host, at(ADDRESS, port.parse()?)?)?,
    )?;
    machine.berth(&["rm", "-f", "web"])?.ok()?;
    machine.finish()
}

#[test]
fn with_slirp4netns_it_leads_both_ways() -> Result<()> {
    let Some(machine) = Machine::without(&["pasta"])? else { return Ok(()) };
    machine.load_image()?;
    let outside = machine.neighbour()?;
    let (_tcp, _udp, _) = start(&machine, "web", &["-p", "18080:80", "-p", "18053:80/udp"])?;
    let client = format!("web {NEIGHBOUR}");
    hears("by TCP", &client, tcp(&outside, at(ADDRESS, 18080)?)?)?;
    hears("by UDP", &client, udp(&outside, at(ADDRESS, 18053)?)?)?;
    let _there = Server::tcp(&outside, at(NEIGHBOUR, 19000)?, "there")?;
    let heard = eventually("the neighbour answers", || {
        let ran = machine.berth(&["exec", "web", "nc", "-w", "5", NEIGHBOUR, "19000"])?;
        Ok((ran.code == 0 && !ran.stdout.is_empty()).then_some(ran.stdout))
    })?;
    ensure!(heard == format!("there {ADDRESS}"), "{heard}");
    let warnings = machine.berth(&["info", "--format", "{{json .Warnings}}"])?.ok()?;
    ensure!(!warnings.contains("slirp4netns"), "{warnings}");
    machine.berth(&["rm", "-f", "web"])?.ok()?;
    machine.finish()
}

#[test]
fn without_a_way_out_it_says_so_and_ports_lead_in_all_the_same() -> Result<()> {
    let Some(machine) = Machine::without(&["pasta", "slirp4netns"])? else { return Ok(()) };
    machine.load_image()?;
    let outside = machine.neighbour()?;
    let warnings = machine.berth(&["info", "--format", "{{json .Warnings}}"])?.ok()?;
    ensure!(warnings.contains("neither pasta nor slirp4netns"), "{warnings}");
    let (_tcp, _udp, _) = start(&machine, "web", &["-p", "18080:80"])?;
    hears("a neighbour", &format!("web {NEIGHBOUR}"), tcp(&outside, at(ADDRESS, 18080)?)?)?;
    machine.berth(&["exec", "web", "nc", "-w", "2", NEIGHBOUR, "19000"])?.fails(1, "")?;
    machine.berth(&["rm", "-f", "web"])?.ok()?;
    machine.finish()
}
