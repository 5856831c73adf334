//! `berth image inspect`

use api::Action;

use crate::command::object::inspect_all;
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Show everything about one or more images",
    Arity::AtLeast(1),
    |context, matches| {
        let platform = super::platform_json(matches.get("platform"));
        inspect_all(context, matches.get("format"), &matches.args, |client, name| {
            client.call(Action::ImageInspect, name).given("platform", &platform).fetch()
        })
    },
)
.flags(&[&[
    Flag::format_object(),
    Flag::string("platform", "Choose this platform of an image that has several (such as \"linux/amd64\")"),
]]);
