//! Networks of this container: joining, leaving, and what is told of it.

use std::collections::BTreeMap;

use super::super::record::Durability;
use super::Task;
use crate::container::{Endpoint, Status};
use crate::error::{Error, Result};
use crate::network::{self, Joining};
use crate::shim::ShimHandle;

impl Task {
    pub(super) async fn connect(&mut self, joining: Joining) -> Result<()> {
        if matches!(self.container.state.status(), Status::Removing | Status::Dead) {
            return Err(Error::conflict(
                "container is marked for removal and cannot be connected or disconnected",
            ));
        }
        let found =
            (joining.network.id.clone(), joining.network.name.clone(), joining.network.driver.clone());
        if self.container.state.running().is_none() {
            // One that it is on already stays as it was asked for.
            if self.container.network.networks.contains_key(&joining.network.name) {
                return Ok(());
            }
            let end = Endpoint { config: joining.asked, ..Endpoint::default() };
            self.container.network.networks.insert(joining.network.name, end);
            return self.commit(Durability::Disk).await;
        }
        let shim = self.running_shim()?;
        joining.live(&self.engine, &mut self.container, &shim).await?;
        self.settle_ports(&shim).await;
        self.commit_fact(Durability::Disk).await;
        let (id, name, driver) = found;
        network::publish(&self.engine, "connect", &id, &name, &driver, Some(&self.container.id));
        Ok(())
    }

    pub(super) async fn disconnect(&mut self, name: &str) -> Result<()> {
        if matches!(self.container.state.status(), Status::Removing | Status::Dead) {
            return Err(Error::conflict(
                "container is marked for removal and cannot be connected or disconnected",
            ));
        }
        let Some(end) = self.container.network.networks.get(name) else {
            let running = self.container.state.running().is_some();
            return Err(network::not_connected(&self.container, name, running));
        };
        let id = end.network_id.clone();
        if self.container.state.running().is_none() {
            self.container.network.networks.remove(name);
            return self.commit(Durability::Disk).await;
        }
        let shim = self.running_shim()?;
        network::leave_live(&self.engine, &mut self.container, &shim, name).await?;
        self.settle_ports(&shim).await;
        self.commit_fact(Durability::Disk).await;
        let driver = network::driver_of(&self.engine, &id);
        network::publish(&self.engine, "disconnect", &id, name, &driver, Some(&self.container.id));
        Ok(())
    }

    /// Its ports lead where they should now. What is published is, whether or not the shim can be told.
    async fn settle_ports(&self, shim: &ShimHandle) {
        if let Err(error) = network::sockets::settle(&self.engine, &self.container.id, shim).await {
            tracing::warn!(container = %self.container.id, %error, "the container's shim does not hold its ports");
        }
    }

    /// Tells that it has come to these networks, or has gone from them.
    pub(super) fn tell_networks(&self, action: &str, networks: &BTreeMap<String, Endpoint>) {
        network::publish_all(&self.engine, action, &self.container, networks);
    }

    /// Others find it by its new name from now on, and after a restart of the daemon.
    pub(super) async fn rename_on_networks(&mut self) {
        let container = self.container.clone();
        for end in self.container.network.networks.values_mut().filter(|end| !end.dns_names.is_empty()) {
            end.dns_names = network::endpoint::names(&container, &end.config);
        }
        let ends = &self.container.network.networks;
        self.engine.network.rename(&container.id, |endpoint| {
            let end = ends.values().find(|end| end.network_id == endpoint.network_id);
            end.map(|end| end.dns_names.clone()).unwrap_or_default()
        });
        let endpoints = self.engine.network.endpoints(&container.id);
        if !endpoints.is_empty() {
            self.container.network.kernel = serde_json::to_value(&endpoints).ok();
            let (engine, id) = (std::sync::Arc::clone(&self.engine), self.container.id.clone());
            let told = super::blocking(move || {
                network::cluster::rename(&engine, &id, &endpoints);
                Ok(())
            });
            if let Err(error) = told.await {
                tracing::warn!(container = %self.container.id, %error, "other hosts are not told of the new name");
            }
            self.commit_fact(Durability::Memory).await;
        }
    }
}
