//! The thread between TLS and a pair of sockets.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use sys::signal::Signal;

use super::super::relayed::Failure;
use super::words;

/// Bytes that are moved at once.
const CHUNK: usize = 32 << 10;

/// The thread as its starter has it. Dropping it waits until what was written has gone out: a process that ends at once
/// takes its threads with it.
#[derive(Debug)]
pub(crate) struct Thread {
    failed: Arc<OnceLock<Failure>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// Does the handshake, here, and starts the thread.
    pub(super) fn start(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        mut tcp: TcpStream,
    ) -> io::Result<(UnixStream, Self)> {
        let mut tls =
            ClientConnection::new(config, name).map_err(|error| Failure(words::sentence(&error)))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).map_err(|error| words::failure(&error))?;
        }
        tcp.set_nonblocking(true)?;
        let (ours, near) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let failed = Arc::new(OnceLock::new());
        let (told, relay) = (Arc::clone(&failed), Relay::new(tls, tcp, near));
        let handle = std::thread::Builder::new().name("tls".into()).spawn(move || {
            // signals are for the threads that wait for them
            let _ = sys::signal::block_only(&Signal::all_catchable());
            relay.run(&told);
        })?;
        Ok((ours, Self { failed, handle: Some(handle) }))
    }

    /// Why the stream has ended, once it has.
    pub(crate) fn failure(&mut self) -> Option<Failure> {
        self.failed.get().cloned()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            drop(handle.join());
        }
    }
}

struct Relay {
    tls: ClientConnection,
    far: TcpStream,
    near: UnixStream,
    /// Came from far and is not taken yet.
    down: Vec<u8>,
    /// Whether more may come from there.
    far_open: bool,
    near_open: bool,
    /// Nobody is there any more: what was taken of him still goes out.
    near_gone: bool,
}

/// What can be done.
#[derive(Default)]
struct Ready {
    far: bool,
    near: bool,
}

impl Relay {
    fn new(tls: ClientConnection, far: TcpStream, near: UnixStream) -> Self {
        Self { tls, far, near, down: Vec::new(), far_open: true, near_open: true, near_gone: false }
    }

    fn run(mut self, failed: &OnceLock<Failure>) {
        // what came behind the handshake waits in the connection
        let mut outcome = self.decrypted();
        while outcome.is_ok() && !self.finished() {
            outcome = self.turn();
        }
        if let Err(error) = outcome {
            // only this thread sets it
            drop(failed.set(words::failure(&error)));
        }
    }

    fn finished(&self) -> bool {
        if self.near_gone { !self.tls.wants_write() } else { !self.far_open && self.down.is_empty() }
    }

    fn turn(&mut self) -> io::Result<()> {
        let ready = self.wait()?;
        if ready.near {
            self.upwards()?;
        }
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.far) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // what the daemon has said before it went is still to be read
                Err(error)
                    if error.kind() == io::ErrorKind::BrokenPipe && self.far_open && !self.near_gone =>
                {
                    return self.last_words(error);
                }
                Err(error) => return Err(error),
            }
        }
        if ready.far && self.far_open && !self.near_gone {
            self.receive()?;
        }
        self.downwards();
        Ok(())
    }

    /// Waits until something can go on. Nothing more is read than is passed on.
    fn wait(&self) -> io::Result<Ready> {
        let mut far = PollFlags::empty();
        far.set(PollFlags::IN, self.far_open && self.down.is_empty() && !self.near_gone);
        far.set(PollFlags::OUT, self.tls.wants_write());
        let mut near = PollFlags::empty();
        near.set(PollFlags::IN, self.near_open && !self.tls.wants_write());
        near.set(PollFlags::OUT, !self.down.is_empty());
        let mut fds = Vec::with_capacity(2);
        let far_at = (!far.is_empty()).then(|| {
            fds.push(PollFd::new(&self.far, far));
            fds.len() - 1
        });
        // Also without any interest: that everything is closed is told in any case. It would be told again and again
        // while there is still something to send.
        let watched = !self.near_gone && (!self.tls.wants_write() || !self.down.is_empty());
        let near_at = watched.then(|| {
            fds.push(PollFd::new(&self.near, near));
            fds.len() - 1
        });
        loop {
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        let ready = |at: Option<usize>| at.is_some_and(|at| !fds[at].revents().is_empty());
        Ok(Ready { far: ready(far_at), near: ready(near_at) })
    }

    /// Takes what our side has written.
    fn upwards(&mut self) -> io::Result<()> {
        let mut buffer = [0; CHUNK];
        while !self.tls.wants_write() {
            match self.near.read(&mut buffer) {
                Ok(0) => {
                    if self.near_open {
                        self.near_open = false;
                        self.tls.send_close_notify();
                    }
                    self.near_gone = closed_for_good(&self.near);
                    return Ok(());
                }
                Ok(count) => self.tls.writer().write_all(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.near_gone = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        match self.tls.read_tls(&mut self.far) {
            Ok(0) => self.far_open = false,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let processed = self.tls.process_new_packets();
        if processed.is_err() {
            // an alert that says why; whether it arrives is not ours to know
            drop(self.tls.write_tls(&mut self.far));
        }
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.decrypted()
    }

    /// What has been decrypted. A daemon that goes between two records without saying so has ended the stream, as for
    /// Docker's client.
    fn decrypted(&mut self) -> io::Result<()> {
        let mut buffer = [0; CHUNK];
        loop {
            match self.tls.reader().read(&mut buffer) {
                Ok(0) => {
                    self.far_open = false;
                    return Ok(());
                }
                Ok(count) => self.down.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn downwards(&mut self) {
        while !self.down.is_empty() {
            match self.near.write(&self.down) {
                Ok(count) => drop(self.down.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.near_gone = true;
                    self.down.clear();
                }
            }
        }
    }

    /// The daemon takes nothing more: what it has said goes down, and then why.
    fn last_words(&mut self, error: io::Error) -> io::Result<()> {
        self.far.set_nonblocking(false)?;
        while self.far_open {
            self.receive()?;
        }
        self.near.set_nonblocking(false)?;
        self.downwards();
        Err(error)
    }
}

/// Whether the other end of a socket that has nothing to read is closed both ways.
fn closed_for_good(socket: &UnixStream) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::empty())];
    let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&zero)).is_ok_and(|_| fds[0].revents().contains(PollFlags::HUP))
}
