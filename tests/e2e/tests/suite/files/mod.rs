//! A container's files from outside: copied both ways, exported, compared, committed; by both clients.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::image::Image;
use e2e::programs::{self, Ran};
use serde_json::json;

/// A client's command line by its name.
type Client<'a> = &'a dyn Fn(&[&str]) -> Result<Ran>;

fn read(path: PathBuf) -> Result<String> {
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The table of `docker cp`'s documentation, and what links do to it.
#[test]
fn copies_by_dockers_rules() -> Result<()> {
    let berth = Berth::start()?;
    let ours = |args: &[&str]| berth.berth(args);
    let theirs = |args: &[&str]| berth.docker(args);
    for (name, client) in [("ours", &ours as Client), ("theirs", &theirs)] {
        copies_in(&berth, name, client)?;
        copies_out(&berth, name, client)?;
        berth.berth(["rm", "-f", name])?.ok()?;
    }
    berth.finish()
}

fn copies_in(berth: &Berth, name: &str, client: Client) -> Result<()> {
    let here = berth.root().join(name);
    std::fs::create_dir_all(here.join("dir/sub"))?;
    std::fs::write(here.join("dir/sub/b"), "b")?;
    std::fs::write(here.join("f"), "file")?;
    symlink("dir", here.join("link"))?;
    let path = |path: &str| format!("{}/{path}", here.display());
    let start = ["run", "-d", "--name", name, "--network", "none", IMAGE, "sleep", "1000"];
    berth.berth(start)?.ok()?;
    let make =
        "mkdir -p /x/d /run; echo old > /x/old; ln -s /x/old /x/to-old; ln -s d /x/to-d; ln -s /run /var-run";
    berth.berth(["exec", name, "sh", "-c", make])?.ok()?;
    let to = |place: &str| format!("{name}:{place}");
    let copy = |from: &str, place: &str| client(&["cp", &path(from), &to(place)]);
    for (from, place) in [
        ("f", "/x/"),
        ("f", "/x/new"),
        ("f", "/x/to-old"),
        ("f", "/x/to-d"),
        ("f", "/var-run/"),
        ("dir", "/x"),
        ("dir/.", "/x/contents"),
        ("dir", "/x/renamed"),
        ("link", "/x"),
    ] {
        copy(from, place)?.ok()?;
    }
    client(&["cp", "-L", &path("link"), &to("/x/followed")])?.ok()?;
    for (from, place, words) in [
        ("f", "/x/none/", "no such directory"),
        ("dir", "/x/old", "cannot copy directory"),
        ("f", "/none/f", "Could not find the file /none in container"),
        ("none", "/x", "no such file or directory"),
        ("f/", "/x", "not a directory"),
    ] {
        copy(from, place)?.fails(1, words)?;
    }
    client(&["cp", "a:/b", "c:/d"])?.fails(1, "copying between containers is not supported")?;
    client(&["cp", "a", "b"])?.fails(1, "must specify at least one container source")?;
    let found =
        berth.berth(["exec", name, "sh", "-c", "cd /x; find . | sort | tr '\\n' ' '; cat old /run/f"])?;
    let expected = "./contents ./contents/sub ./contents/sub/b ./d ./d/f ./dir ./dir/sub ./dir/sub/b ./f \
                    ./followed ./followed/sub ./followed/sub/b ./link ./new ./old ./renamed ./renamed/sub \
                    ./renamed/sub/b ./to-d ./to-old ";
    let found = found.ok()?;
    ensure!(found == format!(". {expected}filefile"), "{found}");
    Ok(())
}

fn copies_out(berth: &Berth, name: &str, client: Client) -> Result<()> {
    let here = berth.root().join(name);
    let path = |path: &str| format!("{}/{path}", here.display());
    let copy = |place: &str, to: &str| client(&["cp", &format!("{name}:{place}"), &path(to)]);
    std::fs::create_dir(here.join("out"))?;
    for (place, to) in [
        ("/x/old", "out/"),
        ("/x/old", "out/new"),
        ("/x/renamed", "out"),
        ("/x/renamed/.", "out/contents"),
        ("/x/to-old", "out/link"),
        ("/x/to-d/", "out"),
    ] {
        copy(place, to)?.ok()?;
    }
    client(&["cp", "-L", &format!("{name}:/x/to-old"), &path("out/followed")])?.ok()?;
    for file in ["old", "new", "followed", "to-d/f"] {
        ensure!(read(here.join("out").join(file))? == "file", "{file}");
    }
    ensure!(read(here.join("out/renamed/sub/b"))? == "b" && read(here.join("out/contents/sub/b"))? == "b");
    ensure!(std::fs::read_link(here.join("out/link"))? == Path::new("/x/old"));
    copy("/none", "out")?.fails(1, &format!("Could not find the file /none in container {name}"))?;
    copy("/x/old/", "out")?.fails(1, "not a directory")?;
    copy("/x", "f")?.fails(1, "cannot copy directory")?;
    copy("/x/old", "none/f")?.fails(1, "does not exist")?;
    let mut tar = tar::Archive::new(std::io::Cursor::new(archive(client, name, "/x/d")?));
    let names: Vec<String> =
        tar.entries()?.map(|entry| Ok(entry?.path()?.display().to_string())).collect::<Result<_>>()?;
    ensure!(names == ["d/", "d/f"], "{names:?}");
    Ok(())
}

/// `cp CONTAINER:PATH -`; its output happens to be text.
fn archive(client: Client, name: &str, path: &str) -> Result<Vec<u8>> {
    Ok(client(&["cp", &format!("{name}:{path}"), "-"])?.ok()?.into_bytes())
}

/// A path beneath a mount means the mount's content, also of a container that does not run; what may not be
/// written is not.
#[test]
fn copies_go_through_volumes() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let bind = berth.root().join("bind");
    std::fs::create_dir(&bind)?;
    e2e::user::give(&bind)?;
    let (rw, ro) = (format!("{}:/rw", bind.display()), format!("{}:/ro:ro", bind.display()));
    let mounts = ["-v", "vol:/vol", "-v", &rw, "-v", &ro, "--tmpfs", "/mem"];
    let create = [&["create", "--name", "box", "--network", "none"], &mounts[..], &[IMAGE, "sleep", "1000"]];
    ok(&create.concat())?;
    let file = berth.root().join("f");
    std::fs::write(&file, "text")?;
    let file = file.display().to_string();
    let back = berth.root().join("back").display().to_string();
    for step in ["created", "running", "paused", "stopped"] {
        for place in ["/vol", "/rw", "/tmp"] {
            ok(&["cp", &file, &format!("box:{place}/{step}")])?;
            ok(&["cp", &format!("box:{place}/{step}"), &back])?;
            ensure!(std::fs::read(&back)? == b"text", "{step} {place}");
        }
        ensure!(std::fs::read(bind.join(step))? == b"text", "{step}");
        berth.berth(["cp", &file, "box:/ro/x"])?.fails(1, "mounted volume is marked read-only")?;
        match step {
            "created" => ok(&["start", "box"])?,
            "running" => ok(&["pause", "box"])?,
            "paused" => ok(&["unpause", "box"]).and_then(|_| ok(&["stop", "-t", "0", "box"]))?,
            _ => String::new(),
        };
    }
    // the volume's content is not in the container's own files
    ensure!(!ok(&["diff", "box"])?.contains("/vol/created"));
    ok(&["start", "box"])?;
    ensure!(ok(&["exec", "box", "ls", "/vol", "/tmp"])?.matches("stopped").count() == 2);
    // the runtime's mounts are not copied, and what is mounted on can't be replaced
    ok(&["exec", "box", "touch", "/mem/x"])?;
    berth.berth(["cp", "box:/mem/x", &back])?.fails(1, "Could not find the file /mem/x in container box")?;
    berth
        .berth(["cp", "box:/proc/1", &back])?
        .fails(1, "Could not find the file /proc/1 in container box")?;
    berth.berth(["cp", &file, "box:/etc/hosts"])?.fails(1, "unlinkat /etc/hosts: device or resource busy")?;
    ensure!(ok(&["exec", "box", "cat", "/etc/hosts"])?.contains("localhost"));
    ok(&["run", "-d", "--name", "locked", "--read-only", "--network", "none", IMAGE, "sleep", "1000"])?;
    berth.berth(["cp", &file, "locked:/tmp"])?.fails(1, "container rootfs is marked read-only")?;
    ok(&["rm", "-f", "-v", "box", "locked"])?;
    ok(&["volume", "rm", "vol"])?;
    berth.finish()
}

/// A start while a stopped container is being exported: both have the same root, and neither harms it.
#[test]
fn a_container_starts_while_it_is_exported() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let big =
        "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null; trap 'exit 0' TERM; while :; do sleep 1; done";
    ok(&["run", "-d", "--name", "box", "--network", "none", IMAGE, "sh", "-c", big])?;
    programs::eventually("the file is there", || {
        Ok((ok(&["exec", "box", "stat", "-c", "%s", "/big"]).ok().as_deref() == Some("67108864"))
            .then_some(()))
    })?;
    ok(&["stop", "-t", "5", "box"])?;
    let mut export = berth.berth_command(["export", "box"])?;
    let mut export = export.stdout(std::process::Stdio::piped()).spawn()?;
    let mut output = export.stdout.take().context("no output")?;
    // the export is under way, and waits for its reader
    let mut head = [0; 512];
    std::io::Read::read_exact(&mut output, &mut head)?;
    ok(&["start", "box"])?;
    ok(&["exec", "box", "sh", "-c", "echo written > /during"])?;
    let copied = std::io::copy(&mut output, &mut std::io::sink())?;
    ensure!(export.wait()?.success() && copied > 64 << 20, "{copied}");
    let back = berth.root().join("back").display().to_string();
    ok(&["cp", "box:/during", &back])?;
    ok(&["stop", "-t", "5", "box"])?;
    ok(&["cp", "box:/during", &back])?;
    ensure!(std::fs::read(&back)? == b"written\n");
    berth.finish()
}

/// `cp - box:/tmp`.
fn feed(berth: &Berth, archive: &[u8]) -> Result<Ran> {
    programs::run_with(&mut berth.berth_command(["cp", "-", "box:/tmp"])?, archive, programs::PATIENCE)
}

#[test]
fn archives_of_every_compression() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["create", "--name", "box", "--network", "none", IMAGE])?.ok()?;
    std::fs::write(berth.root().join("f"), "text")?;
    for tool in ["cat", "gzip", "bzip2", "xz", "zstd"] {
        let archive = format!("cd {}; cp f {tool}; tar cf - {tool} | {tool} -c", berth.root().display());
        let archive = archive.replace("cat -c", "cat");
        let pipe = std::process::Command::new("sh").args(["-c", &archive]).output()?;
        ensure!(pipe.status.success(), "{tool}: {pipe:?}");
        feed(&berth, &pipe.stdout)?.ok()?;
        let back = berth.root().join(format!("{tool}.back"));
        berth.berth(["cp", &format!("box:/tmp/{tool}"), &back.display().to_string()])?.ok()?;
        ensure!(read(back)? == "text", "{tool}");
    }
    feed(&berth, &[b'x'; 2048])?.fails(1, "invalid archive")?;
    berth.finish()
}

#[test]
fn owners_are_kept_or_become_the_users() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let file = berth.root().join("f");
    std::fs::write(&file, "text")?;
    std::os::unix::fs::chown(&file, Some(5), Some(6))?;
    let file = file.display().to_string();
    ok(&["run", "-d", "--name", "box", "--network", "none", "-u", "app", IMAGE, "sleep", "1000"])?;
    ok(&["cp", &file, "box:/tmp/plain"])?;
    ok(&["cp", "-a", &file, "box:/tmp/user"])?;
    let owners = ok(&["exec", "box", "stat", "-c", "%u:%g", "/tmp/plain", "/tmp/user"])?;
    ensure!(owners == "5:6\n1000:1000", "{owners}");
    let back = berth.root().join("back");
    ok(&["cp", "box:/tmp/plain", &back.display().to_string()])?;
    ensure!(std::fs::metadata(&back)?.uid() == 0);
    berth.finish()
}

/// A container `box` of `base:1` that has changed things in every way.
fn changed(berth: &Berth) -> Result<()> {
    let mut image = Image::busybox()?.config("Volumes", json!({ "/vol": {} }));
    image.layer(|layer| {
        layer.dir("kept/", 0o755)?;
        layer.file("kept/gone", 0o644, b"x")?;
        layer.dir("replaced/", 0o755)?;
        layer.dir("replaced/sub/", 0o755)?;
        layer.file("replaced/sub/old", 0o644, b"x")?;
        layer.file("replaced/old", 0o644, b"x")
    })?;
    berth.load(&image, "base:1")?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", "base:1", "sleep", "1000"])?.ok()?;
    let work = "echo new > /new; rm /kept/gone; rm -r /replaced; mkdir -p /replaced/sub; echo v > /vol/v; \
                chown 7:8 /new; chmod 4711 /new; ln /new /hard; ln -s /new /soft; mkfifo /pipe; chmod 700 /home";
    berth.berth(["exec", "box", "sh", "-c", work])?.ok()?;
    Ok(())
}

#[test]
fn differences_and_exports() -> Result<()> {
    let berth = Berth::start()?;
    changed(&berth)?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let expected = "A /hard\nC /home\nC /kept\nD /kept/gone\nA /new\nA /pipe\nC /replaced\nD /replaced/old\n\
                    C /replaced/sub\nD /replaced/sub/old\nA /soft\nA /vol";
    let ours = ok(&["diff", "box"])?;
    ensure!(ours == expected, "{ours}");
    ensure!(berth.docker(["diff", "box"])?.ok()? == expected);

    let tar = berth.root().join("export.tar");
    ok(&["export", "-o", &tar.display().to_string(), "box"])?;
    let mut names = Vec::new();
    for entry in tar::Archive::new(std::fs::File::open(&tar)?).entries()? {
        let entry = entry?;
        names.push(format!("{:?} {}", entry.header().entry_type(), entry.path()?.display()));
    }
    for name in
        ["Regular hard", "Link new", "Symlink soft", "Fifo pipe", "Regular bin/busybox", "Directory vol/"]
    {
        ensure!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    ensure!(!names.iter().any(|name| name.ends_with("vol/v") || name.ends_with("kept/gone")), "{names:?}");
    ok(&["rm", "-f", "-v", "box"])?;
    berth.finish()
}

#[test]
fn commits() -> Result<()> {
    let berth = Berth::start()?;
    changed(&berth)?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let id = ok(&[
        "commit",
        "-a",
        "Me",
        "-m",
        "why",
        "-c",
        "ENV A=1",
        "-c",
        "CMD [\"cat\", \"/new\"]",
        "box",
        "made:1",
    ])?;
    ensure!(ok(&["inspect", "-f", "{{.State.Status}}", "box"])? == "running");
    let look = "stat -c '%a %u:%g %h' /new; cat /hard; ls /kept /replaced /vol; test -p /pipe && echo pipe; \
                stat -c %a /home; ls /replaced/sub";
    let seen = "4711 7:8 2\nnew\n/kept:\n\n/replaced:\nsub\n\n/vol:\npipe\n700";
    let run = |image: &str| ok(&["run", "--rm", "--network", "none", image, "sh", "-c", look]);
    let found = run("made:1")?;
    ensure!(found == seen, "{found}");
    ensure!(ok(&["run", "--rm", "--network", "none", "made:1"])? == "new");
    let told = ok(&["image", "inspect", "-f", "{{.Id}} {{.Author}} {{.Comment}} {{.Config.Env}}", "made:1"])?;
    ensure!(told.starts_with(&format!("{id} Me why [")) && told.contains("A=1"), "{told}");

    let saved = berth.root().join("saved.tar").display().to_string();
    ok(&["save", "-o", &saved, "made:1"])?;
    ok(&["rmi", "made:1"])?;
    ok(&["load", "-i", &saved])?;
    ensure!(ok(&["image", "inspect", "-f", "{{.Id}}", "made:1"])? == id);
    ensure!(run("made:1")? == seen);

    ok(&["stop", "-t", "0", "box"])?;
    let again = berth.docker(["commit", "--pause=false", "box"])?.ok()?;
    ensure!(run(&again)? == seen);
    ok(&["create", "--name", "empty", "base:1"])?;
    let empty = ok(&["commit", "empty"])?;
    let layers = |image: &str| ok(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", image]);
    ensure!(layers(&empty)? == layers("base:1")?);
    berth.berth(["commit", "-c", "RUN x", "box"])?.fails(1, "not a valid change command")?;
    berth.berth(["commit", "box", "No/Such"])?.fails(1, "must be lowercase")?;
    ok(&["rm", "-f", "-v", "box", "empty"])?;
    berth.finish()
}
