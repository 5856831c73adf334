//! The daemon is killed: ports stay with their container, connections go on, and nothing leaks.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::lab::{Inside, Kind, Lab, Namespace, Site, at, tcp};
use e2e::programs;

use super::{descriptors, free, head, shim_of};

const PATIENCE: Duration = Duration::from_secs(60);

/// In a container: every connection gets back what it sends, until this is shut down.
fn echo(web: &Inside, port: u16) -> Result<TcpListener> {
    let listener = web.netns.within(|| Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?))?;
    let ours = listener.try_clone()?;
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut reader = stream.try_clone()?;
                std::io::copy(&mut reader, &mut stream)?;
                stream.shutdown(Shutdown::Write)
            });
        }
    });
    Ok(ours)
}

fn dial(from: &Namespace, to: SocketAddr) -> Result<TcpStream> {
    let stream = from.within(|| Ok(TcpStream::connect_timeout(&to, PATIENCE)?))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

#[test]
fn a_port_is_nobody_elses_while_no_daemon_runs() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    let web = lab.container("web", &["-p", "8080:80", "-p", "8080:80/udp"])?;
    let _server = web.tcp(80)?;
    let taken = [false; 4];
    ensure!(free(&lab.site.host, 8080)? == taken);
    for _ in 0..2 {
        lab.engine.berth()?.kill()?;
        ensure!(free(&lab.site.host, 8080)? == taken, "a port is free while the daemon is away");
        lab.sees("the kernel's path", &format!("web {}", Site::OUTSIDE), || {
            tcp(&lab.site.outside, at(Site::HOST, 8080)?)
        })?;
        lab.sees("the relay", "web", || head(tcp(&lab.site.host, at("::1", 8080)?)?))?;
        lab.engine.berth()?.spawn()?;
        ensure!(free(&lab.site.host, 8080)? == taken, "a port is free with the next daemon");
        lab.sees("the relay afterwards", "web", || head(tcp(&lab.site.host, at("::1", 8080)?)?))?;
    }
    // Another container must not have it, and a restart of this one must.
    let other = lab.engine.run(&["run", "-d", "-p", "8080:80", e2e::daemon::IMAGE, "true"])?;
    other.fails(125, "port is already allocated")?;
    lab.engine.ok(&["restart", "-t", "0", "web"])?;
    ensure!(free(&lab.site.host, 8080)? == taken);
    // Unpublished while it runs, and published elsewhere.
    lab.engine.ok(&["rm", "-f", "web"])?;
    ensure!(free(&lab.site.host, 8080)? == [true; 4], "a port is not free after the container's end");
    // It ends while no daemon runs: then nobody has it.
    lab.container("brief", &["-p", "8081:80"])?;
    let pid: i32 = lab.engine.ok(&["inspect", "-f", "{{.State.Pid}}", "brief"])?.parse()?;
    lab.engine.berth()?.kill()?;
    let pid = rustix::process::Pid::from_raw(pid).context("no process")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    programs::eventually(
        "its port is free",
        || Ok((free(&lab.site.host, 8081)? == [true; 4]).then_some(())),
    )?;
    lab.engine.berth()?.spawn()?;
    lab.finish()
}

#[test]
fn ports_move_with_networks_and_updates() -> Result<()> {
    let lab = Lab::start(Kind::Berth, &[])?;
    let reaches = |what: &str, port: u16, expected: &str| {
        lab.sees(what, expected, || head(tcp(&lab.site.host, at("::1", port)?)?))
    };
    lab.engine.ok(&["network", "create", "alpha"])?;
    let web = lab.container("web", &["--network", "alpha", "-p", "8080:80"])?;
    let server = web.tcp(80)?;
    reaches("on its network", 8080, "web")?;
    lab.engine.ok(&["network", "connect", "bridge", "web"])?;
    lab.engine.ok(&["network", "disconnect", "alpha", "web"])?;
    reaches("on another network", 8080, "web")?;
    lab.engine.ok(&["network", "disconnect", "bridge", "web"])?;
    reaches("on none", 8080, "refused")?;
    ensure!(free(&lab.site.host, 8080)? == [true; 4], "on no network it has no port");
    lab.engine.ok(&["network", "connect", "alpha", "web"])?;
    reaches("back again", 8080, "web")?;
    drop((server, web));
    lab.finish()
}

#[test]
fn a_hundred_connections_outlive_three_daemons() -> Result<()> {
    const CONNECTIONS: u8 = 100;
    const ROUNDS: usize = 24;
    const CHUNK: usize = 16 * 1024;
    let mut lab = Lab::start(Kind::Berth, &[])?;
    let web = lab.container("web", &["-p", "8080:80"])?;
    let server = echo(&web, 80)?;
    lab.sees("it answers", "", || tcp_empty(&lab.site.host))?;
    let shim = shim_of(&lab, "web")?;
    let before = settled(shim)?;
    let address = at("::1", 8080)?;
    let clients = (0..CONNECTIONS).map(|_| dial(&lab.site.host, address)).collect::<Result<Vec<_>>>()?;
    let (step, steps) = std::sync::mpsc::channel::<usize>();
    let started = Instant::now();
    let talking: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, mut client)| {
            let step = step.clone();
            std::thread::spawn(move || -> Result<()> {
                let mut back = vec![0; CHUNK];
                for round in 0..ROUNDS {
                    let sent: Vec<u8> = (0..CHUNK).map(|n| (n * 7 + number * 31 + round) as u8).collect();
                    client.write_all(&sent)?;
                    client.read_exact(&mut back)?;
                    ensure!(back == sent, "connection {number}, round {round}: other bytes came back");
                    step.send(round)?;
                }
                client.shutdown(Shutdown::Write)?;
                ensure!(client.read(&mut back)? == 0, "connection {number} does not end");
                Ok(())
            })
        })
        .collect();
    drop(step);
    let mut kills = 0;
    let mut done = 0;
    for _ in steps {
        done += 1;
        // spread over the whole of it, each while all of them talk
        if kills < 3 && done >= (kills + 1) * usize::from(CONNECTIONS) * ROUNDS / 4 {
            lab.engine.berth()?.kill()?;
            lab.engine.berth()?.spawn()?;
            kills += 1;
        }
    }
    for thread in talking {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    ensure!(kills == 3 && done == usize::from(CONNECTIONS) * ROUNDS, "{kills} kills, {done} rounds");
    ensure!(started.elapsed() < PATIENCE, "it took {:?}", started.elapsed());
    programs::eventually("the shim's descriptors are back", || {
        Ok((descriptors(shim)? <= before).then_some(()))
    })?;
    rustix::net::shutdown(&server, rustix::net::Shutdown::Both)?;
    drop((server, web));
    lab.finish()
}

/// Connects and says nothing.
fn tcp_empty(host: &Namespace) -> Result<e2e::lab::Answer> {
    let mut client = dial(host, at("::1", 8080)?)?;
    client.shutdown(Shutdown::Write)?;
    let mut said = String::new();
    client.read_to_string(&mut said)?;
    Ok(e2e::lab::Answer::Heard(said))
}

/// How many descriptors a shim has when it has rested.
fn settled(shim: u32) -> Result<usize> {
    let mut last = usize::MAX;
    programs::eventually("the shim rests", || {
        std::thread::yield_now();
        let now = descriptors(shim)?;
        Ok((std::mem::replace(&mut last, now) == now).then_some(now))
    })
}

#[test]
fn a_gigabyte_and_a_reader_that_is_slow() -> Result<()> {
    const GIGABYTE: usize = 1 << 30;
    let lab = Lab::start(Kind::Berth, &[])?;
    let web = lab.container("web", &["-p", "8080:80"])?;
    let listener = web.netns.within(|| Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80))?))?;
    let shim = shim_of(&lab, "web")?;
    let memory = || -> Result<usize> {
        let text = std::fs::read_to_string(format!("/proc/{shim}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    let before = memory()?;
    let mut slow = dial(&lab.site.host, at("::1", 8080)?)?;
    let (mut unread, _) = listener.accept()?;
    slow.set_write_timeout(Some(Duration::from_millis(300)))?;
    let chunk = vec![7; 1 << 20];
    let mut waiting = 0;
    loop {
        match slow.write(&chunk) {
            Ok(n) => waiting += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        ensure!(waiting < GIGABYTE, "nothing holds it back");
    }
    // meanwhile another has all that it wants
    let started = Instant::now();
    let mut client = dial(&lab.site.host, at("::1", 8080)?)?;
    let (mut served, _) = listener.accept()?;
    let writer = std::thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..GIGABYTE >> 20 {
            served.write_all(&chunk)?;
        }
        Ok(())
    });
    let got = std::io::copy(&mut client, &mut std::io::sink())?;
    writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    ensure!(got == GIGABYTE as u64, "{got} bytes");
    println!("1 GiB through the relay in {:?}", started.elapsed());
    ensure!(memory()? < before + 1024, "the shim has grown from {before} to {} kB", memory()?);
    slow.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    unread.read_to_end(&mut rest)?;
    ensure!(rest.len() == waiting, "{} of {waiting} bytes", rest.len());
    drop((slow, unread, client, listener, web));
    lab.finish()
}
