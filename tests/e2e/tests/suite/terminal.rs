//! Interactive use on a terminal: size, signals, detach keys, several clients.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use e2e::pty::Terminal;

fn interactive(berth: &Berth, docker: bool, args: &[&str]) -> Result<Terminal> {
    let mut command = if docker { berth.docker_command(args)? } else { berth.berth_command(args)? };
    Terminal::spawn(&mut command)
}

fn shell(docker: bool) -> Result<()> {
    let berth = Berth::start()?;
    let mut run = interactive(&berth, docker, &["run", "--rm", "-it", "--name", "box", IMAGE])?;
    run.expect("#")?;
    run.send("tty; stty size; echo pid=$$\n")?;
    run.expect("/dev/pts/0")?;
    run.expect("24 80")?;
    run.expect("pid=1")?;
    run.send("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.05; done; echo re\"\"sized\n")?;
    let mut told = 0;
    programs::eventually("the client is told of the new size", || {
        // Several times: it may not listen for the signal yet.
        run.resize(30, 100)?;
        told += 1;
        Ok((told == 50).then_some(()))
    })?;
    run.expect("resized")?;

    let mut exec = interactive(&berth, docker, &["exec", "-it", "box", "sh"])?;
    exec.expect("#")?;
    exec.send("echo in=$((40+2)); exit 5\n")?;
    exec.expect("in=42")?;
    ensure!(exec.wait()?.0 == 5);

    // Ctrl-C reaches the foreground process of the terminal (the typed words are not its output).
    run.send(
        "sh -c 'trap \"echo int\"\"errupted; exit\" INT; echo ar\"\"med; while :; do sleep 0.1; done'\n",
    )?;
    run.expect("armed")?;
    run.send("\x03")?;
    run.expect("interrupted")?;
    run.expect("#")?;
    run.send("exit 4\n")?;
    ensure!(run.wait()?.0 == 4);
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty());
    berth.finish()
}

#[test]
fn a_shell_on_a_terminal_by_the_docker_client() -> Result<()> {
    shell(true)
}

#[test]
fn a_shell_on_a_terminal_by_berth() -> Result<()> {
    shell(false)
}

fn detach(docker: bool) -> Result<()> {
    let berth = Berth::start()?;
    let mut run = interactive(&berth, docker, &["run", "-it", "--name", "box", IMAGE])?;
    run.expect("#")?;
    run.send("\x10\x11")?; // ctrl-p ctrl-q
    ensure!(run.wait()?.0 == 0);
    ensure!(berth.berth(["inspect", "-f", "{{.State.Running}}", "box"])?.ok()? == "true");

    let mut first = interactive(&berth, docker, &["attach", "--detach-keys", "ctrl-x,a", "box"])?;
    let mut second = interactive(&berth, docker, &["attach", "box"])?;
    // who is attached is answered; who comes later would miss what was said before
    second.send("echo attached-$((1+1))\n")?;
    second.expect("attached-2")?;
    first.send("echo seen-by-$((1+1))\n")?;
    first.expect("seen-by-2")?;
    second.expect("seen-by-2")?;
    first.send("\x18a")?;
    first.wait()?;
    second.send("exit 6\n")?;
    ensure!(second.wait()?.0 == 6);
    ensure!(berth.berth(["wait", "box"])?.ok()? == "6");
    berth.finish()
}

#[test]
fn detach_keys_by_the_docker_client() -> Result<()> {
    detach(true)
}

#[test]
fn detach_keys_by_berth() -> Result<()> {
    detach(false)
}

#[test]
fn a_signal_to_the_client_reaches_the_container() -> Result<()> {
    let berth = Berth::start()?;
    let script = "trap 'echo got-int; exit 11' INT; echo ready; while :; do sleep 0.1 & wait $!; done";
    let mut command = berth.berth_command(["run", "--name", "box", IMAGE, "sh", "-c", script])?;
    let client = command.stdout(std::process::Stdio::null()).spawn()?;
    programs::eventually("the container is ready", || {
        Ok(berth.berth(["logs", "box"])?.stdout.contains("ready").then_some(()))
    })?;
    rustix::process::kill_process(rustix::process::Pid::from_child(&client), rustix::process::Signal::INT)?;
    let mut client = client;
    let status = programs::wait(&mut client, programs::PATIENCE)?;
    ensure!(status.and_then(|status| status.code()) == Some(11), "{status:?}");
    ensure!(berth.berth(["logs", "box"])?.ok()?.ends_with("got-int"));
    berth.finish()
}
