//! `berth exec`

use api::Action;
use api::exec::{CreateRequest, CreateResponse, InspectResponse, StartRequest};

use super::run::detach_keys;
use crate::command::{Arity, Command, Context};
use crate::error::{DAEMON_FAULT, Error, Result, start_failure_code};
use crate::flag::{Flag, Matches};
use crate::opts::env;
use crate::session::terminal::{self, Raw};
use crate::session::{End, Keys, Session, Signals};

pub(crate) static COMMAND: Command = Command::new(
    "exec",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Run a command in a running container",
    Arity::AtLeast(2),
    run,
)
.stops_at_first_argument()
.paths(&["container exec", "exec"])
.flags(&[&[
    Flag::bool("detach", "Leave the command in the background").short('d'),
    Flag::string("detach-keys", "Keys that leave the command running"),
    Flag::list("env", "Set an environment variable").short('e').check(env::check_variable),
    Flag::list("env-file", "Read environment variables from a file"),
    Flag::bool("interactive", "Keep STDIN open even if not attached").short('i'),
    Flag::bool("privileged", "Give the command all privileges"),
    Flag::bool("tty", "Give the command a terminal").short('t'),
    Flag::string("user", "User name or UID (format: \"<name|uid>[:<group|gid>]\")").short('u'),
    Flag::string("workdir", "Working directory in the container").short('w'),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let (detach, tty) = (matches.bool("detach"), matches.bool("tty"));
    let console_size = terminal::size().filter(|_| tty).map(|(rows, columns)| [rows.into(), columns.into()]);
    let request = CreateRequest {
        user: matches.get("user").to_owned(),
        privileged: matches.bool("privileged"),
        tty,
        console_size,
        attach_stdin: !detach && matches.bool("interactive"),
        attach_stdout: !detach,
        attach_stderr: !detach,
        detach_keys: detach_keys(context, matches),
        env: env::variables(&matches.all("env-file"), &matches.all("env"))?,
        working_dir: matches.get("workdir").to_owned(),
        cmd: matches.args[1..].to_vec().into(),
    };
    if !detach {
        terminal::check_input(request.attach_stdin, tty)?;
    }
    let keys = Keys::parse(&request.detach_keys).map_err(Error::Said)?;
    let client = context.client()?;
    let created: CreateResponse =
        client.call(Action::ContainerExec, matches.arg(0)).json(&request)?.fetch()?;
    let start =
        client.call(Action::ExecStart, &created.id).json(&StartRequest { detach, tty, console_size })?;
    if detach {
        return start.done().map_err(start_failed);
    }
    let signals = Signals::new(&created.id, false, tty.then_some(Action::ExecResize))?;
    let (_, connection) = start.hijack().map_err(start_failed)?;
    let mut session = Session::new(client, context.out, connection, tty);
    if request.attach_stdin {
        session = session.with_input(tty.then_some(keys));
    }
    let raw = if tty && request.attach_stdin { Raw::enter()? } else { None };
    if let Some(signals) = &signals {
        signals.resize(client);
    }
    let end = session.pump(signals.as_ref());
    drop(raw);
    if end? == End::Detached {
        return Err(Error::said("read escape sequence"));
    }
    let ended: InspectResponse = client.call(Action::ExecInspect, &created.id).fetch()?;
    match ended.exit_code.unwrap_or(0) {
        0 => Ok(()),
        code => Err(Error::Exit(u8::try_from(code & 0xff).unwrap_or(DAEMON_FAULT))),
    }
}

/// A command that can't be run ends as a shell would tell of it: 126 or 127.
fn start_failed(error: Error) -> Error {
    let text = error.to_string();
    match start_failure_code(&text) {
        DAEMON_FAULT => error,
        code => Error::Plain { code, text },
    }
}
