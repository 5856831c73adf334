//! AppArmor profile and SELinux label of the program. The files that take them are opened while the host's procfs is at
//! hand, and written last.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

use sys::selinux::Attribute;

use crate::error::{Context, Error, Result};
use crate::plan::process::Plan;

/// The open files, the module that each is of, and what is to be written.
#[derive(Debug, Default)]
pub(super) struct Labels {
    of_program: Vec<(File, &'static str, String)>,
    /// Of the session keyring.
    of_keys: Option<(File, String)>,
}

fn open_attr(path: &str) -> std::io::Result<File> {
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
            let text = format!("exec {profile}");
            labels.of_program.push((file.step("apparmor", profile)?, "apparmor", text));
        } else if profile != "unconfined" {
            return Err(Error::invalid(
                "apparmor",
                format!("{profile}: AppArmor is not enabled on this host"),
            ));
        }
    }
    if let Some(label) = process.selinux {
        if !sys::selinux::is_enabled() {
            return Err(Error::invalid("selinux", format!("{label}: SELinux is not enabled on this host")));
        }
        let open = |attribute: Attribute| attribute.open().step("selinux", label);
        labels.of_keys = Some((open(Attribute::KeyCreate)?, label.to_owned()));
        // with its end, as the kernel shows labels
        labels.of_program.push((open(Attribute::Exec)?, "selinux", format!("{label}\0")));
    }
    Ok(labels)
}

impl Labels {
    /// The open files.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.of_program.iter().map(|(file, ..)| file.as_fd())
    }

    /// Makes a keyring that has the program's label: with the runtime's the program could not read it.
    pub(super) fn around_keyring(&mut self, make: impl FnOnce() -> Result<()>) -> Result<()> {
        let Some((file, label)) = self.of_keys.take() else { return make() };
        Attribute::write(&file, &label).step("selinux", format!("keys of {label}"))?;
        make()?;
        Attribute::write(&file, "").step("selinux", "keys")
    }

    /// The next exec gets the labels.
    pub(super) fn apply(&self) -> Result<()> {
        for (file, module, text) in &self.of_program {
            let mut file = file;
            match file.write_all(text.as_bytes()) {
                // not the program, as who reads only the kernel's word would think
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(Error::invalid(*module, format!("{text}: no such profile is loaded")));
                }
                written => written.step(module, text.trim_end_matches('\0'))?,
            }
        }
        Ok(())
    }
}
