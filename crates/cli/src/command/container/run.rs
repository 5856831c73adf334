//! `berth run`

use std::io::Read;

use api::Action;
use api::container::{Config, WaitResponse};

use super::create::{at_fault, create, plan};
use crate::client::{Client, Incoming};
use crate::command::{Arity, Command, Context};
use crate::error::{DAEMON_FAULT, Error, Result, start_failure_code};
use crate::flag::{Flag, Matches};
use crate::opts::container::{health, logging, network, process, resources, security, storage};
use crate::session::pump::until_readable;
use crate::session::terminal::{self, Raw};
use crate::session::{End, Keys, Session, Signals};

pub(crate) static COMMAND: Command = Command::new(
    "run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a container of an image and run it",
    Arity::AtLeast(1),
    run,
)
.stops_at_first_argument()
.paths(&["container run", "run"])
.flags(&[
    FLAGS,
    process::FLAGS,
    resources::FLAGS,
    network::FLAGS,
    storage::FLAGS,
    security::FLAGS,
    health::FLAGS,
    logging::FLAGS,
]);

/// Beside those of `create`.
const FLAGS: &[Flag] = &[
    Flag::bool("detach", "Leave the container in the background and print its ID").short('d'),
    Flag::string("detach-keys", "Keys that leave the container running"),
    Flag::bool("sig-proxy", "Pass signals on to the process").default("true"),
];

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let mut request = plan(matches)?;
    let detach = matches.bool("detach");
    if detach {
        if matches.has("attach") {
            return Err(Error::said("conflicting options: cannot specify both --attach and --detach"));
        }
        let config = &mut request.config;
        (config.attach_stdin, config.attach_stdout, config.attach_stderr) = (false, false, false);
        config.stdin_once = false;
    } else {
        terminal::check_input(request.config.attach_stdin, request.config.tty)?;
    }
    let id = create(context, matches, &request).map_err(at_fault)?;
    if detach {
        let started = start(context.client()?, &id, "");
        // Also of a container that did not start: it is there.
        context.out.line(&id)?;
        return started;
    }
    let attached = Attached {
        id,
        config: &request.config,
        condition: if request.host_config.auto_remove { "removed" } else { "next-exit" },
        detach_keys: &detach_keys(context, matches),
        sig_proxy: matches.bool("sig-proxy"),
    };
    attached.run(context)
}

/// The keys to leave with: the flag, else the user's configuration.
pub(super) fn detach_keys(context: &Context<'_>, matches: &Matches) -> String {
    match matches.get("detach-keys") {
        "" => crate::client::config::text(&context.choice.config_dir, "detachKeys").unwrap_or_default(),
        keys => keys.to_owned(),
    }
}

/// Starts the container; a failure carries the exit code that tells why.
pub(super) fn start(client: &Client, id: &str, detach_keys: &str) -> Result<()> {
    client.call(Action::ContainerStart, id).given("detachKeys", detach_keys).done().map_err(|error| {
        let text = error.to_string();
        Error::Run { code: start_failure_code(&text), text }
    })
}

/// A container that is started with its streams attached from its first byte on.
pub(super) struct Attached<'a> {
    /// Its id.
    pub(super) id: String,
    /// What of it is attached.
    pub(super) config: &'a Config,
    /// What end to wait for.
    pub(super) condition: &'static str,
    /// As typed.
    pub(super) detach_keys: &'a str,
    /// Whether signals go to the container.
    pub(super) sig_proxy: bool,
}

impl Attached<'_> {
    /// Attaches, waits, and only then starts, so that neither output nor the end is missed.
    pub(super) fn run(&self, context: &Context<'_>) -> Result<()> {
        let client = context.client()?;
        let keys = Keys::parse(self.detach_keys).map_err(|text| at_fault(Error::Said(text)))?;
        let signals =
            Signals::new(&self.id, self.sig_proxy, self.config.tty.then_some(Action::ContainerResize))?;
        let mut session = attach(context, &self.id, self.config, self.detach_keys)?;
        if self.config.attach_stdin {
            session = session.with_input(self.config.tty.then_some(keys));
        }
        let wait = client
            .call(Action::ContainerWait, &self.id)
            .query("condition", self.condition)
            .open()
            .map_err(at_fault)?
            .1;
        start(client, &self.id, self.detach_keys)?;
        let raw = if self.config.tty && self.config.attach_stdin { Raw::enter()? } else { None };
        if let Some(signals) = &signals {
            signals.resize(client);
        }
        let mute = !self.config.attach_stdout && !self.config.attach_stderr;
        if mute {
            session = session.without_output();
            context.out.line(&self.id)?;
        }
        let end = session.pump(signals.as_ref());
        drop(raw);
        if end? == End::Detached || mute {
            return Ok(());
        }
        until_readable(client, &wait, signals.as_ref())?;
        exit_code(wait)
    }
}

/// Attaches to the streams that `config` says.
pub(super) fn attach<'a>(
    context: &'a Context<'_>,
    id: &str,
    config: &Config,
    detach_keys: &str,
) -> Result<Session<'a>> {
    let client = context.client()?;
    let (_, connection) = client
        .call(Action::ContainerAttach, id)
        .query("stream", "1")
        .switch("stdin", config.attach_stdin)
        .switch("stdout", config.attach_stdout)
        .switch("stderr", config.attach_stderr)
        .given("detachKeys", detach_keys)
        .hijack()
        .map_err(at_fault)?;
    Ok(Session::new(client, context.out, connection, config.tty))
}

/// Turns the answer of `wait` into this process's end.
pub(super) fn exit_code(mut wait: Incoming) -> Result<()> {
    let mut text = Vec::new();
    let broken = |reason: String| at_fault(Error::said(format!("error waiting for container: {reason}")));
    wait.read_to_end(&mut text).map_err(|error| broken(error.to_string()))?;
    let end: WaitResponse = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    if let Some(error) = end.error.filter(|error| !error.message.is_empty()) {
        return Err(broken(error.message));
    }
    match end.status_code {
        0 => Ok(()),
        code => Err(Error::Exit(u8::try_from(code & 0xff).unwrap_or(DAEMON_FAULT))),
    }
}
