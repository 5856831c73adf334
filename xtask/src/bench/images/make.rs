//! The image that is moved about: six layers of Debian's packages, 20,000 files, 450 MB; and a layer of 1 GB.
//! Made once and kept in `target/bench`, for apt and gzip take longer than everything that is measured.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use e2e::image::Image;
use e2e::registry::{Picture, Style, noise};
use serde_json::json;

use crate::run;

/// The packages of each layer above Debian's base system.
const LAYERS: [&[&str]; 5] = [
    &["perl-modules-5.36", "libperl5.36"],
    &["vim-runtime"],
    &["cpp-12", "libc6-dev", "linux-libc-dev", "libstdc++-12-dev"],
    &["git"],
    &["golang-1.19-src"],
];

/// Bytes of the file in the single large layer.
const LARGE: u64 = 1_000_000_000;

/// A debootstrap's leftovers, and what an image does not carry.
const UNNEEDED: [&str; 4] = ["./var/cache/apt/*", "./var/lib/apt/lists/*", "./dev/*", "./proc/*"];

/// Everything that the rows pull, load and push.
pub(super) struct Material {
    /// The image.
    pub(super) whole: Picture,
    /// Its lower half.
    pub(super) half: Picture,
    /// One layer of a gigabyte.
    pub(super) large: Picture,
    /// The image, in an archive as `save` writes them.
    pub(super) archive: PathBuf,
    /// In words: layers, files, megabytes.
    pub(super) described: String,
}

/// What the archive's image is called.
pub(super) const LOADED: &str = "bench/debian:latest";

fn place(small: bool) -> PathBuf {
    run::root().join(if small { "target/bench/small" } else { "target/bench/debian" })
}

/// Makes what is missing. Needs the network, unless it is small.
pub(in crate::bench) fn prepare(small: bool) -> Result<()> {
    let dir = place(small);
    if dir.join("done").exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&dir)?;
    run::step("the image of the benchmark");
    if small {
        for number in 0..6 {
            let mut image = Image::scratch();
            image.layer(|layer| {
                for file in 0..200 {
                    layer.file(&format!("{number}/{file}"), 0o644, &noise(number * 1000 + file, 2000))?;
                }
                Ok(())
            })?;
            std::fs::write(dir.join(format!("{number}.tar")), &image.tars()[0])?;
        }
        large(&dir, 8_000_000)?;
    } else {
        layers(&dir)?;
        large(&dir, LARGE)?;
    }
    for name in names() {
        let (tar, packed) = (dir.join(&name), File::create(dir.join(format!("{name}.gz")))?);
        run::run(Command::new("gzip").args(["-6nc"]).arg(tar).stdout(packed))?;
    }
    std::fs::write(dir.join("done"), "")?;
    Ok(())
}

fn names() -> impl Iterator<Item = String> {
    (0..6).map(|number| format!("{number}.tar")).chain(["large.tar".to_owned()])
}

fn layers(dir: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(dir)?;
    let base = work.path().join("base");
    run::run(
        Command::new("debootstrap")
            .args(["--variant=minbase", "bookworm"])
            .arg(&base)
            .stdout(File::create(work.path().join("log"))?),
    )
    .context("debootstrap")?;
    archive(&base, &dir.join("0.tar"))?;
    for (number, packages) in (1..).zip(LAYERS) {
        let (root, downloads) = (work.path().join("root"), work.path().join("debs"));
        for fresh in [&root, &downloads] {
            let _ = std::fs::remove_dir_all(fresh);
            std::fs::create_dir(fresh)?;
        }
        run::run(
            Command::new("apt-get")
                .args(["-qq", "-o", "APT::Sandbox::User=root", "download"])
                .args(packages)
                .current_dir(&downloads),
        )?;
        for package in std::fs::read_dir(&downloads)? {
            run::run(Command::new("dpkg-deb").arg("-x").arg(package?.path()).arg(&root))?;
        }
        archive(&root, &dir.join(format!("{number}.tar")))?;
    }
    Ok(())
}

fn archive(root: &Path, to: &Path) -> Result<()> {
    run::run(
        Command::new("tar")
            .args(UNNEEDED.map(|path| format!("--exclude={path}")))
            .args(["--numeric-owner", "--sort=name", "-C"])
            .arg(root)
            .arg("-cf")
            .arg(to)
            .arg("."),
    )
}

/// One file of what the layers hold, over and over: as compressible as they are.
fn large(dir: &Path, bytes: u64) -> Result<()> {
    let content = (0..6)
        .map(|number| std::fs::read(dir.join(format!("{number}.tar"))))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let mut header = tar::Header::new_ustar();
    header.set_path("large")?;
    header.set_mode(0o644);
    header.set_size(bytes);
    header.set_cksum();
    let mut file = BufWriter::new(File::create(dir.join("large.tar"))?);
    file.write_all(header.as_bytes())?;
    let mut left = bytes as usize;
    while left > 0 {
        let part = content.len().min(left);
        file.write_all(content.get(..part).unwrap_or_default())?;
        left -= part;
    }
    file.write_all(&vec![0; 1024 + (512 - (bytes % 512) as usize) % 512])?;
    file.flush()?;
    Ok(())
}

impl Material {
    /// Reads what [`prepare`] has made.
    pub(super) fn read(small: bool) -> Result<Self> {
        let dir = place(small);
        let tars = (0..6)
            .map(|number| std::fs::read(dir.join(format!("{number}.tar"))))
            .collect::<Result<Vec<_>, _>>()?;
        let files: usize = tars.iter().map(|tar| entries(tar)).sum::<Result<_>>()?;
        let bytes: usize = tars.iter().map(Vec::len).sum();
        let described = format!("{} layers, {files} files, {} MB", tars.len(), bytes / 1_000_000);
        let whole = picture(&dir, &(0..6).map(|number| format!("{number}.tar")).collect::<Vec<_>>())?;
        let half = picture(&dir, &(0..3).map(|number| format!("{number}.tar")).collect::<Vec<_>>())?;
        let large = picture(&dir, &["large.tar".to_owned()])?;
        let archive = dir.join("image.tar");
        if !archive.exists() {
            let mut image = Image::scratch().config("Cmd", json!(["sh"]));
            for tar in tars {
                image.raw_layer(tar);
            }
            image.save(&archive, LOADED)?;
        }
        Ok(Self { whole, half, large, archive, described })
    }
}

fn entries(tar: &[u8]) -> Result<usize> {
    Ok(tar::Archive::new(tar).entries()?.count())
}

/// The image of these layers, packed by gzip.
fn picture(dir: &Path, names: &[String]) -> Result<Picture> {
    let mut image = Image::scratch().config("Cmd", json!(["sh"]));
    let mut packed = Vec::new();
    for name in names {
        image.raw_layer(std::fs::read(dir.join(name))?);
        packed.push(std::fs::read(dir.join(format!("{name}.gz")))?);
    }
    Picture::packed(&image, Style::Docker, packed)
}
