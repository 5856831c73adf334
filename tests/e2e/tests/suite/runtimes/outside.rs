//! crun, runc and youki through `--runtime`: named by `--add-runtime` or by `daemon.json`, with arguments.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::Image;

use super::life::Life;

/// Where the cgroup2 mount of a hybrid hierarchy is.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

fn started(options: &[&str]) -> Result<Berth> {
    let berth = Berth::bare(options)?;
    berth.load(&Image::busybox()?, IMAGE)?;
    Ok(berth)
}

fn whole(name: &str, program: &Path, tidy: fn() -> Result<()>) -> Result<()> {
    let berth = started(&["--add-runtime", &format!("{name}={}", program.display())])?;
    Life { berth, runtime: name, tidy }.whole()
}

#[test]
fn runc() -> Result<()> {
    whole("debian-runc", Path::new("/usr/sbin/runc"), || Ok(()))
}

#[test]
fn crun() -> Result<()> {
    without_hybrid_cgroups()?;
    whole("crun", Path::new("/usr/bin/crun"), empty_the_false_hierarchy)
}

/// From the registry of Rust's crates: `cargo xtask test` has installed it.
#[test]
fn youki() -> Result<()> {
    let program = std::env::var_os("BERTH_TEST_YOUKI").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/youki/bin/youki"),
        PathBuf::from,
    );
    ensure!(program.exists(), "{} is not there: cargo xtask test installs it", program.display());
    whole("youki", &program, || Ok(()))
}

/// Our own program by its command line: what others get when they run it.
#[test]
fn our_own_by_its_command_line() -> Result<()> {
    whole("own", &e2e::programs::program("berth-oci")?, || Ok(()))
}

/// `runtimes` of daemon.json, with arguments of its own that come before the verb, as the default.
#[test]
fn runtimes_of_the_configuration_file_get_their_arguments() -> Result<()> {
    let mut berth = Berth::bare(&[])?;
    berth.terminate()?;
    let (log, wrapper) = (berth.root().join("calls"), berth.root().join("wrapper"));
    std::fs::write(
        &wrapper,
        format!("#!/bin/sh\necho \"$@\" >> {}\nexec /usr/sbin/runc \"$@\"\n", log.display()),
    )?;
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let config = serde_json::json!({
        "default-runtime": "mine",
        "runtimes": { "mine": { "path": wrapper, "runtimeArgs": ["--debug"] } },
    });
    std::fs::write(berth.root().join("daemon.json"), config.to_string())?;
    berth.spawn()?;
    berth.load(&Image::busybox()?, IMAGE)?;
    ensure!(berth.berth(["run", "--rm", IMAGE, "echo", "hello"])?.ok()? == "hello");
    let calls = std::fs::read_to_string(&log)?;
    let first = calls.lines().next().context("it was not called")?;
    ensure!(first.starts_with("--debug --root ") && first.contains(" create "), "{first}");
    let info = berth
        .docker(["info", "-f", "{{.DefaultRuntime}} {{range $k, $v := .Runtimes}}{{$k}} {{end}}"])?
        .ok()?;
    ensure!(info.starts_with("mine ") && info.matches("mine").count() == 2, "{info}");
    // one that can't be run is an error, and leaves a container that can be removed
    std::fs::remove_file(&wrapper)?;
    let ran = berth.berth(["run", "--name", "box", IMAGE, "true"])?;
    ensure!(ran.code != 0, "{ran:?}");
    berth.berth(["rm", "box"])?.ok()?;
    berth.berth(["run", "--rm", "--runtime", "no-such", IMAGE, "true"])?.fails(125, "no-such")?;
    berth.finish()
}

/// What crun has made of directories and files in the place of the cgroup2 mount, for which nobody else has a use.
fn empty_the_false_hierarchy() -> Result<()> {
    for entry in std::fs::read_dir(UNIFIED).into_iter().flatten().flatten() {
        if !Path::new(UNIFIED).join("cgroup.procs").exists() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// crun 1.8 refuses cgroups of version 1 that have a cgroup2 mount beside them. The thread of this test, and with it the
/// daemon and all that it starts, is in a mount namespace without that mount.
fn without_hybrid_cgroups() -> Result<()> {
    use rustix::mount::MountPropagationFlags;
    if !Path::new(UNIFIED).exists() {
        return Ok(());
    }
    sys::process::unshare(sys::process::Namespaces::MOUNT)?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // it may be there as a directory only; what crun puts into it must not be in the machine's
    let _ = sys::mount::detach(UNIFIED);
    let private = sys::mount::filesystem("tmpfs", &[], sys::mount::Attr::default())?;
    sys::mount::attach(private, std::fs::File::open(UNIFIED)?)?;
    Ok(())
}
