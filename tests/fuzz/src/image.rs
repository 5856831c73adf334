//! References, ports, manifests, image configurations, and the signature policy.

use std::sync::LazyLock;

use oci::{AnyReference, DEFAULT_DOMAIN, Digest, Document, Image, Platform, Reference};
use regex::Regex;

/// The grammar of references as the distribution project writes it: another's opinion of what is one.
static GRAMMAR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!(r"(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let part = "[a-z0-9]+(?:(?:[.]|__|_|-+)[a-z0-9]+)*";
    let tag = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    Regex::new(&format!("^{domain}/({part}(?:/{part})*)(?::({tag}))?(?:@({digest}))?$")).ok()
});

/// What that grammar makes of a text that a user writes: Docker's short forms are written out before.
fn by_grammar(text: &str) -> bool {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return false;
    }
    let (mut domain, mut rest) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first =>
        {
            (first, rest.to_owned())
        }
        _ => (DEFAULT_DOMAIN, text.to_owned()),
    };
    if domain == "index.docker.io" {
        domain = DEFAULT_DOMAIN;
    }
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        rest = format!("library/{rest}");
    }
    let full = format!("{domain}/{rest}");
    let Some(found) = GRAMMAR.as_ref().and_then(|grammar| grammar.captures(&full)) else { return false };
    let digest_fits = found.get(3).is_none_or(|digest| digest.as_str().parse::<Digest>().is_ok());
    found.get(1).is_some_and(|path| path.len() <= 255) && digest_fits
}

pub(crate) fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = Reference::parse(text);
    assert_eq!(parsed.is_ok(), by_grammar(text), "{text:?} is {parsed:?}, and otherwise by the grammar");
    if let Ok(reference) = parsed {
        assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference), "of the full form");
        let whole = reference.with_default_tag();
        // A path whose first part looks like a domain has no short form: that is Docker's own ambiguity.
        let first = whole.path().split('/').next().unwrap_or_default();
        if whole.domain() != DEFAULT_DOMAIN || !first.contains('.') && first != "localhost" {
            assert_eq!(Reference::parse(&whole.familiar()).as_ref(), Ok(&whole), "of the short form");
        }
        assert!(!whole.is_name_only() && AnyReference::parse(&whole.to_string()).is_ok());
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.as_str(), text);
        assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
    }
    if let Ok((low, high, protocol)) = oci::ports::parse(text) {
        assert!(0 < low && low <= high);
        assert_eq!(oci::ports::parse(&format!("{low}-{high}/{protocol}")), Ok((low, high, protocol)));
    }
    if let Ok(platform) = Platform::parse(text) {
        assert!(platform.matches(&platform), "{text:?} does not match itself");
        let normal = platform.normalized();
        assert_eq!(normal.normalized(), normal);
    }
}

pub(crate) fn manifest(data: &[u8]) {
    if let Ok(document) = Document::parse(data) {
        let again = match &document {
            Document::Manifest(manifest) => serde_json::to_vec(manifest),
            Document::Index(index) => serde_json::to_vec(index),
        };
        let again = again.unwrap_or_default();
        assert_eq!(Document::parse(&again).ok().as_ref(), Some(&document), "written and read again");
    }
    if let Ok(image) = Image::parse(data.to_vec()) {
        assert_eq!(image.raw(), data);
        assert_eq!(*image.id(), Digest::sha256(data));
        let chain = oci::chain::ids(image.diff_ids());
        assert_eq!((chain.len(), chain.first()), (image.diff_ids().len(), image.diff_ids().first()));
        if let Ok(written) = Image::encode(image.config()) {
            assert_eq!(written.config(), image.config(), "written and read again");
        }
    }
}

pub(crate) fn policy(data: &[u8]) {
    let mut no_key = |_: &str| Err("there are no keys here".to_owned());
    let Ok(policy) = trust::Policy::parse(data, &mut no_key) else { return };
    for name in ["alpine", "localhost:5000/a/b:c", "registry.example/x@sha256:0"] {
        if let Ok(reference) = Reference::parse(name) {
            let _ = policy.rule(&reference.with_default_tag(), trust::Origin::Registry);
        }
    }
    let _ = policy.rule_for_nameless().required();
}
