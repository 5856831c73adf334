//! Published ports in user space: what the kernel can't translate, and the mode in which the host's INPUT chain judges.
//! And sockets that keep ports from others, whether or not a daemon runs.

mod input;
mod survival;

use anyhow::{Context, Result};
use e2e::lab::{Answer, Engine, Lab, Namespace, Site, at, tcp, udp};

/// The server's name alone: from here it sees an address of the host.
fn head(answer: Answer) -> Result<Answer> {
    Ok(match answer {
        Answer::Heard(words) => Answer::Heard(words.split(' ').next().unwrap_or_default().to_owned()),
        other => other,
    })
}

/// Process id of a container's shim.
fn shim_of(lab: &Lab, name: &str) -> Result<u32> {
    let Engine::Berth(berth) = &lab.engine else { anyhow::bail!("this is Docker") };
    let id = berth.berth(["inspect", "-f", "{{.Id}}", name])?.ok()?;
    let mut processes =
        std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_it = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "berth-shim" && words.split(|byte| *byte == 0).any(|word| word == id.as_bytes())
    };
    processes.find(is_it).context("no shim")
}

/// Descriptors of a process that are open.
fn descriptors(pid: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Whether a program of the host may have a port: of TCP on IPv4 and IPv6, and of UDP on both.
fn free(host: &Namespace, port: u16) -> Result<[bool; 4]> {
    host.within(|| {
        let tcp = |ip: &str| std::net::TcpListener::bind((ip, port)).is_ok();
        let udp = |ip: &str| std::net::UdpSocket::bind((ip, port)).is_ok();
        Ok([tcp("127.0.0.1"), tcp("::1"), udp("127.0.0.1"), udp("::1")])
    })
}

/// What IPv6 reaches of a container that has none.
fn six(lab: &Lab, there: bool) -> Result<()> {
    let site = &lab.site;
    let web = lab.container("web", &["-p", "8080:80", "-p", "8081:81/udp"])?;
    let (_tcp, _udp) = (web.tcp(80)?, web.udp(81)?);
    let expected = if there { "web" } else { "refused" };
    lab.sees("::1 by tcp", expected, || head(tcp(&site.host, at("::1", 8080)?)?))?;
    lab.sees("::1 by udp", expected, || head(udp(&site.host, at("::1", 8081)?)?))?;
    lab.sees("tcp over IPv6", expected, || head(tcp(&site.outside, at(Site::HOST6, 8080)?)?))?;
    lab.sees("udp over IPv6", expected, || head(udp(&site.outside, at(Site::HOST6, 8081)?)?))?;
    lab.sees("::1 where nothing is published", "refused", || tcp(&site.host, at("::1", 8082)?))?;
    lab.sees("127.0.0.1", "web", || head(tcp(&site.host, at("127.0.0.1", 8080)?)?))?;
    lab.sees("IPv4", &format!("web {}", Site::OUTSIDE), || tcp(&site.outside, at(Site::HOST, 8080)?))
}

fn with_the_proxy(lab: &Lab) -> Result<()> {
    six(lab, true)?;
    let shown = lab.engine.ok(&["port", "web", "80/tcp"])?;
    lab.is(
        "both families are shown",
        "0.0.0.0:8080 [::]:8080",
        shown.replace("\n:::", " [::]:").replace('\n', " "),
    );
    Ok(())
}

fn without_the_proxy(lab: &Lab) -> Result<()> {
    six(lab, false)
}

crate::packets::on_both! {
    with_the_proxy [];
    without_the_proxy ["--userland-proxy=false"];
}

#[test]
fn what_is_not_there_is_refused_by_name() -> Result<()> {
    let options = ["--userland-proxy-path", "/usr/bin/docker-proxy"];
    let Err(refused) = e2e::daemon::Berth::bare(&options) else { anyhow::bail!("it was taken") };
    let words = format!("{refused:#}");
    anyhow::ensure!(
        words.contains("userland-proxy-path can't be given") && words.contains("shims"),
        "{words}"
    );
    let options = ["--publish-mode", "both"];
    let Err(refused) = e2e::daemon::Berth::bare(&options) else { anyhow::bail!("it was taken") };
    anyhow::ensure!(format!("{refused:#}").contains("publish-mode"), "{refused:#}");
    Ok(())
}
