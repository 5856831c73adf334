//! The image config: what runs, on what, and how the image came to be. Its digest is the image's id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::{MAX_DOCUMENT, MAX_LAYERS};
use crate::{Digest, Platform, serde_null};

/// Why bytes are no image config.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No JSON, or a field of a wrong type.
    #[error("invalid image config: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than [`MAX_DOCUMENT`].
    #[error("image config of {0} bytes is larger than the limit of {MAX_DOCUMENT}")]
    TooLarge(usize),
    /// `rootfs` is not of type `layers`.
    #[error("invalid image config: rootfs type {0:?} is not supported")]
    RootFs(String),
    /// More layers than any kernel can stack.
    #[error("max depth exceeded: the image has {0} layers, the limit is {MAX_LAYERS}")]
    TooManyLayers(usize),
}

/// An image config with the bytes it was read from and its id.
#[derive(Clone, Debug)]
pub struct Image {
    id: Digest,
    raw: Vec<u8>,
    config: ImageConfig,
}

impl Image {
    /// Reads a config. The id is the SHA-256 of exactly these bytes.
    ///
    /// # Errors
    /// [`ImageError`], naming what is wrong.
    pub fn parse(raw: Vec<u8>) -> Result<Self, ImageError> {
        if raw.len() as u64 > MAX_DOCUMENT {
            return Err(ImageError::TooLarge(raw.len()));
        }
        let config: ImageConfig = serde_json::from_slice(&raw)?;
        let root_fs = &config.rootfs;
        if !root_fs.kind.is_empty() && root_fs.kind != "layers" {
            return Err(ImageError::RootFs(root_fs.kind.clone()));
        }
        if root_fs.diff_ids.len() > MAX_LAYERS {
            return Err(ImageError::TooManyLayers(root_fs.diff_ids.len()));
        }
        Ok(Self { id: Digest::sha256(&raw), raw, config })
    }

    /// Encodes a new config.
    ///
    /// # Errors
    /// When it is larger than a config may be.
    pub fn encode(config: &ImageConfig) -> Result<Self, ImageError> {
        Self::parse(serde_json::to_vec(config)?)
    }

    /// The image's id.
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// The exact bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The fields.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// The layers' diffIDs, lowest first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// The platform that the config names; an empty `os` means `linux`, as in Docker.
    pub fn platform(&self) -> Platform {
        let config = &self.config;
        Platform {
            architecture: config.architecture.clone(),
            os: if config.os.is_empty() { "linux".into() } else { config.os.clone() },
            os_version: config.os_version.clone(),
            os_features: config.os_features.clone(),
            variant: config.variant.clone(),
        }
    }
}

/// The fields of an image config: OCI's, and those that Docker adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Processor, in Go's spelling.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub architecture: String,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A remark (Docker).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What a container of this image gets by default.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub config: RunConfig,
    /// The container it was committed from (Docker, before BuildKit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// When, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The version of the engine that made it (Docker).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    /// How it came to be, oldest step first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "serde_null::or_default")]
    pub history: Vec<History>,
    /// Operating system, in Go's spelling.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub os: String,
    /// Version of the operating system.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that are needed.
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "serde_null::or_default"
    )]
    pub os_features: Vec<String>,
    /// The image that this one was made on (Docker's classic builder).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The layers.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub rootfs: RootFs,
    /// Variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What has led to the layers, for other builds (BuildKit's `inline` cache): base64. Anything else counts as none.
    #[serde(
        rename = "moby.buildkit.cache.v0",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text_or_none"
    )]
    pub build_cache: Option<String>,
}

fn text_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(str::to_owned))
}

/// The stack of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default, deserialize_with = "serde_null::or_default")]
    pub kind: String,
    /// Digests of the layers' tars, not compressed, lowest first.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// One step of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The step made no layer.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "serde_null::or_default"
    )]
    pub empty_layer: bool,
}

/// A set written as JSON object with empty objects as values (`ExposedPorts`, `Volumes`).
pub type Set = BTreeMap<String, Empty>;

/// `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Defaults for a container: what Docker calls the container configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// User, or `user:group`, by name or number.
    #[serde(deserialize_with = "serde_null::or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports such as `80/tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<Set>,
    /// `NAME=value`.
    #[serde(deserialize_with = "serde_null::or_default")]
    pub env: Vec<String>,
    /// The program, before `cmd`.
    #[serde(deserialize_with = "serde_null::words")]
    pub entrypoint: Option<Vec<String>>,
    /// The default arguments, or the program when there is no entry point.
    #[serde(deserialize_with = "serde_null::words")]
    pub cmd: Option<Vec<String>>,
    /// How to probe the container's health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `cmd` is already escaped (Windows).
    #[serde(deserialize_with = "serde_null::or_default", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// Paths that get an anonymous volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Set>,
    /// Where the program starts.
    #[serde(deserialize_with = "serde_null::or_default")]
    pub working_dir: String,
    /// No network by default.
    #[serde(deserialize_with = "serde_null::or_default", skip_serializing_if = "std::ops::Not::not")]
    pub network_disabled: bool,
    /// Instructions for a build that starts from this image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Signal that asks the program to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// Shell of the shell form.
    #[serde(deserialize_with = "serde_null::words", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Allocate a terminal (Docker; seldom set in an image).
    #[serde(deserialize_with = "serde_null::or_default", skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    /// Keep standard input open (Docker; seldom set in an image).
    #[serde(deserialize_with = "serde_null::or_default", skip_serializing_if = "std::ops::Not::not")]
    pub open_stdin: bool,
}

/// A health check; durations in nanoseconds, 0 = inherit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`; empty = inherit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Nanoseconds between two probes.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Nanoseconds until a probe counts as failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Nanoseconds during which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Nanoseconds between two probes during the start period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_writes() {
        let raw = br#"{"architecture":"amd64","config":{"Env":null,"Cmd":["sh"],"Entrypoint":null,"Volumes":null,
            "ExposedPorts":{"80/tcp":{}},"Shell":"bash"},"history":null,"os":"linux",
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
        let image = Image::parse(raw.to_vec()).unwrap();
        assert_eq!(image.raw(), raw);
        assert_eq!(image.id(), &Digest::sha256(raw));
        assert_eq!(image.config().config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(image.config().config.shell.as_deref(), Some(&["bash".to_owned()][..]));
        assert_eq!(image.diff_ids().len(), 1);
        let again = Image::encode(image.config()).unwrap();
        assert_eq!(again.config(), image.config());
    }

    #[test]
    fn refuses_foreign_root_file_systems() {
        let raw = br#"{"rootfs":{"type":"layers+base","diff_ids":[]}}"#.to_vec();
        assert!(matches!(Image::parse(raw), Err(ImageError::RootFs(_))));
    }
}
