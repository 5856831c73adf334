//! Traffic that goes on while something happens, packet by packet, and what was lost of it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::Namespace;
use crate::programs::patient;

/// Between two packets.
const PACE: Duration = Duration::from_millis(1);
/// An answer that has not come by then was lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client that asks a server of [`super::Server::udp`] a question every millisecond.
pub struct Flow {
    end: Sender<()>,
    thread: JoinHandle<Result<(u64, u64)>>,
}

impl Flow {
    /// Begins from a namespace.
    pub fn start(from: &Namespace, to: SocketAddr) -> Result<Self> {
        let socket = from.within(|| {
            let socket = UdpSocket::bind(("0.0.0.0", 0))?;
            socket.connect(to)?;
            socket.set_read_timeout(Some(patient(PATIENCE)))?;
            Ok(socket)
        })?;
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || {
            let (mut sent, mut lost, mut buffer) = (0, 0, [0; 128]);
            while ended.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                sent += 1;
                let heard = socket.send(b"?").and_then(|_| socket.recv(&mut buffer));
                lost += u64::from(heard.is_err());
            }
            Ok((sent, lost))
        });
        Ok(Self { end, thread })
    }

    /// Ends it: how many packets were sent, and how many not answered.
    pub fn end(self) -> Result<(u64, u64)> {
        let _ = self.end.send(());
        self.thread.join().map_err(|_panic| anyhow!("the flow's thread panicked"))?
    }
}
