//! Options of the local driver, and mounts that several containers share.

use anyhow::{Result, ensure};
use e2e::programs;

use super::{IMAGE, run, start};

/// A tmpfs volume is one file system for all that run at the same time, also for those that start after the daemon was
/// killed; it is in no mount table of the host, and gone with the last container.
#[test]
fn a_device_is_mounted_once_and_never_on_the_host() -> Result<()> {
    let mut berth = start()?;
    let options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,uid=7,noexec"];
    let create: Vec<&str> = ["volume", "create"].into_iter().chain(options).chain(["memory"]).collect();
    berth.docker(create)?.ok()?;
    let keep =
        ["run", "-d", "--network", "none", "--name", "keeper", "-v", "memory:/a", "-v", "memory:/b", IMAGE];
    let script = ["sh", "-c", "echo shared > /a/file; cat /b/file; exec sleep 1000"];
    berth.berth(keep.into_iter().chain(script))?.ok()?;
    programs::eventually("the first container has written", || {
        Ok((berth.berth(["logs", "keeper"])?.ok()? == "shared").then_some(()))
    })?;
    let look = "cat /c/file; stat -c %u /c; grep -c ' /c tmpfs ro.*noexec.*size=1024k' /proc/mounts; touch /c/x || echo no";
    let seen = berth.docker(run(&["-v", "memory:/c:ro"], look))?.ok()?;
    ensure!(seen == "shared\n7\n1\nno", "{seen}");
    berth.kill()?;
    berth.spawn()?;
    let seen = berth.berth(run(&["-v", "memory:/c"], "cat /c/file"))?.ok()?;
    ensure!(seen == "shared", "after the daemon's death: {seen}");
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let root = berth.root().display().to_string();
    ensure!(!table.contains(&root), "the host's table names {root}:\n{table}");
    berth.docker(["volume", "rm", "memory"])?.fails(1, "volume is in use - [")?;
    berth.berth(["rm", "-f", "keeper"])?.ok()?;
    ensure!(berth.berth(run(&["-v", "memory:/c"], "ls /c"))?.ok()?.is_empty());
    berth.docker(["volume", "rm", "memory"])?.ok()?;
    berth.finish()
}

#[test]
fn binds_and_what_is_wrong_with_options() -> Result<()> {
    let berth = start()?;
    let source = berth.root().join("source");
    std::fs::create_dir(&source)?;
    std::fs::write(source.join("here"), "")?;
    let device = format!("device={}", source.display());
    let create = |name: &str, options: &[&str]| {
        let words = options.iter().flat_map(|option| ["--opt", option]);
        berth.docker(["volume", "create"].into_iter().chain(words).chain([name]))
    };
    create("bound", &["type=none", &device, "o=bind,ro"])?.ok()?;
    let seen = berth.docker(run(&["-v", "bound:/x"], "ls /x; touch /x/y || echo no"))?.ok()?;
    ensure!(seen == "here\nno", "{seen}");
    create("missing", &["type=none", "device=/nonexistent", "o=bind"])?.ok()?;
    let words = "failed to mount local volume: mount /nonexistent:";
    let ran = berth.docker(run(&["-v", "missing:/x"], "true"))?;
    ensure!(ran.code == 127 && ran.stderr.contains("flags: 0x1000: no such file or directory"), "{ran:?}");
    ran.fails(127, words)?;
    for (options, words) in [
        (&["bad=1"][..], "create odd: invalid option: \"bad\""),
        (&["type=tmpfs"][..], "create odd: missing required option: \"device\""),
        (&["size=1g"][..], "create odd: quota size requested but no quota support"),
    ] {
        create("odd", options)?.fails(1, words)?;
    }
    let ran = create("far", &["type=nfs", "device=:/x", "o=addr=server"])?;
    ran.ok()?;
    berth.docker(run(&["-v", "far:/x"], "true"))?.fails(125, "addr=server: the server's address must be")?;
    create("odd", &["type=nosuchfs", "device=x"])?.ok()?;
    berth.docker(run(&["-v", "odd:/x"], "true"))?.fails(125, "failed to mount local volume: mount x:")?;
    let mount = "type=volume,src=made,dst=/m,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b";
    ensure!(berth.docker(run(&["--mount", mount], "grep -c ' /m tmpfs' /proc/mounts"))?.ok()? == "1");
    let shown = berth.berth(["volume", "inspect", "-f", "{{.Options.type}} {{.Labels.a}}", "made"])?.ok()?;
    ensure!(shown == "tmpfs b", "{shown}");
    berth.finish()
}

/// runc binds by name what our runtime attaches by descriptor.
#[test]
fn outside_runtimes_get_the_same_mounts() -> Result<()> {
    let berth = e2e::Berth::bare(&["--add-runtime", "debian=/usr/bin/runc"])?;
    berth.load(&e2e::image::Image::busybox()?, IMAGE)?;
    let create = ["volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "memory"];
    berth.berth(create)?.ok()?;
    let keep = [
        "run",
        "-d",
        "--network",
        "none",
        "--runtime",
        "debian",
        "--name",
        "keeper",
        "-v",
        "memory:/a",
        IMAGE,
    ];
    berth.berth(keep.into_iter().chain(["sh", "-c", "echo shared > /a/file; exec sleep 1000"]))?.ok()?;
    let seen = programs::eventually("the file is there", || {
        let ran = berth.berth(run(&["-v", "memory:/b"], "cat /b/file"))?;
        Ok((ran.code == 0).then_some(ran.stdout))
    })?;
    ensure!(seen == "shared\n", "{seen}");
    let image = format!("type=image,src={IMAGE},dst=/i");
    let seen = berth
        .berth(run(&["--runtime", "debian", "--mount", &image], "ls /i/bin/sh; touch /i/x || echo no"))?;
    ensure!(seen.ok()? == "/i/bin/sh\nno");
    berth.finish()
}
