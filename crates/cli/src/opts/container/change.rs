//! What `update` changes of an existing container beside its limits: ports, mounts, environment, labels.

use api::container::{PortBinding, UpdateRequest};

use super::{mount, ports};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::opts::env;

pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("env", "Set an environment variable, from the next start on")
        .short('e')
        .check(env::check_variable),
    Flag::list("env-rm", "Remove an environment variable, from the next start on"),
    Flag::list("label", "Set a label").short('l').check(env::check_label),
    Flag::list("label-rm", "Remove a label"),
    Flag::list("mount", "Add a mount, from the next start on")
        .ty("mount")
        .check(|text| mount::parse(text).map(drop)),
    Flag::list("mount-rm", "Remove the mount at this path, from the next start on"),
    Flag::list("publish", "Publish a port of the container on the host").short('p'),
    Flag::list("publish-rm", "Publish a port no longer ([[ip:]host-port:]port[/protocol])"),
];

/// Puts them into the request.
pub(crate) fn apply(matches: &Matches, request: &mut UpdateRequest) -> Result<()> {
    for text in matches.all("publish") {
        for published in ports::publish(text).map_err(Error::Said)? {
            let bindings = request.publish.0.entry(published.port).or_default().get_or_insert_default();
            bindings.push(PortBinding { host_ip: published.ip, host_port: published.host });
        }
    }
    request.publish_remove = matches.list("publish-rm");
    request.mounts = matches
        .all("mount")
        .iter()
        .map(|text| mount::parse(text))
        .collect::<Result<_, _>>()
        .map_err(Error::Said)?;
    request.mounts_remove = matches.list("mount-rm");
    request.env = env::variables(&[], &matches.all("env"))?;
    if let Some(bare) = request.env.iter().find(|var| !var.contains('=')) {
        return Err(Error::Said(format!(
            "environment variable {bare} has no value here; use --env-rm to remove it"
        )));
    }
    request.env_remove = matches.list("env-rm");
    request.labels = env::labels(&[], &matches.all("label"))?;
    request.labels_remove = matches.list("label-rm");
    Ok(())
}
