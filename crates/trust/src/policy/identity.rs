//! For which name an image must have been signed (containers-policy.json(5), `signedIdentity`).

use oci::Reference;

/// Which name a signature must claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignedIdentity {
    /// The default: the same name and tag; the same repository when the image is asked for by digest.
    RepoDigestOrExact,
    /// The same name with the same tag or digest.
    Exact,
    /// The same repository.
    Repository,
    /// This reference.
    ExactReference(Reference),
    /// This repository.
    ExactRepository(String),
    /// As by default, once `prefix` of the image's name is replaced.
    Remap { prefix: String, signed: String },
    /// Ours: the digest is enough, whatever name was signed or none; what `cosign verify` asks for.
    Digest,
}

impl SignedIdentity {
    pub(crate) fn asks_for_no_name(&self) -> bool {
        *self == Self::Digest
    }

    /// Whether `claimed`, a signature's `docker-reference`, is one for `image`.
    pub(crate) fn accepts(&self, image: &Reference, claimed: &str) -> bool {
        let Ok(claimed) = Reference::parse(claimed) else { return false };
        match self {
            Self::RepoDigestOrExact => repo_digest_or_exact(image, &image.name(), &claimed),
            Self::Exact => !claimed.is_name_only() && same(image, &image.name(), &claimed),
            Self::Repository => claimed.name() == image.name(),
            Self::ExactReference(wanted) => !claimed.is_name_only() && *wanted == claimed,
            Self::ExactRepository(wanted) => claimed.name() == *wanted,
            Self::Remap { prefix, signed } => {
                repo_digest_or_exact(image, &remap(&image.name(), prefix, signed), &claimed)
            }
            Self::Digest => true,
        }
    }

    /// What is accepted, for people.
    pub(crate) fn wanted(&self, image: &Reference) -> String {
        match self {
            Self::RepoDigestOrExact if image.digest().is_some() => format!("any tag of {}", image.name()),
            Self::RepoDigestOrExact | Self::Exact => format!("{image} alone"),
            Self::Repository => format!("any tag of {}", image.name()),
            Self::ExactReference(wanted) => format!("{wanted} alone"),
            Self::ExactRepository(wanted) => format!("any tag of {wanted}"),
            Self::Remap { prefix, signed } => match image.digest() {
                Some(_) => format!("any tag of {}", remap(&image.name(), prefix, signed)),
                None => {
                    format!(
                        "{}:{} alone",
                        remap(&image.name(), prefix, signed),
                        image.tag().unwrap_or_default()
                    )
                }
            },
            Self::Digest => "any name".into(),
        }
    }
}

fn repo_digest_or_exact(image: &Reference, name: &str, claimed: &Reference) -> bool {
    if image.digest().is_some() { claimed.name() == name } else { same(image, name, claimed) }
}

/// The same repository, the same tag, the same digest; a name alone is the same as nothing.
fn same(image: &Reference, name: &str, claimed: &Reference) -> bool {
    !image.is_name_only()
        && claimed.name() == name
        && claimed.tag() == image.tag()
        && claimed.digest() == image.digest()
}

/// `name` with `prefix`, if it begins with it at the end of a component, replaced.
fn remap(name: &str, prefix: &str, signed: &str) -> String {
    match name.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{signed}{rest}"),
        _ => name.into(),
    }
}
