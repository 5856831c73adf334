//! `exec`: more processes in a running container.

use std::sync::Arc;

use futures_util::StreamExt as _;
use oci_spec::runtime::{BoxBuilder, Process};
use shim::protocol::{AttachRequest, ExecRequest};

use super::attach::{self, Attached};
use super::sessions::Session;
use crate::Engine;
use crate::container::Container;
use crate::container::spec::{self, ExecProcess};
use crate::container::start::exec_identity;
use crate::container::task::{blocking, event, shim_error};
use crate::error::{Error, Result};
use crate::shim::{ShimHandle, stream_pair};

/// What is to be run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecConfig {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// `NAME=value`, over the container's.
    pub env: Vec<String>,
    /// `user[:group]`; empty = the container's.
    pub user: String,
    /// Working directory; empty = the container's.
    pub working_dir: String,
    /// A terminal is allocated.
    pub tty: bool,
    /// Standard input is sent.
    pub attach_stdin: bool,
    /// Standard output is received.
    pub attach_stdout: bool,
    /// Standard error is received.
    pub attach_stderr: bool,
    /// All capabilities.
    pub privileged: bool,
    /// It ends with this daemon: nobody else would wait for it or stop it.
    pub bound: bool,
    /// Keys that detach; `None` = the default.
    pub detach_keys: Option<String>,
    /// Height and width of its terminal at the start.
    pub console_size: Option<[u32; 2]>,
}

/// How it is started.
#[derive(Debug, Clone, Default)]
pub struct ExecStart {
    /// Nobody attaches.
    pub detach: bool,
    /// The output is sent raw, without frames; clients say what the session was made with.
    pub tty: bool,
    /// Height and width of the terminal.
    pub console_size: Option<[u32; 2]>,
}

/// A started session.
pub enum ExecStarted {
    /// It runs by itself.
    Detached,
    /// Its streams.
    Attached(Attached),
}

/// A session, as inspect shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exec {
    /// 64 hex digits.
    pub id: String,
    /// Its container.
    pub container_id: String,
    /// What it runs.
    pub config: ExecConfig,
    /// It runs.
    pub running: bool,
    /// `None` while it has not ended.
    pub exit_code: Option<i32>,
    /// On the host; 0 before its start.
    pub pid: u32,
}

impl Engine {
    /// Prepares a session and gives its id.
    ///
    /// # Errors
    /// No such container; it does not run, or is paused; no command.
    pub async fn exec_create(&self, container: &str, config: ExecConfig) -> Result<String> {
        let asked = container;
        let container = self.0.containers.find(asked)?.snapshot();
        runs(&container, asked)?;
        if config.cmd.first().is_none_or(String::is_empty) {
            return Err(Error::bad_parameter("No exec command specified"));
        }
        attach::detach_keys(config.detach_keys.as_deref())?;
        let id = crate::id::random()?;
        let command = command(&config.cmd);
        self.0.execs.add(Session::new(id.clone(), container.id.clone(), config))?;
        let attribute = ("execID", id.clone());
        self.0.events.publish(event(&container, &format!("exec_create: {command}"), &[attribute]));
        Ok(id)
    }

    /// Starts a session, once.
    ///
    /// # Errors
    /// No such session; already started; the program can't be run.
    pub async fn exec_start(&self, id: &str, options: ExecStart) -> Result<ExecStarted> {
        let session = self.0.execs.find(id)?;
        let entry = self.0.containers.find(&session.container_id)?;
        let container = entry.snapshot();
        runs(&container, &container.id)?;
        let shim = entry.shim().ok_or_else(|| Error::not_running(&container.id))?;
        session.begin()?;
        // before the start, as in Docker: its end may be told at any moment from then on
        let attribute = ("execID", session.id.clone());
        let command = command(&session.config.cmd);
        self.0.events.publish(event(&container, &format!("exec_start: {command}"), &[attribute]));
        let result = self.exec_run(&session, &container, &shim, &options).await;
        if let Err(error) = &result {
            // by the words that Docker looks for, and crun's and youki's; a directory that is not there is another matter
            let text = error.to_string();
            let absent = [
                "executable file not found",
                "no such file",
                "not found in $PATH",
                "not found: No such file",
            ];
            session.failed(if absent.iter().any(|words| text.contains(words)) { 127 } else { 126 });
        }
        result
    }

    async fn exec_run(
        &self,
        session: &Arc<Session>,
        container: &Arc<Container>,
        shim: &ShimHandle,
        options: &ExecStart,
    ) -> Result<ExecStarted> {
        let config = &session.config;
        let process = self.exec_process(container, config, options).await?;
        let attached =
            !options.detach && (config.attach_stdin || config.attach_stdout || config.attach_stderr);
        let (near, far) = if attached {
            let (near, far) = stream_pair().map_err(|error| Error::because("make a stream", error))?;
            (Some(near), Some(far))
        } else {
            (None, None)
        };
        let request = ExecRequest {
            exec_id: session.id.clone(),
            process,
            open_stdin: config.attach_stdin && !options.detach,
            attach: attached.then(|| AttachRequest {
                exec_id: Some(session.id.clone()),
                stdin: config.attach_stdin,
                stdout: config.attach_stdout,
                stderr: config.attach_stderr,
                detach_keys: attach::detach_keys(config.detach_keys.as_deref()).unwrap_or_default(),
            }),
            console_size: size(options.console_size.or(config.console_size)),
            bound: config.bound,
        };
        let what = || "OCI runtime exec failed".to_owned();
        let created = shim.exec(request, far).await.map_err(|error| shim_error(what(), error))?;
        session.runs(u32::try_from(created.pid).unwrap_or_default());
        Ok(match near {
            Some(near) => {
                let mut attached = attach::connected(near, config.tty, config.attach_stdin, None);
                let session = Arc::clone(session);
                let left = futures_util::stream::once(async move { session.left().await });
                // as Docker: the starter says how the output is framed, whatever the session was made with
                attached.tty = options.tty;
                attached.output = attached.output.chain(left.filter_map(|()| async { None })).boxed();
                ExecStarted::Attached(attached)
            }
            None => ExecStarted::Detached,
        })
    }

    async fn exec_process(
        &self,
        container: &Arc<Container>,
        config: &ExecConfig,
        options: &ExecStart,
    ) -> Result<Process> {
        let user = if config.user.is_empty() { container.config.user.clone() } else { config.user.clone() };
        // an explicit user comes without the container's additional groups, as Docker does it
        let groups = container.host.group_add.clone();
        let pid = container.state.pid();
        let user = blocking(move || exec_identity(pid, &user, &groups)).await?;
        let security = self.0.security(&container.host)?;
        // one that does not run just now can't be told of
        let linked = crate::container::links::environment(&self.0, container).unwrap_or_default();
        let mut process = spec::exec(&ExecProcess {
            container,
            config,
            user: &user,
            security: &security,
            labels: &self.0.selinux.labels(container),
            default_ulimits: &self.0.config.default_ulimits,
            linked: &linked,
        })?;
        if let Some((rows, columns)) = size(options.console_size.or(config.console_size)) {
            let size = BoxBuilder::default().height(u64::from(rows)).width(u64::from(columns)).build();
            process.set_console_size(Some(spec::built(size)?));
        }
        Ok(process)
    }

    /// A session's state.
    ///
    /// # Errors
    /// No such session.
    pub fn exec_inspect(&self, id: &str) -> Result<Exec> {
        Ok(self.0.execs.find(id)?.describe())
    }

    /// Sets the size of a session's terminal.
    ///
    /// # Errors
    /// No such session; it does not run.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let session = self.0.execs.find(id)?;
        if !session.describe().running {
            return Err(Error::conflict(format!("exec process {id} is not running")));
        }
        let shim = self.exec_shim(&session)?;
        let what = || format!("resize exec {id}");
        shim.resize(Some(&session.id), height, width).await.map_err(|error| shim_error(what(), error))
    }

    /// Waits for a session's end; its exit code, if it is known.
    pub(crate) async fn exec_wait(&self, id: &str) -> Option<i32> {
        self.0.execs.find(id).ok()?.wait().await
    }

    /// Sends a signal to a session's process; one that has ended is fine.
    pub(crate) async fn exec_kill(&self, id: &str, signal: i32) {
        let Ok(session) = self.0.execs.find(id) else { return };
        if let Ok(shim) = self.exec_shim(&session) {
            // it may have ended just now
            let _ = shim.kill_exec(&session.id, signal).await;
        }
    }

    fn exec_shim(&self, session: &Session) -> Result<ShimHandle> {
        let entry = self.0.containers.find(&session.container_id)?;
        entry.shim().ok_or_else(|| Error::not_running(&session.container_id))
    }
}

/// Program and arguments as Docker's events have them: the program is followed by a space, whatever comes behind.
fn command(words: &[String]) -> String {
    let (program, arguments) =
        words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    format!("{program} {}", arguments.join(" "))
}

fn size(size: Option<[u32; 2]>) -> Option<(u16, u16)> {
    let [rows, columns] = size.filter(|size| *size != [0, 0])?;
    Some((u16::try_from(rows).unwrap_or(u16::MAX), u16::try_from(columns).unwrap_or(u16::MAX)))
}

/// Sessions need a container that runs and is not frozen; `asked` is how its client calls it.
fn runs(container: &Container, asked: &str) -> Result<()> {
    if container.state.is_paused() {
        return Err(Error::conflict(format!(
            "Container {asked} is paused, unpause the container before exec"
        )));
    }
    if container.state.is_restarting() {
        return Err(Error::conflict(format!(
            "Container {} is restarting, wait until the container is running",
            container.id
        )));
    }
    if container.state.running().is_none() {
        return Err(Error::not_running(&container.id));
    }
    Ok(())
}
