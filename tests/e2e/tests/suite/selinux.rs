//! SELinux: which labels processes and files have, that they keep containers apart, and what a host without it makes of
//! the options. `cargo xtask vm selinux` has a host that enforces a policy with the names of container-selinux.
//!
//! Containers are root, and every file may be read and written by all: what is refused is refused by labels alone.

use std::collections::HashSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use rustix::fs::{Mode, OFlags};
use sys::selinux::{self, Context};

const CURRENT: &str = "tr -d '\\0' < /proc/self/attr/current";
const HOST: &str = "system_u:system_r:kernel_t:s0-s0:c0.c1023";
const SHARED: &str = "system_u:object_r:container_file_t:s0";

/// Whether this kernel enforces a policy; where that is a matter of course (`BERTH_TEST_MUST`), that it does not fails.
fn enforced() -> Result<bool> {
    let on = selinux::is_enabled() && selinux::is_enforcing();
    if !on {
        let must = std::env::var_os("BERTH_TEST_MUST").is_some_and(|module| module == "selinux");
        ensure!(!must, "SELinux is not enforced on this host");
        let note = "NOT RUN: SELinux is not enforced on this host (cargo xtask vm selinux has one that does)";
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    Ok(on)
}

fn start() -> Result<Berth> {
    Berth::with_environment(&[], &["--selinux-enabled"])
}

fn inside(berth: &Berth, options: &[&str], script: &str) -> Result<e2e::Ran> {
    berth.berth([&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())
}

/// The process label and the file label of a container, as it is inspected.
fn shown(berth: &Berth, name: &str) -> Result<(String, String)> {
    let text = berth.berth(["inspect", "-f", "{{.ProcessLabel}} {{.MountLabel}}", name])?.ok()?;
    let (process, mount) = text.split_once(' ').with_context(|| format!("{text:?}"))?;
    Ok((process.to_owned(), mount.to_owned()))
}

/// The label of a file of the host, which is not followed.
fn label(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    selinux::label_of(&file)?.with_context(|| format!("{} has no label", path.display()))
}

/// A directory of the host that everybody may use, by its mode.
fn open_to_all(path: &Path) -> Result<String> {
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777))?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn processes_and_files_have_labels() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = start()?;
    let options = berth.berth(["info", "-f", "{{.SecurityOptions}}"])?.ok()?;
    ensure!(options.contains("name=selinux"), "{options}");
    berth.berth(["run", "-d", "--name", "box", "-v", "data:/data", IMAGE, "sleep", "1000"])?.ok()?;
    let (process, mount) = shown(&berth, "box")?;
    let (own, files): (Context, Context) = (process.parse()?, mount.parse()?);
    ensure!((own.role.as_str(), own.kind.as_str()) == ("system_r", "container_t"), "{process}");
    ensure!((files.role.as_str(), files.kind.as_str()) == ("object_r", "container_file_t"), "{mount}");
    ensure!(
        own.level == files.level && own.level.is_some_and(|level| level.contains(',')),
        "{process} {mount}"
    );

    let pid = berth.berth(["inspect", "-f", "{{.State.Pid}}", "box"])?.ok()?;
    let of_process = std::fs::read_to_string(format!("/proc/{pid}/attr/current"))?;
    ensure!(of_process.trim_end_matches('\0') == process, "{of_process}");
    berth.berth(["exec", "box", "sh", "-c", "echo > /new; echo > /dev/shm/new; echo > /data/new"])?.ok()?;
    let root = format!("/proc/{pid}/root");
    let places =
        ["/.", "/bin/busybox", "/new", "/dev", "/dev/null", "/dev/shm/new", "/dev/mqueue", "/dev/pts"];
    for place in places.into_iter().chain(["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]) {
        ensure!(label(format!("{root}{place}"))? == mount, "{place}: {}", label(format!("{root}{place}"))?);
    }
    for place in ["/data", "/data/new"] {
        ensure!(label(format!("{root}{place}"))? == SHARED, "{place}");
    }
    ensure!(label(format!("{root}/proc"))? != mount && label(format!("{root}/sys"))? != mount);

    let session =
        |options: &[&str]| berth.berth([&["exec"], options, &["box", "sh", "-c", CURRENT]].concat());
    ensure!(session(&[])?.ok()? == process);
    ensure!(session(&["--privileged"])?.ok()? == process);
    ensure!(session(&["-t"])?.ok()? == process);
    // the program changes its privileges in other ways, too
    for options in [&["--security-opt", "no-new-privileges"][..], &["-u", "1000"], &["-t"], &["--read-only"]]
    {
        let told = inside(&berth, options, CURRENT)?.ok()?;
        ensure!(told.contains(":container_t:s0:c"), "{options:?}: {told}");
    }
    // the init is a program of the host's
    let init = std::fs::File::open(e2e::programs::program("berth-shim")?)?;
    selinux::label(&init, "system_u:object_r:bin_t:s0")?;
    ensure!(inside(&berth, &["--init"], CURRENT)?.ok()?.contains(":container_t:s0:c"));
    let folder = berth.root().join("context");
    std::fs::create_dir(&folder)?;
    std::fs::write(
        folder.join("Dockerfile"),
        format!(
            "FROM {IMAGE}\nRUN grep -q '^system_u:system_r:container_t:s0:c[0-9]*,c[0-9]*' /proc/self/attr/current\n\
             RUN --mount=type=cache,target=/cache echo 1 >> /cache/file && echo made > /made\n\
             RUN --mount=type=cache,target=/cache --mount=type=bind,target=/all cat /cache/file /all/Dockerfile /made\n"
        ),
    )?;
    berth.berth(["build", "-q", "-t", "built", &folder.to_string_lossy()])?.ok()?;
    // neither the layer's files nor those of a commit have a label of their own
    berth.berth(["commit", "box", "committed"])?.ok()?;
    for image in ["built", "committed"] {
        berth.berth(["run", "--rm", image, "cat", "/bin/busybox", "/etc/passwd"])?.ok()?;
        let archive = berth.root().join(image);
        berth.berth(["save", "-o", &archive.to_string_lossy(), image])?.ok()?;
        let bytes = std::fs::read(&archive)?;
        ensure!(!bytes.windows(16).any(|part| part == b"security.selinux"), "{image}");
    }
    berth.finish()
}

#[test]
fn labels_keep_containers_from_each_other_and_from_the_host() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = start()?;
    let plain = open_to_all(&berth.root().join("plain"))?;
    let denied = |ran: e2e::Ran, what: &str| {
        ensure!(ran.code != 0 && ran.stderr.contains("Permission denied"), "{what}: {ran:?}");
        Ok(())
    };
    let bind = |path: &str, mode: &str| format!("{path}:/dir{mode}");
    let keep = |name: &str, mount: &str| {
        berth.berth(["run", "-d", "--name", name, "-v", mount, IMAGE, "sleep", "1000"])?.ok().map(drop)
    };
    let within = |name: &str, script: &str| berth.berth(["exec", name, "sh", "-c", script]);

    // the host's own files
    denied(inside(&berth, &["-v", &bind(&plain, "")], "echo > /dir/file")?, "a bind without a label")?;
    denied(inside(&berth, &["-v", "/etc:/dir"], "cat /dir/passwd")?, "the host's passwd")?;
    inside(&berth, &["-v", "/etc:/dir", "--security-opt", "label=disable"], "cat /dir/passwd")?.ok()?;
    inside(&berth, &["-v", "/etc:/dir", "--privileged"], "cat /dir/passwd")?.ok()?;

    // one container's
    std::fs::create_dir(berth.root().join("plain/deep"))?;
    std::fs::write(berth.root().join("plain/deep/file"), "old\n")?;
    std::os::unix::fs::symlink("/etc/passwd", berth.root().join("plain/link"))?;
    let passwd = label("/etc/passwd")?;
    keep("first", &bind(&plain, ":Z"))?;
    within("first", "cat /dir/deep/file && echo mine > /dir/file")?.ok()?;
    let (_, mount) = shown(&berth, "first")?;
    for name in ["plain", "plain/deep", "plain/deep/file", "plain/file", "plain/link"] {
        ensure!(label(berth.root().join(name))? == mount, "{name}");
    }
    ensure!(label("/etc/passwd")? == passwd, "a link was followed");
    keep("second", &bind(&plain, ""))?;
    denied(within("second", "cat /dir/file")?, "another container's file")?;
    denied(within("second", "echo > /dir/second")?, "another container's directory")?;
    // nor what it runs, and its root
    let pid = berth.berth(["inspect", "-f", "{{.State.Pid}}", "first"])?.ok()?;
    let (process, _) = shown(&berth, "first")?;
    let level = process.parse::<Context>()?.level.unwrap_or_default();
    let other = ["--pid", "host", "--cap-add", "ALL", "--security-opt"];
    let look = format!("cat /proc/{pid}/root/etc/hostname && kill -CONT {pid}");
    denied(inside(&berth, &[&other[..], &["label=level:s0:c1,c2"]].concat(), &look)?, "another's process")?;
    inside(&berth, &[&other[..], &[&format!("label=level:{level}")]].concat(), &look)?.ok()?;

    // all containers'
    keep("third", &bind(&plain, ":ro,z"))?;
    ensure!(label(berth.root().join("plain/deep/file"))? == SHARED);
    for name in ["first", "second", "third"] {
        within(name, "cat /dir/file /dir/deep/file")?.ok()?;
    }
    // volumes are, unless they are asked to be one's
    inside(&berth, &["-v", "all:/dir"], "echo shared > /dir/file")?.ok()?;
    inside(&berth, &["-v", "all:/dir"], "cat /dir/file")?.ok()?;
    keep("owner", "own:/dir:Z")?;
    within("owner", "echo own > /dir/file")?.ok()?;
    keep("stranger", "own:/dir:rw")?;
    denied(within("stranger", "cat /dir/file")?, "another container's volume")?;
    inside(&berth, &["--mount", "type=volume,src=own,dst=/dir"], "cat /dir/file")?.ok()?;
    berth.finish()
}

#[test]
fn options_say_which_labels() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = start()?;
    let run = |options: &[&str]| inside(&berth, options, CURRENT)?.ok();
    let opt = "--security-opt";
    ensure!(run(&[opt, "label=disable"])?.contains(":spc_t:"));
    ensure!(run(&["--privileged"])?.contains(":spc_t:"));
    ensure!(run(&["--pid", "host"])?.contains(":spc_t:"));
    ensure!(run(&["--ipc", "host"])?.contains(":spc_t:"));
    ensure!(run(&[opt, "label=type:container_other_t"])?.contains(":container_other_t:s0:c"));
    ensure!(run(&[opt, "label:level:s0:c3,c4"])? == "system_u:system_r:container_t:s0:c3,c4");
    berth
        .berth([
            "create",
            "--name",
            "typed",
            opt,
            "label=type:container_other_t",
            opt,
            "label=filetype:other_file_t",
            opt,
            "label=level:s0:c9,c10",
            IMAGE,
            "cat",
            "/etc/passwd",
        ])?
        .ok()?;
    ensure!(
        shown(&berth, "typed")?
            == (
                "system_u:system_r:container_other_t:s0:c9,c10".to_owned(),
                "system_u:object_r:other_file_t:s0:c9,c10".to_owned()
            )
    );
    berth.berth(["start", "-a", "typed"])?.ok()?;
    berth.berth(["create", "--name", "free", "--privileged", IMAGE, "true"])?.ok()?;
    let (process, mount) = shown(&berth, "free")?;
    ensure!(
        process.is_empty() && mount == "system_u:object_r:container_file_t:s0:c1022,c1023",
        "{process} {mount}"
    );

    // who shares another's shared memory or processes has its level
    let mode = ["--ipc", "shareable"];
    berth.berth([&["run", "-d", "--name", "donor"], &mode[..], &[IMAGE, "sleep", "1000"]].concat())?.ok()?;
    let (donor, _) = shown(&berth, "donor")?;
    ensure!(run(&["--ipc", "container:donor"])? == donor);
    ensure!(run(&["--pid", "container:donor"])? == donor);
    ensure!(run(&["--ipc", "container:donor", "--pid", "container:donor"])? == donor);
    inside(&berth, &["--ipc", "container:donor"], "echo > /dev/shm/file")?.ok()?;
    inside(&berth, &["--network", "container:donor"], "cat /etc/hosts /etc/resolv.conf")?.ok()?;
    berth.berth(["exec", "donor", "cat", "/etc/hosts"])?.ok()?;

    // SELinux itself is not to be seen, unless that is asked for
    ensure!(inside(&berth, &[], "ls /sys/fs/selinux")?.ok()?.is_empty());
    ensure!(inside(&berth, &[opt, "label=nested"], "ls /sys/fs/selinux")?.ok()?.contains("enforce"));

    for (option, words) in [
        ("label=nope", "bad label option \"nope\""),
        ("label=colour:red", "bad label option \"colour\""),
        ("label=type:unheard_of_t", "knows no context system_u:system_r:unheard_of_t:s0"),
        ("label=level:s0:", "is no SELinux context"),
    ] {
        berth
            .berth(["create", opt, option, IMAGE, "true"])?
            .fails(1, words)
            .or_else(|_error| berth.berth(["run", "--rm", opt, option, IMAGE, "true"])?.fails(125, words))?;
    }
    berth.finish()
}

#[test]
fn what_the_host_needs_is_not_relabelled() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = start()?;
    let link = berth.root().join("link").to_string_lossy().into_owned();
    std::os::unix::fs::symlink("/etc", &link)?;
    let data = berth.data_root().to_string_lossy().into_owned();
    let root = berth.root().to_string_lossy().into_owned();
    for path in ["/", "/etc", "/etc/passwd", "/usr", "/home", "/root", "/bin", &link, &data, &root] {
        let before = label(path)?;
        for mode in ["z", "Z"] {
            let mount = format!("{path}:/dir:{mode},rslave");
            let words = format!("SELinux relabeling of {path} is not allowed");
            inside(&berth, &["-v", &mount], "true")?.fails(125, &words)?;
        }
        ensure!(label(path)? == before, "{path}");
    }
    ensure!(label("/etc/hostname")? == label("/etc")?);
    berth.finish()
}

#[test]
fn pairs_are_one_containers_and_survive_berthd() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let mut berth = start()?;
    let names: Vec<String> = (0..8).map(|number| format!("box{number}")).collect();
    for name in &names {
        berth.berth(["run", "-d", "--name", name, IMAGE, "sleep", "1000"])?.ok()?;
    }
    let labels = |berth: &Berth| names.iter().map(|name| shown(berth, name)).collect::<Result<Vec<_>>>();
    let before = labels(&berth)?;
    ensure!(before.iter().collect::<HashSet<_>>().len() == names.len(), "{before:?}");
    berth.kill()?;
    berth.spawn()?;
    ensure!(labels(&berth)? == before);
    ensure!(berth.berth(["exec", "box0", "sh", "-c", CURRENT])?.ok()? == before[0].0);
    berth.berth(["restart", "-t", "0", "box1"])?.ok()?;
    ensure!(berth.berth(["exec", "box1", "sh", "-c", CURRENT])?.ok()? == before[1].0);
    ensure!(label("/proc/self/exe").is_ok() && selinux::current()? == HOST);

    // made when containers had no labels: it gets some before it starts
    berth.terminate()?;
    std::fs::write(berth.root().join("daemon.json"), r#"{"selinux-enabled": false}"#)?;
    berth.set_options(&[]);
    berth.spawn()?;
    berth.berth(["create", "--name", "late", IMAGE, "sh", "-c", CURRENT])?.ok()?;
    ensure!(shown(&berth, "late").is_err() || shown(&berth, "late")?.1.is_empty());
    ensure!(!inside(&berth, &[], CURRENT)?.ok()?.contains("container_t"));
    berth.terminate()?;
    std::fs::write(berth.root().join("daemon.json"), r#"{"selinux-enabled": true}"#)?;
    berth.spawn()?;
    ensure!(berth.berth(["start", "-a", "late"])?.ok()?.contains(":container_t:s0:c"));
    ensure!(labels(&berth)? == before);
    berth.finish()
}

/// As in Docker: configuration and compose files are shared among hosts.
#[test]
fn a_host_without_selinux_takes_the_options_for_nothing() -> Result<()> {
    if selinux::is_enabled() {
        let _ = writeln!(std::io::stderr(), "NOT RUN: SELinux is enabled on this host");
        return Ok(());
    }
    let berth = start()?;
    ensure!(berth.log().contains("SELinux is not enabled on this host"), "{}", berth.log());
    let options = berth.berth(["info", "-f", "{{.SecurityOptions}}"])?.ok()?;
    ensure!(!options.contains("selinux"), "{options}");
    let dir = open_to_all(&berth.root().join("dir"))?;
    for option in ["label=disable", "label=type:x_t", "label:level:s0:c1,c2", "label=nested"] {
        let mount = format!("{dir}:/dir:Z");
        inside(&berth, &["--security-opt", option, "-v", &mount, "-v", "/etc:/e:z"], "echo > /dir/file")?
            .ok()?;
    }
    let file = std::fs::File::open(berth.root().join("dir/file"))?;
    ensure!(selinux::label_of(&file)?.is_none());
    berth.berth(["create", "--name", "box", "--security-opt", "label=user:u", IMAGE, "true"])?.ok()?;
    ensure!(berth.berth(["inspect", "-f", "{{.ProcessLabel}}{{.MountLabel}}", "box"])?.ok()?.is_empty());
    let shown = berth.berth(["inspect", "-f", "{{.HostConfig.SecurityOpt}}", "box"])?.ok()?;
    ensure!(shown == "[label=user:u]", "{shown}");
    berth.finish()
}
