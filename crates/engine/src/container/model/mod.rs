//! The nouns of a container: plain data, serialised as they stand into our own records.

mod config;
mod host_config;
mod link;
mod mount;
mod network;
mod resources;
mod snapshot;
mod state;

pub use config::{ContainerConfig, Healthcheck};
pub use host_config::{HostConfig, LogConfig, PortBinding, RestartPolicy};
pub use link::Link;
pub use mount::{BindOptions, ImageOptions, Mount, MountKind, MountPoint, TmpfsOptions, VolumeOptions};
pub use network::{Endpoint, EndpointConfig, NetworkSettings, NetworkingConfig};
pub use resources::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};
pub use snapshot::{Container, Health, HealthProbe, HealthStatus};
pub use state::{Exited, Failure, Running, State, Status};
