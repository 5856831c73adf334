//! Unpacking: entry by entry from the tar into the tree.

use std::io::BufRead;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::meta::Meta;
use super::recipe::RecipeWriter;
use super::tree::{DirectoryMeta, Parent, Tree, is_whiteout};
use crate::disk::Umask;
use crate::error::Context;
use crate::layout;
use crate::limits::Limits;
use crate::{Error, Result};
use tarball::{Entry, Kind, TarStream, clean, is_reserved, show, split};

/// The prefix of names that hide something below (image specification, "Whiteouts").
pub(super) const WHITEOUT: &[u8] = b".wh.";
/// The name that hides all of a directory below.
pub(super) const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
/// AUFS's own files, of no meaning elsewhere.
pub(super) const AUFS: &[u8] = b".wh..wh.";

/// What a tar turned out to hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unpacked {
    /// Bytes of the tar.
    pub(crate) tar_size: u64,
    /// Bytes of the files' contents.
    pub(crate) size: u64,
    /// Directories that the tar omits, parents first. They wait for [`super::settle`].
    pub(crate) implied: Vec<Vec<u8>>,
    /// What the tar says of its root.
    pub(crate) root: Option<Meta>,
    /// Nothing below shows through.
    pub(crate) opaque_root: bool,
}

struct Unpacker {
    tree: Tree,
    umask: Umask,
    limits: Limits,
    ids: (u32, u32),
    size: u64,
    pending: usize,
}

/// Bytes of a large file that go to the disk together.
const EARLY: u64 = 8 << 20;

/// The commit waits for the disk, and so large files begin to go there while they are unpacked. Not small ones: there
/// are many, and the kernel writes them together faster than one by one.
struct Early(u64);

impl Early {
    fn written(&mut self, file: impl AsFd, end: u64) {
        if end.saturating_sub(self.0) >= EARLY {
            // Not every file system has it, and the commit waits for all that is left.
            let _ = sys::file::begin_writeback(file, self.0..end);
            self.0 = end;
        }
    }
}

type Stream<R> = TarStream<R, RecipeWriter>;

/// Unpacks the tar in `input` into the layer directory `dir` and writes its recipe there.
pub(crate) fn unpack<R: BufRead>(input: R, dir: &Path, limits: Limits, umask: Umask) -> Result<Unpacked> {
    let diff = dir.join(layout::layer::DIFF);
    std::fs::create_dir(&diff).at("make", &diff)?;
    let recipe = RecipeWriter::create(&dir.join(layout::layer::RECIPE))?;
    let mut stream = TarStream::new(input, recipe, limits.tar, "layer");
    let mut unpacker = Unpacker {
        tree: Tree::new(&diff, dir.join(layout::layer::SHADOW))?,
        umask,
        limits,
        ids: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        size: 0,
        pending: 0,
    };
    while let Some(entry) = stream.next()? {
        unpacker.check_size(&stream)?;
        unpacker.entry(&mut stream, entry)?;
    }
    unpacker.check_size(&stream)?;
    stream.tap().finish()?;
    unpacker.tree.finish_directories()?;
    let tree = unpacker.tree;
    Ok(Unpacked {
        tar_size: stream.bytes_read(),
        size: unpacker.size,
        implied: tree.implied.into_iter().collect(),
        root: tree.named.get(&b""[..]).map(|directory| directory.meta),
        opaque_root: tree.opaque.contains(&b""[..]),
    })
}

impl Unpacker {
    fn check_size<R: BufRead>(&self, stream: &Stream<R>) -> Result<()> {
        if stream.bytes_read() > self.limits.tar.bytes {
            return Err(Error::Limit { what: "size of a layer".into(), limit: self.limits.tar.bytes });
        }
        Ok(())
    }

    fn entry<R: BufRead>(&mut self, stream: &mut Stream<R>, mut entry: Entry) -> Result<()> {
        let path = clean(&entry.name)?;
        entry.xattrs.retain(|(key, _)| !is_reserved(key));
        if path.is_empty() {
            return self.root(entry);
        }
        let (up, name) = split(&path);
        if name.starts_with(WHITEOUT) {
            return self.whiteout(up, name);
        }
        let up = self.tree.parent(up)?;
        match entry.kind {
            Kind::Directory => self.directory(&up, name, entry),
            Kind::Regular => self.file(stream, &up, name, &entry),
            Kind::HardLink => self.hard_link(&up, name, &entry),
            Kind::Symlink => self.symlink(&up, name, &entry),
            Kind::Char | Kind::Block | Kind::Fifo => self.node(&up, name, &entry),
        }
    }

    fn root(&mut self, entry: Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Error::Entry {
                name: show(&entry.name),
                reason: "the root must be a directory".into(),
            });
        }
        self.name_directory(Vec::new(), entry)
    }

    fn directory(&mut self, up: &Parent, name: &[u8], entry: Entry) -> Result<()> {
        let path = up.join(name);
        match self.tree.stat(up, name)? {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
            Some(stat) => {
                self.tree.clear(up, name)?;
                self.tree.make_directory(up, name)?;
                if is_whiteout(&stat) {
                    // The lower directory was taken away and this is a new one.
                    self.tree.opaque.insert(path.clone());
                }
            }
            None => self.tree.make_directory(up, name)?,
        }
        self.name_directory(path, entry)
    }

    fn name_directory(&mut self, path: Vec<u8>, entry: Entry) -> Result<()> {
        self.pending += entry.xattrs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        self.pending += path.len() + size_of::<DirectoryMeta>();
        if self.pending > self.limits.tar.pending_bytes {
            let limit = self.limits.tar.pending_bytes as u64;
            return Err(Error::Limit { what: "attributes of a layer's directories".into(), limit });
        }
        self.tree.implied.remove(&path);
        let meta = Meta::of(&entry);
        self.tree.named.insert(path, DirectoryMeta { meta, xattrs: entry.xattrs });
        Ok(())
    }

    fn file<R: BufRead>(
        &mut self,
        stream: &mut Stream<R>,
        up: &Parent,
        name: &[u8],
        entry: &Entry,
    ) -> Result<()> {
        let mode = entry.mode;
        // One call less for most files: no owner, mode or attribute is left to set.
        let plain = mode & (self.umask.0 | 0o7000) == 0
            && (entry.uid, entry.gid) == self.ids
            && entry.xattrs.is_empty();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let first_mode = Mode::from_raw_mode(if plain { mode } else { 0o600 });
        let opened = match rustix::fs::openat(&up.fd, name, flags, first_mode) {
            Err(Errno::EXIST) => {
                self.tree.clear(up, name)?;
                rustix::fs::openat(&up.fd, name, flags, first_mode)
            }
            opened => opened,
        };
        let file = opened.context(&format!("create {:?}", show(&entry.name)))?;
        if entry.payload > 0 {
            let path = up.join(name);
            let generation = self.tree.generation(&path);
            match &entry.sparse {
                Some(pieces) => stream.tap().sparse(&path, generation, pieces)?,
                None => stream.tap().content(&path, generation, entry.payload)?,
            }
        }
        let mut early = Early(0);
        tarball::write_content_with(stream, &file, entry, |range| early.written(&file, range.end))?;
        self.size += entry.size;
        let meta = Meta::of(entry);
        if plain {
            let times = rustix::fs::futimens(&file, &meta.times());
            return times.context(&format!("set time of {:?}", show(&entry.name)));
        }
        meta.apply(&file, &entry.xattrs, &entry.name)
    }

    fn hard_link(&mut self, up: &Parent, name: &[u8], entry: &Entry) -> Result<()> {
        let refuse = |reason: String| Error::Entry { name: show(&entry.name), reason };
        let target = clean(&entry.link)?;
        let (target_up, target_name) = split(&target);
        if target_name.is_empty() {
            return Err(refuse("a hard link to the root directory".into()));
        }
        // Whatever it is, it must already be there: looking for it makes no directory.
        let from = self.tree.existing(target_up)?.ok_or_else(|| refuse("a hard link to nothing".into()))?;
        match self.tree.stat(&from, target_name)? {
            None => {
                return Err(refuse(format!(
                    "a hard link to {:?}, which is not in this layer",
                    show(&target)
                )));
            }
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                return Err(refuse("a hard link to a directory".into()));
            }
            Some(stat) if is_whiteout(&stat) => return Err(refuse("a hard link to a removed file".into())),
            Some(_) => {}
        }
        if from.join(target_name) == up.join(name) {
            return Ok(());
        }
        // Without AT_SYMLINK_FOLLOW, the link to a symbolic link is one to the link itself.
        let link = || rustix::fs::linkat(&from.fd, target_name, &up.fd, name, AtFlags::empty());
        let linked = match link() {
            Err(Errno::EXIST) => {
                self.tree.clear(up, name)?;
                link()
            }
            linked => linked,
        };
        linked.context(&format!("link {:?}", show(&entry.name)))
    }

    fn symlink(&mut self, up: &Parent, name: &[u8], entry: &Entry) -> Result<()> {
        self.tree.clear(up, name)?;
        self.size += entry.link.len() as u64;
        rustix::fs::symlinkat(&entry.link[..], &up.fd, name)
            .context(&format!("make symbolic link {:?}", show(&entry.name)))?;
        Meta::of(entry).apply_at(&up.fd, name, &entry.xattrs, true)
    }

    fn node(&mut self, up: &Parent, name: &[u8], entry: &Entry) -> Result<()> {
        self.tree.clear(up, name)?;
        let kind = match entry.kind {
            Kind::Char => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = rustix::fs::makedev(entry.major, entry.minor);
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        match rustix::fs::mknodat(&up.fd, name, kind, mode, device) {
            // the root of a user namespace makes no devices; a container has its own in a /dev of its own
            Err(Errno::PERM) if super::is_plain() => return Ok(()),
            made => made.context(&format!("make node {:?}", show(&entry.name)))?,
        }
        Meta::of(entry).apply_at(&up.fd, name, &entry.xattrs, false)
    }

    /// A mark of AUFS's form becomes one of overlayfs's. What the same tar puts there shows all the same,
    /// whatever comes first.
    fn whiteout(&mut self, up: &[u8], name: &[u8]) -> Result<()> {
        if name.starts_with(AUFS) {
            if name == OPAQUE_MARK {
                let up = self.tree.parent(up)?;
                self.tree.opaque.insert(up.path.clone());
            }
            return Ok(());
        }
        let hidden = &name[WHITEOUT.len()..];
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Error::Entry {
                name: show(name),
                reason: "removes a directory that can't be removed".into(),
            });
        }
        let up = self.tree.parent(up)?;
        match self.tree.stat(&up, hidden)? {
            None => rustix::fs::mknodat(&up.fd, hidden, FileType::CharacterDevice, Mode::empty(), 0)
                .context(&format!("make whiteout {:?}", show(name))),
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                self.tree.opaque.insert(up.join(hidden));
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }
}
