//! The file that holds the daemon's process id, for tools that look there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

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
            && sys::process::is_alive(pid)
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
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&ended);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, None).unwrap();
        fs::write(&path, ended.id().to_string()).unwrap();
        assert!(Pidfile::write(&path).is_ok(), "a zombie is taken for a running daemon");
        ended.wait().unwrap();
    }
}
