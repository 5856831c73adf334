//! Body and answer of `POST /containers/create`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use crate::network::NetworkingConfig;

use super::{Config, HostConfig, PortSet};

wire! {
    /// The configuration, with what concerns host and network beside it.
    #[serde(rename_all = "PascalCase", from = "Read")]
    pub struct CreateRequest {
        pub host_config: HostConfig,
        pub networking_config: NetworkingConfig,
        .. pub config: Config,
    }

    /// The new container.
    #[serde(rename_all = "PascalCase")]
    pub struct CreateResponse {
        pub id: String,
        pub warnings: Vec<String>,
    }
}

/// A request as it is read. What belongs to a flattened part is kept whole until all is read: not so ports, of which
/// there may be many.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Read {
    #[serde(deserialize_with = "crate::wire::or_default")]
    exposed_ports: PortSet,
    #[serde(deserialize_with = "crate::wire::or_default")]
    host_config: HostConfig,
    #[serde(deserialize_with = "crate::wire::or_default")]
    networking_config: NetworkingConfig,
    #[serde(flatten)]
    config: Config,
}

impl From<Read> for CreateRequest {
    fn from(Read { exposed_ports, host_config, networking_config, config }: Read) -> Self {
        Self { host_config, networking_config, config: Config { exposed_ports, ..config } }
    }
}
