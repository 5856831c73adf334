//! What clients say of registries, and what registries say of images.

use std::collections::BTreeMap;

use api::auth::AuthConfig;
use api::image as wire;
use api::system::{IndexInfo, RegistryConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::image::{Distribution, SearchHit};
use engine::registry::Credentials;

use super::{count, size};

/// Who a client is at a registry.
pub(crate) fn credentials(auth: &AuthConfig) -> Credentials {
    if !auth.registrytoken.is_empty() {
        return Credentials::RegistryToken(auth.registrytoken.clone());
    }
    if !auth.identitytoken.is_empty() {
        return Credentials::IdentityToken(auth.identitytoken.clone());
    }
    let (username, password) = match (auth.username.as_str(), auth.auth.as_str()) {
        // as it stands in a client's configuration
        ("", pair) if !pair.is_empty() => decode(pair).unwrap_or_default(),
        _ => (auth.username.clone(), auth.password.clone()),
    };
    if username.is_empty() && password.is_empty() {
        return Credentials::Anonymous;
    }
    Credentials::Basic { username, password }
}

fn decode(pair: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(pair.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_matches('\0').to_owned()))
}

/// An image as its registry has it.
pub(crate) fn distribution(found: Distribution) -> wire::DistributionInspect {
    wire::DistributionInspect {
        descriptor: descriptor(&found.descriptor),
        platforms: found.platforms.iter().map(platform).collect(),
    }
}

pub(super) fn descriptor(descriptor: &oci::Descriptor) -> wire::Descriptor {
    wire::Descriptor {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.as_str().to_owned(),
        size: size(descriptor.size),
        ..wire::Descriptor::default()
    }
}

/// With all that an index says of it.
pub(super) fn full_descriptor(full: &oci::Descriptor) -> wire::Descriptor {
    wire::Descriptor {
        annotations: full.annotations.clone(),
        platform: full.platform.as_ref().map(platform),
        ..descriptor(full)
    }
}

pub(super) fn platform(platform: &oci::Platform) -> wire::Platform {
    wire::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        os_version: platform.os_version.clone().unwrap_or_default(),
        os_features: platform.os_features.clone(),
        variant: platform.variant.clone().unwrap_or_default(),
    }
}

/// One line of a search's result.
pub(crate) fn found(hit: SearchHit) -> wire::SearchResult {
    wire::SearchResult {
        star_count: count(hit.stars),
        is_official: hit.official,
        name: hit.name,
        is_automated: false,
        description: hit.description,
    }
}

/// How registries are spoken to. Loopback ones may be spoken to in the clear.
pub(super) fn registries(config: &engine::registry::RegistryConfig) -> RegistryConfig {
    let index = |name: &str, secure: bool| IndexInfo {
        name: name.to_owned(),
        mirrors: Vec::new(),
        secure,
        official: false,
    };
    let hub = IndexInfo { official: true, mirrors: slashed(&config.mirrors), ..index("docker.io", true) };
    let (networks, hosts): (Vec<_>, Vec<_>) = config.insecure.iter().partition(|one| one.contains('/'));
    let (open_networks, open_hosts): (Vec<_>, Vec<_>) =
        config.nondistributable.iter().cloned().partition(|one| one.contains('/'));
    let mut index_configs: BTreeMap<_, _> =
        hosts.into_iter().map(|host| (host.clone(), index(host, false))).collect();
    index_configs.insert("docker.io".to_owned(), hub);
    let loopback = ["::1/128", "127.0.0.0/8"].map(str::to_owned);
    RegistryConfig {
        allow_nondistributable_artifacts_cidrs: Some(open_networks),
        allow_nondistributable_artifacts_hostnames: Some(open_hosts),
        insecure_registry_cidrs: networks.into_iter().cloned().chain(loopback).collect(),
        index_configs,
        mirrors: slashed(&config.mirrors),
    }
}

/// Mirrors as Docker shows them.
fn slashed(mirrors: &[String]) -> Vec<String> {
    mirrors.iter().map(|mirror| format!("{}/", mirror.trim_end_matches('/'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_a_client_is() {
        let auth = |text: &str| credentials(&serde_json::from_str(text).unwrap());
        assert_eq!(auth("{}"), Credentials::Anonymous);
        let basic = Credentials::Basic { username: "u".into(), password: "p".into() };
        assert_eq!(auth(r#"{"username":"u","password":"p"}"#), basic);
        assert_eq!(auth(r#"{"auth":"dTpw"}"#), basic);
        assert_eq!(auth(r#"{"username":"u","identitytoken":"t"}"#), Credentials::IdentityToken("t".into()));
        assert_eq!(auth(r#"{"registrytoken":"t"}"#), Credentials::RegistryToken("t".into()));
    }
}
