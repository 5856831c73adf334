//! `berth volume create`

use api::Action;
use api::volume::{CreateRequest, Volume};

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;
use crate::opts::{env, kv};

pub(crate) static COMMAND: Command = Command::new(
    "create",
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    Arity::AtMost(1),
    |context, matches| {
        let flag = matches.get("name");
        if !flag.is_empty() && !matches.args.is_empty() {
            return Err(Error::said("conflicting options: cannot specify a volume-name through both --name and as a positional arg"));
        }
        let request = CreateRequest {
            name: if flag.is_empty() { matches.arg(0) } else { flag }.to_owned(),
            driver: matches.get("driver").to_owned(),
            driver_opts: kv::map(&matches.all("opt")),
            labels: env::labels(&[], &matches.all("label"))?,
        };
        let volume: Volume =
            context.client()?.call(Action::VolumeCreate, "").json(&request)?.fetch()?;
        context.out.line(&volume.name)
    },
)
.flags(&[&[
    Flag::string("driver", "Driver of the volume").short('d').default("local"),
    Flag::list("label", "Set metadata").check(env::check_label),
    Flag::string("name", "Name of the volume").hidden(),
    Flag::list("opt", "Set options of the driver").ty("map").short('o').shows("map[]"),
]]);
