//! AppArmor profile and SELinux label of the program. The files that take them are opened while the host's procfs is at
//! hand, and written last.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use crate::error::{Context, Error, Result};
use crate::plan::process::Plan;

/// The open files, the module that each is of, and what is to be written.
#[derive(Debug, Default)]
pub(super) struct Labels(Vec<(std::fs::File, &'static str, String)>);

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
            labels.0.push((file.step("apparmor", profile)?, "apparmor", format!("exec {profile}")));
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
        let file = open_attr("/proc/self/attr/exec").step("selinux", label)?;
        labels.0.push((file, "selinux", label.to_owned()));
    }
    Ok(labels)
}

impl Labels {
    /// The open files.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(file, ..)| file.as_fd())
    }

    /// The next exec gets the labels.
    pub(super) fn apply(&self) -> Result<()> {
        for (file, module, text) in &self.0 {
            let mut file = file;
            match file.write_all(text.as_bytes()) {
                // not the program, as who reads only the kernel's word would think
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Error::invalid(*module, format!("{text}: no such profile is loaded")));
                }
                written => written.step(module, text)?,
            }
        }
        Ok(())
    }
}
