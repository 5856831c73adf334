//! What all prunes share: the request, the list of what went, the sum; and `--dry-run`.

use api::Action;
use api::system::VersionResponse;
use serde_json::Value;

use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::units::human_size;
use crate::opts::filter;
use crate::session::confirm;

/// One kind of things that can be pruned.
pub(crate) struct Kind {
    /// The request.
    pub(crate) action: Action,
    /// The member of the answer that lists what went.
    pub(crate) member: &'static str,
    /// What they are called.
    pub(crate) name: &'static str,
}

/// Containers.
pub(crate) const CONTAINERS: Kind =
    Kind { action: Action::ContainerPrune, member: "ContainersDeleted", name: "Containers" };
/// Volumes.
pub(crate) const VOLUMES: Kind =
    Kind { action: Action::VolumePrune, member: "VolumesDeleted", name: "Volumes" };
/// Networks.
pub(crate) const NETWORKS: Kind =
    Kind { action: Action::NetworkPrune, member: "NetworksDeleted", name: "Networks" };
/// Images.
pub(crate) const IMAGES: Kind = Kind { action: Action::ImagePrune, member: "ImagesDeleted", name: "Images" };
/// The build cache.
pub(crate) const BUILD_CACHE: Kind =
    Kind { action: Action::BuildPrune, member: "CachesDeleted", name: "build cache objects" };

/// The switch.
pub(crate) const DRY_RUN: Flag = Flag::bool("dry-run", "Only tell what would be removed");

/// A prune that may go on: a person has agreed, or nothing is removed.
pub(crate) struct Pruning<'a> {
    context: &'a Context<'a>,
    dry_run: bool,
    reclaimed: i64,
    /// Filters of the prune of containers that went, or would have gone, before.
    containers: Option<String>,
}

impl<'a> Pruning<'a> {
    /// Asks, unless `--force` or `--dry-run` was given.
    pub(crate) fn begin(context: &'a Context<'a>, matches: &Matches, warning: &str) -> Result<Self> {
        let dry_run = matches.bool("dry-run");
        if dry_run {
            knows_dry_run(context)?;
        } else {
            confirm::unless_forced(context, matches, warning)?;
        }
        Ok(Self { context, dry_run, reclaimed: 0, containers: None })
    }

    /// Prunes one kind, and lists what went.
    pub(crate) fn kind(&mut self, kind: &Kind, filters: &[&str]) -> Result<()> {
        self.kind_with(kind, filters, &[])
    }

    /// The same with more parameters; an empty one is left out.
    pub(crate) fn kind_with(
        &mut self,
        kind: &Kind,
        filters: &[&str],
        more: &[(&'static str, String)],
    ) -> Result<()> {
        let filters = filter::encode(filters);
        let mut request = self.context.client()?.call(kind.action, "").given("filters", &filters);
        for (name, value) in more {
            request = request.given(name, value);
        }
        if self.dry_run {
            let before = self.containers.as_deref().map_or("", |filters| match filters {
                "" => "{}",
                some => some,
            });
            request = request.switch("dry-run", true).given("after-containers", before);
        }
        let answer: Value = request.fetch()?;
        if kind.action == Action::ContainerPrune {
            self.containers = Some(filters);
        }
        self.reclaimed += answer.get("SpaceReclaimed").and_then(Value::as_i64).unwrap_or(0);
        let deleted =
            answer.get(kind.member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if deleted.is_empty() {
            return Ok(());
        }
        let verb = if self.dry_run { "Would delete" } else { "Deleted" };
        self.context.out.line(&format!("{verb} {}:", kind.name))?;
        deleted.iter().try_for_each(|one| self.context.out.line(&name(one)))?;
        self.context.out.line("")
    }

    /// Prints the sum.
    pub(crate) fn end(self) -> Result<()> {
        let what = if self.dry_run { "Total reclaimable space" } else { "Total reclaimed space" };
        self.context.out.line(&format!("{what}: {}", human_size(self.reclaimed)))
    }
}

/// Another daemon would not know the parameter, and remove everything.
fn knows_dry_run(context: &Context<'_>) -> Result<()> {
    let version: VersionResponse = context.client()?.call(Action::SystemVersion, "").fetch()?;
    if version.platform.name == "Berth" {
        return Ok(());
    }
    Err(Error::said("--dry-run needs berthd: this daemon would remove what it is asked about"))
}

/// An id, or what happened to an image.
fn name(deleted: &Value) -> String {
    let member = |key: &str| deleted.get(key).and_then(Value::as_str);
    match (deleted.as_str(), member("Deleted"), member("Untagged")) {
        (Some(id), ..) => id.to_owned(),
        (_, Some(id), _) => format!("deleted: {id}"),
        (.., Some(name)) => format!("untagged: {name}"),
        _ => String::new(),
    }
}
