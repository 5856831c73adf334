//! `--userns-remap` and `--userns`: containers in user namespaces, on layers that lie with the ids of their images.

mod auto;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};

/// The first id of the host that is a container's, and how many follow.
const FIRST: u32 = 700_000;

/// A daemon whose containers are users from [`FIRST`] on.
fn remapped() -> Result<(tempfile::TempDir, Berth)> {
    let files = tempfile::tempdir()?;
    let put = |name: &str, text: &str| std::fs::write(files.path().join(name), text);
    put("passwd", "root:x:0:0::/:/bin/sh\n")?;
    put("group", "root:x:0:\n")?;
    let text = format!("dockremap:{FIRST}:65536\n");
    put("subuid", &text)?;
    put("subgid", &text)?;
    let place = files.path().to_string_lossy().into_owned();
    let berth = Berth::with_environment(&[("BERTH_ID_FILES", &place)], &["--userns-remap", "default"])?;
    Ok((files, berth))
}

fn sh(berth: &Berth, options: &[&str], script: &str) -> Result<String> {
    berth.docker([&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())?.ok()
}

fn owner(path: &Path) -> Result<(u32, u32)> {
    let meta = std::fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    Ok((meta.uid(), meta.gid()))
}

#[test]
fn root_inside_is_nobody_on_the_host() -> Result<()> {
    let (_files, berth) = remapped()?;
    ensure!(berth.docker(["info", "--format", "{{json .SecurityOptions}}"])?.ok()?.contains("name=userns"));
    let map = sh(&berth, &[], "id -u; cat /proc/self/uid_map /proc/self/gid_map")?;
    let words: Vec<&str> = map.split_whitespace().collect();
    ensure!(words == ["0", "0", "700000", "65536", "0", "700000", "65536"], "{map}");
    // the image's files are their owners', and new ones root's
    let seen = sh(
        &berth,
        &["-u", "app", "-w", "/new/dir"],
        "stat -c %u:%g /bin/busybox /new . /home; id -u; echo err > /dev/stderr",
    )?;
    ensure!(seen == "0:0\n0:0\n0:0\n0:0\n1000", "{seen}");
    // what a container's root does to a bind mount is not done by the host's
    let shared = tempfile::tempdir()?;
    std::fs::set_permissions(shared.path(), std::fs::Permissions::from_mode(0o777))?;
    std::fs::write(shared.path().join("secret"), "s")?;
    std::fs::set_permissions(shared.path().join("secret"), std::fs::Permissions::from_mode(0o600))?;
    let bind = format!("{}:/b", shared.path().display());
    let script = "cp /bin/busybox /b/su; chmod 4755 /b/su; mknod /b/disk b 254 0 2>/dev/null; cat /b/secret 2>/dev/null; \
                  chown 0:0 /b/secret 2>/dev/null; stat -c %u /b/secret; ls /b";
    let seen = sh(&berth, &["-v", &bind], script)?;
    ensure!(seen == "65534\nsecret\nsu", "{seen}");
    ensure!(
        owner(&shared.path().join("su"))? == (FIRST, FIRST)
            && owner(&shared.path().join("secret"))? == (0, 0)
    );
    // the kernel's switches are the host's, those of its network its own
    let script = "echo 1 2>/dev/null > /proc/sys/kernel/sysrq && echo wrote; hostname x 2>/dev/null && echo named; \
                  ping -c 1 127.0.0.1 > /dev/null && echo pinged; mount -t tmpfs x /tmp 2>/dev/null && echo mounted; true";
    ensure!(sh(&berth, &[], script)? == "pinged");
    berth.finish()
}

#[test]
fn volumes_belong_to_the_containers_root() -> Result<()> {
    let (_files, berth) = remapped()?;
    berth.docker(["volume", "create", "made"])?.ok()?;
    let volume = |name: &str| berth.data_root().join("volumes").join(name).join("_data");
    ensure!(owner(&volume("made"))? == (FIRST, FIRST));
    let script = "stat -c %u:%g /new /etc/passwd; echo x > /new/x; chown 1000:1000 /new/x";
    let seen = sh(&berth, &["-v", "new:/new", "-v", "copy:/etc"], script)?;
    ensure!(seen == "0:0\n0:0", "{seen}");
    ensure!(owner(&volume("new").join("x"))? == (FIRST + 1000, FIRST + 1000));
    ensure!(owner(&volume("copy").join("passwd"))? == (FIRST, FIRST));
    let seen = sh(
        &berth,
        &["--tmpfs", "/t", "--mount", "type=image,source=berth-test/busybox,target=/i"],
        "stat -c %u /t /i/bin/busybox",
    )?;
    ensure!(seen == "0\n0", "{seen}");
    berth.finish()
}

#[test]
fn files_go_in_and_out_with_the_ids_inside() -> Result<()> {
    let (_files, mut berth) = remapped()?;
    berth.docker(["run", "-d", "--name", "one", "-v", "/vol", IMAGE, "sleep", "1000"])?.ok()?;
    berth.docker(["exec", "one", "sh", "-c", "echo in > /made; chown 1000:2000 /made; mkdir /d"])?.ok()?;
    let up = berth.root().join("up");
    std::fs::write(&up, "up")?;
    let up = up.to_string_lossy().into_owned();
    for place in ["one:/tmp/up", "one:/vol/up"] {
        berth.docker(["cp", &up, place])?.ok()?;
    }
    let stat = |name: &str| berth.docker(["exec", "one", "stat", "-c", "%u:%g", name])?.ok();
    ensure!(stat("/tmp/up")? == "0:0" && stat("/vol/up")? == "0:0" && stat("/made")? == "1000:2000");
    let listed = |archive: Vec<u8>| -> Result<Vec<(String, u64, u64)>> {
        let mut found = Vec::new();
        for entry in tar::Archive::new(&archive[..]).entries()? {
            let entry = entry?;
            found.push((entry.path()?.display().to_string(), entry.header().uid()?, entry.header().gid()?));
        }
        Ok(found)
    };
    let bytes = |args: &[&str]| -> Result<Vec<u8>> { Ok(berth.docker_command(args)?.output()?.stdout) };
    ensure!(listed(bytes(&["cp", "one:/made", "-"])?)? == [("made".to_owned(), 1000, 2000)]);
    ensure!(listed(bytes(&["cp", "one:/vol/up", "-"])?)? == [("up".to_owned(), 0, 0)]);
    let exported = listed(bytes(&["export", "one"])?)?;
    ensure!(
        exported.contains(&("made".to_owned(), 1000, 2000))
            && exported.contains(&("bin/busybox".to_owned(), 0, 0))
    );
    ensure!(berth.docker(["diff", "one"])?.ok()? == "A /d\nA /made\nC /tmp\nA /tmp/up\nA /vol");
    // on the disk it is as of any container: so is the image that comes of it
    berth.docker(["commit", "one", "of-one"])?.ok()?;
    let options = ["run", "--rm", "--userns", "host", "of-one", "sh", "-c"];
    let seen = berth.docker([&options[..], &["stat -c %u:%g /made /tmp/up; wc -l < /proc/self/uid_map; grep -c 4294967295 /proc/self/uid_map"]].concat())?;
    ensure!(seen.ok()? == "1000:2000\n0:0\n1\n1");
    // a daemon that was killed finds it, and a stopped container takes files as well
    berth.kill()?;
    berth.spawn()?;
    ensure!(
        berth.docker(["exec", "-u", "app", "one", "sh", "-c", "id -u; echo out > /dev/stdout"])?.ok()?
            == "1000\nout"
    );
    berth.docker(["stop", "-t", "0", "one"])?.ok()?;
    berth.docker(["cp", &up, "one:/tmp/late"])?.ok()?;
    berth.docker(["start", "one"])?.ok()?;
    ensure!(berth.docker(["exec", "one", "stat", "-c", "%u:%g", "/tmp/late"])?.ok()? == "0:0");
    berth.finish()
}

#[test]
fn namespaces_are_shared_with_containers_and_not_with_the_host() -> Result<()> {
    let (_files, berth) = remapped()?;
    berth.docker(["run", "-d", "--name", "one", "--ipc", "shareable", IMAGE, "sleep", "1000"])?.ok()?;
    let joined = ["--network", "container:one", "--pid", "container:one", "--ipc", "container:one"];
    let script = "for n in 1 self; do readlink /proc/$n/ns/user; done | uniq | wc -l; ip addr show eth0 | grep -c inet; touch /dev/shm/x";
    ensure!(sh(&berth, &joined, script)? == "1\n1");
    ensure!(
        sh(&berth, &joined[2..], "ip addr show eth0 | grep -c inet; test -e /dev/shm/x && echo there")?
            == "1\nthere"
    );
    ensure!(sh(&berth, &["--ipc", "host", "--uts", "host"], "id -u")? == "0");
    ensure!(sh(&berth, &["--network", "none", "--read-only"], "touch /x 2>/dev/null || echo ro")? == "ro");
    for (option, words) in [
        ("--privileged", "privileged mode is incompatible with user namespaces"),
        ("--network=host", "cannot share the host's network namespace when user namespaces are enabled"),
        ("--pid=host", "cannot share the host PID namespace when user namespaces are enabled"),
    ] {
        berth.docker(["run", "--rm", option, IMAGE, "true"])?.fails(125, words)?;
    }
    let host = ["--privileged", "--network=host", "--pid=host", "--userns=host"];
    ensure!(sh(&berth, &host, "grep -c 4294967295 /proc/self/uid_map")? == "1");
    let other = ["run", "--rm", "--userns=host", "--network", "container:one", IMAGE, "true"];
    berth.docker(other)?.fails(125, "it has another user namespace")?;
    berth.finish()
}

#[test]
fn builds_run_their_steps_in_user_namespaces() -> Result<()> {
    let (_files, berth) = remapped()?;
    let context = tempfile::tempdir()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN grep -q {FIRST} /proc/self/uid_map && touch /b && chown 1000:2000 /b\n\
         RUN --mount=type=cache,target=/c --mount=type=bind,source=.,target=/ctx --mount=type=bind,from={IMAGE},target=/i,rw \
         echo x > /c/x && stat -c %u /c/x /ctx/Dockerfile /i/bin > /seen && echo x > /i/x\n\
         USER app\nRUN id -u > /tmp/who; echo hi > /dev/stderr\nCOPY --chown=7:8 Dockerfile /D\n"
    );
    std::fs::write(context.path().join("Dockerfile"), dockerfile)?;
    let context = context.path().to_string_lossy().into_owned();
    berth.berth(["build", "-q", "-t", "built", &context])?.ok()?;
    let script = "stat -c %u:%g /b /D; cat /seen /tmp/who";
    let seen = berth.docker(["run", "--rm", "built", "sh", "-c", script])?.ok()?;
    ensure!(seen == "1000:2000\n7:8\n0\n0\n0\n1000", "{seen}");
    berth.docker(["rmi", "built"])?.ok()?;
    berth.finish()
}

#[test]
fn whose_ids_there_are_none_of_is_told() -> Result<()> {
    let error = Berth::bare(&["--userns-remap", "no-such-user"]).err().context("it started")?;
    ensure!(format!("{error:#}").contains("userns-remap \"no-such-user\""), "{error:#}");
    Ok(())
}
