//! AppArmor profile and SELinux label of the program. The files that take them are opened while the host's procfs is at
//! hand, and written last.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::{Context, Error, Result};
use crate::plan::process::Plan;

/// The open files and what is to be written.
#[derive(Debug, Default)]
pub(super) struct Labels(Vec<(std::fs::File, String)>);

fn open_attr(path: &str) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).open(path)
}

/// Opens what is needed; a label that the kernel can't enforce is an error.
pub(super) fn open(process: &Plan<'_>) -> Result<Labels> {
    let mut labels = Labels::default();
    if let Some(profile) = process.apparmor {
        let enabled =
            std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with(b"Y"));
        if enabled {
            let file =
                open_attr("/proc/self/attr/apparmor/exec").or_else(|_| open_attr("/proc/self/attr/exec"));
            labels.0.push((file.step("apparmor", profile)?, format!("exec {profile}")));
        } else if profile != "unconfined" {
            return Err(Error::invalid(
                "apparmor",
                format!("{profile}: AppArmor is not enabled on this host"),
            ));
        }
    }
    if let Some(label) = process.selinux {
        if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
            return Err(Error::invalid("selinux", format!("{label}: SELinux is not enabled on this host")));
        }
        labels.0.push((open_attr("/proc/self/attr/exec").step("selinux", label)?, label.to_owned()));
    }
    Ok(labels)
}

impl Labels {
    /// The open files.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(file, _)| file.as_fd())
    }

    /// The next exec gets the labels.
    pub(super) fn apply(&self) -> Result<()> {
        for (file, text) in &self.0 {
            let mut file = file;
            file.write_all(text.as_bytes()).step("label", text)?;
        }
        Ok(())
    }
}
