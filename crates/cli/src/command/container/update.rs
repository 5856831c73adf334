//! `berth update`

use api::Action;
use api::container::{UpdateRequest, UpdateResponse};

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::opts::container::change;
use crate::opts::container::process::restart_policy;
use crate::opts::container::resources::{UPDATABLE, apply_updatable};

pub(crate) static COMMAND: Command = Command::new(
    "update",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Change limits, restart policy, ports, mounts, environment and labels of containers",
    Arity::AtLeast(1),
    run,
)
.paths(&["container update", "update"])
.flags(&[
    UPDATABLE,
    change::FLAGS,
    &[Flag::string("restart", "When to start the container again after it has exited")],
]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let any =
        UPDATABLE.iter().chain(change::FLAGS).any(|flag| matches.has(flag.name)) || matches.has("restart");
    if !any {
        return Err(Error::said("you must provide one or more flags when using this command"));
    }
    let mut request = UpdateRequest::default();
    apply_updatable(matches, &mut request.resources)?;
    if let Some(policy) = matches.given("restart") {
        request.restart_policy = restart_policy(policy)?;
    }
    change::apply(matches, &mut request)?;
    let mut warnings = Vec::new();
    let result = context.each(&matches.args, |client, name| {
        let answer: UpdateResponse = client.call(Action::ContainerUpdate, name).json(&request)?.fetch()?;
        warnings.extend(answer.warnings);
        Ok(())
    });
    warnings.iter().try_for_each(|warning| context.out.line(warning))?;
    result
}
