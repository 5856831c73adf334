//! Parts of volumes and of images, and attacks on the way there.

use anyhow::{Result, ensure};

use super::{IMAGE, run, start};

const INSIDE: &str = "mkdir -p /v/d/e; echo found > /v/d/f; ln -s d /v/good; ln -s ../.. /v/up; ln -s /etc /v/abs; \
                      ln -s ../../../../../.. /v/d/far; ln -s /proc/self/root /v/magic";

#[test]
fn a_part_of_a_volume() -> Result<()> {
    let berth = start()?;
    berth.docker(run(&["-v", "vol:/v"], INSIDE))?.ok()?;
    let mount = |subpath: &str| format!("type=volume,src=vol,dst=/s,volume-subpath={subpath}");
    for (subpath, script, seen) in [
        ("d", "cat /s/f", "found"),
        ("good", "cat /s/f", "found"),
        ("d/../d/e", "ls -a /s", ".\n.."),
        ("d/f", "cat /s", "found"),
    ] {
        let got = berth.docker(run(&["--mount", &mount(subpath)], script))?.ok()?;
        ensure!(got == seen, "{subpath}: {got}");
    }
    let escapes = "path concatenation escapes the base directory, base: \"vol\"";
    for (subpath, words) in [
        ("up", escapes),
        ("abs", escapes),
        ("d/far", escapes),
        ("d/far/etc", escapes),
        ("magic", escapes),
        ("nothing", "cannot access path nothing of vol"),
        ("../vol", "subpath must be a relative path within the volume"),
        ("/d", "subpath must be a relative path within the volume"),
    ] {
        let ran = berth.docker(run(&["--mount", &mount(subpath)], "ls /s"))?;
        ensure!(ran.code != 0 && ran.stderr.contains(words), "{subpath}: {ran:?}");
    }
    let anonymous = "type=volume,dst=/s,volume-subpath=d";
    berth
        .docker(run(&["--mount", anonymous], "true"))?
        .fails(125, "must not set Subpath when using anonymous")?;
    berth.finish()
}

/// A container swaps a directory of the volume for a symlink to the host's root, again and again, while others mount it:
/// they get the directory or a refusal, never the host.
#[test]
fn a_subpath_that_is_swapped() -> Result<()> {
    let berth = start()?;
    berth
        .berth(run(
            &["-v", "vol:/v"],
            "mkdir /v/dir /v/a; ln -s ../../../../../../../../etc /v/evil; echo ours > /v/a/hostname",
        ))?
        .ok()?;
    let swap = "while :; do mv -T /v/a /v/x; mv -T /v/evil /v/a; mv -T /v/a /v/evil; mv -T /v/x /v/a; done";
    let attack =
        ["run", "-d", "--network", "none", "--name", "attacker", "-v", "vol:/v", IMAGE, "sh", "-c", swap];
    berth.berth(attack)?.ok()?;
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let mount = "type=volume,src=vol,dst=/s,volume-subpath=a";
    let (mut good, mut refused) = (0, 0);
    for _ in 0..60 {
        let ran = berth.berth(run(&["--mount", mount], "cat /s/hostname; ls /s"))?;
        ensure!(
            !ran.stdout.contains("passwd") && (host.trim() == "ours" || !ran.stdout.contains(host.trim())),
            "{ran:?}"
        );
        if ran.code == 0 {
            ensure!(ran.stdout == "ours\nhostname\n", "{ran:?}");
            good += 1;
        } else {
            refused += 1;
        }
    }
    ensure!(good > 0, "{refused} refusals and nothing else: the test shows nothing");
    berth.berth(["rm", "-f", "attacker"])?.ok()?;
    berth.finish()
}

#[test]
fn views_of_images() -> Result<()> {
    let berth = start()?;
    let mut other = e2e::image::Image::scratch();
    other.layer(|layer| {
        layer.dir("etc/", 0o755)?;
        layer.file("etc/version", 0o644, b"one\n")?;
        layer.symlink("abs", "/etc")?;
        layer.symlink("up", "../../../..")
    })?;
    berth.load(&other, "other:1")?;
    let mount = |subpath: &str| match subpath {
        "" => "type=image,src=other:1,dst=/i".to_owned(),
        subpath => format!("type=image,src=other:1,dst=/i,image-subpath={subpath}"),
    };
    for (subpath, script, seen) in [
        ("", "cat /i/etc/version; touch /i/x || echo no", "one\nno"),
        ("etc", "cat /i/version", "one"),
        ("etc/version", "cat /i", "one"),
        ("abs", "cat /i/version", "one"),
        ("up", "ls /i", "abs\netc\nup"),
    ] {
        let got = berth.docker(run(&["--mount", &mount(subpath)], script))?.ok()?;
        ensure!(got == seen, "{subpath}: {got}");
    }
    let twice = ["--mount", &mount(""), "--mount", &mount("etc").replace("/i", "/j")];
    ensure!(berth.berth(run(&twice, "cat /i/etc/version /j/version"))?.ok()? == "one\none");
    berth
        .docker(run(&["--mount", &mount("nothing")], "true"))?
        .fails(125, "cannot access path nothing of other:1")?;
    let missing = berth.docker(run(&["--mount", "type=image,src=nosuch,dst=/i"], "true"))?;
    ensure!(
        missing.stderr.contains("No such image: nosuch") && !missing.stderr.contains("Unable to find"),
        "{missing:?}"
    );
    // the view outlives the image's name, and counts as a use of the image
    let keep =
        ["run", "-d", "--network", "none", "--name", "viewer", "--mount", &mount(""), IMAGE, "sleep", "1000"];
    berth.docker(keep)?.ok()?;
    let shown = berth
        .docker(["inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Name}} {{.RW}} {{end}}", "viewer"])?
        .ok()?;
    ensure!(shown.contains("image other:1 false"), "{shown}");
    berth.docker(["rmi", "other:1"])?.fails(1, "is using its referenced image")?;
    let id = berth.docker(["images", "-q", "--no-trunc", "other:1"])?.ok()?;
    ensure!(berth.docker(["rmi", "-f", "other:1"])?.ok()? == "Untagged: other:1");
    ensure!(berth.docker(["exec", "viewer", "cat", "/i/etc/version"])?.ok()? == "one");
    berth.docker(["rm", "-f", "viewer"])?.ok()?;
    berth.docker(["rmi", &id])?.ok()?;
    berth.finish()
}
