//! The policy file: containers-policy.json(5), with what it means for an engine that keeps its own images.

mod identity;
mod parse;
mod requirement;
mod scope;

use std::fmt;

use oci::Reference;

pub(crate) use requirement::{Fulcio, Requirement, SignedBy, Signer, Subject};
use scope::Scopes;

/// Where an image came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Pulled from a registry under the name that is judged.
    Registry,
    /// Built, committed, imported, loaded, or tagged here.
    Local,
}

/// Why a policy file can't be used. Nothing is accepted under it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct PolicyError {
    /// Which value: `transports.docker["quay.io"][0].keyPath`.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What images must bring with them, by name.
#[derive(Clone, Debug)]
pub struct Policy {
    default: Vec<Requirement>,
    docker: Scopes,
    local: Scopes,
}

/// What one image must bring with it.
#[derive(Clone, Debug)]
pub struct Rule<'a> {
    /// Where it stands in the policy: `docker "quay.io/corp"`, or `default`.
    pub scope: String,
    pub(crate) requirements: &'a [Requirement],
}

impl Policy {
    /// Reads a policy. `load` reads the files it names (keys, authorities).
    ///
    /// # Errors
    /// [`PolicyError`], naming the value that is wrong or that is not supported.
    pub fn parse(
        text: &[u8],
        load: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, PolicyError> {
        parse::policy(text, load)
    }

    /// The rule for an image by its name: the most specific scope alone.
    ///
    /// What came from a registry is judged by `transports.docker`. What did not is judged by
    /// `transports.docker-daemon`, and if that says nothing about the name, by `transports.docker`, too: nobody
    /// gets around a rule for a name by loading an archive that carries it.
    pub fn rule(&self, reference: &Reference, origin: Origin) -> Rule<'_> {
        let tables: &[(&str, &Scopes)] = match origin {
            Origin::Registry => &[("docker", &self.docker)],
            Origin::Local => &[("docker-daemon", &self.local), ("docker", &self.docker)],
        };
        for (transport, scopes) in tables {
            if let Some((scope, requirements)) = scopes.find(reference) {
                return Rule { scope: format!("{transport} {scope:?}"), requirements };
            }
        }
        self.fallback()
    }

    /// The rule for an image without a name.
    pub fn rule_for_nameless(&self) -> Rule<'_> {
        match self.local.any() {
            Some(requirements) => Rule { scope: r#"docker-daemon """#.into(), requirements },
            None => self.fallback(),
        }
    }

    fn fallback(&self) -> Rule<'_> {
        Rule { scope: "default".into(), requirements: &self.default }
    }
}

impl Rule<'_> {
    /// What the rule asks for, one requirement after the other.
    pub fn required(&self) -> Vec<String> {
        self.requirements.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("nothing"),
            Self::Reject => f.write_str("what no image has (reject)"),
            Self::Pinned(pins) if pins.is_empty() => f.write_str("a name with a digest"),
            Self::Pinned(pins) => {
                let pins: Vec<&str> = pins.iter().map(oci::Digest::as_str).collect();
                write!(f, "the digest {}", pins.join(" or "))
            }
            Self::Signed(wanted) => wanted.fmt(f),
        }
    }
}
