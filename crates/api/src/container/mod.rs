//! Containers: what is asked, and what is answered.

mod config;
mod create;
mod host_config;
mod inspect;
mod mount;
mod network;
mod ports;
mod resources;
mod stats;
mod summary;
mod verbs;

pub use config::{Config, Health, HealthConfig, HealthResult};
pub use create::{CreateRequest, CreateResponse};
pub use host_config::{HostConfig, LogConfig, PortBinding, RestartPolicy};
pub use inspect::{InspectResponse, State};
pub use mount::{BindOptions, DriverConfig, ImageOptions, Mount, MountPoint, TmpfsOptions, VolumeOptions};
pub use network::{Address, NetworkSettings};
pub use ports::{PortMap, PortSet};
pub use resources::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, StatsResponse,
    StorageStats, ThrottlingData,
};
pub use summary::{HealthSummary, HostConfigSummary, NetworkSettingsSummary, Port, Summary};
pub use verbs::{
    ChangeItem, Checkpoint, CheckpointRequest, PathStat, PruneResponse, TopResponse, UpdateRequest,
    UpdateResponse, WaitError, WaitResponse,
};
