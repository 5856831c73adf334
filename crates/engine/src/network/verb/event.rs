//! What is told of networks.

use std::collections::BTreeMap;

use crate::container::{Container, Endpoint};
use crate::engine::Inner;
use crate::events::{Event, EventKind};

/// Tells of a network, and of the container that it concerns.
pub(crate) fn publish(
    engine: &Inner,
    action: &str,
    id: &str,
    name: &str,
    driver: &str,
    container: Option<&str>,
) {
    let mut attributes =
        BTreeMap::from([("name".to_owned(), name.to_owned()), ("type".to_owned(), driver.to_owned())]);
    attributes.extend(container.map(|container| ("container".to_owned(), container.to_owned())));
    engine.events.publish(Event {
        kind: EventKind::Network,
        action: action.to_owned(),
        id: id.to_owned(),
        attributes,
        time: jiff::Timestamp::now(),
    });
}

/// Tells that a container has come to its networks, or has gone from them.
pub(crate) fn publish_all(
    engine: &Inner,
    action: &str,
    container: &Container,
    networks: &BTreeMap<String, Endpoint>,
) {
    for (name, endpoint) in networks.iter().filter(|(_, endpoint)| !endpoint.endpoint_id.is_empty()) {
        let driver = driver_of(engine, &endpoint.network_id);
        publish(engine, action, &endpoint.network_id, name, &driver, Some(&container.id));
    }
}

/// The driver of the network with this id; one that is gone in the meantime was most likely a bridge.
pub(crate) fn driver_of(engine: &Inner, id: &str) -> String {
    engine.find_network(id).map_or_else(|_| "bridge".to_owned(), |network| network.driver)
}
