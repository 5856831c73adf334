//! Answer of `GET /version`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

wire! {
    /// Versions of the daemon and of its parts.
    #[serde(rename_all = "PascalCase")]
    pub struct VersionResponse {
        pub platform: Platform,
        pub components: Vec<Component>,
        pub version: String,
        pub api_version: String,
        #[serde(rename = "MinAPIVersion")]
        pub min_api_version: String,
        pub git_commit: String,
        pub go_version: String,
        pub os: String,
        pub arch: String,
        pub kernel_version: String,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub experimental: bool,
        pub build_time: String,
    }

    /// The product.
    #[serde(rename_all = "PascalCase")]
    pub struct Platform {
        pub name: String,
    }

    /// A part.
    #[serde(rename_all = "PascalCase")]
    pub struct Component {
        pub name: String,
        pub version: String,
        pub details: BTreeMap<String, String>,
    }
}
