//! Binds, propagation, read-only mounts, tmpfs, mapped ids, and what may not be mounted where.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Result, ensure};
use e2e::{Berth, programs};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::{IMAGE, run, start};

/// A tmpfs on the host for one test, detached at its end.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(path: &'a Path, propagation: MountPropagationFlags) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), None)?;
        let mounted = Self(path);
        rustix::mount::mount_change(path, propagation)?;
        Ok(mounted)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0, UnmountFlags::DETACH);
    }
}

fn running(berth: &Berth, name: &str, bind: &str) -> Result<()> {
    let words = [
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        name,
        "--cap-add",
        "SYS_ADMIN",
        "--security-opt",
        "seccomp=unconfined",
        // whose profile lets nobody mount
        "--security-opt",
        "apparmor=unconfined",
    ];
    berth.docker(words.into_iter().chain(["-v", bind, IMAGE, "sleep", "1000"]))?.ok().map(drop)
}

#[test]
fn mounts_travel_as_asked() -> Result<()> {
    let berth = start()?;
    let root = berth.root().join("shared");
    let mounted = Mounted::new(&root, MountPropagationFlags::SHARED)?;
    for dir in ["from-host", "from-slave", "from-shared", "from-private"] {
        std::fs::create_dir(root.join(dir))?;
    }
    for mode in ["rprivate", "rslave", "rshared"] {
        running(&berth, mode, &format!("{}:/m:{mode}", root.display()))?;
    }
    let below = root.join("from-host");
    let host = Mounted::new(&below, MountPropagationFlags::PRIVATE)?;
    std::fs::write(below.join("seen"), "")?;
    for (mode, count) in [("rprivate", "0"), ("rslave", "1"), ("rshared", "1")] {
        let got = berth.docker(["exec", mode, "sh", "-c", "ls /m/from-host | wc -l"])?.ok()?;
        ensure!(got == count, "{mode}: {got}");
    }
    for mode in ["private", "slave", "shared"] {
        let mount = format!("mount -t tmpfs none /m/from-{mode} && touch /m/from-{mode}/seen");
        berth.docker(["exec", &format!("r{mode}"), "sh", "-c", &mount])?.ok()?;
        let arrived = root.join(format!("from-{mode}")).join("seen").exists();
        ensure!(arrived == (mode == "shared"), "{mode}: {arrived}");
    }
    berth.docker(["rm", "-f", "rprivate", "rslave", "rshared"])?.ok()?;
    let _ = rustix::mount::unmount(root.join("from-shared"), UnmountFlags::DETACH);
    drop(host);
    rustix::mount::mount_change(&root, MountPropagationFlags::PRIVATE)?;
    let bind = |mode: &str| format!("{}:/m:{mode}", root.display());
    let words =
        |kind: &str| format!("path {0} is mounted on {0} but it is not a {kind} mount", root.display());
    for mode in ["shared", "rshared"] {
        berth.docker(run(&["-v", &bind(mode)], "true"))?.fails(125, &words("shared"))?;
    }
    for mode in ["slave", "rslave"] {
        berth.docker(run(&["-v", &bind(mode)], "true"))?.fails(125, &words("shared or slave"))?;
    }
    for mode in ["private", "rprivate"] {
        berth.docker(run(&["-v", &bind(mode)], "true"))?.ok()?;
    }
    drop(mounted);
    berth.finish()
}

#[test]
fn read_only_reaches_what_is_mounted_beneath() -> Result<()> {
    let berth = start()?;
    let (outer, inner) = (berth.root().join("outer"), berth.root().join("outer/inner"));
    let outer_mount = Mounted::new(&outer, MountPropagationFlags::PRIVATE)?;
    let inner_mount = Mounted::new(&inner, MountPropagationFlags::PRIVATE)?;
    let source = outer.display().to_string();
    let touch = "touch /m/x 2>/dev/null && echo outer; touch /m/inner/x 2>/dev/null && echo inner; mount | grep -c ' /m/inner '; true";
    let volume = format!("{source}:/m:ro");
    let mount = |more: &str| format!("type=bind,src={source},dst=/m,readonly{more}");
    for (option, value, seen) in [
        ("-v", volume, "1"),
        ("--mount", mount(""), "1"),
        ("--mount", mount(",bind-recursive=enabled"), "1"),
        ("--mount", mount(",bind-recursive=readonly,bind-propagation=rprivate"), "1"),
        ("--mount", mount(",bind-recursive=writable"), "inner\n1"),
        ("--mount", mount(",bind-recursive=disabled"), "0"),
        ("--mount", mount(",bind-nonrecursive"), "0"),
    ] {
        let got = berth.docker(run(&[option, &value], touch))?.ok()?;
        ensure!(got == seen, "{value}: {got:?}");
    }
    drop((inner_mount, outer_mount));
    berth.finish()
}

#[test]
fn ids_are_mapped() -> Result<()> {
    let berth = start()?;
    let source = berth.root().join("mapped");
    std::fs::create_dir(&source)?;
    std::fs::write(source.join("roots"), "")?;
    let bind = format!("{}:/m:idmap=uids=0-1000-1;gids=0-1000-1", source.display());
    let script = "stat -c '%u %g' /m/roots; touch /m/mine";
    let words = ["run", "--rm", "--network", "none", "--user", "1000:1000"];
    for (option, value) in [
        ("-v", bind.clone()),
        ("--mount", format!("type=bind,src={},dst=/m,idmap=uids=0-1000-1;gids=0-1000-1", source.display())),
    ] {
        let ran = berth.berth(words.into_iter().chain([option, &value, IMAGE, "sh", "-c", script]))?;
        ensure!(ran.ok()? == "1000 1000");
        let mine = source.join("mine").metadata()?;
        ensure!((mine.uid(), mine.gid()) == (0, 0), "on the disk it is {}:{}", mine.uid(), mine.gid());
        std::fs::remove_file(source.join("mine"))?;
    }
    ensure!(berth.docker(run(&["-v", &bind], "stat -c %u /m/roots"))?.ok()? == "1000");
    let volume = "kept:/m:idmap=uids=0-5-1;gids=0-6-1,nocopy";
    ensure!(berth.docker(run(&["-v", volume], "stat -c '%u %g' /m"))?.ok()? == "5 6");
    berth.docker(run(&["-v", "/tmp:/m:idmap"], "true"))?.fails(125, "no user namespace of its own")?;
    berth.docker(run(&["-v", "/tmp:/m:idmap=uids=0-1"], "true"))?.fails(125, "invalid idmap")?;
    let cannot = "/proc:/m:idmap=uids=0-1000-1;gids=0-1000-1";
    berth.docker(run(&["-v", cannot], "true"))?.fails(125, "can't be shown with other ids")?;
    berth.finish()
}

#[test]
fn tmpfs_and_targets() -> Result<()> {
    let berth = start()?;
    // a kernel of 64-bit inode numbers says so behind what was asked for
    let line = "grep ' /t ' /proc/mounts | cut -d' ' -f3,4 | sed 's/,inode64$//'; stat -c '%a %u' /t";
    for (options, seen) in [
        (&["--tmpfs", "/t"][..], "tmpfs rw,nosuid,nodev,noexec,relatime\n1777 0"),
        (
            &["--tmpfs", "/t:size=1m,mode=700,uid=5,exec"],
            "tmpfs rw,nosuid,nodev,relatime,size=1024k,mode=700,uid=5\n700 5",
        ),
        (
            &["--mount", "type=tmpfs,dst=/t,tmpfs-size=100k,tmpfs-mode=755,readonly"],
            "tmpfs ro,nosuid,nodev,noexec,relatime,size=100k,mode=755\n755 0",
        ),
    ] {
        let got = berth.docker(run(options, line))?.ok()?;
        ensure!(got == seen, "{options:?}: {got}");
    }
    let file = berth.root().join("file");
    std::fs::write(&file, "of the host\n")?;
    let over = format!("{}:/data/file:ro", file.display());
    let nested = format!("{}:/data/sub/new/file", file.display());
    // deeper paths come later, whatever their order on the command line
    let options = ["--read-only", "-v", &nested, "-v", &over, "-v", "deep:/data/sub", "--tmpfs", "/run"];
    let script = "cat /data/file /data/sub/new/file /data/sub/deep; echo x > /data/w && touch /run/x; touch /x || echo no";
    let got = berth.docker(run(&options, script))?.ok()?;
    ensure!(got == "of the host\nof the host\ndeep\nno", "{got}");
    let made = berth.root().join("made/by/bind");
    berth.docker(run(&["-v", &format!("{}:/m", made.display())], "true"))?.ok()?;
    ensure!(made.is_dir() && made.metadata()?.mode() & 0o777 == 0o755);
    let directory = format!("{}:/data/file", berth.root().display());
    ensure!(berth.docker(run(&["-v", &directory], "true"))?.code == 125);
    let onto = format!("{}:/data", file.display());
    ensure!(berth.docker(run(&["-v", &onto], "true"))?.code == 125);
    ensure!(berth.docker(run(&["-v", "/dev/null:/null"], "echo x > /null; wc -c < /null"))?.ok()? == "0");
    let socket = berth.root().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
    ensure!(
        berth.docker(run(&["-v", &format!("{}:/s", socket.display())], "test -S /s && echo socket"))?.ok()?
            == "socket"
    );
    berth.finish()
}

/// The image leads every target astray: into its own tree, never to the host's.
#[test]
fn targets_stay_in_the_container() -> Result<()> {
    let berth = start()?;
    let victim = berth.root().join("victim");
    std::fs::create_dir(&victim)?;
    let mut image = e2e::image::Image::busybox()?;
    image.layer(|layer| {
        layer.symlink("out", &victim.to_string_lossy())?;
        layer.symlink("up", &format!("../../../../../../..{}", victim.display()))?;
        layer.symlink("proc-link", "/proc")
    })?;
    berth.load(&image, IMAGE)?;
    for target in ["/out", "/out/new", "/up/new", "/up/../up/deep/er"] {
        let volume = format!("vol:{target}");
        berth.docker(run(&["-v", &volume], "true"))?.ok()?;
        berth.docker(run(&["--tmpfs", target], "true"))?.ok()?;
        ensure!(std::fs::read_dir(&victim)?.next().is_none(), "{target}: the host was written to");
    }
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern")?;
    let file = berth.root().join("file");
    std::fs::write(&file, "|/evil")?;
    for target in [
        "/proc/sys/kernel/core_pattern",
        "/proc-link/sys/kernel/core_pattern",
        "/proc/self/attr/exec",
        "/proc/sys",
    ] {
        let bind = format!("{}:{target}", file.display());
        // refused or contained: the host is what counts
        let _ = berth.docker(run(&["-v", &bind], "true"))?;
        ensure!(std::fs::read("/proc/sys/kernel/core_pattern")? == pattern, "{target}");
    }
    programs::eventually("nothing runs on", || {
        Ok(berth.docker(["ps", "-q"])?.ok()?.is_empty().then_some(()))
    })?;
    berth.finish()
}
