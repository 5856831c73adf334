//! Running programs under a time-out, and finding ours.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long one command of a test may take. Generous: it exists to end a hang, not to measure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A wait as long as this machine needs it: `BERTH_TEST_PATIENCE` says how many times slower than one that runs tests
/// in earnest it is (`cargo xtask vm` has an emulated processor). Waits that tests depend on, such as what must *not*
/// come, go through this as well.
pub fn patient(time: Duration) -> Duration {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| {
        let text = std::env::var("BERTH_TEST_PATIENCE").unwrap_or_default();
        text.parse().ok().filter(|factor| *factor > 0).unwrap_or(1)
    });
    time * *factor
}

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output without the final newline, if the program succeeded.
    pub fn ok(self) -> Result<String> {
        if self.code != 0 {
            bail!("{} ended with {}:\n{}{}", self.command, self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout.trim_end_matches('\n').to_owned())
    }

    /// The program must have ended with `code`, and say `words` on one of its outputs.
    pub fn fails(self, code: i32, words: &str) -> Result<()> {
        if self.code != code || !(self.stderr.contains(words) || self.stdout.contains(words)) {
            bail!(
                "{} ended with {} (expected {code} and {words:?}):\n{}{}",
                self.command,
                self.code,
                self.stdout,
                self.stderr
            );
        }
        Ok(())
    }
}

static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();

/// Takes our programs from `dir` from now on; the first call counts.
pub fn take_from(dir: PathBuf) {
    PROGRAMS.get_or_init(|| dir);
}

/// A program of ours, built before the tests.
pub fn program(name: &str) -> Result<PathBuf> {
    let chosen =
        PROGRAMS.get().cloned().or_else(|| std::env::var_os("BERTH_TEST_PROGRAMS").map(PathBuf::from));
    let dir = match chosen {
        Some(dir) => dir,
        None => {
            let test = std::env::current_exe().context("cannot find this test's own program")?;
            test.ancestors()
                .nth(2)
                .map(Path::to_path_buf)
                .context("the test runs outside of cargo's folders")?
        }
    };
    let path = dir.join(name);
    if !path.exists() {
        bail!("{} is not built: run `cargo xtask test`, or `cargo build --bins` before", path.display());
    }
    Ok(path)
}

/// The real `docker` client; a test that needs it fails when it is absent.
pub fn docker_client() -> Result<PathBuf> {
    ["/usr/local/bin/docker", "/usr/bin/docker"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .context("no docker client on this machine: cargo xtask test installs docker.io")
}

/// The last `docker` client that speaks BuildKit's protocol by itself: before 23.0, and Debian's.
pub fn buildkit_client() -> Result<PathBuf> {
    let path = PathBuf::from("/usr/bin/docker");
    let version = run(Command::new(&path).arg("--version"))?.ok()?;
    let major = version.split(' ').nth(2).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(..23) => Ok(path),
        _ => bail!("{} is {version}: a client before 23.0 is needed, Debian 12's docker.io", path.display()),
    }
}

/// A Python that has Docker's SDK.
pub fn python() -> Result<PathBuf> {
    let python = std::env::var_os("BERTH_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python"),
        PathBuf::from,
    );
    if !python.exists() {
        bail!("{} is not there: run `cargo xtask test`, which installs Docker's SDK", python.display());
    }
    Ok(python)
}

/// `program` with `args`, with no terminal and a clean client environment.
pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(program: &Path, args: I) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_remove("DOCKER_HOST").env_remove("BERTH_HOST").env_remove("DOCKER_CONTEXT");
    command
}

/// Runs `command` to its end within [`PATIENCE`].
pub fn run(command: &mut Command) -> Result<Ran> {
    run_with(command, b"", PATIENCE)
}

/// Runs `command` with `input` on its standard input, within `patience`; past it the program is killed and
/// that is an error that shows what it had printed.
pub fn run_with(command: &mut Command, input: &[u8], patience: Duration) -> Result<Ran> {
    let line = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {line}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        std::thread::spawn(move || {
            // A program that ends without reading its input closes the pipe: no error of the test.
            let _ = stdin.write_all(&input);
        });
    }
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, patience)?;
    let collect = |what: &mpsc::Receiver<Vec<u8>>| {
        // A container left behind may hold the pipe open: its output is not waited for for ever.
        let bytes = what.recv_timeout(patient(Duration::from_secs(5))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (collect(&stdout), collect(&stderr));
    match status {
        Some(status) => Ok(Ran { command: line, code: code(status), stdout, stderr }),
        None => bail!("{line} did not end within {patience:?}:\n{stdout}{stderr}"),
    }
}

/// Waits for `child`; past `patience` it is killed and there is no status.
pub fn wait(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    let status = wait_quietly(child, patience)?;
    if status.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(status)
}

/// Waits for `child`; past `patience` it goes on and there is no status.
pub fn wait_quietly(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    let patience = patient(patience);
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec {
        tv_sec: patience.as_secs() as i64,
        tv_nsec: patience.subsec_nanos().into(),
    };
    if rustix::event::poll(&mut polled, Some(&timeout))? == 0 {
        return Ok(None);
    }
    Ok(Some(child.wait()?))
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut pipe) = pipe {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
    }
    receiver
}

/// Asks `question` again and again until it answers `Some`, for at most [`PATIENCE`].
pub fn eventually<T>(what: &str, mut question: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = std::time::Instant::now();
    loop {
        if let Some(answer) = question()? {
            return Ok(answer);
        }
        if start.elapsed() > patient(PATIENCE) {
            bail!("{what}: not within {:?}", patient(PATIENCE));
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a test looks at another process's state from outside"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
}
