//! One line of `GET /containers/json`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::image::Descriptor;
use crate::network::EndpointSettings;
use crate::wire::is_default;

use super::MountPoint;

wire! {
    /// A container in a list.
    #[serde(rename_all = "PascalCase")]
    pub struct Summary {
        pub id: String,
        pub names: Vec<String>,
        pub image: String,
        #[serde(rename = "ImageID")]
        pub image_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_manifest_descriptor: Option<Descriptor>,
        pub command: String,
        /// Seconds since the epoch.
        pub created: i64,
        pub ports: Vec<Port>,
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: i64,
        /// Our own, in `GET /system/df`: bytes of its logs.
        #[serde(skip_serializing_if = "is_default")]
        pub size_logs: i64,
        pub labels: BTreeMap<String, String>,
        pub state: String,
        pub status: String,
        pub host_config: HostConfigSummary,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<HealthSummary>,
        pub network_settings: NetworkSettingsSummary,
        pub mounts: Vec<MountPoint>,
    }

    /// A port of a container, and the one of the host that leads to it.
    pub struct Port {
        #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
        pub ip: String,
        #[serde(rename = "PrivatePort")]
        pub private_port: u16,
        #[serde(rename = "PublicPort", skip_serializing_if = "is_default")]
        pub public_port: u16,
        #[serde(rename = "Type")]
        pub kind: String,
    }

    /// The part of `HostConfig` that a list shows.
    #[serde(rename_all = "PascalCase")]
    pub struct HostConfigSummary {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub network_mode: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub annotations: BTreeMap<String, String>,
    }

    /// The part of `NetworkSettings` that a list shows.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkSettingsSummary {
        pub networks: BTreeMap<String, EndpointSettings>,
    }

    /// The part of `Health` that a list shows (since API 1.52).
    #[serde(rename_all = "PascalCase")]
    pub struct HealthSummary {
        pub status: String,
        pub failing_streak: i64,
    }
}
