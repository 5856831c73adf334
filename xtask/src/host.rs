//! What the commands need of the machine, installed by Debian's package manager and pip.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// A Debian package and a file that shows that it is installed.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
}

/// What building needs beside Rust.
pub(crate) const BUILD: &[Package] = &[Package { name: "gcc", shows: "/usr/bin/gcc" }];

/// The image of the demonstration and of the tests, and what looks for things left behind.
pub(crate) const DEMO: &[Package] = &[
    Package { name: "busybox-static", shows: "/bin/busybox" },
    Package { name: "iproute2", shows: "/usr/sbin/ip" },
    Package { name: "nftables", shows: "/usr/sbin/nft" },
];

/// The peers and tools of the tests and the benchmark.
pub(crate) const PEERS: &[Package] = &[
    Package { name: "docker.io", shows: "/usr/bin/docker" },
    Package { name: "containerd", shows: "/usr/bin/containerd" },
    Package { name: "runc", shows: "/usr/sbin/runc" },
    Package { name: "crun", shows: "/usr/bin/crun" },
    Package { name: "podman", shows: "/usr/bin/podman" },
    Package { name: "conmon", shows: "/usr/bin/conmon" },
    Package { name: "iptables", shows: "/usr/sbin/iptables" },
    Package { name: "libseccomp-dev", shows: "/usr/include/seccomp.h" },
    Package { name: "debootstrap", shows: "/usr/sbin/debootstrap" },
    Package { name: "openssl", shows: "/usr/bin/openssl" },
    Package { name: "python3-venv", shows: "/usr/share/doc/python3-venv" },
];

/// Installs those of `packages` that are not there.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !Path::new(package.shows).exists())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    run::step(&format!("apt-get install {}", missing.join(" ")));
    if !rustix::process::geteuid().is_root() {
        bail!("needs root to install {}: sudo apt-get install {0}", missing.join(" "));
    }
    let _no_services = NoServices::hold()?;
    run::run(apt().args(["update", "-qq"]))?;
    run::run(apt().args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Keeps package installation from starting daemons (a peer's `dockerd` on its default root would
/// change the machine's firewall), as invoke-rc.d(8) documents.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn hold() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

/// A Python with Docker's SDK, in a virtual environment of its own under `target`.
pub(crate) fn python_sdk() -> Result<PathBuf> {
    let venv = run::root().join("target/venv");
    let python = venv.join("bin/python");
    let ready = python.exists()
        && Command::new(&python).args(["-c", "import docker"]).output().is_ok_and(|out| out.status.success());
    if !ready {
        run::step("pip install docker");
        run::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run::run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "docker==7.1.0"]))?;
    }
    Ok(python)
}
