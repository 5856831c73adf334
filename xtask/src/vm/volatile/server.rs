//! One client after another is served a medium.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::dice::Dice;
use super::medium::{Fate, Medium};
use super::protocol::{self, Command, MOST, Request};

/// EIO, EINVAL of errno(3).
const FAILED: u32 = 5;
const INVALID: u32 = 22;

/// The medium, and whether a client has it.
struct Shared {
    state: Mutex<(Medium, bool)>,
    left: Condvar,
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
        let shared = Arc::new(Shared { state: Mutex::new((medium, false)), left: Condvar::new() });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                served.lock().1 = true;
                // A client that is killed is what this is for.
                let _ = serve(&served, stream);
                served.lock().1 = false;
                served.left.notify_all();
            }
        });
        Ok(Self { shared, socket: socket.to_path_buf() })
    }

    /// Where it is served.
    pub(in crate::vm) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The power goes, after the client has been killed; see [`Medium::cut`]. What a dead client has still sent is
    /// taken first: to the disk it came before.
    pub(in crate::vm) fn cut(&self, fate: Fate, dice: &mut Dice) -> io::Result<(usize, usize)> {
        let mut state = self.shared.lock();
        while state.1 {
            state = self.shared.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.0.cut(fate, dice)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, (Medium, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(shared: &Shared, mut stream: UnixStream) -> io::Result<()> {
    let size = shared.lock().0.size();
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
        match act(&mut shared.lock().0, &request, &mut bytes) {
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
