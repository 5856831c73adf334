//! Namespace modes: Docker's words as values.

use crate::error::{Error, Result};

/// Whose namespace a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceMode {
    /// Its own.
    Private,
    /// The host's.
    Host,
    /// Another container's, by name or id.
    Container(String),
}

/// Whose IPC namespace and `/dev/shm` a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpcMode {
    /// Its own, without `/dev/shm`.
    None,
    /// Its own.
    Private,
    /// Its own, which others may join.
    Shareable,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
}

/// Which network a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// The default bridge.
    Bridge,
    /// Loopback only.
    None,
    /// The host's.
    Host,
    /// Another container's.
    Container(String),
    /// A network made by a person.
    Custom(String),
}

impl NetworkMode {
    /// Parses `HostConfig.NetworkMode`.
    ///
    /// # Errors
    /// `container:` without a name.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "" | "default" | "bridge" => Self::Bridge,
            "none" => Self::None,
            "host" => Self::Host,
            other => match other.strip_prefix("container:") {
                Some("") => return Err(Error::bad_parameter("invalid container format container:<name|id>")),
                Some(name) => Self::Container(name.to_owned()),
                None => Self::Custom(other.to_owned()),
            },
        })
    }

    /// The namespace is made for this container.
    #[must_use]
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Host | Self::Container(_))
    }
}

/// Parses `HostConfig.PidMode`.
///
/// # Errors
/// Another word.
pub fn parse_pid(text: &str) -> Result<NamespaceMode> {
    match text {
        "" => Ok(NamespaceMode::Private),
        "host" => Ok(NamespaceMode::Host),
        other => match other.strip_prefix("container:") {
            Some(name) if !name.is_empty() => Ok(NamespaceMode::Container(name.to_owned())),
            _ => Err(Error::bad_parameter(format!("invalid PID mode: {text}"))),
        },
    }
}

/// Parses `HostConfig.IpcMode`; empty = `default`.
///
/// # Errors
/// Another word.
pub fn parse_ipc(text: &str, default: &str) -> Result<IpcMode> {
    let text = if text.is_empty() { default } else { text };
    match text {
        "" | "private" => Ok(IpcMode::Private),
        "none" => Ok(IpcMode::None),
        "shareable" => Ok(IpcMode::Shareable),
        "host" => Ok(IpcMode::Host),
        other => match other.strip_prefix("container:") {
            Some(name) if !name.is_empty() => Ok(IpcMode::Container(name.to_owned())),
            _ => Err(Error::bad_parameter(format!("invalid IPC mode: {text}"))),
        },
    }
}

/// Parses `UTSMode`: only the host's can be asked for. `what` is the mode's name in the sentence.
///
/// # Errors
/// Another word.
pub fn parse_host_only(what: &str, text: &str) -> Result<NamespaceMode> {
    match text {
        "" => Ok(NamespaceMode::Private),
        "host" => Ok(NamespaceMode::Host),
        _ => Err(Error::bad_parameter(format!("invalid {what} mode: {text}"))),
    }
}

/// Parses `CgroupnsMode`; empty = `default`, and without that private on cgroup v2 and host on v1, as Docker.
///
/// # Errors
/// Another word.
pub fn parse_cgroupns(text: &str, default: &str, cgroup_v2: bool) -> Result<NamespaceMode> {
    match if text.is_empty() { default } else { text } {
        "" if cgroup_v2 => Ok(NamespaceMode::Private),
        "private" => Ok(NamespaceMode::Private),
        "" | "host" => Ok(NamespaceMode::Host),
        _ => Err(Error::bad_parameter(format!("invalid cgroup namespace mode: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_docker_reads_them() {
        assert_eq!(NetworkMode::parse("default").unwrap(), NetworkMode::Bridge);
        assert_eq!(NetworkMode::parse("container:a").unwrap(), NetworkMode::Container("a".into()));
        assert!(NetworkMode::parse("container:").is_err());
        assert_eq!(parse_ipc("", "shareable").unwrap(), IpcMode::Shareable);
        assert!(parse_pid("private").is_err());
        assert_eq!(parse_cgroupns("", "", false).unwrap(), NamespaceMode::Host);
        assert_eq!(parse_cgroupns("", "", true).unwrap(), NamespaceMode::Private);
    }
}
