//! A container as list and inspect see it: one immutable value, replaced whole at every change.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::ContainerConfig;
use super::host_config::HostConfig;
use super::link::Link;
use super::mount::MountPoint;
use super::network::{NetworkSettings, NetworkingConfig};
use super::state::State;
use crate::userns::IdMap;

/// Everything known about a container at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// Name without the slash.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Image's id, `sha256:…`.
    pub image_id: String,
    /// Operating system of the image.
    pub os: String,
    /// Program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Portable half, merged with the image's.
    pub config: Arc<ContainerConfig>,
    /// This host's half, completed with the daemon's defaults.
    pub host: Arc<HostConfig>,
    /// What was asked of networks.
    pub networking: Arc<NetworkingConfig>,
    /// Where it is in its life.
    pub state: State,
    /// Ends that the restart policy has followed with a restart, since the last start by hand.
    pub restart_count: u32,
    /// Number of the present run, or of the last: each start takes the next one. What a shim says of a run with a higher
    /// number is news, of this one has been counted or is being waited for, and of a lower one is history.
    #[serde(default)]
    pub run: u64,
    /// A person has sent it a signal since its last start: `unless-stopped` leaves it at its end.
    pub stopped_by_hand: bool,
    /// The signal was one that stops it: no policy follows this run's end.
    #[serde(default)]
    pub restart_cancelled: bool,
    /// Networks it has got.
    pub network: NetworkSettings,
    /// Mounts.
    pub mounts: Vec<MountPoint>,
    /// Storage driver of its root.
    pub storage_driver: String,
    /// Health, when a check is configured.
    pub health: Option<Health>,
    /// Its log, for drivers that write a file.
    pub log_path: Option<PathBuf>,
    /// Generated `/etc/hostname`.
    pub hostname_path: PathBuf,
    /// Generated `/etc/hosts`.
    pub hosts_path: PathBuf,
    /// Generated `/etc/resolv.conf`.
    pub resolv_conf_path: PathBuf,
    /// Legacy links to others.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Its first process is systemd: see [`crate::container::system`].
    #[serde(default)]
    pub system: bool,
    /// The ids that it has on the host, when it has a user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<IdMap>,
    /// SELinux's label of its processes; empty = none of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub process_label: String,
    /// SELinux's label of its files; empty where containers had no labels when it was made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mount_label: String,
    /// Exec sessions that have not ended.
    #[serde(skip)]
    pub exec_ids: Vec<String>,
}

/// Health of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last probes, oldest first.
    pub log: Vec<HealthProbe>,
}

/// Verdict on health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    /// No verdict yet.
    Starting,
    /// The last probe was good.
    Healthy,
    /// Too many failures in a row.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthProbe {
    /// Began.
    pub start: Timestamp,
    /// Ended.
    pub end: Timestamp,
    /// Its exit code; -1 when it timed out or did not start.
    pub exit_code: i32,
    /// The first 4 KiB that it wrote.
    pub output: String,
}

impl Container {
    /// First 12 digits of the id.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// SELinux's label of its processes; a privileged container's have none, whatever was asked for, as in Docker.
    #[must_use]
    pub fn shown_process_label(&self) -> &str {
        if self.host.privileged { "" } else { &self.process_label }
    }
}
