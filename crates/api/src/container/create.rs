//! Body and answer of `POST /containers/create`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use crate::network::NetworkingConfig;

use super::{Config, HostConfig};

wire! {
    /// The configuration, with what concerns host and network beside it.
    #[serde(rename_all = "PascalCase")]
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
