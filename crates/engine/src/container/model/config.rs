//! What runs in a container: the image's defaults and the request, merged.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Docker's `Config`: the portable half of a container's description.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerConfig {
    /// Image as it was asked for (`alpine:3.20`, an id, a digest reference).
    pub image: String,
    /// Host name inside; empty = first 12 digits of the id.
    pub hostname: String,
    /// NIS domain name inside.
    pub domainname: String,
    /// `user[:group]`, names or numbers; empty = root.
    pub user: String,
    /// Working directory inside; empty = `/`.
    pub working_dir: String,
    /// Program and leading arguments; `None` = the image's. An empty list resets the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments (or program, without an entrypoint); `None` = the image's.
    pub cmd: Option<Vec<String>>,
    /// `cmd` is already escaped (Windows only; kept for inspect).
    pub args_escaped: bool,
    /// `NAME=value`; a bare `NAME` removes the image's value.
    pub env: Vec<String>,
    /// A terminal is allocated.
    pub tty: bool,
    /// Standard input stays open.
    pub open_stdin: bool,
    /// Standard input closes when the first attached client leaves.
    pub stdin_once: bool,
    /// The creating client means to attach to standard input.
    pub attach_stdin: bool,
    /// The creating client means to attach to standard output.
    pub attach_stdout: bool,
    /// The creating client means to attach to standard error.
    pub attach_stderr: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Exposed ports, `80/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Paths that are to be anonymous volumes.
    pub volumes: BTreeSet<String>,
    /// Health check; `None` = the image's.
    pub healthcheck: Option<Healthcheck>,
    /// Signal that `stop` sends; empty = SIGTERM.
    pub stop_signal: String,
    /// Seconds that `stop` waits; `None` = 10, -1 = for ever.
    pub stop_timeout: Option<i64>,
    /// Shell of shell-form commands.
    pub shell: Vec<String>,
    /// Build triggers (kept for inspect and commit).
    pub on_build: Vec<String>,
    /// No network at all (`NetworkDisabled`).
    pub network_disabled: bool,
    /// MAC address asked for by clients before API 1.44.
    pub mac_address: String,
}

/// A health check. Durations are nanoseconds; 0 = the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// `[]` inherit, `["NONE"]` off, `["CMD", …]`, `["CMD-SHELL", command]`.
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: i64,
    /// Time after which a check has failed.
    pub timeout: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
    /// Time in which failures don't count.
    pub start_period: i64,
    /// Time between checks in the start period.
    pub start_interval: i64,
}
