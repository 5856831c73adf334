//! Which images may be pulled and run: the signature policy, and the signatures of cosign and sigstore. No I/O.
//!
//! [`Policy`] is read from a text in the format of containers-policy.json(5). [`Policy::rule`] finds what it asks of
//! an image by name; [`Rule::judge`] says whether the signatures that lie beside the image
//! ([`Candidate`]) meet it, or why each of them does not.
//!
//! Everything but the policy comes from outside and is hostile until a configured key has vouched for it:
//! signatures are checked before what they sign is read, every count and size has a limit in [`limits`], and no
//! algorithm is chosen by what a signature says of itself: the key's type decides.

pub mod discover;
pub mod limits;
pub mod policy;

mod certificate;
mod der;
mod evidence;
mod json;
mod judge;
mod key;
mod rekor;
mod signature;

pub use evidence::{Evidence, EvidenceError};
pub use judge::{Accepted, Image, ManifestBytes, Proof, Refusal, Why};
pub use key::{KeyError, PublicKey};
pub use policy::{Origin, Policy, PolicyError, Rule};
pub use signature::{Candidate, Simple};
