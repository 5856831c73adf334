//! The first networks: none, host, container, the default bridge.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

#[test]
fn none_host_container_and_bridge() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.docker(args)?.ok();
    ensure!(
        ok(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", "ip -o link | cut -d: -f2 | tr -d ' '"])?
            == "lo"
    );
    let host = ok(&["run", "--rm", "--network", "host", IMAGE, "sh", "-c", "readlink /proc/self/ns/net"])?;
    ensure!(host == std::fs::read_link("/proc/self/ns/net")?.to_string_lossy(), "{host}");

    ok(&["run", "-d", "--name", "web", "--hostname", "web", IMAGE, "httpd", "-f", "-p", "80", "-h", "/etc"])?;
    let address = ok(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web"])?;
    ensure!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address:?}");
    // From another container, from the host, and from inside, by packets. (wget of a static busybox can't
    // resolve names, and tries to.)
    for (network, to) in [("bridge", address.as_str()), ("host", &address), ("container:web", "127.0.0.1")] {
        let get = format!("printf 'GET /group HTTP/1.0\\r\\n\\r\\n' | nc -w 10 {to} 80");
        let page = ok(&["run", "--rm", "--network", network, IMAGE, "sh", "-c", &get])?;
        ensure!(page.contains("extra:x:2000"), "{network}: {page}");
    }

    ensure!(ok(&["exec", "web", "cat", "/etc/hosts"])?.contains(&format!("{address}\tweb")));
    ensure!(ok(&["exec", "web", "cat", "/etc/hostname"])? == "web");
    ensure!(ok(&["exec", "web", "cat", "/etc/resolv.conf"])?.contains("nameserver"));
    ensure!(ok(&["exec", "web", "ip", "route"])?.starts_with("default via "));
    ensure!(ok(&["network", "ls", "--format", "{{.Name}}"])? == "bridge\nhost\nnone");
    berth.finish()
}

#[test]
fn the_host_has_a_name_inside() -> Result<()> {
    let script = "grep -w gw /etc/hosts | cut -f 1; ip route | awk '/^default/{print $3}'";
    let words = ["run", "--rm", "--add-host", "gw:host-gateway", IMAGE, "sh", "-c", script];
    for (options, named) in [(&[][..], None), (&["--host-gateway-ip", "192.0.2.7"], Some("192.0.2.7"))] {
        let berth = Berth::bare(options)?;
        berth.load(&e2e::image::Image::busybox()?, IMAGE)?;
        for said in [berth.docker(words)?.ok()?, berth.berth(words)?.ok()?] {
            let lines: Vec<_> = said.lines().map(str::trim).collect();
            ensure!(lines.len() == 2 && lines[0] == named.unwrap_or(lines[1]), "{said}");
        }
        berth.finish()?;
    }
    Ok(())
}
