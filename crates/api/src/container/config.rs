//! What runs in a container, apart from the host it runs on.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use super::PortSet;
use crate::wire::{StringSet, Words, null_if_empty, null_if_empty_map};

wire! {
    /// `ContainerConfig`; also the `Config` of an image.
    #[serde(rename_all = "PascalCase")]
    pub struct Config {
        pub hostname: String,
        pub domainname: String,
        pub user: String,
        pub attach_stdin: bool,
        pub attach_stdout: bool,
        pub attach_stderr: bool,
        #[serde(skip_serializing_if = "PortSet::is_empty")]
        pub exposed_ports: PortSet,
        pub tty: bool,
        pub open_stdin: bool,
        pub stdin_once: bool,
        #[serde(serialize_with = "null_if_empty")]
        pub env: Vec<String>,
        /// The command; a single string is read as a list of one.
        pub cmd: Words,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<HealthConfig>,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub args_escaped: bool,
        pub image: String,
        #[serde(serialize_with = "null_if_empty_map")]
        pub volumes: StringSet,
        pub working_dir: String,
        /// `None` takes the image's; an empty list removes it.
        pub entrypoint: Words,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub network_disabled: bool,
        /// Deprecated since 1.44: wished in the endpoint instead.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub mac_address: String,
        #[serde(serialize_with = "null_if_empty")]
        pub on_build: Vec<String>,
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub stop_signal: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stop_timeout: Option<i64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub shell: Vec<String>,
    }

    /// How a container's health is probed; times in nanoseconds, 0 = inherit.
    #[serde(rename_all = "PascalCase")]
    pub struct HealthConfig {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub test: Vec<String>,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub interval: i64,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub timeout: i64,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub start_period: i64,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub start_interval: i64,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub retries: i64,
    }

    /// What the probes have said.
    #[serde(rename_all = "PascalCase")]
    pub struct Health {
        pub status: String,
        pub failing_streak: i64,
        pub log: Vec<HealthResult>,
    }

    /// One probe.
    #[serde(rename_all = "PascalCase")]
    pub struct HealthResult {
        pub start: String,
        pub end: String,
        pub exit_code: i64,
        pub output: String,
    }
}
