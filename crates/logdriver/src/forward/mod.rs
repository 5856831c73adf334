//! The program that forwards a container's output: one process a container, started by its shim.
//!
//! It may wait: for a server that is slow or away, for an answer. What it does not read waits in the shim, which holds the
//! container back or drops messages as the user chose. It ends with its input, at the latest [`patience::GRACE`] later.

pub(crate) mod connection;
mod dns;
mod input;
pub(crate) mod patience;
mod tls;

use std::io::{self, Write as _};
use std::time::Duration;

use crate::driver::{self, Driver};
use crate::error::words;
use crate::settings::Settings;
use input::Input;
use patience::{Patience, is_given_up};
pub use shim::log::FORWARD_PROGRAM as PROGRAM;

/// How long the first and the last wait are for a server that is needed again.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(30);

/// Run with standard input as the shim's socket; the exit code.
#[must_use]
pub fn run() -> u8 {
    match serve() {
        Ok(()) => 0,
        Err(error) if is_given_up(&error) => 0,
        Err(error) => {
            complain(&error.to_string());
            1
        }
    }
}

/// Into the file of the shim's last words.
fn complain(text: &str) {
    // without one there is nobody to tell
    let _ = writeln!(io::stderr(), "{}: {text}", PROGRAM);
}

fn serve() -> io::Result<()> {
    rustix::thread::set_name(c"berth-log")?;
    rustix::process::chdir("/")?;
    let mut input = Input::over_stdin()?;
    let (settings, again) = input.hello()?;
    let mut patience = input.patience()?;
    let settings: Settings = serde_json::from_str(&settings)?;
    let mut driver = match driver::open(&settings, &mut patience) {
        Ok(driver) => {
            input.answer(again, "")?;
            driver
        }
        Err(error) if !again => return input.answer(again, &words(&error)),
        Err(_) => open_at_last(&settings, &mut patience)?,
    };
    let mut failing = false;
    loop {
        let outcome = hand_on(&mut input, &mut *driver, &mut patience);
        if let Err(error) = &outcome {
            if is_given_up(error) {
                return outcome;
            }
            // a server that is away fails for each message; that it is away is told once
            if !std::mem::replace(&mut failing, true) {
                complain(&format!("failed to log: {}", words(error)));
            }
        } else {
            failing = false;
        }
        if !input.fill()? {
            return driver.close(&mut patience);
        }
    }
}

/// The container runs already, so its driver has to come about some time.
fn open_at_last(settings: &Settings, patience: &mut Patience) -> io::Result<Box<dyn Driver>> {
    let mut delay = FIRST_DELAY;
    loop {
        patience.wait(None, Some(delay))?;
        delay = (delay * 2).min(LAST_DELAY);
        match driver::open(settings, patience) {
            Err(error) if !is_given_up(&error) => {}
            other => return other,
        }
    }
}

/// Every message that is here; the first failure, after all were tried.
fn hand_on(input: &mut Input, driver: &mut dyn Driver, patience: &mut Patience) -> io::Result<()> {
    let mut outcome = Ok(());
    while let Some(message) = input.message()? {
        if let Err(error) = driver.log(&message, patience) {
            if is_given_up(&error) {
                return Err(error);
            }
            outcome = outcome.and(Err(error));
        }
    }
    outcome.and(driver.flush(patience))
}
