//! Other ports, mounts, environment and labels: judged whole, then done; ports of a running container at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use oci::ports::{apart, fold};

use super::super::changes::{self, Changes};
use super::{Task, blocking};
use crate::container::{Container, HostConfig, NetworkSettings, apart_set, fold_set};
use crate::engine::Inner;
use crate::error::Result;
use crate::image::parse_id;

impl Task {
    /// The container as it would be with these limits and changes. Makes volumes that it needs, and nothing else.
    pub(super) async fn changed(&self, host: HostConfig, changes: &Changes) -> Result<Container> {
        let mut next = Container { host: Arc::new(host), ..self.container.clone() };
        if changes.is_empty() {
            return Ok(next);
        }
        let (engine, changes) = (Arc::clone(&self.engine), changes.clone());
        blocking(move || {
            describe(&engine, &mut next, &changes)?;
            crate::network::ports(&next)?;
            Ok(next)
        })
        .await
    }

    /// Publishes what `next` asks for, if the container runs; says whether anything was done.
    pub(super) async fn republish(&self, next: &mut Container) -> Result<bool> {
        let shown =
            |container: &Container| (container.host.port_bindings.clone(), container.host.publish_all_ports);
        if shown(next) == shown(&self.container) {
            return Ok(false);
        }
        if self.container.state.running().is_none() {
            next.network = at_rest(next);
            return Ok(false);
        }
        let (engine, wanted) = (Arc::clone(&self.engine), next.clone());
        next.network = blocking(move || crate::network::republish(&engine, &wanted)).await?;
        let settled = match self.running_shim() {
            Ok(shim) => crate::network::sockets::settle(&self.engine, &next.id, &shim).await,
            Err(error) => Err(error),
        };
        if let Err(error) = settled {
            self.unpublish_again().await;
            return Err(error);
        }
        Ok(true)
    }

    /// Brings the ports back to what the record says: a later step has failed.
    pub(super) async fn unpublish_again(&self) {
        let (engine, before) = (Arc::clone(&self.engine), self.container.clone());
        if let Err(error) = blocking(move || crate::network::republish(&engine, &before)).await {
            tracing::warn!(container = %self.container.id, %error, "ports of an update that failed stay open until the next start");
        }
        if let Ok(shim) = self.running_shim()
            && let Err(error) = crate::network::sockets::settle(&self.engine, &self.container.id, &shim).await
        {
            tracing::warn!(container = %self.container.id, %error, "the container's shim does not hold its ports");
        }
    }
}

fn describe(engine: &Inner, next: &mut Container, changes: &Changes) -> Result<()> {
    let (mut config, mut host) = ((*next.config).clone(), (*next.host).clone());
    changes::words(&mut config, changes)?;
    if changes.ports() {
        config.exposed_ports = apart_set(&config.exposed_ports);
        host.port_bindings = apart(&host.port_bindings);
        changes::ports(&mut config, &mut host, &exposed(engine, next), changes)?;
        fold_set(&mut config.exposed_ports);
        host.port_bindings = fold(host.port_bindings);
    }
    changes::unmount(&mut config, &mut host, &mut next.mounts, changes)?;
    let ids = crate::userns::of(next);
    let new = crate::volume::more(engine, &changes.mounts, &next.mounts, &host, &ids)?;
    host.mounts.extend(changes.mounts.iter().cloned());
    (next.config, next.host) = (Arc::new(config), Arc::new(host));
    if !new.is_empty() {
        crate::volume::prepare(engine, &Container { mounts: new.clone(), ..next.clone() })?;
    }
    next.mounts.extend(new);
    Ok(())
}

/// What the image exposes; an image that is gone exposes nothing.
fn exposed(engine: &Inner, container: &Container) -> BTreeSet<String> {
    let image = parse_id(&container.image_id).and_then(|id| engine.store.image(&id).ok());
    let run = image.map(|image| super::super::merge::from_image(&image.image.config().config));
    run.map(|run| run.exposed_ports).unwrap_or_default()
}

/// Ports as inspect shows them before a start.
fn at_rest(next: &Container) -> NetworkSettings {
    let whole = |port: &String| (crate::network::whole(port), None);
    NetworkSettings { ports: next.config.exposed_ports.iter().map(whole).collect(), ..next.network.clone() }
}
