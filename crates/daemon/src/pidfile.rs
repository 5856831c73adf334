//! The file that holds the daemon's process id, for tools that look there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, test_kill_process};

/// The file, removed when this is dropped.
pub(crate) struct Pidfile {
    path: PathBuf,
}

impl Pidfile {
    /// Writes the file.
    ///
    /// # Errors
    /// Another process that lives has written it.
    pub(crate) fn write(path: &Path) -> Result<Self> {
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok())
            && pid.unsigned_abs() != std::process::id()
            && Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
        {
            bail!("process with PID {pid} is still running: {} says so", path.display());
        }
        let what = || format!("cannot write {}", path.display());
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(what)?;
        }
        fs::write(path, std::process::id().to_string()).with_context(what)?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_respected_and_the_dead_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run").join("pid");
        drop(Pidfile::write(&path).unwrap());
        assert!(!path.exists());
        fs::write(&path, "1").unwrap();
        assert!(Pidfile::write(&path).err().unwrap().to_string().contains("PID 1 is still running"));
        fs::write(&path, "2147483646").unwrap();
        assert!(Pidfile::write(&path).is_ok());
    }
}
