//! The guest's own system, made once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::wire::{Joined, WIRE};
use super::{disk, kernel, work};
use crate::{host, run};

/// What the guest is made of beside Debian's base: an init system, modules and devices, names and addresses, a
/// firewall's tool to look with, a way in.
const PACKAGES: &[&str] = &[
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "udev",
    "kmod",
    "apparmor",
    "iproute2",
    "nftables",
    "openssh-server",
    "busybox-static",
    "ca-certificates",
    "uidmap",
    "passt",
    "slirp4netns",
    "procps",
];
/// What tests use beside the peers and a machine for tests has anyway.
const TOOLS: &[&str] = &["gcc", "libc6-dev", "python3", "tar", "xz-utils", "curl", "apparmor-utils"];
/// Installs packages in a tree, and starts none of their services.
const INSTALL: &str = "\
tree=$1; shift
mount -t proc proc $tree/proc
printf '#!/bin/sh\\nexit 101\\n' > $tree/usr/sbin/policy-rc.d
chmod 755 $tree/usr/sbin/policy-rc.d
chroot $tree apt-get -qq update
chroot $tree apt-get -qq -y --no-install-recommends install \"$@\"
rm $tree/usr/sbin/policy-rc.d";
/// Services of the peers that tests start themselves, and what nobody looks at.
const MASKED: &[&str] = &[
    "docker.service",
    "docker.socket",
    "containerd.service",
    "docker-registry.service",
    "etcd.service",
    "redis-server.service",
    "podman.service",
    "podman.socket",
    "podman-restart.service",
    "iperf3.service",
    "e2scrub_reap.service",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
];
const KERNEL: &str = "linux-image-cloud-amd64";
/// Raised when what is written into the system changes.
const EDITION: u32 = 7;
/// Bytes that the guest may have on its own disk.
const SIZE: u64 = 16 << 30;

/// Says on the console that somebody may come in.
pub(super) const READY: &str = "berth: the guest is ready";

/// How much a guest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What Berth itself needs.
    Small,
    /// And the peers and tools of the whole suite.
    Peers,
}

impl Kind {
    /// As it stands in file names.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Peers => "peers",
        }
    }
}

/// What a guest starts from.
pub(super) struct Root {
    /// A raw disk that is not to be written to.
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
    /// The private key of whoever may come in.
    pub(super) key: PathBuf,
}

/// Makes what is missing; needs Debian's mirror the first time.
pub(super) fn prepare(kind: Kind) -> Result<Root> {
    let name = kind.name();
    let dir = run::root().join("target/vm").join(format!("bookworm-{name}-{EDITION}"));
    let root = Root {
        disk: dir.join("root.img"),
        kernel: dir.join("vmlinuz"),
        initrd: dir.join("initrd"),
        key: dir.join("key"),
    };
    if dir.exists() {
        return Ok(root);
    }
    run::step(&format!("the guest's system ({name})"));
    let parent = dir.parent().context("no directory")?;
    std::fs::create_dir_all(parent)?;
    let work = tempfile::tempdir_in(parent)?;
    let tree = work.path().join("tree");
    bootstrap(kind, &tree, &work.path().join("log"))?;
    let made = work.path().join("made");
    std::fs::create_dir(&made)?;
    kernel::take(&tree, &made.join("vmlinuz"), &made.join("initrd"))?;
    let mut keygen = Command::new("ssh-keygen");
    run::run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(made.join("key")))?;
    furnish(&tree, &std::fs::read_to_string(made.join("key.pub"))?)?;
    disk::from_tree(&made.join("root.img"), &tree, SIZE)?;
    std::fs::rename(&made, &dir)?;
    Ok(root)
}

fn bootstrap(kind: Kind, tree: &Path, log: &Path) -> Result<()> {
    let packages = [PACKAGES, &[KERNEL]].concat().join(",");
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &format!("--include={packages}"), "bookworm"]).arg(tree);
    // The guest's first file system is ours: Debian's takes half a minute to make (initramfs-tools asks for this).
    command.env("INITRD", "No");
    command.stdin(Stdio::null()).stdout(std::fs::File::create(log)?);
    run::run(&mut command).with_context(|| tail(log))?;
    if kind == Kind::Small {
        return Ok(());
    }
    // debootstrap itself takes no dependency's alternatives; apt does. In a mount namespace, which ends with it.
    let peers = host::PEERS.iter().map(|package| package.name).chain(TOOLS.iter().copied());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", INSTALL, "sh"]).arg(tree).args(peers);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("INITRD", "No").stdin(Stdio::null());
    command.stdout(std::fs::File::create(log)?);
    run::run(&mut command).with_context(|| tail(log))
}

/// The end of what a program said.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let from = text.lines().count().saturating_sub(20);
    text.lines().skip(from).collect::<Vec<_>>().join("\n")
}

/// Addresses, names, a way in, and the word that all this is there.
fn furnish(tree: &Path, key: &str) -> Result<()> {
    let unit = format!(
        "[Unit]\nAfter=ssh.service network-online.target\nWants=network-online.target\n\n\
         [Service]\nType=oneshot\nStandardOutput=tty\nTTYPath=/dev/ttyS0\nExecStart=/bin/echo '{READY}'\n"
    );
    let place = work::PLACE;
    let fstab = format!("/dev/vda / ext4 defaults 0 1\n/dev/vdb {place} ext4 defaults 0 2\n");
    std::fs::create_dir_all(tree.join(place.trim_start_matches('/')))?;
    let path = format!("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{}", work::programs());
    let sshd = format!("PermitRootLogin prohibit-password\nUseDNS no\nUsePAM no\nSetEnv PATH={path}\n");
    let profile = format!("PATH={path}\n");
    let network = "[Match]\nType=ether\nName=en* eth*\n\n[Network]\nDHCP=ipv4\n";
    // Nobody waits for a wire: what is at its other end may start later.
    let wire = |host: Joined| {
        format!(
            "[Match]\nMACAddress={}\n\n[Link]\nRequiredForOnline=no\n\n\
             [Network]\nAddress={}/24\nConfigureWithoutCarrier=yes\n",
            host.hardware_address(),
            host.address()
        )
    };
    let macs = Joined::BOTH.map(Joined::hardware_address).join(" ");
    let files = [
        (
            "etc/systemd/network/10-wire.link",
            &*format!("[Match]\nMACAddress={macs}\n\n[Link]\nName={WIRE}\n"),
        ),
        ("etc/systemd/network/10-first.network", &wire(Joined::First)),
        ("etc/systemd/network/10-second.network", &wire(Joined::Second)),
        ("etc/fstab", fstab.as_str()),
        ("etc/profile.d/berth.sh", &profile),
        ("etc/hostname", "guest\n"),
        ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 guest\n::1 localhost\n"),
        ("etc/resolv.conf", "nameserver 10.0.2.3\n"),
        ("etc/systemd/network/all.network", network),
        ("etc/systemd/system/ready.service", &unit),
        ("etc/ssh/sshd_config.d/root.conf", &sshd),
        ("root/.ssh/authorized_keys", key),
        // each guest makes one of its own
        ("etc/machine-id", ""),
    ];
    for (path, text) in files {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().context("no directory")?)?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    // The newest client, if this machine has it.
    std::os::unix::fs::symlink(format!("{place}/suite/docker"), tree.join("usr/local/bin/docker"))?;
    std::fs::set_permissions(tree.join("root/.ssh"), std::fs::Permissions::from_mode(0o700))?;
    for unit in MASKED {
        let place = tree.join("etc/systemd/system").join(unit);
        let _ = std::fs::remove_file(&place);
        std::os::unix::fs::symlink("/dev/null", place)?;
    }
    let wants = tree.join("etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&wants)?;
    std::os::unix::fs::symlink("../ready.service", wants.join("ready.service"))?;
    let networkd = "/lib/systemd/system/systemd-networkd.service";
    std::os::unix::fs::symlink(networkd, wants.join("systemd-networkd.service"))?;
    let online = tree.join("etc/systemd/system/network-online.target.wants");
    std::fs::create_dir_all(&online)?;
    let waits = "/lib/systemd/system/systemd-networkd-wait-online.service";
    std::os::unix::fs::symlink(waits, online.join("systemd-networkd-wait-online.service"))?;
    for unneeded in
        ["var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"]
    {
        let _ = std::fs::remove_dir_all(tree.join(unneeded));
        std::fs::create_dir_all(tree.join(unneeded))?;
    }
    Ok(())
}
