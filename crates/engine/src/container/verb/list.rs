//! `list`: snapshots that pass the filters, newest first.

use std::sync::Arc;

use crate::Engine;
use jiff::Timestamp;

use crate::container::{Container, Status};
use crate::error::{Error, Result};
use crate::filters::Filters;

/// Which containers are wanted.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Stopped ones too.
    pub all: bool,
    /// The newest so many, stopped ones too; 0 = no limit.
    pub limit: usize,
    /// Measure sizes.
    pub size: bool,
    /// `ancestor before exited expose health id is-task label name network publish since status volume`.
    pub filters: Filters,
}

/// Bytes of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Written by it.
    pub rw: u64,
    /// Of its whole root.
    pub root_fs: u64,
}

/// One listed container.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Snapshot.
    pub container: Arc<Container>,
    /// If it was asked for.
    pub size: Option<Size>,
    /// The image reference as list shows it: as asked for, or the id when the tag has moved on.
    pub image: String,
    /// Names that others' links give to it, `parent/alias`.
    pub link_names: Vec<String>,
}

/// Filters that list knows.
const FILTERS: [&str; 14] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
];

impl Engine {
    /// Lists containers. Touches no disk unless sizes are asked for.
    ///
    /// # Errors
    /// A filter is unknown or wrong.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<Listed>> {
        let filters = &options.filters;
        let known: Vec<&str> = FILTERS.iter().copied().chain(["volume"]).collect();
        filters.only(&known)?;
        let plan = Plan::new(self, &options)?;
        let mut containers: Vec<_> = self.0.containers.all().iter().map(|entry| entry.snapshot()).collect();
        containers.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        containers.retain(|container| plan.wants(container));
        if options.limit > 0 {
            containers.truncate(options.limit);
        }
        let mut names = self.0.containers.link_names();
        let mut listed = Vec::with_capacity(containers.len());
        for container in containers {
            let size = if options.size { self.container_size(&container.id).await.ok() } else { None };
            let link_names = names.remove(&container.id).unwrap_or_default();
            listed.push(Listed { image: self.image_shown(&container), container, size, link_names });
        }
        Ok(listed)
    }

    /// The image as list shows it: as asked for, or its id once that name means another image, or none.
    fn image_shown(&self, container: &Container) -> String {
        let asked = &container.config.image;
        match self.0.store.resolve(asked) {
            Ok(id) if id.as_str() == container.image_id => asked.clone(),
            _ => container.image_id.clone(),
        }
    }
}

/// Filters, made ready.
struct Plan<'a> {
    filters: &'a Filters,
    /// Stopped ones pass, too.
    all: bool,
    exited: Vec<i32>,
    statuses: Vec<Status>,
    health: Vec<String>,
    ports: Vec<(&'static str, (u16, u16, String))>,
    newer_than: Option<Timestamp>,
    older_than: Option<Timestamp>,
    ancestors: Vec<String>,
    none_is_task: bool,
}

impl<'a> Plan<'a> {
    fn new(engine: &Engine, options: &'a ListOptions) -> Result<Self> {
        let filters = &options.filters;
        let wrong =
            |name: &str, value: &str| Error::bad_parameter(format!("invalid filter '{name}={value}'"));
        let created = |name: &str| -> Result<Option<Timestamp>> {
            let moments =
                filters.get(name).map(|value| Ok(engine.0.containers.find(value)?.snapshot().created));
            let moments = moments.collect::<Result<Vec<_>>>()?;
            Ok(if name == "since" { moments.into_iter().max() } else { moments.into_iter().min() })
        };
        let number = |value: &str| value.parse::<i32>().map_err(|_error| wrong("exited", value));
        let status = |value: &str| Status::parse(value).ok_or_else(|| wrong("status", value));
        let mut ports = Vec::new();
        for name in ["expose", "publish"] {
            for value in filters.get(name) {
                let (low, high, protocol) = crate::container::parse_port(value)?;
                ports.push((name, (low, high, protocol.to_owned())));
            }
        }
        let health: Vec<String> = filters.get("health").map(str::to_owned).collect();
        if let Some(value) = health
            .iter()
            .find(|value| !["starting", "healthy", "unhealthy", "none"].contains(&value.as_str()))
        {
            return Err(wrong("health", value));
        }
        let ancestors = filters.get("ancestor").map(|value| {
            engine.0.store.resolve(value).map_or_else(|_error| value.to_owned(), |id| id.as_str().to_owned())
        });
        Ok(Self {
            filters,
            all: options.all
                || options.limit > 0
                || ["status", "exited"].iter().any(|name| filters.contains(name)),
            exited: filters.get("exited").map(number).collect::<Result<_>>()?,
            statuses: filters.get("status").map(status).collect::<Result<_>>()?,
            health,
            ports,
            newer_than: created("since")?,
            older_than: created("before")?,
            ancestors: ancestors.collect(),
            none_is_task: filters.flag("is-task")? == Some(true),
        })
    }

    fn wants(&self, container: &Container) -> bool {
        if self.none_is_task || (!self.all && !container.state.is_running()) {
            return false;
        }
        self.wants_state(container) && self.wants_name(container) && self.wants_place(container)
    }

    fn wants_state(&self, container: &Container) -> bool {
        let state = &container.state;
        let health = container.health.as_ref().map_or("none", |health| health.status.name());
        (self.exited.is_empty() || state.exited().is_some_and(|exit| self.exited.contains(&exit.code)))
            && (self.statuses.is_empty() || self.statuses.contains(&state.status()))
            && (self.health.is_empty() || self.health.iter().any(|wanted| wanted == health))
            && self.newer_than.is_none_or(|moment| container.created > moment)
            && self.older_than.is_none_or(|moment| container.created < moment)
    }

    fn wants_name(&self, container: &Container) -> bool {
        let slashed = format!("/{}", container.name);
        self.filters.any("id", |wanted| container.id.starts_with(wanted))
            && self.filters.any("name", |wanted| name_matches(wanted, &container.name, &slashed))
            && self.filters.labels("label", &container.config.labels)
            && (self.ancestors.is_empty() || self.ancestors.contains(&container.image_id))
    }

    fn wants_place(&self, container: &Container) -> bool {
        let networks = &container.network.networks;
        let on_network = |wanted: &str| {
            networks.iter().any(|(name, endpoint)| name == wanted || endpoint.network_id.starts_with(wanted))
        };
        let with_volume = |wanted: &str| {
            container
                .mounts
                .iter()
                .any(|mount| mount.name == wanted || mount.destination == wanted || mount.source == wanted)
        };
        self.filters.any("network", |wanted| !wanted.is_empty() && on_network(wanted))
            && self.filters.exact("isolation", &container.host.isolation)
            && self.filters.any("volume", with_volume)
            && ["expose", "publish"].iter().all(|kind| {
                let mut wanted = self.ports.iter().filter(|(name, _)| name == kind).peekable();
                wanted.peek().is_none() || wanted.any(|(kind, port)| has_port(container, kind, port))
            })
    }
}

/// Docker treats the value as a regular expression; here it is a text anywhere in the name, with the anchors `^` and `$`.
fn name_matches(wanted: &str, name: &str, slashed: &str) -> bool {
    let (start, rest) = wanted.strip_prefix('^').map_or((false, wanted), |rest| (true, rest));
    let (end, text) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    [name, slashed].into_iter().any(|name| match (start, end) {
        (true, true) => name == text,
        (true, false) => name.starts_with(text),
        (false, true) => name.ends_with(text),
        (false, false) => name.contains(text),
    })
}

/// Docker looks at the ports of running containers: `expose` at the container's own, `publish` at the host's.
fn has_port(container: &Container, kind: &str, (low, high, protocol): &(u16, u16, String)) -> bool {
    if !container.state.is_running() {
        return false;
    }
    container.network.ports.iter().any(|(port, bindings)| {
        let Ok((from, to, spoken)) = crate::container::parse_port(port) else { return false };
        let published = || {
            bindings.iter().flatten().any(|binding| match oci::ports::first_of_many(binding) {
                Some(first) => first <= *high && first.saturating_add(to - from) >= *low,
                None => binding.host_port.parse().is_ok_and(|port| (*low..=*high).contains(&port)),
            })
        };
        let inside = if kind == "expose" { from <= *high && to >= *low } else { published() };
        spoken == protocol && inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_part_and_by_anchors() {
        let matches = |wanted| name_matches(wanted, "web-1", "/web-1");
        assert!(matches("eb") && matches("^web") && matches("^/web-1$") && matches("1$"));
        assert!(!matches("^eb") && !matches("web$"));
    }
}
