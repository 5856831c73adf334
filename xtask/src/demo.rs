//! `cargo xtask demo`: one container from an image made on the spot, and nothing left afterwards.

use anyhow::{Context, Result};
use e2e::image::Image;
use e2e::{Berth, programs};

use crate::{host, run};

const TAG: &str = "demo/busybox:latest";

/// What the container shows of itself: first process, name, limits, address.
const INSIDE: &str = r#"
echo "processes:"; ps -o pid,user,comm
echo "hostname:  $(hostname)"
limits=/sys/fs/cgroup
if [ -e $limits/memory ]; then
  echo "memory:    $(cat $limits/memory/memory.limit_in_bytes) bytes"
  echo "pids:      $(cat $limits/pids/pids.max)"
  echo "cpu:       $(cat $limits/cpu/cpu.cfs_quota_us) of $(cat $limits/cpu/cpu.cfs_period_us) µs"
else
  echo "memory:    $(cat $limits/memory.max) bytes"
  echo "pids:      $(cat $limits/pids.max)"
  echo "cpu:       $(cat $limits/cpu.max)"
fi
echo "root:      $(mount | grep ' / ' | cut -d' ' -f1,5)"
echo "addresses: $(ip -o -4 addr | tr -s ' ' | cut -d' ' -f2,4 | tr '\n' ' ')"
echo "caps:      $(grep CapEff /proc/self/status)"
"#;

pub(crate) fn main() -> Result<()> {
    host::install(host::BUILD)?;
    host::install(host::DEMO)?;
    run::step("cargo build --release");
    run::run(&mut run::cargo(["build", "--release", "--workspace", "--bins"]))?;
    programs::take_from(run::programs("release")?);

    run::step("berthd, in a root of its own");
    let berth = Berth::bare(&[])?;
    run::say(&format!("{} (pid {})\n", berth.host(), berth.pid()?));

    run::step("an image of two layers from Debian's busybox-static");
    let mut image = Image::busybox()?;
    image.layer(|layer| layer.file("etc/motd", 0o644, b"made by cargo xtask demo\n"))?;
    berth.load(&image, TAG)?;
    show(&berth, &["images"])?;
    show(&berth, &["history", TAG])?;
    show(&berth, &["image", "inspect", "--format", "{{range .RootFS.Layers}}{{println .}}{{end}}", TAG])?;

    run::step("one container");
    let limits = ["--hostname", "berth-demo", "--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"];
    let shown: Vec<&str> =
        ["run", "--rm"].into_iter().chain(limits).chain([TAG, "sh", "-c", INSIDE]).collect();
    show(&berth, &shown)?;

    run::step("another in the background: exec, logs, stop");
    let ticking = "trap 'echo told to stop; exit 0' TERM; echo started; while :; do sleep 0.1 & wait; done";
    show(&berth, &["run", "-d", "--name", "demo", TAG, "sh", "-c", ticking])?;
    show(&berth, &["exec", "demo", "cat", "/etc/motd"])?;
    show(&berth, &["ps"])?;
    show(&berth, &["stop", "demo"])?;
    show(&berth, &["logs", "demo"])?;
    show(&berth, &["rm", "demo"])?;

    run::step("nothing is left");
    berth.finish().context("the demonstration left something behind")?;
    run::say("no process, mount, network namespace, veth, rule or cgroup of ours\n");
    Ok(())
}

/// Shows the command line and what it prints.
fn show(berth: &Berth, args: &[&str]) -> Result<()> {
    let line: Vec<&str> = args.iter().map(|arg| if arg.contains('\n') { "'…'" } else { *arg }).collect();
    run::say(&format!("$ berth {}\n", line.join(" ")));
    run::say(&format!("{}\n", berth.berth(args)?.ok()?));
    Ok(())
}
