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
    Package { name: "docker-compose", shows: "/usr/bin/docker-compose" },
    Package { name: "etcd-server", shows: "/usr/bin/etcd" },
    Package { name: "iperf3", shows: "/usr/bin/iperf3" },
    Package { name: "redis-server", shows: "/usr/bin/redis-server" },
    Package { name: "docker-registry", shows: "/usr/bin/docker-registry" },
    Package { name: "skopeo", shows: "/usr/bin/skopeo" },
    Package { name: "buildah", shows: "/usr/bin/buildah" },
    Package { name: "openssh-client", shows: "/usr/bin/ssh-agent" },
    Package { name: "openssh-server", shows: "/usr/sbin/sshd" },
    Package { name: "git", shows: "/usr/bin/git" },
    Package { name: "bzip2", shows: "/usr/bin/bzip2" },
    Package { name: "zstd", shows: "/usr/bin/zstd" },
    Package { name: "uidmap", shows: "/usr/bin/newuidmap" },
    Package { name: "passt", shows: "/usr/bin/pasta" },
    Package { name: "slirp4netns", shows: "/usr/bin/slirp4netns" },
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
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    if run::run(apt().args(install).args(&missing)).is_ok() {
        return Ok(());
    }
    // Packages that came from elsewhere (backports that are not configured any more) may stand in the way.
    let release =
        run::output(Command::new("sh").args(["-c", ". /etc/os-release && echo $VERSION_CODENAME"]))?;
    let named = missing.iter().map(|name| format!("{name}/{}", release.trim()));
    run::run(apt().args(install).arg("--allow-downgrades").args(named))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// The OCI runtime that comes from Rust's registry, pinned. Without systemd's and eBPF's libraries, which it has no use for
/// in the tests.
const YOUKI: [&str; 7] =
    ["youki", "--version", "0.7.0", "--locked", "--no-default-features", "--features", "v1,v2,seccomp"];

/// Builds youki into `target/youki`, unless it is there; its program. It takes some minutes, once.
pub(crate) fn youki() -> Result<PathBuf> {
    let root = run::root().join("target/youki");
    let program = root.join("bin/youki");
    if program.exists() {
        return Ok(program);
    }
    run::step("cargo install youki");
    let mut install = Command::new("cargo");
    // from elsewhere, for this workspace's flags make static programs, and libseccomp.so is none
    install.current_dir("/").args(["install", "--quiet", "--root"]).arg(&root).args(YOUKI);
    install.env("CARGO_TARGET_DIR", root.join("build")).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    install.env("CARGO_PROFILE_RELEASE_LTO", "off").env_remove("CARGO_BUILD_TARGET").env_remove("RUSTFLAGS");
    run::run(&mut install)?;
    // what it was built from is ten times as large
    std::fs::remove_dir_all(root.join("build")).context("cannot remove youki's build")?;
    Ok(program)
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

/// What the tests drive through Python: Docker's SDK, Testcontainers with a client for what it starts,
/// Ansible, and moto's server, which is an object store. Pinned, for a test tells about our change and not about theirs.
const PYTHON: &[&str] = &[
    "docker==7.1.0",
    "testcontainers==4.14.2",
    "redis==7.1.0",
    "ansible-core==2.18.12",
    "moto==5.2.5",
    "Flask==3.1.3",
    "flask-cors==6.0.5",
    // what these ask for, the first before Python 3.11.3 only, which a guest may have
    "async-timeout==5.0.1",
    "blinker==1.9.0",
    "boto3==1.44.8",
    "botocore==1.44.8",
    "certifi==2026.10.19.post1",
    "cffi==2.1.1",
    "charset-normalizer==3.5.3",
    "click==8.5.1",
    "cryptography==50.0.2",
    "idna==3.20",
    "itsdangerous==2.2.0",
    "Jinja2==3.1.6",
    "jmespath==1.1.0",
    "MarkupSafe==3.0.4",
    "packaging==26.4",
    "pycparser==3.12",
    "python-dateutil==2.9.0.post0",
    "python-dotenv==1.2.4",
    "PyYAML==6.0.4",
    "requests==2.32.5",
    "resolvelib==1.0.1",
    "responses==0.26.3",
    "s3transfer==0.19.3",
    "six==1.17.0",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
    "wrapt==2.5.2",
    "xmltodict==1.0.4",
];

/// The distribution that carries Ansible's collection `community.docker`, and the parts of it that are
/// unpacked: 145 of its 24,000 files.
const COLLECTIONS: (&str, &[&str]) = (
    "ansible==11.13.0",
    &[
        "ansible_collections/community/docker/",
        "ansible_collections/community/library_inventory_filtering_v1/",
    ],
);

/// Downloads a wheel and unpacks what begins with one of the given paths beside the other modules.
const UNPACK: &str = r#"
import glob, os, subprocess, sys, sysconfig, tempfile, zipfile
with tempfile.TemporaryDirectory() as place:
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, sys.argv[1]], check=True)
    with zipfile.ZipFile(glob.glob(os.path.join(place, "*.whl"))[0]) as wheel:
        wanted = [name for name in wheel.namelist() if name.startswith(tuple(sys.argv[2:]))]
        wheel.extractall(sysconfig.get_path("purelib"), wanted)
"#;

/// A Python with [`PYTHON`] and [`COLLECTIONS`], in a virtual environment of its own under `target`.
pub(crate) fn python() -> Result<PathBuf> {
    let venv = run::root().join("target/venv");
    let python = venv.join("bin/python");
    let (distribution, parts) = COLLECTIONS;
    // Written last, so that an environment that is half made, or of other versions, is made anew.
    let mark = venv.join("berth-packages");
    let wanted = [PYTHON, &[distribution], parts].concat().join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    run::step(&format!("pip install {} {distribution}", PYTHON.join(" ")));
    run::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run::run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON))?;
    run::run(Command::new(&python).args(["-c", UNPACK, distribution]).args(parts))?;
    std::fs::write(&mark, wanted).with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(python)
}
