//! `docs/oci-runtime.md`, written from the requirements.

use std::fmt::Write;
use std::path::Path;

use crate::requirement::Requirement;

/// Sections of the specification, and the requirements that are tried.
const SECTIONS: &[(&str, &[Requirement])] = &[
    ("runtime.md: scope and state", crate::state::ALL),
    ("runtime.md: lifecycle", crate::lifecycle::ALL),
    ("runtime.md: errors and warnings", crate::errors::ALL),
    ("runtime.md: operations", crate::operations::ALL),
    ("config.md: version, root, names, annotations, values", crate::config::ALL),
    ("config.md: mounts", crate::mounts::ALL),
    ("config.md: mount options of Linux", crate::options::ALL),
    ("config.md: process", crate::process::ALL),
    ("config.md: hooks", crate::hooks::ALL),
    ("config-linux.md: namespaces, mappings, clocks", crate::namespaces::ALL),
    ("config-linux.md, runtime-linux.md: devices, links, descriptors", crate::devices::ALL),
    ("config-linux.md: cgroups, sysctl, paths, propagation", crate::resources::ALL),
    ("config-linux.md: seccomp", crate::seccomp::ALL),
];

const HEAD: &str = "# The OCI runtime specification, requirement by requirement

What `berth-oci` is held to, and so is every container of `berthd`, which is made by the same code. Each line is a test \
of `crates/runtime/tests/spec`, by runc's command line, on `berth-oci`, on Debian's runc 1.1.5 and on Debian's crun \
1.8.1. A departure that is listed is tried as well: the day it is kept, the test fails until the line is gone.

This file is written by `BERTH_WRITE_DOCS=1 cargo test -p runtime --test spec document`, and a test compares it.
";

/// What no test tries, and why.
const UNTRIED: &[(&str, &str)] = &[
    (
        "An id is unique across the host",
        "the scope is the runtime's, which is its `--root`; within it, `create_must_error_for_used_id`",
    ),
    ("Windows, Solaris, FreeBSD, z/OS, virtual machines", "not this runtime's platforms"),
    (
        "SHOULD and MAY",
        "no requirement; those that Docker needs are in `tests/suite` and the end-to-end tests",
    ),
    (
        "RDT: schemata are written, compared and assigned",
        "not driven, and refused: `rdt_without_resctrl_must_be_an_error`",
    ),
    (
        "Without `intelRdt` no resctrl file system is touched",
        "the tests' machines have none; no line of the program would",
    ),
    ("`netDevices`, `memoryPolicy` (1.3)", "not driven, and refused by name"),
    ("`blockIO.weightDevice` has a weight, `rdma` a limit", "rules for who writes the configuration"),
    (
        "`unified`: controllers are enabled, unknown files written",
        "version 2 of cgroups; unit tests of `sys`",
    ),
    (
        "Cgroup ownership falls back to a fixed list of files",
        "only where a runtime changes the ownership, a MAY",
    ),
    ("A check of the cgroup that fails is an error", "the check itself is a MAY"),
    (
        "`listenerPath` is of `AF_UNIX` and `SOCK_STREAM`",
        "how the tests' agent listens: anything else would not reach it",
    ),
    ("Reserved annotation keys are not used by later versions", "a rule for the specification's authors"),
    (
        "SELinux labels",
        "no machine of these tests has SELinux; without it they are refused (`tests/suite`), and what they do with it is \
         tried by `cargo xtask vm selinux`",
    ),
];

fn text() -> String {
    let mut out = HEAD.to_owned();
    for (title, list) in SECTIONS {
        let _ = write!(out, "\n## {title}\n\n| test | requirement | known departures |\n|---|---|---|\n");
        for one in *list {
            let sentence: Vec<&str> = one.text.iter().map(|line| line.trim()).collect();
            let departs: Vec<String> = one.departs.iter().map(|(who, how)| format!("{who}: {how}")).collect();
            let _ = writeln!(out, "| `{}` | {} | {} |", one.name, sentence.join(" "), departs.join("; "));
        }
    }
    out.push_str("\n## What is not tried\n\n| requirement | why |\n|---|---|\n");
    for (what, why) in UNTRIED {
        let _ = writeln!(out, "| {what} | {why} |");
    }
    out
}

#[test]
fn the_document_says_what_is_tried() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/oci-runtime.md");
    if std::env::var_os("BERTH_WRITE_DOCS").is_some() {
        std::fs::write(&path, text()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text(),
        "docs/oci-runtime.md is out of date: BERTH_WRITE_DOCS=1 cargo test -p runtime --test spec document"
    );
}
