//! What a scope may require.

use std::fmt;

use oci::Digest;

use super::identity::SignedIdentity;
use crate::certificate::Certificate;
use crate::key::PublicKey;

/// One requirement; a scope has several, and all must be met.
#[derive(Clone, Debug)]
pub(crate) enum Requirement {
    /// `insecureAcceptAnything`.
    Accept,
    /// `reject`.
    Reject,
    /// `digestPinned`, ours: asked for by digest, or (when digests are listed) one of them.
    Pinned(Vec<Digest>),
    /// `sigstoreSigned`.
    Signed(Box<SignedBy>),
}

/// A signature of somebody in particular.
#[derive(Clone, Debug)]
pub(crate) struct SignedBy {
    pub(crate) signer: Signer,
    /// Logs of which one must vouch for the signature; none is asked when there are none.
    pub(crate) rekor: Vec<PublicKey>,
    pub(crate) identity: SignedIdentity,
}

/// Whose signature.
#[derive(Clone, Debug)]
pub(crate) enum Signer {
    /// Of one of these keys.
    Keys(Vec<PublicKey>),
    /// Of somebody whom a Fulcio authority has identified.
    Fulcio(Fulcio),
}

/// An identity that an authority vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Fulcio {
    pub(crate) authority: Vec<Certificate>,
    pub(crate) issuer: String,
    pub(crate) subject: Subject,
}

/// Who a certificate must be for.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Email(String),
    /// Ours: what automatic builds are identified by.
    Uri(String),
}

impl fmt::Display for SignedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.signer {
            Signer::Keys(keys) => {
                let names: Vec<String> = keys.iter().map(PublicKey::name).collect();
                write!(f, "a signature by key {}", names.join(" or "))?;
            }
            Signer::Fulcio(fulcio) => {
                let (Subject::Email(who) | Subject::Uri(who)) = &fulcio.subject;
                write!(f, "a signature by {who} (identified by {})", fulcio.issuer)?;
            }
        }
        if self.rekor.is_empty() { Ok(()) } else { f.write_str(" with an entry in a transparency log") }
    }
}
