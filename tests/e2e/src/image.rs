//! Images made on the spot from Debian's static busybox, as `docker save` archives.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The busybox of Debian's package `busybox-static`.
const BUSYBOX: &str = "/bin/busybox";

/// Builds one image layer by layer.
#[derive(Clone)]
pub struct Image {
    layers: Vec<Vec<u8>>,
    config: Value,
}

/// One layer under construction: a tar in memory.
pub struct Layer {
    tar: tar::Builder<Vec<u8>>,
}

impl Layer {
    /// A directory.
    pub fn dir(&mut self, path: &str, mode: u32) -> Result<()> {
        self.entry(path, tar::EntryType::Directory, mode, b"", "")
    }

    /// A regular file.
    pub fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.entry(path, tar::EntryType::Regular, mode, bytes, "")
    }

    /// A symbolic link to `target`, which is taken as it is.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        self.entry(path, tar::EntryType::Symlink, 0o777, b"", target)
    }

    /// Any entry. The name goes in unchecked, so that hostile archives can be made.
    pub fn entry(
        &mut self,
        path: &str,
        kind: tar::EntryType,
        mode: u32,
        bytes: &[u8],
        link: &str,
    ) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_mtime(1_700_000_000);
        header.set_uid(0);
        header.set_gid(0);
        let fields = header.as_old_mut();
        fill(&mut fields.name, path)?;
        fill(&mut fields.linkname, link)?;
        header.set_cksum();
        self.tar.append(&header, bytes)?;
        Ok(())
    }
}

/// A tar archive of files with their text, owned by root.
pub fn archive(files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut layer = Layer { tar: tar::Builder::new(Vec::new()) };
    for (name, text) in files {
        layer.file(name, 0o644, text.as_bytes())?;
    }
    Ok(layer.tar.into_inner()?)
}

fn fill(field: &mut [u8], text: &str) -> Result<()> {
    let room =
        field.get_mut(..text.len()).with_context(|| format!("{text:?} is too long for a tar header"))?;
    room.copy_from_slice(text.as_bytes());
    Ok(())
}

impl Image {
    /// An image with no layer and a configuration of `PATH` only.
    pub fn scratch() -> Self {
        let config = json!({ "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] });
        Self { layers: Vec::new(), config }
    }

    /// busybox with all its applets, a passwd file, and `sh` as the command.
    pub fn busybox() -> Result<Self> {
        let mut image = Self::scratch().config("Cmd", json!(["sh"]));
        image.layer(|layer| {
            for (dir, mode) in
                [("bin/", 0o755), ("etc/", 0o755), ("root/", 0o700), ("tmp/", 0o1777), ("home/", 0o755)]
            {
                layer.dir(dir, mode)?;
            }
            let busybox = std::fs::read(BUSYBOX)
                .with_context(|| format!("cannot read {BUSYBOX}: apt-get install busybox-static"))?;
            layer.file("bin/busybox", 0o755, &busybox)?;
            for applet in applets()? {
                layer.symlink(&format!("bin/{applet}"), "busybox")?;
            }
            layer.file(
                "etc/passwd",
                0o644,
                b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            )?;
            layer.file("etc/group", 0o644, b"root:x:0:\napp:x:1000:\nextra:x:2000:app\nnobody:x:65534:\n")
        })?;
        Ok(image)
    }

    /// Adds a layer.
    pub fn layer(&mut self, fill: impl FnOnce(&mut Layer) -> Result<()>) -> Result<&mut Self> {
        let mut layer = Layer { tar: tar::Builder::new(Vec::new()) };
        fill(&mut layer)?;
        self.layers.push(layer.tar.into_inner()?);
        Ok(self)
    }

    /// Sets a field of the container configuration (`Cmd`, `Env`, `User`, …).
    pub fn config(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    /// Adds a layer that is this, whatever it is.
    pub fn raw_layer(&mut self, tar: Vec<u8>) -> &mut Self {
        self.layers.push(tar);
        self
    }

    /// The tars of its layers, the lowest first.
    pub fn tars(&self) -> &[Vec<u8>] {
        &self.layers
    }

    /// The image configuration, for an architecture.
    pub fn configuration(&self, architecture: &str) -> Result<Vec<u8>> {
        let diff_ids: Vec<String> =
            self.layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
        let history: Vec<Value> = (1..=diff_ids.len())
            .map(|n| json!({ "created": CREATED, "created_by": format!("layer {n}") }))
            .collect();
        Ok(serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux", "created": CREATED, "config": self.config, "history": history,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        }))?)
    }

    /// Writes the image as a `docker save` archive with `tag`; gives the image's id.
    pub fn save(&self, path: &Path, tag: &str) -> Result<String> {
        let config = self.configuration(ARCHITECTURE)?;
        let id = sha256(&config);
        let names: Vec<String> = self.layers.iter().map(|layer| sha256(layer) + "/layer.tar").collect();
        let manifest = json!([{ "Config": format!("{id}.json"), "RepoTags": [tag], "Layers": names }]);
        let file =
            std::fs::File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut archive = Layer { tar: tar::Builder::new(Vec::new()) };
        for (name, layer) in names.iter().zip(&self.layers) {
            archive.file(name, 0o644, layer)?;
        }
        archive.file(&format!("{id}.json"), 0o644, &config)?;
        archive.file("manifest.json", 0o644, &serde_json::to_vec(&manifest)?)?;
        std::io::copy(&mut archive.tar.into_inner()?.as_slice(), &mut &file)?;
        Ok(format!("sha256:{id}"))
    }
}

/// What this machine is called in images.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

const CREATED: &str = "2026-01-01T00:00:00Z";

fn applets() -> Result<Vec<String>> {
    let out = std::process::Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .with_context(|| format!("cannot run {BUSYBOX}: apt-get install busybox-static"))?;
    Ok(String::from_utf8_lossy(&out.stdout)
        .lines()
        .filter(|name| *name != "busybox")
        .map(str::to_owned)
        .collect())
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
