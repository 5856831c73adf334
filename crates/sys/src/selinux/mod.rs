//! SELinux as a program meets it (`selinux(8)`): is it there, who am I, which label does the next program get, and the
//! labels of files. The policy's meaning is nobody's here.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::XattrFlags;

use crate::{Errno, Result};

mod context;
mod relabel;

pub use context::{Context, Wrong};
pub use relabel::relabel;

/// Where the kernel's interface is mounted.
pub const MOUNT: &str = "/sys/fs/selinux";
/// Of its file system, `statfs(2)`.
const MAGIC: u64 = 0xf97c_ff8c;
/// The attribute that holds a file's label.
pub const ATTRIBUTE: &str = "security.selinux";
/// Longest label that is read; the kernel's own limit is a page.
const MOST: usize = 4096;

/// Whether the kernel has SELinux, and a policy is loaded: before that every process is called `kernel`.
#[must_use]
pub fn is_enabled() -> bool {
    let mounted = rustix::fs::statfs(MOUNT).is_ok_and(|stat| stat.f_type as u64 & 0xffff_ffff == MAGIC);
    mounted && current().is_ok_and(|own| own != "kernel")
}

/// Whether what the policy forbids is refused, and not only logged.
#[must_use]
pub fn is_enforcing() -> bool {
    std::fs::read(format!("{MOUNT}/enforce")).is_ok_and(|text| text.starts_with(b"1"))
}

/// The calling thread's own context.
///
/// # Errors
/// `EINVAL` when no security module tells.
pub fn current() -> io::Result<String> {
    let bytes = std::fs::read("/proc/thread-self/attr/current")?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches(['\0', '\n']).to_owned())
}

/// Whether the policy that is loaded knows a context.
///
/// # Errors
/// SELinux is not there.
pub fn knows(context: &str) -> io::Result<bool> {
    let mut file = std::fs::OpenOptions::new().write(true).open(format!("{MOUNT}/context"))?;
    match file.write_all(&text(context)) {
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(false),
        written => written.map(|()| true),
    }
}

/// What of a thread is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// The program that it executes next.
    Exec,
    /// Keys and keyrings that it makes.
    KeyCreate,
}

impl Attribute {
    /// Opens it, to be written later, when procfs may be out of reach.
    ///
    /// # Errors
    /// procfs is not there, or the kernel has not this attribute.
    pub fn open(self) -> io::Result<File> {
        let name = match self {
            Self::Exec => "exec",
            Self::KeyCreate => "keycreate",
        };
        std::fs::OpenOptions::new().write(true).open(format!("/proc/thread-self/attr/{name}"))
    }

    /// Writes it to what [`Self::open`] has opened; an empty label takes it back.
    ///
    /// # Errors
    /// `EINVAL`: the policy knows no such context; `EACCES`: it forbids this one.
    pub fn write(mut file: &File, label: &str) -> io::Result<()> {
        // the kernel takes an empty line for nothing
        if label.is_empty() { file.write_all(b"\n") } else { file.write_all(&text(label)) }
    }
}

/// As the kernel gives labels, and wants them: with an end.
fn text(label: &str) -> Vec<u8> {
    let mut bytes = label.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The label of an open file (`O_PATH` will do); `None` where the file system has none.
///
/// # Errors
/// What `getxattr(2)` says.
pub fn label_of(file: impl AsFd) -> Result<Option<String>> {
    let mut value = [0_u8; MOST];
    match rustix::fs::getxattr(path(&file), ATTRIBUTE, &mut value[..]) {
        Ok(length) => {
            let label = String::from_utf8_lossy(value.get(..length).unwrap_or_default()).into_owned();
            Ok(Some(label.trim_end_matches('\0').to_owned()))
        }
        Err(Errno::OPNOTSUPP | Errno::NODATA) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Labels an open file (`O_PATH` will do, of a symlink too), unless it has the label already.
///
/// # Errors
/// `EOPNOTSUPP` where the file system keeps no labels; `EINVAL`: the policy knows no such context.
pub fn label(file: impl AsFd, label: &str) -> Result<()> {
    if label_of(&file)?.as_deref() == Some(label) {
        return Ok(());
    }
    rustix::fs::setxattr(path(&file), ATTRIBUTE, &text(label), XattrFlags::empty())
}

/// By this name the kernel finds the file itself, whatever it is, and follows nothing further.
fn path(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_selinux_nothing_is_claimed() {
        if is_enabled() {
            assert!(current().unwrap().contains(':'));
            assert!(!knows("no:such:context:s0").unwrap());
            return;
        }
        assert!(!is_enforcing());
        assert!(knows("system_u:system_r:container_t:s0").is_err());
    }

    #[test]
    fn a_file_is_labelled_by_descriptor_and_once() {
        use rustix::fs::{Mode, OFlags};
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = rustix::fs::open(dir.path().join("link"), flags, Mode::empty()).unwrap();
        if is_enabled() {
            // a label of the policy's own: whatever it is, it may stay
            let Some(own) = label_of(&link).unwrap() else { return };
            return label(&link, &own).unwrap();
        }
        match label(&link, "a:b:c:s0") {
            // without the module the name is an attribute like others, for those that may set it
            Ok(()) => {
                assert_eq!(label_of(&link).unwrap().unwrap(), "a:b:c:s0");
                let passwd = rustix::fs::open("/etc/passwd", OFlags::PATH, Mode::empty()).unwrap();
                assert_ne!(label_of(&passwd).unwrap().as_deref(), Some("a:b:c:s0"));
            }
            Err(errno) => assert!(matches!(errno, Errno::OPNOTSUPP | Errno::PERM), "{errno}"),
        }
    }
}
