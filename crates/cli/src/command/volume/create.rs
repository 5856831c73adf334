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
        if let Some(flag) = CLUSTER.iter().map(|flag| flag.name).find(|name| matches.has(name)) {
            return Err(Error::said(format!(
                "--{flag}: cluster volumes belong to Swarm, which is out of scope for Berth; use Kubernetes"
            )));
        }
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
.flags(&[CLUSTER, FLAGS]);

/// Flags of cluster volumes: known, so that they are refused by name.
const CLUSTER: &[Flag] = &[
    Flag::string("availability", "Availability of a cluster volume").default("active"),
    Flag::string("group", "Group of a cluster volume"),
    Flag::bytes("limit-bytes", "Largest size of a cluster volume"),
    Flag::bytes("required-bytes", "Smallest size of a cluster volume"),
    Flag::string("scope", "Scope of access to a cluster volume").default("single"),
    Flag::list("secret", "Secrets of a cluster volume").ty("map").shows("map[]"),
    Flag::string("sharing", "Sharing of a cluster volume").default("none"),
    Flag::list("topology-preferred", "Where a cluster volume should be"),
    Flag::list("topology-required", "Where a cluster volume must be reachable from"),
    Flag::string("type", "Type of access to a cluster volume").default("block"),
];

const FLAGS: &[Flag] = &[
    Flag::string("driver", "Driver of the volume").short('d').default("local"),
    Flag::list("label", "Set metadata").check(env::check_label),
    Flag::string("name", "Name of the volume").hidden(),
    Flag::list("opt", "Set options of the driver").ty("map").short('o').shows("map[]"),
];
