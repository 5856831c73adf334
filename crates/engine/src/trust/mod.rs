//! Which images may be pulled and run: crate `trust` decides, this reads the policy and keeps the signatures.
//!
//! The policy is read anew for every question, and the signatures that a pull has found are judged anew: a changed
//! policy needs no reload, and no verdict is kept that somebody could write over.

mod evidence;
mod gather;
mod verify;

use std::path::{Path, PathBuf};

use ::trust::{Accepted, Evidence, Image, ManifestBytes, Origin, Policy};
use oci::{AnyReference, Digest, Reference};

use crate::container::Container;
use crate::engine::Inner;
use crate::error::{Error, Result};

pub(crate) use evidence::{forget, sweep};
pub(crate) use gather::admit;
pub use verify::{ImageVerdict, NameVerdict, Signature};

/// Where the policy is when nobody says.
const DEFAULT_POLICY: &str = "/etc/berth/policy.json";

/// What is known here of an image.
struct Known {
    id: Digest,
    /// Its names with tags and with digests.
    names: Vec<Reference>,
    /// Those with digests: the registries it came from.
    digests: Vec<Reference>,
    /// What lay beside it there.
    evidence: Vec<Evidence>,
}

impl Inner {
    /// The policy, unless there is none: then every image is accepted.
    ///
    /// # Errors
    /// It can't be read or says what is not supported: then none is.
    fn policy(&self) -> Result<Option<Policy>> {
        let (path, wanted) = match &self.config.signature_policy {
            Some(path) => (path.clone(), true),
            None => (PathBuf::from(DEFAULT_POLICY), false),
        };
        let failed = |error: &dyn std::fmt::Display| {
            Error::forbidden(format!(
                "no image is accepted: the signature policy {} can't be used: {error}",
                path.display()
            ))
        };
        let text = match sys::file::read_bounded(&path, ::trust::limits::POLICY) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !wanted => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        Policy::parse(&text, &mut load).map(Some).map_err(|error| failed(&error))
    }

    /// Whether the policy lets a container start: its image, and those it shows.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn judge_container(&self, container: &Container) -> Result<()> {
        let Some(policy) = self.policy()? else { return Ok(()) };
        // a step of a build stands on layers: its image was judged when it was chosen
        if container.image_id.is_empty() {
            return Ok(());
        }
        self.judge(&policy, &container.config.image, &container.image_id)?;
        for (name, id) in crate::volume::images_of(container) {
            self.judge(&policy, name, id)?;
        }
        Ok(())
    }

    fn judge(&self, policy: &Policy, asked: &str, id: &str) -> Result<()> {
        let id = crate::image::parse_id(id).ok_or_else(|| Error::no_such_image(asked))?;
        let known = self.known(id)?;
        let names = known.meant(asked);
        if names.is_empty() {
            return known.judge_nameless(policy).map(drop);
        }
        let mut refusal = None;
        for name in names {
            match known.judge(policy, &name) {
                Ok(_) => return Ok(()),
                // of several names that an id has, the first one's refusal says enough
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    fn known(&self, id: Digest) -> Result<Known> {
        // an image may have been removed under a container that is asked to start again
        let (mut names, digests) = match self.store.image(&id) {
            Ok(image) => (image.tags, image.digests),
            Err(_) => (Vec::new(), Vec::new()),
        };
        names.extend(digests.iter().cloned());
        let evidence = evidence::read(&self.layout, &id)?;
        Ok(Known { id, names, digests, evidence })
    }
}

impl Known {
    /// The names by which `asked` asks for it: itself, or all of them when it is an id.
    fn meant(&self, asked: &str) -> Vec<Reference> {
        let prefix = asked.strip_prefix("sha256:").unwrap_or(asked);
        match AnyReference::parse(asked) {
            Ok(AnyReference::Named(reference)) => {
                let reference = reference.with_default_tag();
                if self.id.hex().starts_with(prefix) && !self.names.contains(&reference) {
                    return self.names.clone();
                }
                vec![reference]
            }
            _ => self.names.clone(),
        }
    }

    /// Judges it under one of its names.
    fn judge(&self, policy: &Policy, name: &Reference) -> Result<Accepted> {
        let rule = policy.rule(name, self.origin(name));
        let (manifests, candidates) = self.found(name);
        let image = Image { reference: name.clone(), manifests };
        rule.judge(&image, &candidates).map_err(|refusal| {
            let mut text = refusal.to_string();
            if rule.wants_signatures() && self.origin(name) == Origin::Local {
                text.push_str("; it was made or loaded here, not pulled under this name");
            } else if rule.wants_signatures() && candidates.is_empty() {
                text.push_str(" when it was pulled: pull it again once it is signed");
            }
            Error::forbidden(text)
        })
    }

    fn judge_nameless(&self, policy: &Policy) -> Result<Accepted> {
        // a name that nobody can ask for, to be called by in a refusal
        let reference = Reference::parse("localhost/untagged")
            .map_err(|error| Error::system(error.to_string()))?
            .with_digest(self.id.clone());
        let image = Image { reference, manifests: Vec::new() };
        policy.rule_for_nameless().judge(&image, &[]).map_err(|refusal| {
            let why = refusal.to_string();
            let called = format!("image {}", image.reference);
            Error::forbidden(why.replacen(&called, &format!("image {}", self.id), 1))
        })
    }

    /// Pulled from the repository of this name, or not.
    fn origin(&self, name: &Reference) -> Origin {
        let same = |other: &Reference| other.name() == name.name();
        let pulled =
            self.digests.iter().any(same) || self.evidence.iter().any(|one| same(&one.image.reference));
        if pulled { Origin::Registry } else { Origin::Local }
    }

    /// The manifests that the repository of this name has for it, and the signatures that were found there.
    fn found(&self, name: &Reference) -> (Vec<ManifestBytes>, Vec<::trust::Candidate>) {
        let same = |other: &Reference| other.name() == name.name();
        if let Some(evidence) = self.evidence.iter().find(|one| same(&one.image.reference)) {
            return (evidence.image.manifests.clone(), evidence.candidates.clone());
        }
        let digests = self.digests.iter().filter(|one| same(one)).filter_map(Reference::digest);
        (digests.cloned().map(ManifestBytes::digest).collect(), Vec::new())
    }
}

/// Reads a file that the policy names.
fn load(path: &str) -> Result<Vec<u8>, String> {
    if !Path::new(path).is_absolute() {
        return Err("the path must be absolute".into());
    }
    sys::file::read_bounded(path, ::trust::limits::POLICY).map_err(|error| error.to_string())
}
