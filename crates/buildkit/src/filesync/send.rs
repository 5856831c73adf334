//! The sending end: tells of a directory's files, and sends the contents that are asked for.

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use sys::path::Root;
use tokio::sync::mpsc;

use super::pump::of;
use super::{Ends, Error, MAX_FILES, MAX_PATH, PIECE, Result, order, stat};
use crate::proto::fsutil::packet::PacketType;
use crate::proto::fsutil::{Packet, Stat};

/// Files that are told of together: a stream that is woken for each, and writes each by itself, takes 20 µs more for it.
const BATCH: usize = 64;

/// What is sent of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Send,
    /// It is not, but things in it may be.
    Look,
    /// Neither it nor anything in it.
    Skip,
}

/// Decides on a path below the root, without a leading slash; the second says whether it is a directory.
pub type Filter<'a> = &'a (dyn Fn(&str, bool) -> Verdict + Sync);

/// How to send.
#[derive(Clone, Copy)]
pub struct Send<'a> {
    /// What is sent.
    pub filter: Filter<'a>,
    /// Everything is root's: who owns a file on this machine is nobody's business on the other.
    pub reset_owner: bool,
}

/// Sends a directory, until the receiver has all that it wants.
///
/// # Errors
/// [`Error`]; the receiver has been told, if it listens.
pub fn send(root: OwnedFd, mut ends: Ends, options: Send<'_>) -> Result<()> {
    let root = Root::strict(root);
    let paths = Mutex::new(HashMap::new());
    let walker = Walker {
        root: &root,
        options,
        outgoing: ends.outgoing(),
        paths: &paths,
        next: 0,
        links: HashMap::new(),
        unsent: Vec::new(),
        batch: Vec::new(),
    };
    let (walked, served) = std::thread::scope(|scope| {
        let walking = scope.spawn(|| walker.run());
        let served = serve(&root, &mut ends, &paths);
        (walking.join().unwrap_or(Err(Error::Gone)), served)
    });
    match (walked, served) {
        (Ok(()), served) => served,
        // what the receiver said goes before the noise that its hanging up makes here
        (Err(Error::Gone), Err(error)) => Err(error),
        (Err(error), _) => Err(error),
    }
}

/// The paths of files whose contents may be asked for.
type Paths = Mutex<HashMap<u32, String>>;

fn serve(root: &Root, ends: &mut Ends, paths: &Paths) -> Result<()> {
    while let Some(packet) = ends.next()? {
        match packet.r#type() {
            PacketType::PacketReq => {
                let path = paths.lock().unwrap_or_else(PoisonError::into_inner).get(&packet.id).cloned();
                let path = path.ok_or_else(|| {
                    Error::protocol(format!(
                        "the contents of file {} were asked for, which has none",
                        packet.id
                    ))
                });
                if let Err(error) = path.and_then(|path| contents(root, ends, packet.id, &path)) {
                    ends.complain(&error);
                    return Err(error);
                }
            }
            PacketType::PacketFin => return ends.send(of(PacketType::PacketFin)),
            kind => return Err(Error::protocol(format!("unexpected {}", kind.as_str_name()))),
        }
    }
    Err(Error::Gone)
}

fn contents(root: &Root, ends: &Ends, id: u32, path: &str) -> Result<()> {
    let mut file = root.open_regular(path).map_err(Error::file("open", path))?;
    // the last piece goes with the end behind it: most files are one
    let mut last = None;
    loop {
        let mut data = vec![0; PIECE];
        let count = match file.read(&mut data) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                return Err(Error::file("read", path)(errno));
            }
            Ok(count) => count,
        };
        data.truncate(count);
        let piece = Packet { id, data, ..of(PacketType::PacketData) };
        if count == 0 {
            return ends.send_all(last.into_iter().chain([piece]).collect());
        }
        if let Some(before) = last.replace(piece) {
            ends.send(before)?;
        }
    }
}

struct Walker<'a> {
    root: &'a Root,
    options: Send<'a>,
    outgoing: mpsc::Sender<Vec<Packet>>,
    paths: &'a Paths,
    next: u32,
    /// The first name of files that have several.
    links: HashMap<(u64, u64), String>,
    /// Directories that are sent only if something in them is.
    unsent: Vec<Stat>,
    /// What was not handed over yet.
    batch: Vec<Packet>,
}

impl Walker<'_> {
    fn run(mut self) -> Result<()> {
        let done = self.walk("").and_then(|()| self.put(None)).and_then(|()| self.hand_over());
        if let Err(error) = &done {
            let data = error.to_string().into_bytes();
            self.batch.push(Packet { data, ..of(PacketType::PacketErr) });
            // the receiver may be gone, which it then knows
            let _ = self.hand_over();
        }
        done
    }

    fn walk(&mut self, dir: &str) -> Result<()> {
        let handle = self.root.open_dir(dir).map_err(Error::file("open", dir))?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&handle).map_err(Error::file("list", dir))? {
            let entry = entry.map_err(Error::file("list", dir))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let name = name.to_str().map_err(|_not_text| {
                let shown = name.to_string_lossy();
                Error::protocol(format!("the name of {shown:?} in {dir:?} is not UTF-8: it can't be sent"))
            })?;
            names.push(name.to_owned());
        }
        names.sort_unstable();
        for name in names {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            if path.len() > MAX_PATH {
                return Err(Error::file("send", &path)(Errno::NAMETOOLONG));
            }
            let name = order::name(&path);
            let found = match rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                // gone in the meantime
                Err(Errno::NOENT) => continue,
                found => found.map_err(Error::file("look at", &path))?,
            };
            self.file(path, &found)?;
        }
        Ok(())
    }

    fn file(&mut self, path: String, found: &rustix::fs::Stat) -> Result<()> {
        let kind = FileType::from_raw_mode(found.st_mode);
        let is_dir = kind == FileType::Directory;
        let verdict = (self.options.filter)(&path, is_dir);
        let Some(mode) = stat::mode(found.st_mode).filter(|_| verdict != Verdict::Skip) else {
            return Ok(());
        };
        let told = self.describe(&path, found, kind, mode)?;
        if !is_dir {
            return if verdict == Verdict::Send { self.tell(told, kind) } else { Ok(()) };
        }
        if verdict == Verdict::Send {
            self.tell(told, kind)?;
            return self.walk(&path);
        }
        self.unsent.push(told);
        let depth = self.unsent.len();
        self.walk(&path)?;
        // nothing in it was sent
        if self.unsent.len() >= depth {
            self.unsent.truncate(depth - 1);
        }
        Ok(())
    }

    fn describe(&mut self, path: &str, found: &rustix::fs::Stat, kind: FileType, mode: u32) -> Result<Stat> {
        let mut told = Stat { path: path.to_owned(), mode, mod_time: stat::nanos(found), ..Stat::default() };
        if !self.options.reset_owner {
            (told.uid, told.gid) = (found.st_uid, found.st_gid);
        }
        match kind {
            FileType::RegularFile => {
                told.size = found.st_size;
                if found.st_nlink > 1
                    && let Some(first) = self.links.get(&(found.st_dev, found.st_ino))
                {
                    told.linkname.clone_from(first);
                }
            }
            FileType::Symlink => {
                let target = self.root.read_link(path).map_err(Error::file("read", path))?;
                told.linkname = target.into_os_string().into_string().map_err(|_not_text| {
                    Error::protocol(format!("the target of the link {path:?} is not UTF-8: it can't be sent"))
                })?;
            }
            FileType::BlockDevice | FileType::CharacterDevice => {
                told.devmajor = rustix::fs::major(found.st_rdev).into();
                told.devminor = rustix::fs::minor(found.st_rdev).into();
            }
            _ => {}
        }
        if kind == FileType::RegularFile && found.st_nlink > 1 && told.linkname.is_empty() {
            // a name that isn't sent must not be referred to
            if (self.options.filter)(path, false) == Verdict::Send {
                self.links.insert((found.st_dev, found.st_ino), path.to_owned());
            }
        }
        Ok(told)
    }

    fn tell(&mut self, stat: Stat, kind: FileType) -> Result<()> {
        for dir in std::mem::take(&mut self.unsent) {
            self.next += 1;
            self.put(Some(dir))?;
        }
        if self.next >= MAX_FILES {
            return Err(Error::protocol(format!("more than {MAX_FILES} files")));
        }
        if kind == FileType::RegularFile && stat.linkname.is_empty() {
            let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
            paths.insert(self.next, stat.path.clone());
        }
        self.next += 1;
        self.put(Some(stat))
    }

    fn put(&mut self, stat: Option<Stat>) -> Result<()> {
        self.batch.push(Packet { stat, ..of(PacketType::PacketStat) });
        if self.batch.len() < BATCH { Ok(()) } else { self.hand_over() }
    }

    fn hand_over(&mut self) -> Result<()> {
        self.outgoing.blocking_send(std::mem::take(&mut self.batch)).map_err(|_closed| Error::Gone)
    }
}
