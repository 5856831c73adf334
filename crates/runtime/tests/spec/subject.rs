//! The runtimes that are tried.

use std::path::PathBuf;
use std::process::Command;

use sys::process::Namespaces;

/// A runtime program.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    program: PathBuf,
}

impl Subject {
    /// `berth`, `runc` or `crun`. A missing program is a failure: `cargo xtask test` installs them.
    pub(crate) fn new(name: &'static str) -> Self {
        let program = match name {
            "berth" => std::env::var_os("BERTH_SPEC_PROGRAM")
                .map_or_else(|| env!("CARGO_BIN_EXE_berth-oci").into(), PathBuf::from),
            other => installed(other),
        };
        if name == "crun" {
            without_hybrid_cgroups();
        }
        Self { name, program }
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(&self.program)
    }
}

fn installed(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(|d| PathBuf::from(d).join(name));
    let found = places.into_iter().find(|p| p.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: apt-get install {name}"))
}

/// crun 1.8 takes version 1 of cgroups with a cgroup2 mount beside it for something it does not support. This thread,
/// and with it every program that it starts, gets a mount namespace without that mount.
fn without_hybrid_cgroups() {
    const UNIFIED: &str = "/sys/fs/cgroup/unified";
    if !std::path::Path::new(UNIFIED).exists() {
        return;
    }
    sys::process::unshare(Namespaces::MOUNT).unwrap();
    rustix::mount::mount_change(
        "/",
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
    )
    .unwrap();
    // not mounted on every machine; what crun puts there must not fill the directory below, which is the host's
    let _ = sys::mount::detach(UNIFIED);
    let private = sys::mount::filesystem("tmpfs", &[], sys::mount::Attr::default()).unwrap();
    sys::mount::attach(private, std::fs::File::open(UNIFIED).unwrap()).unwrap();
}
