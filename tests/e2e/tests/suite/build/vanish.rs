//! Clients that speak BuildKit's protocol, and go in the middle of a build or speak something else.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{image, leaks, programs};

use super::{Context, no_places};

/// Begins a build and waits until one of its steps says a word.
fn until_said(mut command: Command, word: &str) -> Result<Child> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stderr.take().context("no output")?).lines();
    let mut said = Vec::new();
    for line in lines {
        said.push(line?);
        if said.last().is_some_and(|line| line.ends_with(&format!(" {word}"))) {
            return Ok(child);
        }
    }
    bail!("the build has ended without saying {word}: {said:#?}")
}

/// The daemon has nothing of a build that its client left, and builds on.
fn goes_on(berth: &Berth) -> Result<()> {
    no_places(berth)?;
    let next = Context::new(berth, "next", &[("Dockerfile", &format!("FROM {IMAGE}\nRUN true\n"))])?;
    next.own(&[])?.ok().map(drop)
}

#[test]
fn one_that_goes_ends_the_step_whatever_it_forks() -> Result<()> {
    let berth = Berth::start()?;
    // a setsid that leads a process group forks and is done: the shell must wait for it
    let forks = "for i in 1 2 3; do sleep 1000 & done; setsid sleep 1000 & wait";
    let dockerfile = format!("FROM {IMAGE}\nRUN echo begun; {forks}\n");
    let context = Context::new(&berth, "step", &[("Dockerfile", &dockerfile)])?;
    for command in [context.own_command(&["--progress", "plain"])?, context.buildkit_command(&[])?] {
        let mut child = until_said(command, "begun")?;
        child.kill()?;
        child.wait()?;
        leaks::no_container(&berth)?;
        goes_on(&berth)?;
    }
    berth.finish()
}

#[test]
fn one_that_goes_while_its_files_travel() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!("FROM {IMAGE}\nCOPY . /files\n");
    let context = Context::new(&berth, "travel", &[("Dockerfile", &dockerfile), ("a", "small")])?;
    let large = fs::File::create(context.path().join("large"))?;
    large.set_len(8 << 30)?;
    let mut command = context.own_command(&[])?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let kept = berth.data_root().join("build/sources");
    programs::eventually("the file travels", || Ok(bytes_below(&kept)?.filter(|bytes| *bytes > 1 << 20)))?;
    child.kill()?;
    child.wait()?;
    goes_on(&berth)?;
    // what arrived of it is made good
    large.set_len(3)?;
    context.own(&["-t", "travelled"])?.ok()?;
    let said =
        berth.docker(["run", "--rm", "travelled", "sh", "-c", "wc -c < /files/large; cat /files/a"])?;
    ensure!(said.ok()? == "3\nsmall");
    berth.finish()
}

/// What the files of the entries below `dir` hold.
fn bytes_below(dir: &Path) -> Result<Option<u64>> {
    let mut bytes = 0;
    for context in fs::read_dir(dir).into_iter().flatten() {
        for file in fs::read_dir(context?.path().join("files")).into_iter().flatten() {
            // one that is renamed meanwhile counts next time
            bytes += file?.metadata().map(|found| found.len()).unwrap_or_default();
        }
    }
    Ok(Some(bytes))
}

#[test]
fn one_that_goes_while_its_archive_travels() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!("FROM {IMAGE}\nCOPY . /files\n");
    let archive = image::archive(&[("Dockerfile", &dockerfile), ("large", &"x".repeat(1 << 20))])?;
    let mut command = berth.berth_command(["build", "-"])?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(&archive[..archive.len() / 2])?;
    let places = berth.data_root().join("store/tmp");
    programs::eventually("the archive travels", || {
        Ok(fs::read_dir(&places).ok().and_then(|mut places| places.next()))
    })??;
    child.kill()?;
    child.wait()?;
    goes_on(&berth)?;
    berth.finish()
}

#[test]
fn one_that_speaks_something_else() -> Result<()> {
    let berth = Berth::start()?;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frame_of_16_mebibytes =
        "\u{7f}\u{7f}\u{7f}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}".to_owned() + &"x".repeat(1 << 16);
    for (path, headers) in [
        ("session", "X-Docker-Expose-Session-Uuid: one\r\nX-Docker-Expose-Session-Name: x\r\n"),
        ("grpc", ""),
    ] {
        for words in
            ["", "nothing of the kind\r\n\r\n", preface, &(preface.to_owned() + &frame_of_16_mebibytes)]
        {
            let mut stream = UnixStream::connect(berth.root().join("sock"))?;
            stream.set_read_timeout(Some(programs::PATIENCE))?;
            write!(
                stream,
                "POST /v1.44/{path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{headers}\r\n"
            )?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            ensure!(&answer == b"HTTP/1.1 101", "{}", String::from_utf8_lossy(&answer));
            // the daemon may have hung up already
            let _ = stream.write_all(words.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut rest = Vec::new();
            match stream.read_to_end(&mut rest) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    bail!("{path}, {words:.40?}: it waits")
                }
                _ => {}
            }
        }
    }
    goes_on(&berth)?;
    berth.finish()
}
