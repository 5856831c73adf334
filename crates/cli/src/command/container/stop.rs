//! `berth stop`

use api::Action;

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};

pub(crate) static COMMAND: Command = Command::new(
    "stop",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    Arity::AtLeast(1),
    |context, matches| halt(context, matches, Action::ContainerStop),
)
.paths(&["container stop", "stop"])
.flags(&[FLAGS]);

/// Also those of `restart`.
pub(super) const FLAGS: &[Flag] = &[
    Flag::string("signal", "Signal that asks the container to end").short('s'),
    Flag::int("timeout", "Seconds to wait before the container is killed").short('t'),
    Flag::int("time", "Seconds to wait before the container is killed").hidden(),
];

/// Stops or restarts.
pub(super) fn halt(context: &Context<'_>, matches: &Matches, action: Action) -> Result<()> {
    if matches.has("time") {
        context.out.line("Flag --time has been deprecated, use --timeout instead")?;
    }
    let timeout = matches.given("timeout").or_else(|| matches.given("time")).unwrap_or("");
    context.each(&matches.args, |client, name| {
        client.call(action, name).given("signal", matches.get("signal")).given("t", timeout).done()
    })
}
