//! Scopes: which rule is the most specific for a name (containers-policy.json(5), "docker:").

use std::collections::BTreeMap;

use oci::{DEFAULT_DOMAIN, Reference};

use super::Requirement;

/// The rules of one transport.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes(pub(super) BTreeMap<String, Vec<Requirement>>);

impl Scopes {
    /// The rule of the most specific scope that `reference` is in, and the scope.
    pub(super) fn find(&self, reference: &Reference) -> Option<(&str, &[Requirement])> {
        if self.0.is_empty() {
            return None;
        }
        candidates(reference).iter().find_map(|scope| {
            self.0.get_key_value(scope).map(|(scope, rules)| (scope.as_str(), rules.as_slice()))
        })
    }

    /// The rule of the whole transport.
    pub(super) fn any(&self) -> Option<&[Requirement]> {
        self.0.get("").map(Vec::as_slice)
    }
}

/// Every scope that a name is in, the most specific first.
fn candidates(reference: &Reference) -> Vec<String> {
    let name = reference.name();
    let mut scopes = Vec::new();
    if let Some(digest) = reference.digest() {
        scopes.push(format!("{name}@{digest}"));
    } else if let Some(tag) = reference.tag() {
        scopes.push(format!("{name}:{tag}"));
    }
    let mut rest = name.as_str();
    scopes.push(rest.into());
    while let Some((shorter, _)) = rest.rsplit_once('/') {
        scopes.push(shorter.into());
        rest = shorter;
    }
    let mut host = rest.split(':').next().unwrap_or(rest);
    while let Some((_, parent)) = host.split_once('.') {
        scopes.push(format!("*.{parent}"));
        host = parent;
    }
    scopes.push(String::new());
    scopes
}

/// Why a scope can match no name, if it can't.
pub(super) fn flaw(scope: &str) -> Option<String> {
    if scope.is_empty() {
        return None;
    }
    if let Some(parent) = scope.strip_prefix("*.") {
        let plain = !parent.is_empty() && !parent.contains(['*', '/', ':', '@']);
        return (!plain).then(|| "a wildcard stands for subdomains only: *.example.com".into());
    }
    if scope.contains('*') {
        return Some("a wildcard stands for subdomains only: *.example.com".into());
    }
    let host = scope.split('/').next().unwrap_or(scope);
    if !host.contains(['.', ':']) && host != "localhost" && !host.bytes().any(|b| b.is_ascii_uppercase()) {
        let full =
            Reference::parse(scope).map_or_else(|_| format!("docker.io/{scope}"), |full| full.to_string());
        return Some(format!("no image has such a name: write it in full, as in {full:?}"));
    }
    if !scope.contains('/') {
        // a registry alone; a path behind it shows whether it is one
        return Reference::parse(&format!("{scope}/a")).err().map(|error| error.to_string());
    }
    // one component under the hub is a namespace, which a reference reads as library/<component>
    let namespace = host == DEFAULT_DOMAIN && scope.matches('/').count() == 1;
    match Reference::parse(scope) {
        Err(error) => Some(error.to_string()),
        Ok(full) if full.tag().is_some() && full.digest().is_some() => {
            Some("a name with a digest is looked up without its tag".into())
        }
        Ok(full) if !namespace && full.to_string() != scope => {
            Some(format!("no image has such a name: write it in full, as in {:?}", full.to_string()))
        }
        Ok(_) => None,
    }
}
