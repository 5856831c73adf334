//! `berth start`

use api::Action;
use api::container::InspectResponse;

use super::run::{Attached, detach_keys};
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::session::terminal;

pub(crate) static COMMAND: Command = Command::new(
    "start",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    Arity::AtLeast(1),
    |context, matches| {
        let attach = matches.bool("attach") || matches.bool("interactive");
        if matches.has("checkpoint") || matches.has("checkpoint-dir") {
            if attach {
                return Err(Error::said(
                    "--checkpoint: not together with --attach or --interactive; attach afterwards",
                ));
            }
            restored(context, matches)
        } else if attach {
            attached(context, matches)
        } else {
            detached(context, matches)
        }
    },
)
.paths(&["container start", "start"])
.flags(&[&[
    Flag::bool("attach", "Attach to its output and pass signals on").short('a'),
    Flag::string("checkpoint", "Restore from this checkpoint"),
    Flag::string("checkpoint-dir", "Directory of the checkpoint"),
    Flag::string("detach-keys", "Keys that leave the container running"),
    Flag::bool("interactive", "Attach to its input").short('i'),
]]);

fn restored(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let [name] = matches.args.as_slice() else {
        return Err(Error::said("you cannot restore multiple containers at once"));
    };
    let call = context.client()?.call(Action::ContainerStart, name);
    let call = call.given("checkpoint", matches.get("checkpoint"));
    call.given("checkpoint-dir", matches.get("checkpoint-dir")).done()
}

fn detached(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let client = context.client()?;
    let mut failed = Vec::new();
    for name in &matches.args {
        match client.call(Action::ContainerStart, name).done() {
            Ok(()) => context.out.line(name)?,
            Err(error @ Error::Daemon { .. }) => {
                context.out.error_line(&error.to_string());
                failed.push(name.as_str());
            }
            Err(error) => return Err(error),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::said(format!("Error: failed to start containers: {}", failed.join(", "))))
}

fn attached(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let [name] = matches.args.as_slice() else {
        return Err(Error::said("you cannot start and attach multiple containers at once"));
    };
    let container: InspectResponse = context.client()?.call(Action::ContainerInspect, name).fetch()?;
    let mut config = container.config;
    config.attach_stdin = matches.bool("interactive") && config.open_stdin;
    (config.attach_stdout, config.attach_stderr) = (true, true);
    terminal::check_input(config.attach_stdin, config.tty)?;
    let attached = Attached {
        id: container.id,
        config: &config,
        condition: if container.host_config.auto_remove { "removed" } else { "next-exit" },
        detach_keys: &detach_keys(context, matches),
        sig_proxy: !config.tty,
    };
    attached.run(context).map_err(|error| match error {
        // `start` is no `run`: its failures are plain.
        Error::Run { text, .. } => Error::Said(text),
        other => other,
    })
}
