//! A private `berthd`: its own data root, exec root and socket, so that tests run side by side.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::Namespace;
use crate::programs::{self, PATIENCE, Ran};
use crate::{image, leaks, user};

/// The image that [`Berth::start`] loads.
pub const IMAGE: &str = "berth-test/busybox:latest";

/// How long a daemon may take to start: a test may be at work beside it with hundreds of threads.
const STARTING: Duration = Duration::from_secs(180);

/// A running private daemon.
pub struct Berth {
    root: tempfile::TempDir,
    data: PathBuf,
    options: Vec<String>,
    environment: Vec<(String, String)>,
    netns: Option<Namespace>,
    daemon: Option<Child>,
}

impl Berth {
    /// Starts a daemon and loads [`IMAGE`].
    pub fn start() -> Result<Self> {
        let berth = Self::bare(&[])?;
        berth.load(&image::Image::busybox()?, IMAGE)?;
        Ok(berth)
    }

    /// Starts a daemon with more options, and no image.
    pub fn bare(options: &[&str]) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-e2e-").tempdir()?;
        let data = root.path().join("data");
        Self::launch(root, data, options)
    }

    /// As [`Berth::start`], with variables in the daemon's environment and more options.
    pub fn with_environment(variables: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-e2e-").tempdir()?;
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let data = root.path().join("data");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut berth = Self { root, data, options, environment, netns: None, daemon: None };
        berth.spawn()?;
        berth.load(&image::Image::busybox()?, IMAGE)?;
        Ok(berth)
    }

    /// The same with a data root outside of the daemon's folder.
    pub fn at(data: PathBuf, options: &[&str]) -> Result<Self> {
        Self::launch(tempfile::Builder::new().prefix("berth-e2e-").tempdir()?, data, options)
    }

    fn launch(root: tempfile::TempDir, data: PathBuf, options: &[&str]) -> Result<Self> {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut berth = Self { root, data, options, environment: Vec::new(), netns: None, daemon: None };
        berth.spawn()?;
        Ok(berth)
    }

    /// A daemon that lives in a network namespace, with more options, and no image: its bridges, rules and
    /// switches are not the machine's.
    pub fn inside(netns: &Namespace, options: &[&str]) -> Result<Self> {
        Self::inside_with(netns, &[], options)
    }

    /// The same with variables in the daemon's environment.
    pub fn inside_with(netns: &Namespace, variables: &[(&str, &str)], options: &[&str]) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-e2e-").tempdir()?;
        let data = root.path().join("data");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let netns = Some(netns.clone());
        let mut berth = Self { root, data, options, environment, netns, daemon: None };
        berth.spawn()?;
        Ok(berth)
    }

    /// The namespace that the daemon lives in, if it has one of its own.
    pub fn netns(&self) -> Option<&Namespace> {
        self.netns.as_ref()
    }

    /// The daemon lives in another namespace from its next start on.
    pub fn move_to(&mut self, netns: &Namespace) {
        self.netns = Some(netns.clone());
    }

    /// The daemon has these options from its next start on.
    pub fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
    }

    /// The folder of this daemon; everything of it lies below.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Where images, containers and volumes are kept.
    pub fn data_root(&self) -> PathBuf {
        self.data.clone()
    }

    /// The address of the socket.
    pub fn host(&self) -> String {
        format!("unix://{}", self.root().join("sock").display())
    }

    /// What the daemon has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root().join("berthd.log")).unwrap_or_default()
    }

    /// The daemon's process id.
    pub fn pid(&self) -> Result<u32> {
        self.daemon.as_ref().map(Child::id).context("berthd is not running")
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub fn spawn(&mut self) -> Result<()> {
        let ready = self.begin()?;
        wait_ready(ready).with_context(|| format!("berthd is not ready:\n{}", self.log()))
    }

    /// Starts the daemon, and kills it when so much time has passed: mostly before it is ready.
    pub fn spawn_for(&mut self, time: Duration) -> Result<()> {
        let ready = self.begin()?;
        let mut polled = [rustix::event::PollFd::new(&ready, rustix::event::PollFlags::empty())];
        let timeout =
            rustix::event::Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        // Nothing is waited for but the time, or the end of a daemon that fails.
        rustix::event::poll(&mut polled, Some(&timeout))?;
        self.kill()
    }

    /// Starts the daemon; what it says that it is ready by.
    fn begin(&mut self) -> Result<std::io::PipeReader> {
        let (ready, ready_writer) = std::io::pipe()?;
        let log = File::options().create(true).append(true).open(self.root().join("berthd.log"))?;
        // The machine's own configuration file must not change what is tested.
        let config = self.root().join("daemon.json");
        if !config.exists() {
            std::fs::write(&config, "{}")?;
        }
        user::give(self.root())?;
        let mut command = user::command(&programs::program("berthd")?, &self.options, self.root());
        command
            .arg("--data-root")
            .arg(self.data_root())
            .arg("--exec-root")
            .arg(self.root().join("exec"))
            .arg("--pidfile")
            .arg(self.root().join("pid"))
            .arg("--config-file")
            .arg(config)
            .args(["--ready-fd", "1", "--host"])
            .arg(self.host())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(ready_writer))
            .stderr(log);
        let daemon = match &self.netns {
            Some(netns) => netns.spawn(&mut command),
            None => command.spawn().context("cannot run berthd"),
        }?;
        drop(command);
        self.daemon = Some(daemon);
        Ok(ready)
    }

    /// Kills the daemon as `kill -9` does.
    pub fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("berthd is not running")?;
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }

    /// Ends the daemon as `systemctl stop` does.
    pub fn terminate(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("berthd is not running")?;
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&daemon),
            rustix::process::Signal::TERM,
        )?;
        match programs::wait(&mut daemon, PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("berthd ended with {status}:\n{}", self.log()),
            None => bail!("berthd did not end on SIGTERM:\n{}", self.log()),
        }
    }

    /// Our command line, pointed at this daemon.
    pub fn berth_command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Command> {
        self.client(&programs::program("berth")?, args)
    }

    /// Docker's command line, pointed at this daemon.
    pub fn docker_command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Command> {
        self.client(&programs::docker_client()?, args)
    }

    fn client<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, program: &Path, args: I) -> Result<Command> {
        let mut command = programs::command(program, args);
        command.env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", self.root().join("client"));
        Ok(command)
    }

    /// Runs `berth` with `args`.
    pub fn berth<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Ran> {
        programs::run(&mut self.berth_command(args)?)
    }

    /// Runs the real `docker` with `args`.
    pub fn docker<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Ran> {
        programs::run(&mut self.docker_command(args)?)
    }

    /// Loads an image made on the spot; gives its id.
    pub fn load(&self, image: &image::Image, tag: &str) -> Result<String> {
        let archive = tempfile::NamedTempFile::new_in(self.root())?;
        let id = image.save(archive.path(), tag)?;
        self.berth([OsStr::new("load"), OsStr::new("-i"), archive.path().as_os_str()])?.ok()?;
        Ok(id)
    }

    /// Removes every container, ends the daemon, and checks that nothing of it is left on the machine.
    pub fn finish(mut self) -> Result<()> {
        if self.daemon.is_none() {
            self.spawn()?;
        }
        let containers = self.berth(["ps", "-aq", "--no-trunc"])?.ok()?;
        if !containers.is_empty() {
            self.berth(["rm", "-f", "-v"].into_iter().chain(containers.lines()))?.ok()?;
        }
        leaks::no_container(&self)?;
        self.terminate()?;
        leaks::nothing(&self)
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        if std::thread::panicking() || std::env::var_os("BERTH_TEST_LOG").is_some() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), self.log().as_bytes());
        }
        // A test that failed half-way must not leave containers on the machine either.
        if let Ok(ran) = self.berth(["ps", "-aq"]) {
            let _ = self.berth(["rm", "-f", "-v"].into_iter().chain(ran.stdout.lines()));
        }
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&daemon),
            rustix::process::Signal::TERM,
        );
        let _ = programs::wait(&mut daemon, PATIENCE);
        leaks::kill_all_below(self.root());
    }
}

/// One byte means ready; end of file means that the daemon ended before.
fn wait_ready(mut pipe: impl Read + AsFd) -> Result<()> {
    let mut polled = [rustix::event::PollFd::new(&pipe, rustix::event::PollFlags::IN)];
    let timeout =
        rustix::event::Timespec { tv_sec: programs::patient(STARTING).as_secs() as i64, tv_nsec: 0 };
    if rustix::event::poll(&mut polled, Some(&timeout))? == 0 {
        bail!("nothing heard within {STARTING:?}");
    }
    let mut byte = [0];
    pipe.read_exact(&mut byte).context("berthd ended")?;
    Ok(())
}
