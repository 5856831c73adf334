//! Networks that are none: configurations which others take over (`--config-only`, `--config-from`).

use std::time::{SystemTime, UNIX_EPOCH};

use super::Network;
use super::state::{Net, State};
use crate::definition::{CreateRequest, Definition};
use crate::error::{Error, Result};
use crate::model::NetworkInfo;
use crate::record::random_id;

impl Network {
    /// Keeps a configuration. It has no addresses yet: those that take it over settle on theirs.
    pub(super) fn create_settings(&self, mut request: CreateRequest) -> Result<NetworkInfo> {
        if request.ingress || request.internal || request.attachable || !request.scope.is_empty() {
            return Err(Error::Forbidden(
                "configuration network can only contain network specific fields. Network operator fields like \
                 [ ingress | internal | attachable | scope ] are not supported."
                    .to_owned(),
            ));
        }
        if !request.config_from.is_empty() {
            let why = "a configuration network cannot depend on another configuration network";
            return Err(Error::Forbidden(why.to_owned()));
        }
        // It is of no kind itself; that its options make sense is seen where they are taken over.
        "null".clone_into(&mut request.driver);
        let mut state = self.state();
        state.check_name(&request.name)?;
        let id = random_id()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let definition = Definition::new(id.clone(), created_ms, request, Vec::new());
        definition.write(&self.config.data_dir)?;
        let net = Net::of(definition, &self.config);
        let info = net.info(&id);
        state.nets.insert(id, net);
        Ok(info)
    }
}

impl State {
    /// The request with the configuration that it takes from another network, if it does.
    pub(super) fn configured(&self, mut request: CreateRequest) -> Result<CreateRequest> {
        if request.config_from.is_empty() {
            return Ok(request);
        }
        let own = request.enable_ipv6
            || !request.enable_ipv4
            || !request.labels.is_empty()
            || !request.ipam_options.is_empty()
            || !request.subnets.is_empty();
        let refused = |why: &str| Err(Error::Forbidden(why.to_owned()));
        if own {
            return refused(
                "user specified configurations are not supported if the network depends on a configuration network",
            );
        }
        if !request.options.is_empty() {
            return refused(
                "network driver options are not supported if the network depends on a configuration network",
            );
        }
        let name = &request.config_from;
        let lender = self.nets.values().filter_map(|net| net.definition.as_ref());
        let lender = lender.into_iter().find(|network| network.config_only && network.name == *name);
        let lender = lender.ok_or_else(|| Error::NoSuchConfiguration(name.chars().take(64).collect()))?;
        request.enable_ipv4 = lender.enable_ipv4;
        request.enable_ipv6 = lender.enable_ipv6;
        request.labels.clone_from(&lender.labels);
        request.ipam_options.clone_from(&lender.ipam_options);
        request.subnets.clone_from(&lender.asked);
        request.options.clone_from(&lender.options);
        Ok(request)
    }

    /// A configuration stays while a network has it.
    pub(super) fn check_lent(&self, network: &Definition) -> Result<()> {
        let definitions = self.nets.values().filter_map(|net| net.definition.as_ref());
        let lent = definitions.into_iter().any(|other| other.config_from == network.name);
        if network.config_only && lent {
            return Err(Error::Forbidden(format!(
                "error while removing network: configuration network \"{}\" is in use",
                network.name
            )));
        }
        Ok(())
    }
}
