//! Daemons that are elsewhere: over TLS, over ssh, by contexts.

mod contexts;
pub(crate) mod ssh;
mod tls;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use e2e::daemon::IMAGE;
use e2e::programs;
use e2e::pty::Terminal;

/// What needs its connection to go both ways, half-close, be waited for beside signals, or be many at once. `client`
/// makes a command of these words.
fn everything(client: &dyn Fn(&[&str]) -> Result<Command>, scratch: &Path) -> Result<()> {
    let run = |words: &[&str]| programs::run(&mut client(words)?);
    let input: Vec<u8> = (0..60_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    let mut cat = client(&["run", "-i", "--rm", IMAGE, "sh", "-c", "cat; echo done >&2; exit 3"])?;
    let ran = programs::run_with(&mut cat, &input, programs::PATIENCE)?;
    ensure!(ran.code == 3 && ran.stderr == "done\n", "{} {}", ran.code, ran.stderr);
    ensure!(
        ran.stdout.as_bytes() == input,
        "input of {} bytes came back as {}",
        input.len(),
        ran.stdout.len()
    );

    let mut terminal = Terminal::spawn(&mut client(&["run", "-it", "--rm", IMAGE, "sh"])?)?;
    terminal.expect("#")?;
    terminal.send("echo si$((1+1))gns; exit 4\n")?;
    terminal.expect("si2gns")?;
    ensure!(terminal.wait()?.0 == 4);

    run(&["run", "-d", "--name", "far", IMAGE, "sh", "-c", "echo line; exec sleep 600"])?.ok()?;
    let mut words = client(&["exec", "-i", "far", "sh", "-c", "tr a-z A-Z"])?;
    let ran = programs::run_with(&mut words, b"loud\n", programs::PATIENCE)?;
    ensure!(ran.ok()? == "LOUD");
    let mut follow = Terminal::spawn(&mut client(&["logs", "-f", "far"])?)?;
    follow.expect("line")?;
    // not SIGINT, which a shell's background jobs ignore
    follow.signal(rustix::process::Signal::TERM)?;
    follow.wait()?;

    let file = scratch.join("bytes");
    std::fs::write(&file, vec![7; 3 << 20])?;
    let name = file.to_string_lossy().into_owned();
    run(&["cp", &name, "far:/bytes"])?.ok()?;
    run(&["cp", "far:/bytes", &format!("{name}.back")])?.ok()?;
    ensure!(std::fs::read(&file)? == std::fs::read(format!("{name}.back"))?);
    run(&["rm", "-f", "far"])?.ok()?;
    Ok(())
}

/// A build: two connections that go on in gRPC.
fn build(client: &dyn Fn(&[&str]) -> Result<Command>, scratch: &Path) -> Result<()> {
    let context = scratch.join("context");
    std::fs::create_dir_all(&context)?;
    std::fs::write(context.join("file"), "sent\n")?;
    std::fs::write(
        context.join("Dockerfile"),
        format!("FROM {IMAGE}\nCOPY file /\nCMD [\"cat\", \"/file\"]\n"),
    )?;
    programs::run(&mut client(&["build", "-q", "-t", "far-build", &context.to_string_lossy()])?)?.ok()?;
    ensure!(programs::run(&mut client(&["run", "--rm", "far-build"])?)?.ok()? == "sent");
    Ok(())
}
