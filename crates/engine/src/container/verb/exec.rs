//! `exec`: more processes in a running container.

use super::attach::Attached;
use crate::Engine;
use crate::error::{Error, Result};

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
    /// The starter's word for `tty`; must agree with the session's.
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
    pub async fn exec_create(&self, container: &str, _config: ExecConfig) -> Result<String> {
        Err(Error::no_such_container(container))
    }

    /// Starts a session, once.
    ///
    /// # Errors
    /// No such session; already started; the program can't be run.
    pub async fn exec_start(&self, id: &str, _options: ExecStart) -> Result<ExecStarted> {
        Err(Error::no_such_exec(id))
    }

    /// A session's state.
    ///
    /// # Errors
    /// No such session.
    pub fn exec_inspect(&self, id: &str) -> Result<Exec> {
        Err(Error::no_such_exec(id))
    }

    /// Sets the size of a session's terminal.
    ///
    /// # Errors
    /// No such session; it does not run.
    pub async fn exec_resize(&self, id: &str, _height: u16, _width: u16) -> Result<()> {
        Err(Error::no_such_exec(id))
    }
}
