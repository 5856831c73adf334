//! `berth network disconnect`

use api::Action;
use api::network::DisconnectRequest;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "disconnect",
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    Arity::Exactly(2),
    |context, matches| {
        let request =
            DisconnectRequest { container: matches.arg(1).to_owned(), force: matches.bool("force") };
        context.client()?.call(Action::NetworkDisconnect, matches.arg(0)).json(&request)?.done()
    },
)
.flags(&[&[Flag::bool("force", "Also a container that does not answer").short('f')]]);
