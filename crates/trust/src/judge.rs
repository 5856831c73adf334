//! An image, the rule for its name, and the signatures beside it: accepted, or refused with every reason.

use std::fmt;

use oci::{Digest, Reference};

use crate::limits;
use crate::policy::{Requirement, Rule};
use crate::signature::Candidate;

/// How many flaws a refusal shows, and how many characters of each.
const SHOWN: usize = 5;
const FLAW: usize = 300;

/// What is judged.
#[derive(Clone, Debug)]
pub struct Image {
    /// The name by which it is asked for, with its tag or digest.
    pub reference: Reference,
    /// What the name leads to: the manifest or index, and then the manifest of the platform that was chosen from
    /// an index. A signature of any of them covers what runs.
    pub manifests: Vec<ManifestBytes>,
}

/// A manifest's digest, and its bytes when they are at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestBytes {
    /// The digest by which signatures name it.
    pub digest: Digest,
    bytes: Option<Vec<u8>>,
}

impl ManifestBytes {
    /// A manifest that is known by its digest only: enough for signatures that name it.
    pub fn digest(digest: Digest) -> Self {
        Self { digest, bytes: None }
    }

    /// A manifest, for signatures over the bytes themselves.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::sha256(&bytes), bytes: Some(bytes) }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }
}

/// Why an image is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The rule's place in the policy.
    pub scope: String,
    /// One for each signature that the rule requires.
    pub proofs: Vec<Proof>,
}

/// A signature that meets a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who signed: `key sha256:…`, or an identity and who vouched for it.
    pub by: String,
    /// What was signed.
    pub digest: Digest,
    /// The name for which it was signed, if the signature says one.
    pub name: Option<String>,
    /// When, in seconds since 1970, if a log vouches for it.
    pub time: Option<i64>,
}

/// Why an image is refused: which rule, what it required, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The image, as it was asked for.
    pub image: String,
    /// The rule's place in the policy.
    pub scope: String,
    /// The first requirement that is not met.
    pub why: Why,
}

/// A requirement that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The rule is `reject`.
    Rejected,
    /// Not by digest, or by another one than those pinned.
    Pinned {
        /// What the rule asks for.
        required: String,
        /// The digest that the name leads to.
        found: String,
    },
    /// No signature is good enough.
    Unsigned {
        /// Whose signature is required.
        required: String,
        /// What is wrong with each signature that was looked at.
        flaws: Vec<String>,
    },
}

impl Rule<'_> {
    /// Whether signatures have to be looked for at all.
    pub fn wants_signatures(&self) -> bool {
        self.requirements.iter().any(|requirement| matches!(requirement, Requirement::Signed(_)))
    }

    /// Judges `image`: all requirements must be met.
    ///
    /// # Errors
    /// [`Refusal`], with the first requirement that is not met.
    pub fn judge(&self, image: &Image, candidates: &[Candidate]) -> Result<Accepted, Box<Refusal>> {
        let mut proofs = Vec::new();
        for requirement in self.requirements {
            let met = match requirement {
                Requirement::Accept => Ok(()),
                Requirement::Reject => Err(Why::Rejected),
                Requirement::Pinned(pins) => pinned(pins, image),
                Requirement::Signed(wanted) => {
                    let mut flaws = Vec::new();
                    let proof = candidates.iter().take(limits::SIGNATURES).find_map(|candidate| {
                        candidate
                            .check(wanted, image)
                            .map_err(|flaw| flaws.push(shorten(&flaw.to_string())))
                            .ok()
                    });
                    match proof {
                        Some(proof) => {
                            proofs.push(proof);
                            Ok(())
                        }
                        None => Err(Why::Unsigned { required: wanted.to_string(), flaws }),
                    }
                }
            };
            met.map_err(|why| {
                Box::new(Refusal { image: image.reference.to_string(), scope: self.scope.clone(), why })
            })?;
        }
        Ok(Accepted { scope: self.scope.clone(), proofs })
    }
}

/// A flaw quotes what a stranger wrote: so much of it, and nothing that moves a cursor.
fn shorten(text: &str) -> String {
    let mut short: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(FLAW).collect();
    if text.chars().nth(FLAW).is_some() {
        short.push('\u{2026}');
    }
    short
}

fn pinned(pins: &[Digest], image: &Image) -> Result<(), Why> {
    let found = image.manifests.first().map_or_else(|| "no digest".into(), |found| found.digest.to_string());
    if pins.is_empty() {
        return match image.reference.digest() {
            Some(_) => Ok(()),
            None => Err(Why::Pinned { required: "a name with a digest (name@sha256:…)".into(), found }),
        };
    }
    if image.manifests.iter().any(|manifest| pins.contains(&manifest.digest)) {
        return Ok(());
    }
    let pins: Vec<&str> = pins.iter().map(Digest::as_str).collect();
    Err(Why::Pinned { required: pins.join(" or "), found })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, scope, why } = self;
        write!(f, "image {image} is refused by the signature policy (rule {scope}): ")?;
        match why {
            Why::Rejected => f.write_str("the rule rejects every image"),
            Why::Pinned { required, found } => {
                write!(f, "the rule requires {required}, and the name leads to {found}")
            }
            Why::Unsigned { required, flaws } if flaws.is_empty() => {
                write!(f, "the rule requires {required}, and no signature was found")
            }
            Why::Unsigned { required, flaws } => {
                write!(f, "the rule requires {required}; ")?;
                for (number, flaw) in flaws.iter().take(SHOWN).enumerate() {
                    let separator = if number == 0 { "" } else { "; " };
                    write!(f, "{separator}signature {} of {}: {flaw}", number + 1, flaws.len())?;
                }
                if flaws.len() > SHOWN { write!(f, "; and so on") } else { Ok(()) }
            }
        }
    }
}
