//! `cargo xtask vm`: a second host. Debian's kernel for clouds and a small Debian with systemd, cgroup v2 and
//! AppArmor, under an emulated processor, with our programs and tests in it.
//!
//! The guest's disks are `root` (what Debian is made of, a copy-on-write layer over a file that is made once and kept
//! in `target/vm`) and `work` (the programs, the test program and the files that it reads, at the checkout's own path).

use anyhow::{Context, Result, bail};

use crate::{host, run};

mod cpio;
mod disk;
mod guest;
mod kernel;
mod pair;
mod parts;
mod powercut;
mod root;
mod selinux;
mod service;
mod session;
mod volatile;
mod wire;
mod work;

use guest::{Guest, Module};
use root::Kind;
pub(crate) use work::{Program, names, suite};

/// What a machine in a machine needs.
const PACKAGES: &[host::Package] = &[
    host::Package { name: "qemu-system-x86", shows: "/usr/bin/qemu-system-x86_64" },
    host::Package { name: "debootstrap", shows: "/usr/sbin/debootstrap" },
    host::Package { name: "e2fsprogs", shows: "/usr/sbin/mke2fs" },
    host::Package { name: "openssh-client", shows: "/usr/bin/ssh" },
];

const USAGE: &str = "usage: cargo xtask vm [shell | powercut [CUTS [SEED]] | selinux [FILTER...] | pair | \
                     user [FILTER...] | all [--rest] [PART...] | [--peers] FILTER...]";

/// Tests that are run if none is named: what is different with cgroup v2, systemd and AppArmor. None needs a peer.
const SHORT: &[&str] = &[
    "apparmor::",
    "limits::resources",
    "limits::an_out_of_memory_kill_is_reported",
    "survival::a_container_outlives_berthd",
    "survival::a_killed_shim_is_reported_and_leaves_no_orphan",
];

pub(crate) fn main(args: &[String]) -> Result<()> {
    host::install(host::BUILD)?;
    host::install(host::DEMO)?;
    host::install(PACKAGES)?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["shell", kind @ ..] => shell(if kind == ["--peers"] { Kind::Peers } else { Kind::Small }),
        ["powercut", words @ ..] => powercut::main(words),
        ["selinux", filters @ ..] => selinux::main(filters),
        ["pair"] => pair::main(),
        ["user", filters @ ..] => user(filters),
        [] => short(),
        ["all", words @ ..] => parts::main(words),
        ["--peers", filters @ ..] => tests(Kind::Peers, filters),
        [first, ..] if first.starts_with('-') => bail!(USAGE),
        filters => tests(Kind::Small, filters),
    }
}

/// The [`SHORT`] set, and a service that comes up again with the machine.
fn short() -> Result<()> {
    let (guest, suite) = boot(Kind::Small, Module::AppArmor)?;
    run::step("tests, in the guest");
    guest.run(&work::command(&suite, SHORT, Module::AppArmor)?)?;
    service::comes_up_again(&guest)?;
    guest.power_off().context("the guest does not end")
}

/// Runs the end-to-end tests that match one of `filters` in the guest.
fn tests(kind: Kind, filters: &[&str]) -> Result<()> {
    let (guest, suite) = boot(kind, Module::AppArmor)?;
    run::step("tests, in the guest");
    let result = guest.run(&work::command(&suite, filters, Module::AppArmor)?);
    guest.power_off().context("the guest does not end")?;
    result
}

/// Who has a systemd of his own, without a session.
const MAKE_USER: &str = "useradd --create-home --shell /bin/sh tester && loginctl enable-linger tester && \
                         timeout 300 sh -c 'until [ -S /run/user/$(id -u tester)/systemd/private ]; do sleep 0.2; done'";

/// Runs the end-to-end tests that hold for an ordinary user on his daemons.
fn user(filters: &[&str]) -> Result<()> {
    let (guest, suite) = boot(Kind::Peers, Module::AppArmor)?;
    guest.run(MAKE_USER)?;
    run::step("tests, in the guest, on an ordinary user's daemons");
    let tests = crate::user::tests(&suite, filters, true)?;
    let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
    let command = work::command(&suite, &tests, Module::AppArmor)?;
    let whose = "export BERTH_TEST_USER=$(id -u tester) XDG_RUNTIME_DIR=/run/user/$(id -u tester)";
    let result = guest.run(&format!("{whose} && {command}"));
    guest.power_off().context("the guest does not end")?;
    result
}

/// A shell in the guest, with our programs in its path.
fn shell(kind: Kind) -> Result<()> {
    let (guest, _) = boot(kind, Module::AppArmor)?;
    let result = guest.shell();
    guest.power_off()?;
    result
}

/// A guest, and its program of end-to-end tests.
fn boot(kind: Kind, module: Module) -> Result<(Guest, Program)> {
    let root = root::prepare(kind)?;
    let (work, mut programs) = work::prepare(kind, work::Purpose::Tests)?;
    run::step("a guest");
    Ok((Guest::boot(&root, &work, module)?, programs.pop().context("no tests")?))
}
