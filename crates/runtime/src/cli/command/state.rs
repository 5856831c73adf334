//! `state`: what the runtime specification calls so, with runc's additions.

use std::path::Path;

use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::{Command, Outcome, print};
use crate::cli::args::Parsed;
use crate::cli::container::{Container, Status};
use crate::cli::global::Global;

pub(super) const COMMAND: Command = Command {
    name: "state",
    usage: "ID",
    help: "print a container's state as JSON",
    flags: &[],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let container = Container::load(&global.root, parsed.id()?)?;
    let text = serde_json::to_string_pretty(&value(&container, true))?;
    Ok(print(&format!("{text}\n")))
}

/// A container as `state` and `list` tell it.
pub(super) fn value(container: &Container, with_version: bool) -> Value {
    let state = &container.state;
    let status = container.status();
    let pid = if status == Status::Stopped { 0 } else { state.pid };
    let spec = container.spec().ok();
    let mut value = json!({
        "id": state.id, "pid": pid, "status": status.name(), "bundle": state.bundle,
        "rootfs": state.rootfs, "created": state.created, "owner": state.owner,
    });
    if with_version {
        value["ociVersion"] = spec.as_ref().map_or("1.0.2", |s| s.version()).into();
    }
    if let Some(annotations) = spec.as_ref().and_then(|s| s.annotations().as_ref()) {
        value["annotations"] = json!(annotations);
    }
    value
}

/// What hooks read.
pub(super) fn for_hooks(spec: &Spec, id: &str, bundle: &Path, status: &str, pid: i32) -> String {
    runtime::hook_state(spec, id, bundle, status, pid)
}
