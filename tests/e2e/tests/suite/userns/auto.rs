//! `--userns=auto`: each container is other users of the host.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};

use super::{owner, sh};

/// The first id of the host that may be a container's, and how many follow.
const FIRST: u32 = 700_000;
const ALL: u32 = 5000;

/// A daemon that has `ALL` ids to give away.
fn giving(options: &[&str]) -> Result<(tempfile::TempDir, Berth)> {
    let files = tempfile::tempdir()?;
    let put = |name: &str, text: &str| std::fs::write(files.path().join(name), text);
    put("passwd", "root:x:0:0::/:/bin/sh\n")?;
    put("group", "root:x:0:\n")?;
    let text = format!("containers:{FIRST}:{ALL}\nothers:1:1\n");
    put("subuid", &text)?;
    put("subgid", &text)?;
    let place = files.path().to_string_lossy().into_owned();
    let berth = Berth::with_environment(&[("BERTH_ID_FILES", &place)], options)?;
    Ok((files, berth))
}

/// The rows of `uid_map` and `gid_map`, numbers only.
fn maps(berth: &Berth, name: &str) -> Result<Vec<Vec<u32>>> {
    let text = berth.berth(["exec", name, "cat", "/proc/self/uid_map", "/proc/self/gid_map"])?.ok()?;
    let row = |line: &str| line.split_whitespace().map(|word| Ok(word.parse()?)).collect();
    text.lines().map(row).collect()
}

fn first(berth: &Berth, name: &str) -> Result<u32> {
    Ok(maps(berth, name)?.first().context("no row")?[1])
}

fn run(berth: &Berth, name: &str, options: &[&str]) -> Result<e2e::programs::Ran> {
    berth.berth([&["run", "-d", "--name", name], options, &[IMAGE, "sleep", "1000"]].concat())
}

#[test]
fn no_two_containers_share_an_id() -> Result<()> {
    let (_files, mut berth) = giving(&[])?;
    for name in ["c-a", "c-b"] {
        run(&berth, name, &["--userns=auto"])?.ok()?;
    }
    // the image has a group 2000, and a `nobody` who has an id beside those
    let rows = maps(&berth, "c-a")?;
    ensure!(rows[..2] == [vec![0, FIRST, 2001], vec![65_534, FIRST + 2001, 1]], "{rows:?}");
    let given = rows[..rows.len() / 2].iter().map(|row| row[2]).sum::<u32>();
    ensure!(first(&berth, "c-b")? == FIRST + given);
    // one that was never started keeps its ids, too, over a daemon that was killed
    berth.berth(["create", "--name", "c-c", "--userns=auto:size=100", IMAGE, "sleep", "1000"])?.ok()?;
    berth.kill()?;
    berth.spawn()?;
    run(&berth, "c-d", &["--userns=auto:size=50"])?.ok()?;
    ensure!(maps(&berth, "c-d")? == vec![vec![0, FIRST + 2 * given + 100, 50]; 2]);
    berth.berth(["start", "c-c"])?.ok()?;
    ensure!(maps(&berth, "c-c")? == vec![vec![0, FIRST + 2 * given, 100]; 2]);
    // what is given back is given again
    berth.berth(["rm", "-f", "c-a"])?.ok()?;
    run(&berth, "c-e", &["--userns=auto:size=10"])?.ok()?;
    ensure!(first(&berth, "c-e")? == FIRST);
    let error = run(&berth, "c-f", &["--userns=auto:size=5001"])?;
    error.fails(125, "not enough unused user ids: 5001 are needed")?;
    ensure!(berth.berth(["ps", "-aq", "--filter", "name=c-f"])?.ok()?.is_empty());
    let mode = berth.berth(["inspect", "--format", "{{.HostConfig.UsernsMode}}", "c-e"])?.ok()?;
    ensure!(mode == "auto:size=10", "{mode}");
    // an exec is a user of the same namespace, and root can do there what root does
    let script = "id -u; chown 9:9 /tmp && stat -c %u /tmp; ping -c 1 127.0.0.1 > /dev/null && echo pinged";
    ensure!(berth.berth(["exec", "c-e", "sh", "-c", script])?.ok()? == "0\n9\npinged");
    berth.berth(["restart", "-t", "0", "c-e"])?.ok()?;
    ensure!(first(&berth, "c-e")? == FIRST);
    berth.finish()
}

#[test]
fn containers_that_are_made_at_once_have_other_ids() -> Result<()> {
    let (_files, berth) = giving(&[])?;
    let made = std::thread::scope(|scope| {
        let make = |number: usize| {
            let name = format!("n{number}");
            let berth = &berth;
            scope.spawn(move || run(berth, &name, &["--userns=auto:size=300"])?.ok().map(|_| name))
        };
        let threads: Vec<_> = (0..8).map(make).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let firsts = made.iter().map(|name| first(&berth, name)).collect::<Result<BTreeSet<_>>>()?;
    ensure!(firsts == (0..8).map(|number| FIRST + number * 300).collect(), "{firsts:?}");
    berth.finish()
}

#[test]
fn rows_that_are_asked_for_are_there() -> Result<()> {
    let (_files, berth) = giving(&[])?;
    let shared = tempfile::tempdir()?;
    std::os::unix::fs::chown(shared.path(), Some(1000), Some(1000))?;
    let bind = format!("{}:/b", shared.path().display());
    let options = ["--userns=auto:size=20,uidmapping=5:1000:1,gidmapping=5:1000:1", "-v", &bind, "-u", "5:5"];
    let script = "cat /proc/self/uid_map; stat -c %u:%g /b; echo x > /b/x";
    let seen = berth.berth([&["run", "--rm"], &options[..], &[IMAGE, "sh", "-c", script]].concat())?.ok()?;
    let words: Vec<&str> = seen.split_whitespace().collect();
    ensure!(words == ["0", "700000", "5", "5", "1000", "1", "6", "700005", "14", "5:5"], "{seen}");
    ensure!(owner(&shared.path().join("x"))? == (1000, 1000));
    run(&berth, "c-a", &["--userns=auto:size=20"])?.ok()?;
    let taken = format!("--userns=auto:size=20,uidmapping=0:{}:1", FIRST + 3);
    run(&berth, "c-b", &[&taken])?.fails(125, "another container has some of the user ids from 700003")?;
    berth.finish()
}

/// Ids that go with their container are not on the disk: what one writes the next one reads as its own.
#[test]
fn volumes_and_layers_lie_with_the_ids_inside() -> Result<()> {
    let (_files, berth) = giving(&[])?;
    run(&berth, "other", &["--userns=auto:size=100"])?.ok()?;
    let (one, two) = ("--userns=auto:size=2000", "--userns=auto:size=1500");
    let run_sh = |options: &[&str], script: &str| {
        berth.berth([&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())?.ok()
    };
    let script = "stat -c %u:%g /v /etc/passwd; echo x > /v/x; chown 7:8 /v/x; stat -c %u:%g /v/x";
    let seen = run_sh(&[one, "-v", "vol:/v", "-v", "copy:/etc"], script)?;
    ensure!(seen == "0:0\n0:0\n7:8", "{seen}");
    let on_disk = |volume: &str, file: &str| {
        owner(&berth.data_root().join("volumes").join(volume).join("_data").join(file))
    };
    ensure!(
        on_disk("vol", "")? == (0, 0)
            && on_disk("vol", "x")? == (7, 8)
            && on_disk("copy", "passwd")? == (0, 0)
    );
    berth
        .berth(["create", "--name", "from", "--userns=auto:size=30", "-v", "vol:/v", IMAGE, "true"])?
        .ok()?;
    // another one, with other ids, and one without a user namespace
    ensure!(run_sh(&[two, "-v", "vol:/v"], "stat -c %u:%g /v/x; rm /v/x; echo y > /v/y")? == "7:8");
    ensure!(sh(&berth, &["-v", "vol:/v"], "stat -c %u:%g /v/y")? == "0:0");
    ensure!(sh(&berth, &["--volumes-from", "from"], "stat -c %u:%g /v/y")? == "0:0");
    // a host's directory is as it is, or shown so when that is asked for
    let shared = tempfile::tempdir()?;
    let at = shared.path().display().to_string();
    ensure!(
        run_sh(&[two, "-v", &format!("{at}:/b")], "stat -c %u /b; touch /b/x 2>/dev/null || echo no")?
            == "65534\nno"
    );
    ensure!(
        run_sh(&[two, "-v", &format!("{at}:/b:idmap")], "stat -c %u /b; touch /b/x && echo yes")? == "0\nyes"
    );
    ensure!(owner(&shared.path().join("x"))? == (0, 0));
    // files that come and go by the API, and an image that is made of it
    berth.berth(["create", "--name", "c-c", two, "-v", "vol:/v", IMAGE, "sleep", "1000"])?.ok()?;
    let up = berth.root().join("up");
    std::fs::write(&up, "up")?;
    let up = up.to_string_lossy().into_owned();
    for place in ["c-c:/v/up", "c-c:/tmp/up"] {
        berth.berth(["cp", &up, place])?.ok()?;
    }
    berth.berth(["start", "c-c"])?.ok()?;
    ensure!(berth.berth(["exec", "c-c", "stat", "-c", "%u:%g", "/v/up", "/tmp/up"])?.ok()? == "0:0\n0:0");
    berth.berth(["commit", "c-c", "of-c"])?.ok()?;
    ensure!(berth.berth(["run", "--rm", "of-c", "stat", "-c", "%u:%g", "/tmp/up"])?.ok()? == "0:0");
    berth.finish()
}

#[test]
fn what_cannot_be_had_is_told() -> Result<()> {
    let (_files, berth) = giving(&["--userns-auto-user", "nobody-has-any"])?;
    for (mode, words) in [
        ("auto", "no subuid ranges found for user \"nobody-has-any\" in /etc/subuid"),
        ("private", "must provide at least one UID or GID mapping"),
        ("keep-id", "only supported in rootless mode"),
        ("nomap", "only supported in rootless mode"),
        ("auto:size=no", "a size is a number of ids"),
        ("container:x", "lives in its user namespace"),
    ] {
        run(&berth, "c-x", &["--userns", mode])?.fails(125, words)?;
    }
    for option in ["--privileged", "--network=host", "--pid=host"] {
        run(&berth, "c-x", &["--userns=auto", option])?.fails(125, "user namespace")?;
    }
    let bind = ["run", "--rm", "-v", "/tmp:/b:idmap", IMAGE, "true"];
    berth.berth(bind)?.fails(125, "the container has no user namespace of its own")?;
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty());
    berth.finish()
}
