//! The terminal's side of `image explore`. `keys` are bytes as keys, `state` is what keys do, `draw` what is
//! seen of it; here is the loop, and the way into the terminal and back.

mod draw;
mod keys;
mod state;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;

use explore::Image;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::signal::{Signal, SignalFd};

use crate::error::{Error, Result};
use crate::session::terminal::Raw;
use keys::Keys;
use state::Explorer;

/// The other screen, without a cursor (xterm's private modes 1049 and 25).
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// How long the rest of a key may be on its way after its escape character: a slow line splits keys.
const REST_OF_KEY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Can somebody look and type here?
pub(crate) fn fits() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb
}

/// Shows the image until the user has seen enough.
pub(crate) fn show(image: &Image) -> Result<()> {
    // Before the screen changes: a signal between the two would leave it changed.
    let mask = [Signal::WINCH, Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
    let signals = SignalFd::new(&mask)
        .map_err(|error| Error::Io { what: "take signals".into(), error: error.into() })?;
    let outcome = Screen::enter().and_then(|mut screen| screen.run(image, &signals));
    // Back to default actions; nothing can be done when that fails.
    let _ = sys::signal::block_only(&[]);
    outcome
}

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// The terminal while it is ours; dropping it gives it back.
struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    keys: Keys,
    hook: Arc<Hook>,
    /// Dropped after the screen has changed back.
    _raw: Raw,
}

impl Screen {
    fn enter() -> Result<Self> {
        let failed = || Error::io("set the terminal");
        let raw = Raw::enter()?.ok_or_else(|| Error::said("the input device is not a TTY"))?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed())?;
        write(ENTER).map_err(failed())?;
        let hook: Arc<Hook> = panic::take_hook().into();
        let before = Arc::clone(&hook);
        // What a panic says must not go with the screen that it is said on.
        panic::set_hook(Box::new(move |info| {
            let _ = write(LEAVE);
            before(info);
        }));
        Ok(Self { terminal, keys: Keys::default(), hook, _raw: raw })
    }

    fn run(&mut self, image: &Image, signals: &SignalFd) -> Result<()> {
        let mut explorer = Explorer::new(image);
        while !explorer.is_done() {
            self.terminal
                .draw(|frame| draw::draw(&mut explorer, frame))
                .map_err(Error::io("write standard output"))?;
            self.wait(&mut explorer, signals)?;
        }
        Ok(())
    }

    /// Waits for a key or a signal, and hands it on.
    fn wait(&mut self, explorer: &mut Explorer<'_>, signals: &SignalFd) -> Result<()> {
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        let timeout = self.keys.is_open().then_some(&REST_OF_KEY);
        match poll(&mut fds, timeout) {
            Ok(0) => {
                self.keys.close().into_iter().for_each(|key| explorer.press(key));
                return Ok(());
            }
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => {
                other.map_err(|error| Error::Io { what: "wait for input".into(), error: error.into() })?
            }
        };
        let [typed, signalled] = fds.map(|fd| !fd.revents().is_empty());
        if signalled {
            while let Ok(Some(signal)) = signals.next() {
                // A new size is looked at whenever something is drawn.
                if signal != Signal::WINCH {
                    return Err(Error::Exit(128 + u8::try_from(signal.number()).unwrap_or(0)));
                }
            }
        }
        if typed {
            let mut buffer = [0; 1024];
            match rustix::io::read(&stdin, &mut buffer) {
                // The terminal has gone.
                Ok(0) | Err(rustix::io::Errno::IO) => return Err(Error::Exit(1)),
                Ok(count) => {
                    self.keys.feed(&buffer[..count]).into_iter().for_each(|key| explorer.press(key));
                }
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(error) => {
                    return Err(Error::Io { what: "read standard input".into(), error: error.into() });
                }
            }
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nothing to do about a terminal that has gone away.
        let _ = write(LEAVE);
        if !std::thread::panicking() {
            let hook = Arc::clone(&self.hook);
            panic::set_hook(Box::new(move |info| hook(info)));
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}
