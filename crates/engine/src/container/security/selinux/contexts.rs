//! What containers' processes and files are called in the policy, as whoever made that has written it down.

use std::io::ErrorKind;
use std::path::PathBuf;

use sys::selinux::Context;

use crate::error::{Error, Result};

/// Where the distribution's policy of containers says it, since it is a package of its own.
const OF_CONTAINERS: &str = "/usr/share/containers/selinux/contexts";
/// Which policy is loaded: `SELINUXTYPE=…`.
const CONFIG: &str = "/etc/selinux/config";
const POLICIES: &str = "/etc/selinux";
/// Within a policy's directory.
const FILES: [&str; 2] = ["contexts/container_contexts", "contexts/lxc_contexts"];
/// Longest file, bytes.
const MOST: usize = 64 << 10;

const PROCESS: &str = "system_u:system_r:container_t:s0";
const FILE: &str = "system_u:object_r:container_file_t:s0";
const LAYERS: &str = "system_u:object_r:container_ro_file_t:s0";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contexts {
    pub(super) process: Context,
    pub(super) file: Context,
    /// Of layers on the disk: all containers may read and execute such files.
    pub(super) layers: Context,
}

impl Contexts {
    /// Reads the first file that is there, or takes what container-selinux says.
    ///
    /// # Errors
    /// A file has something wrong.
    pub(super) fn read() -> Result<Self> {
        let kind = text(&CONFIG.into())?.as_deref().and_then(|text| value(text, "SELINUXTYPE"));
        let policy = PathBuf::from(POLICIES).join(kind.unwrap_or_else(|| "targeted".to_owned()));
        let files = FILES.iter().map(|file| policy.join(file));
        for path in std::iter::once(PathBuf::from(OF_CONTAINERS)).chain(files) {
            if let Some(text) = text(&path)? {
                return Self::parse(&text).map_err(|error| error.context(path.display().to_string()));
            }
        }
        Self::parse("")
    }

    /// Lines `key = "context"`.
    fn parse(text: &str) -> Result<Self> {
        let context = |key: &str, default: &str| {
            let found = value(text, key).unwrap_or_else(|| default.to_owned());
            found.parse().map_err(|error| Error::bad_parameter(format!("{key}: {error}")))
        };
        Ok(Self {
            process: context("process", PROCESS)?,
            file: context("file", FILE)?,
            layers: context("ro_file", LAYERS)?,
        })
    }
}

/// A file's text; `None` if there is none.
fn text(path: &PathBuf) -> Result<Option<String>> {
    match sys::file::read_bounded(path, MOST) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::because(format!("read {}", path.display()), error)),
    }
}

/// What a line says of a key; the last one counts.
fn value(text: &str, key: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let mut said = lines.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
    });
    said.next_back().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_contexts() {
        let text = "# of Fedora\nprocess = \"system_u:system_r:container_t:s0\"\n; no\n\
                    file=\"system_u:object_r:my_file_t:s0\"\nro_file=\"system_u:object_r:my_ro_t:s0\"\n";
        let contexts = Contexts::parse(text).unwrap();
        assert_eq!(contexts.process.to_string(), PROCESS);
        assert_eq!((contexts.file.kind.as_str(), contexts.layers.kind.as_str()), ("my_file_t", "my_ro_t"));
        assert_eq!(Contexts::parse("").unwrap().file.to_string(), FILE);
        let error = Contexts::parse("process = \"nonsense\"").unwrap_err().to_string();
        assert!(error.starts_with("process: \"nonsense\" is no SELinux context"), "{error}");
    }

    #[test]
    fn the_last_word_counts() {
        let config = "SELINUX=enforcing\n# SELINUXTYPE=mls\nSELINUXTYPE=minimum\nSELINUXTYPE=default\n";
        assert_eq!(value(config, "SELINUXTYPE").as_deref(), Some("default"));
        assert_eq!(value(config, "NOTHING"), None);
    }
}
