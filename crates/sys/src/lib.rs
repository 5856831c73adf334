//! The kernel as safe Rust: system calls, cgroups v1 and v2, mounts, paths resolved beneath an fd.
//!
//! The only `unsafe` of the workspace is in `raw`; every other module is a safe room over it or over
//! `rustix`. Nothing in here knows what a container is.

pub mod bpf;
pub mod caps;
pub mod cgroup;
pub mod fd;
pub mod file;
pub mod keyring;
pub mod memory;
pub mod mount;
pub mod names;
pub mod net;
pub mod path;
pub mod process;
pub mod program;
mod raw;
pub mod sched;
pub mod seccomp;
pub mod selinux;
pub mod signal;
pub mod spawn;
pub mod tty;
pub mod usage;
pub mod users;

pub use users::{idmap, owner};

pub use rustix::io::Errno;
pub use rustix::process::Pid;

/// What every call in here returns when the kernel says no.
pub type Result<T, E = Errno> = std::result::Result<T, E>;
