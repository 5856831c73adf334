//! A container that swaps directories for links to the host while its files are copied (CVE-2018-15664,
//! CVE-2026-41568, CVE-2026-42306), and one that brings its own decompressors (CVE-2026-41567, CVE-2014-9357).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::Image;
use e2e::keep_alive::Connection;
use e2e::programs;
use rustix::fs::{CWD, RenameFlags};

/// Copies over the API; half of them in, half out.
const COPIES: usize = 10_000;
/// Connections at a time.
const CLIENTS: usize = 4;
/// What must stay on the host.
const SECRET: &[u8] = b"the-secret-of-the-host";

fn tar(entries: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o666);
        tar.append_data(&mut header, name, *content)?;
    }
    Ok(tar.into_inner()?)
}

fn has_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|part| part == SECRET)
}

/// A directory of the host with a secret, and what it looked like.
struct Victim {
    dir: PathBuf,
    before: [(u64, i64, i64, i64); 2],
}

fn looks(path: &Path) -> Result<(u64, i64, i64, i64)> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.mtime_nsec()))
}

impl Victim {
    fn make(berth: &Berth) -> Result<Self> {
        let dir = berth.root().join("victim");
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("secret"), SECRET)?;
        let before = [looks(&dir)?, looks(&dir.join("secret"))?];
        Ok(Self { dir, before })
    }

    /// Neither inode was changed, and nothing was added.
    fn untouched(&self) -> Result<()> {
        let now = [looks(&self.dir)?, looks(&self.dir.join("secret"))?];
        ensure!(now == self.before, "{now:?} {:?}", self.before);
        ensure!(std::fs::read(self.dir.join("secret"))? == SECRET);
        ensure!(std::fs::read_dir(&self.dir)?.count() == 1);
        Ok(())
    }
}

/// The container swaps `/race/d` and a link to the host's directory as fast as a shell can; beside it the same
/// exchange is made on the container's own files as fast as the kernel can.
fn swapping(berth: &Berth, victim: &Victim) -> Result<PathBuf> {
    let script = format!(
        "mkdir -p /race/d/in /race/s; echo inside > /race/d/secret; ln -s {0} /race/l; ln -s /race/s /race/honest; \
         mkdir -p /deep/a/b; echo inside > /deep/a/b/secret; touch /ready; \
         while :; do mv /deep/a /deep/x; ln -s {0} /deep/a; rm /deep/a; mv /deep/x /deep/a; done",
        victim.dir.display()
    );
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sh", "-c", &script])?.ok()?;
    programs::eventually("the container swaps", || {
        Ok((berth.berth(["exec", "box", "test", "-e", "/ready"])?.code == 0).then_some(()))
    })?;
    let pid = berth.berth(["inspect", "-f", "{{.State.Pid}}", "box"])?.ok()?;
    Ok(PathBuf::from(format!("/proc/{pid}/root/race")))
}

#[test]
fn ten_thousand_copies_under_a_container_that_swaps_links() -> Result<()> {
    let berth = Berth::start()?;
    let victim = Victim::make(&berth)?;
    let race = swapping(&berth, &victim)?;
    let (stop, swaps, through) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| -> Result<()> {
        let swapper = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let exchanged = rustix::fs::renameat_with(
                    CWD,
                    race.join("d"),
                    CWD,
                    race.join("l"),
                    RenameFlags::EXCHANGE,
                );
                swaps.fetch_add(usize::from(exchanged.is_ok()), Ordering::Relaxed);
            }
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn({
                    let (berth, through) = (&berth, &through);
                    move || copies(berth, client, through)
                })
            })
            .collect();
        let outcome = clients
            .into_iter()
            .try_for_each(|client| client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")));
        let outcome = outcome.and_then(|()| by_command_line(&berth));
        stop.store(true, Ordering::Relaxed);
        let _ = swapper.join();
        outcome
    })?;
    // a test in which nothing raced, or nothing was copied, shows nothing
    ensure!(swaps.load(Ordering::Relaxed) > COPIES, "{swaps:?}");
    ensure!(through.load(Ordering::Relaxed) > COPIES / 10, "{through:?}");
    victim.untouched()?;
    honest_links(&berth)?;
    berth.finish()
}

/// One client's share: copies out and in, and now and then an export and the list of changes.
fn copies(berth: &Berth, client: usize, through: &AtomicUsize) -> Result<()> {
    let mut connection = Connection::open(berth.root())?;
    let plain = tar(&[("pwned", b"pwned"), ("secret", b"pwned")])?;
    let below = tar(&[("d/pwned", b"pwned"), ("d/secret", b"pwned"), ("d/in/secret", b"pwned")])?;
    for n in 0..COPIES / CLIENTS {
        let place = |path: &str| format!("/containers/box/archive?path={path}");
        let reply = match n % 8 {
            0 => connection.ask("GET", &place("/race/d"), b"")?,
            1 => connection.ask("GET", &place("/race/d/secret"), b"")?,
            2 => connection.ask("GET", &place("/race/d/."), b"")?,
            3 => connection.ask("GET", &place("/deep/a/b"), b"")?,
            4 | 5 => connection.ask("PUT", &place("/race/d"), &plain)?,
            6 => connection.ask("PUT", &place("/race"), &below)?,
            _ => connection.ask("PUT", &place("/deep/a"), &plain)?,
        };
        ensure!(!has_secret(&reply.body), "copy {n}: the secret came out");
        through.fetch_add(usize::from(reply.status == 200), Ordering::Relaxed);
        if n % 100 == client {
            let changes = connection.ask("GET", "/containers/box/changes", b"")?;
            ensure!(changes.status == 200, "{}", String::from_utf8_lossy(&changes.body));
            let export = connection.ask("GET", "/containers/box/export", b"")?;
            ensure!(export.status == 200 && export.body.len() > 1 << 20 && !has_secret(&export.body));
        }
    }
    Ok(())
}

fn by_command_line(berth: &Berth) -> Result<()> {
    let (file, out) = (berth.root().join("file"), berth.root().join("out"));
    std::fs::write(&file, "pwned")?;
    let (file, to) = (file.display().to_string(), out.display().to_string());
    for n in 0..20 {
        for path in ["box:/race/d/secret", "box:/deep/a/b"] {
            for args in [["cp", path, to.as_str()], ["cp", file.as_str(), path]] {
                let ran = if n % 2 == 0 { berth.berth(args)? } else { berth.docker(args)? };
                ensure!(ran.code <= 1, "{ran:?}");
            }
        }
        if out.is_dir() {
            std::fs::remove_dir_all(&out)?;
        } else if out.exists() {
            ensure!(!has_secret(&std::fs::read(&out)?));
            std::fs::remove_file(&out)?;
        }
    }
    Ok(())
}

/// An absolute link within the container goes on to work.
fn honest_links(berth: &Berth) -> Result<()> {
    let file = berth.root().join("file").display().to_string();
    berth.berth(["cp", &file, "box:/race/honest/"])?.ok()?;
    ensure!(berth.berth(["exec", "box", "cat", "/race/s/file"])?.ok()? == "pwned");
    Ok(())
}

/// An archive that is compressed is unpacked by the daemon itself.
#[test]
fn decompressors_of_the_container_never_run() -> Result<()> {
    let berth = Berth::start()?;
    let mut image = Image::busybox()?;
    image.layer(|layer| {
        layer.dir("usr/", 0o755)?;
        layer.dir("usr/bin/", 0o755)?;
        for name in ["xz", "unxz", "gzip", "gunzip", "unpigz", "pigz", "bzip2", "zstd", "tar"] {
            for dir in ["bin", "usr/bin"] {
                layer.file(&format!("{dir}/{name}"), 0o755, b"#!/bin/sh\necho ran >> /ran\n")?;
            }
        }
        Ok(())
    })?;
    berth.load(&image, "evil:1")?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", "evil:1", "sleep", "1000"])?.ok()?;
    std::fs::write(berth.root().join("plain.tar"), tar(&[("file", b"unpacked")])?)?;
    for tool in ["xz", "gzip", "bzip2", "zstd"] {
        let packed =
            std::process::Command::new(tool).arg("-c").arg(berth.root().join("plain.tar")).output()?;
        ensure!(packed.status.success(), "{packed:?}");
        for copy in
            [berth.berth_command(["cp", "-", "box:/tmp"]), berth.docker_command(["cp", "-", "box:/tmp"])]
        {
            berth.berth(["exec", "box", "rm", "-f", "/tmp/file"])?.ok()?;
            programs::run_with(&mut copy?, &packed.stdout, programs::PATIENCE)?.ok()?;
            ensure!(berth.berth(["exec", "box", "cat", "/tmp/file"])?.ok()? == "unpacked", "{tool}");
        }
    }
    ensure!(berth.berth(["exec", "box", "test", "-e", "/ran"])?.code == 1, "a planted program has run");
    // they would, if somebody ran them
    berth.berth(["exec", "box", "xz"])?.ok()?;
    ensure!(berth.berth(["exec", "box", "cat", "/ran"])?.ok()? == "ran");
    berth.finish()
}
