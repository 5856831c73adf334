//! AppArmor: whether this host has it, and the profile of containers, loaded when it is needed.

mod profile;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

pub(crate) use profile::NAME as DEFAULT;

/// What stands for no profile.
pub(crate) const UNCONFINED: &str = "unconfined";
/// Profiles that the kernel has, a line each: `name (mode)`.
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
/// The compiler, where Debian, Ubuntu and openSUSE have it.
const COMPILERS: &[&str] = &["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];
/// Bytes of the list of profiles that are read; snapd loads thousands.
const MOST: usize = 4 << 20;

/// One at a time loads.
static LOADING: Mutex<()> = Mutex::new(());

/// Whether containers are confined on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AppArmor(bool);

impl AppArmor {
    /// A host without it.
    pub(crate) const ABSENT: Self = Self(false);
    /// A host that has it.
    #[cfg(test)]
    pub(crate) const PRESENT: Self = Self(true);

    /// Looks whether the kernel enforces profiles, and begins to load the default one: the compiler takes longer than all
    /// else that a daemon's start does, and only a container's start waits for it, which also hears if it fails.
    ///
    /// Like Docker, a host without the compiler counts as one without AppArmor, unless somebody else has loaded the
    /// profile: containers could not be confined.
    pub(crate) fn open() -> Self {
        let enabled = std::fs::read("/sys/module/apparmor/parameters/enabled")
            .is_ok_and(|text| text.starts_with(b"Y"))
            && Path::new(LOADED).exists();
        if !enabled {
            return Self(false);
        }
        if compiler().is_none() && !is_loaded() {
            tracing::warn!(
                "containers are not confined by AppArmor: the kernel has it, but apparmor_parser is not there (package apparmor)"
            );
            return Self(false);
        }
        std::thread::spawn(|| {
            if let Err(error) = Self(true).ensure(DEFAULT) {
                tracing::warn!(%error, "containers can't be started");
            }
        });
        Self(true)
    }

    /// Whether profiles are enforced.
    pub(crate) fn is_enabled(self) -> bool {
        self.0
    }

    /// Loads `name` again if it is the default profile and somebody has removed it; others are for who named them.
    /// Blocks.
    ///
    /// # Errors
    /// The profile can't be loaded.
    pub(crate) fn ensure(self, name: &str) -> Result<()> {
        if !self.0 || name != DEFAULT || is_loaded() {
            return Ok(());
        }
        let _one = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if is_loaded() {
            return Ok(());
        }
        let own = std::fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
        let own = own.trim_end_matches(['\0', '\n']).rsplit_once(" (").map(|(name, _mode)| name);
        let text = profile::text(own).map_err(|name| {
            Error::system(format!(
                "load AppArmor profile {DEFAULT}: the daemon's own profile has an odd name: {name:?}"
            ))
        })?;
        load(&text)
    }
}

fn compiler() -> Option<&'static str> {
    COMPILERS.iter().copied().find(|path| Path::new(path).exists())
}

fn is_loaded() -> bool {
    let list = sys::file::read_bounded(Path::new(LOADED), MOST).unwrap_or_default();
    list.split(|byte| *byte == b'\n')
        .any(|line| line.strip_prefix(DEFAULT.as_bytes()).is_some_and(|rest| rest.starts_with(b" (")))
}

/// Compiles a profile and gives it to the kernel: `apparmor_parser`'s work, as nothing else knows the kernel's tables.
fn load(text: &str) -> Result<()> {
    let because = |error: std::io::Error| Error::because(format!("load AppArmor profile {DEFAULT}"), error);
    let program = compiler().ok_or_else(|| {
        Error::system(format!("load AppArmor profile {DEFAULT}: apparmor_parser is not there"))
    })?;
    let mut child = Command::new(program)
        .args(["--replace", "--skip-cache"])
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(because)?;
    if let Some(mut input) = child.stdin.take() {
        // it tells itself why it reads no further
        let _ = input.write_all(text.as_bytes());
    }
    let out = child.wait_with_output().map_err(because)?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(Error::system(format!(
            "load AppArmor profile {DEFAULT}: {program} ended with {}: {}",
            out.status,
            said.trim()
        )));
    }
    tracing::info!(profile = DEFAULT, "AppArmor profile loaded");
    Ok(())
}
