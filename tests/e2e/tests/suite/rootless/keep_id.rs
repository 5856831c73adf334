//! `--userns=keep-id` and `nomap`: user namespaces within the daemon's.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::machine::{ADDRESS, As, COUNT, IMAGE, Machine};
use super::numbers;

/// The options, with whose ids `app` of the image has.
const AS_APP: &str = "--userns=keep-id:uid=1000,gid=1000";

#[test]
fn a_user_has_his_own_ids_and_name() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let user = machine.user;
    let look = "id -u; id -g; id -un; cat /proc/self/uid_map; stat -c %u:%g /bin/busybox /; echo $HOME";
    let told = machine.sh(&["--userns=keep-id", "-w", "/tmp"], look)?;
    let words: Vec<_> = told.split_whitespace().map(str::to_owned).collect();
    let rows = format!("{user} {user} tester 0 1 {COUNT} {user} 0 1 0:0 0:0 /tmp");
    let wanted: Vec<_> = rows.split(' ').map(str::to_owned).collect();
    ensure!(words == wanted, "{told}");
    // an image's user, and one who is asked for, come first; a name that is there stays
    ensure!(
        machine.sh(&["--userns=keep-id", "-u", "0"], "id -u; cat /etc/passwd | wc -l")?.starts_with("0\n")
    );
    ensure!(machine.sh(&[AS_APP], "id -un; id -gn")? == "app\napp");
    let map =
        machine.sh(&["--userns=keep-id:uid=3,gid=4,size=10"], "cat /proc/self/uid_map /proc/self/gid_map")?;
    ensure!(numbers(&map) == [0, 1, 3, 3, 0, 1, 4, 4, 6, 0, 1, 4, 4, 0, 1, 5, 5, 5], "{map}");
    let map = machine.sh(&["--userns=nomap"], "id -u; cat /proc/self/uid_map")?;
    ensure!(numbers(&map) == [0, 0, 1, COUNT], "{map}");
    for (mode, why) in [
        ("keep-id:size=100000", "size=100000: the user who runs berthd has 65537 ids, himself included"),
        ("keep-id:uid=x", "that is no number of an id"),
        ("nomap:x", "invalid userns mode"),
    ] {
        machine.berth(&["run", "--rm", &format!("--userns={mode}"), IMAGE, "true"])?.fails(125, why)?;
    }
    machine.finish()
}

#[test]
fn files_that_a_kept_user_writes_are_the_users() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    machine.script("mkdir shared && echo his > shared/his && chmod 600 shared/his")?;
    let bind = format!("{}:/b", machine.home().join("shared").display());
    let told = machine.sh(
        &[AS_APP, "-v", &bind],
        "cat /b/his; stat -c %U /b/his; echo x > /b/new; touch /bin/no || echo kept",
    )?;
    ensure!(told == "his\napp\nkept", "{told}");
    machine.sh(&[AS_APP, "-u", "0", "-v", &bind], "touch /b/of-root /b/of-two; chown 2 /b/of-two")?;
    let owner = |name: &str| -> Result<u32> {
        Ok(std::fs::metadata(machine.home().join("shared").join(name))?.uid())
    };
    // root changed places with him: the first of the subordinate ids is root's, the second the next one's
    let owners = [owner("new")?, owner("of-root")?, owner("of-two")?];
    ensure!(owners == [machine.user, machine.first, machine.first + 2], "{owners:?}");
    let told = machine
        .sh(&["--userns=nomap", "-v", &bind], "cat /b/his 2>/dev/null || echo closed; stat -c %u /b/his")?;
    ensure!(told == "closed\n65534", "{told}");
    machine.sh(&[AS_APP, "-v", "kept:/kept", "-u", "0"], "chown app /kept && echo kept > /kept/file")?;
    ensure!(machine.sh(&[AS_APP, "-v", "kept:/kept"], "stat -c %U /kept; cat /kept/file")? == "app\nkept");
    machine.berth(&["volume", "rm", "kept"])?.ok()?;
    machine.finish()
}

#[test]
fn an_image_that_is_made_of_it_has_the_owners_inside() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let dockerfile = format!(
        "FROM {IMAGE}\\nRUN mkdir /old /d && echo a > /old/a && echo s > /d/s && chown -R app /d && ln /d/s /d/t && chmod 4755 /d/s\\n\
         RUN rm -r /old && mkdir /old && echo b > /old/b && rm /bin/vi\\n"
    );
    machine.script(&format!("mkdir context && printf '{dockerfile}' > context/Dockerfile"))?;
    let context = machine.home().join("context").to_string_lossy().into_owned();
    machine.berth(&["build", "-q", "-t", "base", &context])?.ok()?;
    let look = "stat -c %U:%a:%h /d/s; ls /old; [ -e /bin/vi ] || echo hidden";
    machine
        .berth(&[
            "run",
            "--name",
            "made",
            AS_APP,
            "-u",
            "0",
            "base",
            "sh",
            "-c",
            &format!("{look}; rm -r /d/t /old; echo n > /n; chown app /n; chown 7:8 /d"),
        ])?
        .ok()?;
    ensure!(machine.berth(&["logs", "made"])?.ok()? == "app:4755:2\nb\nhidden");
    let changes = machine.berth(&["diff", "made"])?.ok()?;
    ensure!(changes == "C /d\nD /d/t\nA /n\nD /old", "{changes}");
    machine.script("echo in > in && tar -c --owner=0 --group=0 in | berth cp - made:/")?;
    machine.berth(&["commit", "made", "of-it"])?.ok()?;
    let look = "stat -c %u:%g /n /d /in /d/s /etc; ls /d; [ -e /old ] || echo gone";
    for options in [&[][..], &[AS_APP, "-u", "0"], &["--userns=nomap"]] {
        let words = [&["run", "--rm"], options, &["of-it", "sh", "-c", look]].concat();
        let told = machine.berth(&words)?.ok()?;
        ensure!(told == "1000:0\n7:8\n0:0\n1000:0\n0:0\ns\ngone", "{options:?}: {told}");
    }
    let listed = machine
        .script("berth export made | tar -t -v --numeric-owner n d/s in | awk '{print $2, $6}' | sort")?;
    ensure!(listed == "0/0 in\n1000/0 d/s\n1000/0 n", "{listed}");
    machine.berth(&["rm", "made"])?.ok()?;
    ensure!(!copies(&machine)?.is_empty());
    // what no container uses goes with a prune
    machine.berth(&["create", "--name", "holds", AS_APP, IMAGE])?.ok()?;
    machine.berth(&["image", "prune", "-f"])?.ok()?;
    let left = copies(&machine)?;
    ensure!(left.len() == 1, "{left:?}");
    machine.berth(&["start", "-a", "holds"])?.ok()?;
    machine.berth(&["rm", "holds"])?.ok()?;
    let told = machine.berth(&["image", "prune", "-f"])?.ok()?;
    ensure!(copies(&machine)?.is_empty() && !told.contains(" 0B"), "{told}: {:?}", copies(&machine)?);
    machine.finish()
}

/// Copies of layers with other owners.
fn copies(machine: &Machine) -> Result<Vec<PathBuf>> {
    let layers = machine.home().join(".local/share/berth/store/layers");
    let mut found = Vec::new();
    for layer in std::fs::read_dir(layers)?.flatten() {
        let Ok(runs) = std::fs::read_dir(layer.path().join("owned")) else { continue };
        for run in runs.flatten() {
            found.extend(std::fs::read_dir(run.path())?.flatten().map(|copy| copy.path()));
        }
    }
    Ok(found)
}

#[test]
fn a_kept_users_container_outlives_berthd_and_is_reached() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    machine.berth(&["network", "create", "inner"])?.ok()?;
    let serve = "mkdir /tmp/www; id -un > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www";
    let words = ["run", "-d", "--name", "server", AS_APP, "--network", "inner", "-p", "18081:8080", IMAGE];
    machine.berth(&[&words[..], &["sh", "-c", serve]].concat())?.ok()?;
    let published = format!("http://{ADDRESS}:18081");
    let inside = || machine.sh(&["--userns=keep-id", "--network", "inner"], "wget -qO- http://server:8080");
    ensure!(machine.fetch(As::Neighbour, &published)? == "app\n" && inside()? == "app");
    let beside = [AS_APP, "--network", "container:server", "--pid", "container:server"];
    ensure!(machine.sh(&beside, "wget -qO- http://127.0.0.1:8080; ps | grep -c [h]ttpd")? == "app\n1");
    machine
        .berth(&["run", "--rm", "--userns=nomap", "--network", "container:server", IMAGE, "true"])?
        .fails(125, "it has another user namespace")?;
    machine.kill_daemon()?;
    ensure!(machine.berth(&["exec", "server", "id", "-un"])?.ok()? == "app");
    ensure!(machine.fetch(As::Neighbour, &published)? == "app\n" && inside()? == "app");
    machine.berth(&["restart", "-t", "1", "server"])?.ok()?;
    ensure!(machine.fetch(As::Neighbour, &published)? == "app\n");
    machine.berth(&["rm", "-f", "server"])?.ok()?;
    machine.berth(&["network", "rm", "inner"])?.ok()?;
    machine.finish()
}

#[test]
fn privileges_end_where_the_inner_namespace_does() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let script = "mkdir /m; mount -t tmpfs none /m && echo mounted; mknod /d c 1 3 2>/dev/null || echo refused; \
                  hostname x && echo named; echo 1 > /proc/sys/kernel/printk 2>/dev/null || echo kept; \
                  chown 5 /m && stat -c %u /m";
    let told = machine.sh(&["--userns=keep-id", "-u", "0", "--privileged"], script)?;
    ensure!(told == "mounted\nrefused\nnamed\nkept\n5", "{told}");
    // all processes of the machine, of which none but the user's own are his
    let told = machine.sh(
        &["--userns=keep-id", "--pid", "host"],
        "id -un; [ -e /proc/1/stat ] && kill -0 1 || echo refused",
    )?;
    ensure!(told.starts_with("tester\n") && told.ends_with("refused"), "{told}");
    machine
        .berth(&["run", "--rm", "--userns=keep-id", "--network=host", IMAGE, "true"])?
        .fails(125, "cannot share the host's network namespace")?;
    machine.sh(&["--userns=keep-id", "--ipc=host"], "true")?;
    let ran = machine.berth(&["run", "--rm", AS_APP, "-v", "vv:/v:idmap", IMAGE, "true"])?;
    ran.fails(125, "idmap: the files of vv can't be shown with other ids")?;
    machine.finish()
}
