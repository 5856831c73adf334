//! `berth info`

use api::Action;

use super::{info_text, version};
use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::json::Json;
use crate::format::template::{Data, Format};

pub(crate) static COMMAND: Command =
    Command::new("info", "[OPTIONS]", "Show the daemon's state and settings", Arity::None, run)
        .paths(&["system info", "info"])
        .flags(&[&[Flag::format_object()]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let format = matches.get("format");
    let answer = context.client()?.call(Action::SystemInfo, "").bytes();
    if format.is_empty() {
        context.out.text(&info_text::client(context))?;
        let bytes = answer.inspect_err(|_| drop(context.out.text("\nServer:\n")))?;
        let info = serde_json::from_slice(&bytes)
            .map_err(|error| crate::error::Error::Transport(format!("the answer is not JSON: {error}")))?;
        context.out.text(&info_text::server(&info))?;
        for warning in &info.warnings {
            context.out.error_line(warning);
        }
        return Ok(());
    }
    let mut info: Json = serde_json::from_slice(&answer?)
        .map_err(|error| crate::error::Error::Transport(format!("the answer is not JSON: {error}")))?;
    if let Json::Object(members) = &mut info {
        let Json::Object(mut client) = version::own(context)? else { return Ok(()) };
        client.retain(|(name, _)| name != "ApiVersion");
        client.splice(..0, [("Debug".to_owned(), Json::Bool(false))]);
        client.push(("Plugins".to_owned(), Json::Array(Vec::new())));
        client.push(("Warnings".to_owned(), Json::Null));
        members.push(("ClientInfo".to_owned(), Json::Object(client)));
    }
    let format = Format::parse(if format == "json" { "{{json .}}" } else { format })?;
    context.out.line(&format.render(Data::from_json(&info))?)
}
