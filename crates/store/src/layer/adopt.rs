//! A directory that was written to as an overlay's upper one becomes a layer as it stands: nothing is written anew.
//!
//! Its tar says what belongs to the layer; the rest goes (places to mount on, sockets, marks that hide nothing), and
//! what the tar says in AUFS's form is said in overlayfs's. Times keep their fractions of a second, which the tar does
//! not have: as in BuildKit, a layer that was built here and one that was unpacked are alike but for those.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, Timestamps};
use rustix::io::Errno;

use super::recipe::RecipeWriter;
use super::unpack::{AUFS, OPAQUE_MARK, Unpacked, WHITEOUT};
use super::{Meta, meta::set_xattr, opaque};
use crate::error::Context;
use crate::limits::Limits;
use crate::{Error, Result, layout};
use tarball::{Entry, Kind, TarStream, clean, show, split};

/// What the tar says of the directory.
#[derive(Default)]
struct Told {
    /// Everything that is in the layer, with the directories on the way, and what the marks hide.
    kept: HashSet<Vec<u8>>,
    /// Directories on the way that the tar does not name.
    implied: HashSet<Vec<u8>>,
    /// Names that are marks, by their directories.
    hidden: HashMap<Vec<u8>, HashSet<Vec<u8>>>,
    opaque: HashSet<Vec<u8>>,
    root: Option<Meta>,
    size: u64,
}

/// Makes `dir` a layer, whose `diff` is there already and is what the tar in `input` was made of.
pub(crate) fn adopt<R: BufRead>(input: R, dir: &Path, limits: Limits) -> Result<Unpacked> {
    let recipe = RecipeWriter::create(&dir.join(layout::layer::RECIPE))?;
    let mut stream = TarStream::new(input, recipe, limits.tar, "layer");
    let mut told = Told::default();
    while let Some(entry) = stream.next()? {
        let path = told.entry(&entry)?;
        if entry.kind == Kind::Regular && entry.payload > 0 && told.kept.contains(&path) {
            stream.tap().content(&path, 0, entry.payload)?;
            while let count @ 1.. = stream.payload()?.len() {
                stream.consume(count);
            }
        }
    }
    stream.tap().finish()?;
    let diff = dir.join(layout::layer::DIFF);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let diff = rustix::fs::openat(CWD, &diff, flags, Mode::empty()).at("open", &diff)?;
    told.tidy(&diff, b"")?;
    let opaque_root = told.opaque.contains(&b""[..]);
    let mut implied: Vec<Vec<u8>> = told.implied.into_iter().collect();
    implied.sort_unstable();
    Ok(Unpacked { tar_size: stream.bytes_read(), size: told.size, implied, root: told.root, opaque_root })
}

impl Told {
    /// Notes an entry; gives its path.
    fn entry(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let path = clean(&entry.name)?;
        let (up, name) = split(&path);
        if path.is_empty() {
            self.root = Some(Meta::of(entry));
            return Ok(path);
        }
        self.way(up);
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if name == OPAQUE_MARK {
                self.opaque.insert(up.to_vec());
            } else if !name.starts_with(AUFS) && !matches!(hidden, b"" | b"." | b"..") {
                self.hidden.entry(up.to_vec()).or_default().insert(hidden.to_vec());
            }
            return Ok(path);
        }
        match entry.kind {
            Kind::Regular => self.size += entry.size,
            Kind::Symlink => self.size += entry.link.len() as u64,
            _ => {}
        }
        self.implied.remove(&path);
        self.kept.insert(path.clone());
        Ok(path)
    }

    fn way(&mut self, mut up: &[u8]) {
        while !up.is_empty() && self.kept.insert(up.to_vec()) {
            self.implied.insert(up.to_vec());
            (up, _) = split(up);
        }
    }

    /// Makes an open directory what the tar says.
    fn tidy(&self, dir: &OwnedFd, path: &[u8]) -> Result<()> {
        let failed = || format!("tidy {:?}", show(path));
        let stat = rustix::fs::fstat(dir).context(&failed())?;
        let hidden = self.hidden.get(path);
        let mut changed = false;
        for (name, kind) in tarball::listed(dir)? {
            let path = join(path, &name);
            let is_mark = kind == FileType::CharacterDevice && hidden.is_some_and(|all| all.contains(&name));
            if !self.kept.contains(&path) && !is_mark {
                sys::path::remove_all_slowly(dir.as_fd(), &name, &mut || ()).context(&failed())?;
                changed = true;
            } else if kind == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(dir, &name[..], flags, Mode::empty()).context(&failed())?;
                self.tidy(&below, &path)?;
            }
        }
        for name in hidden.into_iter().flatten() {
            changed |= hide(dir, name)?;
        }
        self.opacity(dir, path)?;
        if changed {
            let meta = super::meta(&stat);
            let times = Timestamps { last_access: meta.times().last_modification, ..meta.times() };
            rustix::fs::futimens(dir, &times).context(&failed())?;
        }
        Ok(())
    }

    /// What a directory hides is said by marks, each by itself, so that the layer means the same on any other.
    fn opacity(&self, dir: &OwnedFd, path: &[u8]) -> Result<()> {
        if self.opaque.contains(path) && !path.is_empty() {
            return set_xattr(dir, opaque().as_bytes(), b"y", path);
        }
        let (up, name) = split(path);
        let is_hidden = self.hidden.get(up).is_some_and(|all| all.contains(name));
        match rustix::fs::fremovexattr(dir, opaque()) {
            _ if is_hidden => set_xattr(dir, opaque().as_bytes(), b"y", path),
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(Error::io(format!("tidy {:?}", show(path)), error)),
        }
    }
}

/// Puts a mark in a directory, if nothing of the layer has this name. Says whether it did.
fn hide(dir: &OwnedFd, name: &[u8]) -> Result<bool> {
    match rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(Error::io(format!("make whiteout {:?}", show(name)), error)),
    }
}

fn join(up: &[u8], name: &[u8]) -> Vec<u8> {
    if up.is_empty() { name.to_vec() } else { [up, b"/", name].concat() }
}
