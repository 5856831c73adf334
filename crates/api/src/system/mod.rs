//! The daemon itself.

mod df;
mod info;
mod version;

pub use df::{BuildCache, DataRoot, DiskUsage, Usage};
pub use info::{
    AddressPool, Commit, ContainerdInfo, ContainerdNamespaces, FirewallInfo, IndexInfo, Info, PluginsInfo,
    RegistryConfig, Runtime, SwarmInfo,
};
pub use version::{Component, Platform, VersionResponse};
