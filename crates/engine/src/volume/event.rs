//! What is told of volumes.

use std::collections::BTreeMap;

use crate::container::{Container, MountKind, MountPoint};
use crate::engine::Inner;
use crate::events::{Event, EventKind};

/// Tells something; `more` beside the driver.
pub(super) fn publish(engine: &Inner, action: &str, name: &str, more: &[(&str, &str)]) {
    let mut attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    send(engine, action, name, attributes);
}

/// Tells of a prune, which is about no volume in particular.
pub(super) fn pruned(engine: &Inner, bytes: u64) {
    send(engine, "prune", "", [("reclaimed".to_owned(), bytes.to_string())].into());
}

fn send(engine: &Inner, action: &str, name: &str, attributes: BTreeMap<String, String>) {
    engine.events.publish(Event {
        kind: EventKind::Volume,
        action: action.to_owned(),
        id: name.to_owned(),
        attributes,
        time: jiff::Timestamp::now(),
    });
}

fn volumes(container: &Container) -> impl Iterator<Item = &MountPoint> {
    container.mounts.iter().filter(|mount| mount.kind == MountKind::Volume)
}

/// A container has started: its volumes are mounted.
pub(crate) fn mounted(engine: &Inner, container: &Container) {
    for mount in volumes(container) {
        let more = [
            ("container", container.id.as_str()),
            ("destination", &mount.destination),
            ("propagation", &mount.propagation),
            ("read/write", if mount.rw { "true" } else { "false" }),
        ];
        publish(engine, "mount", &mount.name, &more);
    }
}

/// A container has ended: its volumes are no longer mounted.
pub(crate) fn unmounted(engine: &Inner, container: &Container) {
    for mount in volumes(container) {
        publish(engine, "unmount", &mount.name, &[("container", &container.id)]);
    }
}
