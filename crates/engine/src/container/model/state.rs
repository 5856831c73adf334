//! The states of a container; each carries its data, so that no field is valid in one state and rubbish in another.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum State {
    /// Made, not started (or its first start failed).
    Created {
        /// Why the last start failed.
        failure: Option<Failure>,
    },
    /// Its first process runs.
    Running(Running),
    /// Frozen.
    Paused(Running),
    /// Ended; the restart policy starts it again after a delay.
    Restarting(Exited),
    /// Being removed.
    Removing(Exited),
    /// Ended.
    Exited(Exited),
    /// Its removal failed half-way.
    Dead(Exited),
}

/// A running first process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Process id on the host.
    pub pid: u32,
    /// When it was started.
    pub started_at: Timestamp,
}

/// How the last run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exited {
    /// Exit code, or 128 + signal.
    pub code: i32,
    /// `None` = never started.
    pub started_at: Option<Timestamp>,
    /// `None` = never ran.
    pub finished_at: Option<Timestamp>,
    /// The kernel killed something in it for want of memory.
    pub oom_killed: bool,
    /// Why it ended, if not by itself.
    pub error: String,
}

/// A start that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// 126, 127 or 128, as Docker.
    pub code: i32,
    /// Sentence.
    pub error: String,
}

/// A state's bare name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Made, not started.
    Created,
    /// Runs.
    Running,
    /// Frozen.
    Paused,
    /// Between two runs.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Removal failed.
    Dead,
}

impl Status {
    /// Docker's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// The state that Docker calls `name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Created,
            Self::Running,
            Self::Paused,
            Self::Restarting,
            Self::Removing,
            Self::Exited,
            Self::Dead,
        ]
        .into_iter()
        .find(|status| status.name() == name)
    }
}

impl State {
    /// The state's bare name.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Created { .. } => Status::Created,
            Self::Running(_) => Status::Running,
            Self::Paused(_) => Status::Paused,
            Self::Restarting(_) => Status::Restarting,
            Self::Removing(_) => Status::Removing,
            Self::Exited(_) => Status::Exited,
            Self::Dead(_) => Status::Dead,
        }
    }

    /// There is a first process, frozen or not.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        match self {
            Self::Running(run) | Self::Paused(run) => Some(run),
            _ => None,
        }
    }

    /// How the last run ended, where it did.
    #[must_use]
    pub fn exited(&self) -> Option<&Exited> {
        match self {
            Self::Restarting(exit) | Self::Removing(exit) | Self::Exited(exit) | Self::Dead(exit) => {
                Some(exit)
            }
            _ => None,
        }
    }

    /// Docker's `Running`: also true when paused or between two runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Paused(_) | Self::Restarting(_))
    }

    /// Frozen.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        matches!(self, Self::Paused(_))
    }

    /// Between two runs.
    #[must_use]
    pub fn is_restarting(&self) -> bool {
        matches!(self, Self::Restarting(_))
    }

    /// Pid on the host, 0 without a process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().map_or(0, |run| run.pid)
    }

    /// Docker's `ExitCode`: of the last run, or of the failed start.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Created { failure: Some(failure) } => failure.code,
            _ => self.exited().map_or(0, |exit| exit.code),
        }
    }

    /// Docker's `Error`.
    #[must_use]
    pub fn error(&self) -> &str {
        match self {
            Self::Created { failure: Some(failure) } => &failure.error,
            _ => self.exited().map_or("", |exit| &exit.error),
        }
    }

    /// The kernel killed something in it for want of memory.
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        self.exited().is_some_and(|exit| exit.oom_killed)
    }

    /// When the last run began.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Running(run) | Self::Paused(run) => Some(run.started_at),
            _ => self.exited().and_then(|exit| exit.started_at),
        }
    }

    /// When the last run ended.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.exited().and_then(|exit| exit.finished_at)
    }
}
