//! `berth attach`

use api::Action;
use api::container::InspectResponse;

use super::run::{attach, detach_keys, exit_code};
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::session::pump::until_readable;
use crate::session::terminal::{self, Raw};
use crate::session::{End, Keys, Signals};

pub(crate) static COMMAND: Command = Command::new(
    "attach",
    "[OPTIONS] CONTAINER",
    "Attach standard input, output and error to a running container",
    Arity::Exactly(1),
    run,
)
.paths(&["container attach", "attach"])
.flags(&[&[
    Flag::string("detach-keys", "Keys that leave the container running"),
    Flag::bool("no-stdin", "Don't attach STDIN"),
    Flag::bool("sig-proxy", "Pass signals on to the process").default("true"),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let client = context.client()?;
    let container: InspectResponse = client.call(Action::ContainerInspect, matches.arg(0)).fetch()?;
    let state = &container.state;
    if !state.running {
        return Err(Error::said("You cannot attach to a stopped container, start it first"));
    }
    if state.paused {
        return Err(Error::said("cannot attach to a paused container, unpause it first"));
    }
    if state.restarting {
        return Err(Error::said("cannot attach to a restarting container, wait until it is running"));
    }
    let mut config = container.config;
    config.attach_stdin = config.open_stdin && !matches.bool("no-stdin");
    (config.attach_stdout, config.attach_stderr) = (true, true);
    terminal::check_input(config.attach_stdin, config.tty)?;
    let typed = detach_keys(context, matches);
    let keys = Keys::parse(&typed).map_err(Error::Said)?;
    let proxy = matches.bool("sig-proxy") && !config.tty;
    let signals = Signals::new(&container.id, proxy, config.tty.then_some(Action::ContainerResize))?;
    let wait = client.call(Action::ContainerWait, &container.id).open()?.1;
    let mut session =
        attach(context, &container.id, &config, &typed).map_err(|error| Error::said(error.to_string()))?;
    if config.attach_stdin {
        session = session.with_input(config.tty.then_some(keys));
    }
    let raw = if config.tty && config.attach_stdin { Raw::enter()? } else { None };
    if let Some(signals) = &signals {
        signals.resize(client);
    }
    let end = session.pump(signals.as_ref());
    drop(raw);
    if end? == End::Detached {
        return Err(Error::said("read escape sequence"));
    }
    until_readable(client, &wait, signals.as_ref())?;
    exit_code(wait)
}
