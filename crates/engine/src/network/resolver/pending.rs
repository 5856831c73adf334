//! Questions over UDP that wait for another server's answer, in memory that the container's shim holds, too.
//!
//! A question is noted before it is taken out of the socket and crossed out when its answer is on the way. A daemon
//! that is killed in between leaves the note to the next one, which asks again: a question may be answered twice,
//! and is never lost.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::MemfdFlags;

/// Notes at most: as many as questions may wait.
const NOTES: usize = super::upstream::MAX_WAITING;
/// Bytes of a note. It divides a page, so that the kernel writes a note whole or not at all.
const NOTE_LEN: usize = 1024;
/// What stands before the question: its length (0 = crossed out), and the address and port that it came from.
const HEAD_LEN: usize = 8;

/// The memory.
#[derive(Debug)]
pub(super) struct Pending {
    memory: OwnedFd,
    free: Mutex<Vec<usize>>,
}

/// A question that was noted.
#[derive(Debug)]
pub(super) struct Note {
    pending: Arc<Pending>,
    place: usize,
}

/// A note of a former daemon: the question, and who asked it.
pub(super) type Left = (Note, Vec<u8>, SocketAddr);

impl Pending {
    /// Memory without notes.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        let memory = rustix::fs::memfd_create(c"berth-questions", MemfdFlags::CLOEXEC)?;
        Ok(Self::at(memory))
    }

    /// The memory of a former daemon: [`Pending::left`] is to be called before a note is made.
    pub(super) fn at(memory: OwnedFd) -> Self {
        Self { memory, free: Mutex::new((0..NOTES).rev().collect()) }
    }

    /// The memory, to be held elsewhere.
    pub(super) fn memory(&self) -> &OwnedFd {
        &self.memory
    }

    /// Notes a question. Nothing when there is no room for it: it is lost if the daemon is killed now.
    pub(super) fn note(self: &Arc<Self>, query: &[u8], peer: SocketAddr) -> Option<Note> {
        let SocketAddr::V4(peer) = peer else { return None };
        if query.is_empty() || query.len() > NOTE_LEN - HEAD_LEN {
            return None;
        }
        let len = u16::try_from(query.len()).ok()?;
        let place = self.free().pop()?;
        let note = Note { pending: Arc::clone(self), place };
        let head = [&len.to_be_bytes()[..], &peer.ip().octets(), &peer.port().to_be_bytes()].concat();
        match rustix::io::pwrite(&self.memory, &[&head, query].concat(), offset(place)) {
            Ok(_) => Some(note),
            Err(error) => {
                tracing::debug!(%error, "a question is not noted");
                note.done();
                None
            }
        }
    }

    /// What a former daemon has not answered.
    pub(super) fn left(self: &Arc<Self>) -> Vec<Left> {
        let found: Vec<_> = (0..NOTES).filter_map(|place| Some((place, self.read(place)?))).collect();
        self.free().retain(|free| !found.iter().any(|(place, _)| place == free));
        let note = |place| Note { pending: Arc::clone(self), place };
        found.into_iter().map(|(place, (query, peer))| (note(place), query, peer)).collect()
    }

    fn read(&self, place: usize) -> Option<(Vec<u8>, SocketAddr)> {
        let mut bytes = [0; NOTE_LEN];
        let read = rustix::io::pread(&self.memory, &mut bytes, offset(place)).ok()?;
        let &[high, low, a, b, c, d, port_high, port_low] = bytes.get(..read)?.first_chunk::<HEAD_LEN>()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let query = bytes.get(HEAD_LEN..HEAD_LEN + len).filter(|query| !query.is_empty())?;
        let port = u16::from_be_bytes([port_high, port_low]);
        Some((query.to_vec(), SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port).into()))
    }

    fn free(&self) -> MutexGuard<'_, Vec<usize>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Note {
    /// Crosses it out. A note that is only dropped stays for the next daemon: this one ends.
    pub(super) fn done(self) {
        match rustix::io::pwrite(&self.pending.memory, &[0, 0], offset(self.place)) {
            Ok(_) => self.pending.free().push(self.place),
            // Its place is lost; the next daemon asks once more than needed.
            Err(error) => tracing::debug!(%error, "a question is not crossed out"),
        }
    }
}

fn offset(place: usize) -> u64 {
    (place * NOTE_LEN) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn what_is_not_crossed_out_is_found_again() {
        let first = Arc::new(Pending::new().expect("memory"));
        first.note(b"answered", peer(1)).expect("room").done();
        let _lost = first.note(b"lost", peer(2)).expect("room");
        let _other = first.note(b"other", peer(3)).expect("room");
        let second = Arc::new(Pending::at(first.memory().try_clone().expect("copy")));
        let mut left = second.left();
        left.sort_by_key(|(_, _, peer)| peer.port());
        let told: Vec<_> = left.iter().map(|(_, query, from)| (query.as_slice(), *from)).collect();
        assert_eq!(told, [(&b"lost"[..], peer(2)), (b"other", peer(3))]);
        left.into_iter().for_each(|(note, ..)| note.done());
        assert!(second.left().is_empty());
        assert_eq!(second.free().len(), NOTES);
    }

    #[test]
    fn what_does_not_fit_is_not_noted() {
        let pending = Arc::new(Pending::new().expect("memory"));
        assert!(pending.note(&[0; NOTE_LEN], peer(1)).is_none());
        assert!(pending.note(b"", peer(1)).is_none());
        let all: Vec<_> = (0..NOTES).map(|_| pending.note(b"?", peer(1)).expect("room")).collect();
        assert!(pending.note(b"?", peer(1)).is_none());
        all.into_iter().for_each(Note::done);
        assert!(pending.note(&[0; NOTE_LEN - HEAD_LEN], peer(1)).is_some());
    }

    #[test]
    fn memory_that_makes_no_sense_holds_nothing() {
        let pending = Arc::new(Pending::new().expect("memory"));
        rustix::io::pwrite(pending.memory(), &[0xff; NOTE_LEN], 0).expect("written");
        assert!(pending.left().is_empty());
    }
}
