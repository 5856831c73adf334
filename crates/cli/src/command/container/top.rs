//! `berth top`

use api::Action;
use api::container::TopResponse;

use crate::command::{Arity, Command};
use crate::format::table;

pub(crate) static COMMAND: Command = Command::new(
    "top",
    "CONTAINER [ps OPTIONS]",
    "List the processes of a container",
    Arity::AtLeast(1),
    |context, matches| {
        let top: TopResponse = context
            .client()?
            .call(Action::ContainerTop, matches.arg(0))
            .given("ps_args", &matches.args[1..].join(" "))
            .fetch()?;
        let mut text = top.titles.join("\t");
        for process in &top.processes {
            text.push('\n');
            text.push_str(&process.join("\t"));
        }
        text.push('\n');
        context.out.text(&table::align(&text, table::TOP))
    },
)
.stops_at_first_argument()
.paths(&["container top", "top"]);
