//! `berth system dial-stdio`: the near end of `ssh://`.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{read, write};

use crate::client::Stream;
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::Matches;

pub(crate) static COMMAND: Command =
    Command::new("dial-stdio", "", "Join standard input and output to the daemon's socket", Arity::None, run);

fn run(context: &Context<'_>, _: &Matches) -> Result<()> {
    let stream = context.client()?.dial_for_proxy()?;
    proxy(&stream).map_err(|error| Error::Io { what: "dial-stdio".into(), error: error.into() })
}

/// Copies both ways until the daemon closes.
fn proxy(stream: &Stream) -> rustix::io::Result<()> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let mut buffer = vec![0; 64 << 10];
    let mut open = true;
    loop {
        let mut fds = vec![PollFd::new(stream, PollFlags::IN)];
        if open {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        poll(&mut fds, None)?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            let count = read(stream, &mut *buffer)?;
            if count == 0 {
                return Ok(());
            }
            write_all(&stdout, &buffer[..count])?;
        }
        if ready.get(1) == Some(&true) {
            let count = read(&stdin, &mut *buffer)?;
            if count == 0 {
                open = false;
                // The daemon may have closed first.
                drop(stream.shutdown_write());
            }
            write_all(stream, &buffer[..count])?;
        }
    }
}

fn write_all(target: impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let count = write(&target, bytes)?;
        bytes = &bytes[count..];
    }
    Ok(())
}
