//! The OCI runtime rows: the same bundle under `berth-oci`, crun and runc.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use e2e::{Berth, programs};

use super::measure::{RUNS, Row, in_turn, time};
use crate::run;
use e2e::peers::Docker;

const PEERS: &[&str] = &["/usr/bin/crun", "/usr/sbin/runc"];

pub(super) fn rows(_: &Berth, _: &Docker) -> Result<Vec<Row>> {
    let bundle = bundle()?;
    let ours = programs::program("berth-oci")?;
    let mut rows = Vec::new();
    for peer in PEERS {
        let peer = Path::new(peer);
        let name = peer.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (a, b) = in_turn(|| whole(&ours, bundle.path()), || whole(peer, bundle.path()), RUNS)?;
        rows.push(Row::new("OCI runtime: run /bin/true", "ms", a, &name, b));
        let (a, b) = in_turn(|| steps(&ours, bundle.path()), || steps(peer, bundle.path()), RUNS)?;
        rows.push(Row::new("OCI runtime: create + start + delete", "ms", a, &name, b));
    }
    Ok(rows)
}

fn whole(runtime: &Path, bundle: &Path) -> Result<f64> {
    let mut command = Command::new(runtime);
    time({
        command.arg("run").arg("--bundle").arg(bundle).arg(id());
        command
    })
}

fn steps(runtime: &Path, bundle: &Path) -> Result<f64> {
    let mut create = Command::new(runtime);
    create.arg("create").arg("--bundle").arg(bundle).arg(id());
    let mut start = Command::new(runtime);
    start.args(["start", &id()]);
    let mut delete = Command::new(runtime);
    delete.args(["delete", "--force", &id()]);
    Ok(time(create)? + time(start)? + time(delete)?)
}

/// A bundle of busybox with the configuration that `runc spec` writes, no terminal, `/bin/true`.
fn bundle() -> Result<tempfile::TempDir> {
    let bundle = tempfile::Builder::new().prefix("bench-bundle-").tempdir()?;
    let bin: PathBuf = bundle.path().join("rootfs/bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::copy("/bin/busybox", bin.join("busybox"))?;
    for applet in ["true", "sh"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet))?;
    }
    run::output(Command::new("/usr/sbin/runc").arg("spec").current_dir(bundle.path()))?;
    let path = bundle.path().join("config.json");
    let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(["/bin/true"]);
    // Lowered limits only: the machine may lack CAP_SYS_RESOURCE.
    spec["process"]["rlimits"] = serde_json::json!([]);
    std::fs::write(&path, serde_json::to_vec(&spec)?).with_context(|| path.display().to_string())?;
    Ok(bundle)
}

/// The container's id: one that a run that failed before can't have left.
fn id() -> String {
    format!("berth-bench-{}", std::process::id())
}
