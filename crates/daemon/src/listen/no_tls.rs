//! What stands for TLS in a build without it.

use std::io;

use anyhow::{Result, bail};
use tokio::net::TcpStream;

use crate::config::Tls;
use crate::serve::Transport;

/// Never made.
#[derive(Clone)]
pub(crate) enum Acceptor {}

impl Acceptor {
    pub(super) fn new(_files: &Tls) -> Result<Self> {
        bail!("--tls and --tlsverify are not supported by this build of berthd: it was made without TLS")
    }

    pub(super) async fn accept(self, _stream: TcpStream) -> io::Result<Box<dyn Transport>> {
        match self {}
    }
}
