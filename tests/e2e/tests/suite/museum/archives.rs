//! Archives that want out, by every way that an archive comes in but pull (`registry/faults/layers.rs`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::Image;
use e2e::programs;
use tar::EntryType::{self, Block, Char, Directory, Link, Regular, Symlink};

/// Name, kind and what a link leads to.
type Entry = (String, EntryType, String);

/// A directory of the host with one file in it, that must stay as it is.
struct Victim {
    dir: PathBuf,
}

impl Victim {
    fn new(berth: &Berth) -> Result<Self> {
        let dir = berth.root().join("victim");
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("file"), "untouched")?;
        Ok(Self { dir })
    }

    fn untouched(&self, what: &str) -> Result<()> {
        let names: Vec<_> = std::fs::read_dir(&self.dir)?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(names == ["file"], "{what}: {names:?}");
        ensure!(std::fs::read(self.dir.join("file"))? == b"untouched", "{what}");
        Ok(())
    }

    /// Absolute names, names that go up, links of both kinds in every order, and what only layers know.
    fn corpus(&self) -> Vec<Vec<Entry>> {
        let outside = self.dir.to_string_lossy().into_owned();
        let up = format!("../../../../../../../../../../..{outside}");
        let file = format!("{outside}/file");
        let e = |name: &str, kind: EntryType, link: &str| (name.to_owned(), kind, link.to_owned());
        vec![
            vec![e(&format!("{up}/new"), Regular, "")],
            vec![e(&format!("{outside}/absolute"), Regular, "")],
            vec![e(&format!("x/../..{outside}/dots"), Regular, "")],
            vec![e("a", Symlink, &outside), e("a/through", Regular, "")],
            vec![e("a", Symlink, &up), e("a/through", Regular, "")],
            vec![e("a", Symlink, &outside), e("a/", Directory, ""), e("a/through", Regular, "")],
            vec![e("a", Symlink, "b"), e("b", Symlink, &outside), e("a/through", Regular, "")],
            vec![e("h", Link, &file), e("h", Regular, "")],
            vec![e("h", Link, &format!("{up}/file")), e("h", Regular, "")],
            vec![e("box", Symlink, &file), e("h", Link, "box"), e("h", Regular, "")],
            vec![e("a", Symlink, &outside), e("h", Link, "a/file"), e("h", Regular, "")],
            vec![e("file", Symlink, &file), e("file", Regular, "")],
            vec![e("d", Directory, ""), e("d", Symlink, &outside), e("d/through", Regular, "")],
            vec![e("a", Symlink, &outside), e("a/.wh.file", Regular, "")],
            vec![e(".wh...", Regular, "")],
            vec![e("x/.wh...", Regular, "")],
            vec![e(".wh..", Regular, "")],
            vec![e("..", Symlink, &outside)],
            vec![e(".", Symlink, &outside), e("./through", Regular, "")],
            vec![e("", Symlink, &outside)],
            vec![e("a", Symlink, &outside), e("a/disk", Block, ""), e("a/mem", Char, "")],
        ]
    }
}

fn archive(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut image = Image::scratch();
    image.layer(|layer| {
        for (name, kind, target) in entries {
            let bytes: &[u8] = if *kind == Regular { b"pwned" } else { b"" };
            layer.entry(name, *kind, 0o644, bytes, target)?;
        }
        Ok(())
    })?;
    image.tars().first().cloned().context("no layer")
}

/// CVE-2026-17106 and zip-slip's family.
#[test]
fn archives_that_want_out_by_every_way_in() -> Result<()> {
    let berth = Berth::start()?;
    let victim = Victim::new(&berth)?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    berth.berth(["create", "--name", "still", "--network", "none", IMAGE])?.ok()?;
    for (number, entries) in victim.corpus().iter().enumerate() {
        let tar = archive(entries)?;
        let path = berth.root().join("hostile.tar");
        std::fs::write(&path, &tar)?;
        load(&berth, &tar, number)?;
        victim.untouched(&format!("load {number}"))?;
        import(&berth, &path, number)?;
        victim.untouched(&format!("import {number}"))?;
        copy(&berth, &tar)?;
        victim.untouched(&format!("cp {number}"))?;
        add(&berth, &path)?;
        victim.untouched(&format!("ADD {number}"))?;
    }
    // the container goes on, and so does the daemon
    berth.berth(["exec", "box", "true"])?.ok()?;
    berth.finish()
}

/// As a layer over busybox; and if it is taken, a container of it starts in it.
fn load(berth: &Berth, tar: &[u8], number: usize) -> Result<()> {
    let mut image = Image::busybox()?;
    image.raw_layer(tar.to_owned());
    let (path, name) = (berth.root().join("image.tar"), format!("hostile:{number}"));
    image.save(&path, &name)?;
    if berth.berth(["load", "-i", &path.to_string_lossy()])?.code == 0 {
        berth.berth(["run", "--rm", "--network", "none", &name, "true"])?;
        berth.berth(["rmi", "-f", &name])?.ok()?;
    }
    Ok(())
}

fn import(berth: &Berth, path: &Path, number: usize) -> Result<()> {
    let name = format!("imported:{number}");
    if berth.berth(["import", &path.to_string_lossy(), &name])?.code == 0 {
        berth.berth(["rmi", "-f", &name])?.ok()?;
    }
    Ok(())
}

/// Into a container that runs, and into one that does not.
fn copy(berth: &Berth, tar: &[u8]) -> Result<()> {
    for target in ["box:/tmp", "box:/", "still:/tmp"] {
        let mut command = berth.berth_command(["cp", "-", target])?;
        let _ = programs::run_with(&mut command, tar, programs::PATIENCE)?;
    }
    Ok(())
}

fn add(berth: &Berth, path: &Path) -> Result<()> {
    let context = berth.root().join("context");
    std::fs::create_dir_all(&context)?;
    std::fs::copy(path, context.join("hostile.tar"))?;
    std::fs::write(context.join("Dockerfile"), format!("FROM {IMAGE}\nADD hostile.tar /to/\n"))?;
    let _ = berth.berth(["build", "-q", &context.to_string_lossy()])?;
    Ok(())
}
