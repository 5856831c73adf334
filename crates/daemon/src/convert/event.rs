//! Events.

use std::collections::BTreeMap;

use api::Version;
use api::events::{EventActor, EventMessage};
use engine::events::Event;

use super::legacy;

/// An event as the client's version has it.
pub(crate) fn event(event: Event, version: Version) -> EventMessage {
    let nanos = i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX);
    let mut message = EventMessage {
        kind: event.kind.name().to_owned(),
        action: event.action,
        actor: EventActor { id: event.id, attributes: event.attributes },
        scope: "local".to_owned(),
        time: event.time.as_second(),
        time_nano: nanos,
        ..EventMessage::default()
    };
    legacy::event(&mut message, version);
    message
}

/// What Docker tells of a reload: the settings that it can change there, as they are now.
pub(crate) fn reloaded(config: &engine::Config, labels: &[String], debug: bool) -> BTreeMap<String, String> {
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let runtimes: Vec<_> =
        config.runtimes.iter().map(|(name, runtime)| format!("{name}:{}", runtime.path)).collect();
    let shm_size = if config.default_shm_size > 0 { config.default_shm_size } else { 64 << 20 };
    [
        ("debug", debug.to_string()),
        ("default-cgroupns-mode", config.default_cgroupns_mode.clone()),
        ("default-ipc-mode", or(&config.default_ipc_mode, "private")),
        ("default-runtime", config.default_runtime.clone()),
        ("default-shm-size", shm_size.to_string()),
        ("labels", serde_json::to_string(labels).unwrap_or_default()),
        ("live-restore", true.to_string()),
        ("runtimes", runtimes.join(" ")),
        ("shutdown-timeout", config.shutdown_timeout.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::events::EventKind;

    #[test]
    fn old_clients_read_the_flat_fields() {
        let happened = Event {
            kind: EventKind::Container,
            action: "start".into(),
            id: "abc".into(),
            attributes: [("image".to_owned(), "alpine".to_owned())].into(),
            time: "2026-01-02T03:04:05.6Z".parse().unwrap(),
        };
        let old = event(happened.clone(), Version::minor(51));
        assert_eq!((old.status.as_str(), old.id.as_str(), old.from.as_str()), ("start", "abc", "alpine"));
        let new = event(happened, Version::minor(52));
        assert_eq!(new.status, "");
        assert_eq!(new.time_nano % 1_000_000_000, 600_000_000);
    }
}
