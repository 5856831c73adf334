//! One client after another is served a medium.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::dice::Dice;
use super::medium::{Fate, Medium};
use super::protocol::{self, Command, MOST, Request};

/// EIO, EINVAL of errno(3).
const FAILED: u32 = 5;
const INVALID: u32 = 22;

struct State {
    medium: Medium,
    /// A client has it.
    taken: bool,
    /// Writes that it still takes; then it stands still until the power is cut.
    takes: Option<u64>,
}

impl State {
    /// It takes and answers nothing more.
    fn stands_still(&self) -> bool {
        self.takes == Some(0) && self.medium.waits()
    }
}

struct Shared {
    state: Mutex<State>,
    /// The client has left, or the medium stands still.
    changed: Condvar,
}

/// A medium on a socket, for as long as this process lives.
pub(in crate::vm) struct Server {
    shared: Arc<Shared>,
    socket: PathBuf,
}

impl Server {
    /// Serves `medium` on a socket at `socket`.
    pub(in crate::vm) fn start(medium: Medium, socket: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { medium, taken: false, takes: None }),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                served.lock().taken = true;
                // A client that is killed is what this is for.
                let _ = serve(&served, stream);
                served.lock().taken = false;
                served.changed.notify_all();
            }
        });
        Ok(Self { shared, socket: socket.to_path_buf() })
    }

    /// Where it is served.
    pub(in crate::vm) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until the medium has taken `writes` more and not all it has taken is flushed, at most for `patience`; from then
    /// on it takes and answers nothing, so that a cut finds it in the middle of what was being written.
    pub(in crate::vm) fn amid_writes(&self, writes: u64, patience: Duration) {
        let mut state = self.shared.lock();
        state.takes = Some(writes);
        let _ = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| !state.stands_still())
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// The power goes, after the client has been killed; see [`Medium::cut`]. What a dead client has still sent is
    /// taken first: to the disk it came before.
    pub(in crate::vm) fn cut(&self, fate: Fate, dice: &mut Dice) -> io::Result<(usize, usize)> {
        let mut state = self.shared.lock();
        while state.taken {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.takes = None;
        state.medium.cut(fate, dice)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(shared: &Shared, mut stream: UnixStream) -> io::Result<()> {
    let size = shared.lock().medium.size();
    if !protocol::negotiate(&mut stream, size)? {
        return Ok(());
    }
    let mut requests = BufReader::with_capacity(1 << 20, stream.try_clone()?);
    let mut bytes = Vec::new();
    loop {
        let request = protocol::request(&mut requests)?;
        if request.command == Command::Disconnect {
            return Ok(());
        }
        let data = matches!(request.command, Command::Read | Command::Write);
        if data && request.length > MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.resize(if data { request.length as usize } else { 0 }, 0);
        if request.command == Command::Write {
            requests.read_exact(&mut bytes)?;
        }
        let mut state = shared.lock();
        if state.stands_still() {
            drop(state);
            // Whoever has it notices nothing but that no answer comes.
            io::copy(&mut requests, &mut io::sink())?;
            return Ok(());
        }
        let done = act(&mut state.medium, &request, &mut bytes);
        if request.command == Command::Write {
            state.takes = state.takes.map(|left| left.saturating_sub(1));
        }
        if state.stands_still() {
            shared.changed.notify_all();
        }
        drop(state);
        match done {
            Ok(()) => {
                protocol::reply(&mut stream, request.cookie, 0)?;
                if request.command == Command::Read {
                    stream.write_all(&bytes)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                protocol::reply(&mut stream, request.cookie, INVALID)?;
            }
            Err(_) => protocol::reply(&mut stream, request.cookie, FAILED)?,
        }
    }
}

fn act(medium: &mut Medium, request: &Request, bytes: &mut [u8]) -> io::Result<()> {
    static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];
    match request.command {
        Command::Read => medium.read(request.offset, bytes)?,
        Command::Write => medium.write(request.offset, bytes)?,
        Command::Flush => medium.flush()?,
        Command::WriteZeroes => {
            let (mut at, mut left) = (request.offset, u64::from(request.length));
            while left > 0 {
                let count = left.min(ZEROES.len() as u64);
                medium.write(at, &ZEROES[..count as usize])?;
                (at, left) = (at + count, left - count);
            }
        }
        Command::Disconnect | Command::Unknown => return Err(io::ErrorKind::InvalidInput.into()),
    }
    if request.through {
        medium.write_through(request.offset, request.length as usize)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// What a client sends: simple requests as nbd's protocol has them (command, offset, bytes to write).
    fn ask(stream: &mut UnixStream, command: u16, offset: u64, length: u32, bytes: &[u8]) {
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend_from_slice(&[0, 0]);
        request.extend_from_slice(&command.to_be_bytes());
        request.extend_from_slice(&7_u64.to_be_bytes());
        request.extend_from_slice(&offset.to_be_bytes());
        request.extend_from_slice(&length.to_be_bytes());
        request.extend_from_slice(bytes);
        stream.write_all(&request).unwrap();
    }

    fn answered(stream: &mut UnixStream) -> bool {
        let mut reply = [0; 16];
        stream.read_exact(&mut reply).is_ok()
    }

    #[test]
    fn a_cut_amid_writes_finds_what_no_flush_has_followed() {
        let place = tempfile::tempdir().unwrap();
        let disk = place.path().join("disk");
        File::create(&disk).unwrap().set_len(1 << 20).unwrap();
        let server = Server::start(Medium::open(&disk).unwrap(), &place.path().join("socket")).unwrap();
        let mut client = UnixStream::connect(server.socket()).unwrap();
        let mut hello = [0; 18];
        client.read_exact(&mut hello).unwrap();
        // NBD_FLAG_C_NO_ZEROES, NBD_OPT_EXPORT_NAME
        client.write_all(&2_u32.to_be_bytes()).unwrap();
        client.write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\0").unwrap();
        let mut export = [0; 10];
        client.read_exact(&mut export).unwrap();
        ask(&mut client, 1, 0, 4096, &[1; 4096]);
        assert!(answered(&mut client));
        ask(&mut client, 3, 0, 0, &[]);
        assert!(answered(&mut client));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| server.amid_writes(2, Duration::from_secs(60)));
            while server.shared.lock().takes.is_none() {
                std::thread::yield_now();
            }
            for block in 1..=2 {
                ask(&mut client, 1, block * 4096, 4096, &[2; 4096]);
                assert!(answered(&mut client));
            }
            waits.join().unwrap();
        });
        // neither a write nor a flush comes to anything now
        ask(&mut client, 1, 3 * 4096, 4096, &[3; 4096]);
        ask(&mut client, 3, 0, 0, &[]);
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!answered(&mut client));
        assert_eq!(server.cut(Fate::Lost, &mut Dice::new(1)).unwrap(), (2, 2));
        let bytes = std::fs::read(&disk).unwrap();
        assert_eq!((bytes[0], bytes[4096], bytes[3 * 4096]), (1, 0, 0));
    }
}
