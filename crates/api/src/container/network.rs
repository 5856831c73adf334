//! A container's place in its networks, as inspect shows it.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::network::EndpointSettings;

use super::PortMap;

wire! {
    /// `NetworkSettings`.
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkSettings {
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        pub sandbox_key: String,
        pub ports: PortMap,
        pub networks: BTreeMap<String, EndpointSettings>,
        /// Fields that clients before API 1.52 read here.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge: Option<String>,
        #[serde(rename = "HairpinMode", skip_serializing_if = "Option::is_none")]
        pub hairpin_mode: Option<bool>,
        #[serde(rename = "LinkLocalIPv6Address", skip_serializing_if = "Option::is_none")]
        pub link_local_ipv6_address: Option<String>,
        #[serde(rename = "LinkLocalIPv6PrefixLen", skip_serializing_if = "Option::is_none")]
        pub link_local_ipv6_prefix_len: Option<i64>,
        /// Deprecated; there are none, which is written as null.
        #[serde(rename = "SecondaryIPAddresses", skip_serializing_if = "Option::is_none")]
        pub secondary_ip_addresses: Option<Option<Vec<Address>>>,
        /// Deprecated; there are none, which is written as null.
        #[serde(rename = "SecondaryIPv6Addresses", skip_serializing_if = "Option::is_none")]
        pub secondary_ipv6_addresses: Option<Option<Vec<Address>>>,
        #[serde(rename = "EndpointID", skip_serializing_if = "Option::is_none")]
        pub endpoint_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub gateway: Option<String>,
        #[serde(rename = "GlobalIPv6Address", skip_serializing_if = "Option::is_none")]
        pub global_ipv6_address: Option<String>,
        #[serde(rename = "GlobalIPv6PrefixLen", skip_serializing_if = "Option::is_none")]
        pub global_ipv6_prefix_len: Option<i64>,
        #[serde(rename = "IPAddress", skip_serializing_if = "Option::is_none")]
        pub ip_address: Option<String>,
        #[serde(rename = "IPPrefixLen", skip_serializing_if = "Option::is_none")]
        pub ip_prefix_len: Option<i64>,
        #[serde(rename = "IPv6Gateway", skip_serializing_if = "Option::is_none")]
        pub ipv6_gateway: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub mac_address: Option<String>,
    }

    /// An address with the length of its network prefix.
    #[serde(rename_all = "PascalCase")]
    pub struct Address {
        pub addr: String,
        pub prefix_len: i64,
    }
}
