//! `berth volume update`: for volumes of a Swarm cluster, which Berth has none of.

use api::Action;

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "update",
    "[OPTIONS] VOLUME",
    "Change a volume of a cluster",
    Arity::AtMost(1),
    |context, matches| {
        if let Some(flag) = matches.has("availability").then_some("--availability") {
            return Err(Error::said(format!(
                "{flag}: cluster volumes belong to Swarm, which is out of scope for Berth; use Kubernetes"
            )));
        }
        context.client()?.call(Action::VolumeUpdate, matches.arg(0)).done()
    },
)
.flags(&[&[Flag::string("availability", "Availability of a cluster volume").default("active")]]);
