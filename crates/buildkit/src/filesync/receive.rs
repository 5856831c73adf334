//! The receiving end: makes a directory like the sender's, and asks only for what differs.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::pump::of;
use super::tree::Tree;
use super::{Ends, Error, MAX_FILES, MAX_NAMES, MAX_OPEN, Owner, Result, order, stat};
use crate::proto::fsutil::packet::PacketType;
use crate::proto::fsutil::{Packet, Stat};

/// Contents that are asked for at the same time: fewer than the other end can note without reading on.
const IN_FLIGHT: usize = 64;

/// How far it is, for who looks from outside.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of contents that have come.
    pub bytes: AtomicU64,
    /// Files whose contents have come.
    pub files: AtomicU64,
}

/// How to receive.
#[derive(Clone, Copy, Debug)]
pub struct Receive<'a> {
    /// What the sender doesn't tell of stays.
    pub merge: bool,
    /// Whose the files are.
    pub owner: Owner,
    /// Told as it goes on.
    pub progress: &'a Progress,
}

/// Makes the directory like the sender's. Left half-way, it can be given to the next call, which goes on.
///
/// # Errors
/// [`Error`]; the sender has been told, if it listens.
pub fn receive(root: OwnedFd, mut ends: Ends, options: Receive<'_>) -> Result<()> {
    let done = Receiver::new(root, options).run(&mut ends);
    if let Err(error) = &done {
        ends.complain(error);
    }
    done
}

struct Receiver<'a> {
    tree: Tree,
    options: Receive<'a>,
    /// The last path.
    last: String,
    /// The next file's number.
    next: u32,
    /// Bytes of all names.
    names: usize,
    /// The directories that the last path lies in, from the root, and what they hold.
    stack: Vec<(String, BTreeSet<Vec<u8>>)>,
    /// Files whose contents are needed.
    wanted: HashMap<u32, Stat>,
    /// Those that were not asked for yet.
    waiting: VecDeque<u32>,
    open: HashMap<u32, (File, i64)>,
    links: Vec<Stat>,
    dirs: Vec<Stat>,
    listed: bool,
}

impl<'a> Receiver<'a> {
    fn new(root: OwnedFd, options: Receive<'a>) -> Self {
        Self {
            tree: Tree::new(root, options.owner),
            options,
            last: String::new(),
            next: 0,
            names: 0,
            stack: vec![(String::new(), BTreeSet::new())],
            wanted: HashMap::new(),
            waiting: VecDeque::new(),
            open: HashMap::new(),
            links: Vec::new(),
            dirs: Vec::new(),
            listed: false,
        }
    }

    fn run(mut self, ends: &mut Ends) -> Result<()> {
        while !(self.listed && self.wanted.is_empty()) {
            let packet = ends.next()?.ok_or(Error::Gone)?;
            match (packet.r#type(), packet.stat) {
                (PacketType::PacketStat, _) if self.listed => {
                    return Err(Error::protocol("a file after the end of the list"));
                }
                (PacketType::PacketStat, Some(stat)) => self.stat(stat)?,
                (PacketType::PacketStat, None) => self.end_of_list()?,
                (PacketType::PacketData, _) => self.data(packet.id, &packet.data)?,
                (kind, _) => return Err(Error::protocol(format!("unexpected {}", kind.as_str_name()))),
            }
            self.ask(ends)?;
        }
        for link in &self.links {
            self.tree.link(link)?;
        }
        for dir in self.dirs.iter().rev() {
            self.tree.settle(dir)?;
        }
        ends.send(of(PacketType::PacketFin))?;
        // the sender's own FIN, or that it has hung up: it has nothing more to say
        while let Ok(Some(packet)) = ends.next() {
            if packet.r#type() == PacketType::PacketFin {
                break;
            }
        }
        Ok(())
    }

    /// Asks for the next contents, as long as few are under way.
    fn ask(&mut self, ends: &Ends) -> Result<()> {
        while self.wanted.len() - self.waiting.len() < IN_FLIGHT {
            let Some(id) = self.waiting.pop_front() else { break };
            ends.send(Packet { id, ..of(PacketType::PacketReq) })?;
        }
        Ok(())
    }

    fn stat(&mut self, stat: Stat) -> Result<()> {
        let id = self.next;
        self.count(&stat)?;
        self.enter(&stat.path)?;
        let kind = stat::kind(&stat)?;
        if kind == FileType::RegularFile && !stat.linkname.is_empty() {
            order::check(&stat.linkname)?;
            self.links.push(stat);
            return Ok(());
        }
        let there = self.tree.has(&stat, kind)?;
        match kind {
            FileType::Directory => {
                if !there {
                    self.tree.make(&stat, kind)?;
                }
                self.stack.push((stat.path.clone(), BTreeSet::new()));
                self.dirs.push(stat);
            }
            FileType::RegularFile if !there => {
                if stat.size < 0 {
                    return Err(Error::protocol(format!("{:?} has a negative size", stat.path)));
                }
                self.waiting.push_back(id);
                self.wanted.insert(id, stat);
            }
            _ if there => {}
            kind => self.tree.make(&stat, kind)?,
        }
        Ok(())
    }

    fn count(&mut self, stat: &Stat) -> Result<()> {
        let attributes: usize = stat.xattrs.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.names = self.names.saturating_add(stat.path.len() + stat.linkname.len() + attributes);
        self.next += 1;
        if self.next > MAX_FILES {
            return Err(Error::protocol(format!("more than {MAX_FILES} files")));
        }
        if self.names > MAX_NAMES {
            return Err(Error::protocol(format!(
                "names and attributes of the files have more than {MAX_NAMES} bytes"
            )));
        }
        Ok(())
    }

    /// Checks that a path is the next one, and notes its name in its directory.
    fn enter(&mut self, path: &str) -> Result<()> {
        order::check(path)?;
        if !self.last.is_empty() && order::compare(&self.last, path).is_ge() {
            return Err(Error::protocol(format!("{path:?} comes after {:?}, out of order", self.last)));
        }
        path.clone_into(&mut self.last);
        let parent = order::parent(path);
        while self.stack.last().is_some_and(|(dir, _)| dir != parent) {
            self.leave()?;
        }
        let Some((_, names)) = self.stack.last_mut() else {
            return Err(Error::protocol(format!("{path:?} comes without the directory that it lies in")));
        };
        names.insert(order::name(path).as_bytes().to_vec());
        Ok(())
    }

    /// Done with the innermost directory.
    fn leave(&mut self) -> Result<()> {
        match self.stack.pop() {
            Some((dir, names)) if !self.options.merge => self.tree.sweep(&dir, &names),
            _ => Ok(()),
        }
    }

    fn end_of_list(&mut self) -> Result<()> {
        while !self.stack.is_empty() {
            self.leave()?;
        }
        self.listed = true;
        Ok(())
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Result<()> {
        let Some(stat) = self.wanted.get(&id) else {
            return Err(Error::protocol(format!("contents of file {id}, which was not asked for")));
        };
        if !self.open.contains_key(&id) {
            if self.open.len() >= MAX_OPEN {
                return Err(Error::protocol(format!("more than {MAX_OPEN} files at the same time")));
            }
            self.open.insert(id, (self.tree.create(&stat.path)?, 0));
        }
        let Some((file, come)) = self.open.get_mut(&id) else { return Ok(()) };
        let wrong = |come: i64| {
            Error::protocol(format!(
                "{:?} changed while it was sent: {} bytes were announced, {come} came",
                stat.path, stat.size
            ))
        };
        if data.is_empty() {
            if *come != stat.size {
                return Err(wrong(*come));
            }
            self.tree.finish(file, stat)?;
            self.options.progress.files.fetch_add(1, Ordering::Relaxed);
            self.open.remove(&id);
            self.wanted.remove(&id);
            return Ok(());
        }
        *come = come.saturating_add(i64::try_from(data.len()).unwrap_or(i64::MAX));
        if *come > stat.size {
            return Err(wrong(*come));
        }
        file.write_all(data).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Error::file("write", &stat.path)(errno)
        })?;
        self.options.progress.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
