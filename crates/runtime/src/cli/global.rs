//! The flags before the command.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::args::{Flag, Parsed, option, switch};
use super::log::{Format, Log};

pub(crate) const FLAGS: &[Flag] = &[
    switch("debug", "", "write debug messages to the log"),
    option("log", "", "FILE", "write the log to FILE instead of stderr"),
    option("log-format", "", "FORMAT", "\"text\" (default) or \"json\""),
    option("root", "", "DIR", "directory for the state of containers (default \"/run/berth-oci\")"),
    switch("systemd-cgroup", "", "let systemd make the cgroups; cgroupsPath is then \"slice:prefix:name\""),
    option("rootless", "", "BOOL", "\"true\", \"false\" or \"auto\": tolerate cgroups that can't be made"),
    option("criu", "", "FILE", "not supported: there are no checkpoints"),
    switch("version", "v", "print the version"),
];

/// What they say.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) root: PathBuf,
    pub(crate) systemd: bool,
    /// Cgroups that an ordinary user can't make are done without.
    pub(crate) rootless: bool,
    /// Where warnings go.
    pub(crate) log: Log,
}

impl Global {
    pub(crate) fn new(parsed: &Parsed, log: &mut Log) -> Result<Self> {
        let format = match parsed.get("log-format") {
            None | Some("text" | "") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => bail!("invalid log-format \"{other}\": must be text or json"),
        };
        log.open(parsed.get("log").filter(|p| !p.is_empty()), format, parsed.has("debug"))?;
        if parsed.get("criu").is_some_and(|program| !program.is_empty()) {
            bail!("--criu is not supported: there are no checkpoints");
        }
        let ordinary = !rustix::process::geteuid().is_root();
        let rootless = match parsed.get("rootless") {
            None | Some("auto" | "") => ordinary,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => bail!("invalid rootless value \"{other}\": must be true, false or auto"),
        };
        let default = || match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(directory) if ordinary => PathBuf::from(directory).join("berth-oci"),
            _ => PathBuf::from("/run/berth-oci"),
        };
        let root = parsed.get("root").filter(|r| !r.is_empty()).map_or_else(default, PathBuf::from);
        Ok(Self { root, systemd: parsed.has("systemd-cgroup"), rootless, log: log.clone() })
    }
}
