//! A daemon in a namespace of its own leaves the machine's network alone.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::image::Image;
use e2e::lab::Namespace;
use e2e::programs::eventually;

#[test]
fn a_daemon_in_a_namespace_publishes_to_its_neighbour_and_not_on_the_machine() -> Result<()> {
    let (host, outside) = (Namespace::new()?, Namespace::new()?);
    host.cable("eth0", &outside, "eth0")?;
    host.ip("addr add 198.51.100.1/24 dev eth0")?;
    outside.ip("addr add 198.51.100.2/24 dev eth0")?;
    let berth = Berth::inside(&host, &[])?;
    berth.load(&Image::busybox()?, IMAGE)?;
    let serve = ["nc", "-ll", "-p", "80", "-e", "echo", "hello"];
    berth.docker([&["run", "-d", "-p", "8080:80", "--name", "web", IMAGE], &serve[..]].concat())?.ok()?;
    let mut heard = String::new();
    // The server may not listen yet.
    let mut stream = eventually("the port answers", || {
        outside.within(|| Ok(TcpStream::connect("198.51.100.1:8080").ok()))
    })?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.read_to_string(&mut heard)?;
    ensure!(heard == "hello\n", "{heard:?}");
    ensure!(TcpStream::connect("127.0.0.1:8080").is_err(), "the machine has nothing of it");
    berth.finish()
}
