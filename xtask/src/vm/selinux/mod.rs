//! `cargo xtask vm selinux`: the guest with SELinux instead of AppArmor, and a small policy of our own: what a host may,
//! and what containers may not.
//!
//! The policy is loaded when the guest is up: what runs then becomes the host's (`kernel_t`), and is let everything. No
//! `/etc/selinux/config` is there, so that Debian's programs take SELinux for absent and leave the labels to us.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::guest::Module;
use super::root::Kind;
use super::work;
use crate::{host, run};

/// Without its categories.
const POLICY: &str = include_str!("policy.cil");
/// Of the policy.
const CATEGORIES: usize = 1024;
/// What Debian 12's kernel reads.
const VERSION: &str = "33";
const COMPILER: &[host::Package] = &[host::Package { name: "secilc", shows: "/usr/bin/secilc" }];
const TESTS: &[&str] = &["selinux::"];
/// A policy must come whole in one write.
const LOAD: &str = "set -e; mountpoint -q /sys/fs/selinux || mount -t selinuxfs selinuxfs /sys/fs/selinux; \
                    cat > /run/policy; dd if=/run/policy of=/sys/fs/selinux/load bs=64M status=none; \
                    echo 1 > /sys/fs/selinux/enforce";

pub(super) fn main(filters: &[&str]) -> Result<()> {
    host::install(COMPILER)?;
    let policy = compiled()?;
    let (guest, suite) = super::boot(Kind::Small, Module::Selinux)?;
    guest.send(LOAD, &policy)?;
    ensure!(guest.ask("tr -d '\\0' < /proc/self/attr/current")?.contains(":kernel_t:"));
    run::step("tests, in the guest");
    let filters = if filters.is_empty() { TESTS } else { filters };
    let result = guest.run(&work::command(&suite, filters, Module::Selinux)?);
    if result.is_err() {
        guest.run("dmesg | grep -i 'avc:.*denied' | tail -40")?;
    }
    guest.power_off().context("the guest does not end")?;
    result
}

/// The policy as the kernel reads it.
fn compiled() -> Result<Vec<u8>> {
    let place = tempfile::tempdir()?;
    let (source, policy) = (place.path().join("policy.cil"), place.path().join("policy"));
    let mut text = POLICY.to_owned();
    let categories: Vec<String> = (0..CATEGORIES).map(|number| format!("c{number}")).collect();
    for category in &categories {
        writeln!(text, "(category {category})")?;
    }
    writeln!(text, "(categoryorder ({}))", categories.join(" "))?;
    std::fs::write(&source, text)?;
    let mut compiler = Command::new("secilc");
    compiler.args(["-c", VERSION, "-f", "/dev/null", "-o"]).arg(&policy).arg(&source);
    run::run(&mut compiler)?;
    std::fs::read(&policy).context("secilc has written no policy")
}
