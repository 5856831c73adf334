//! `image verify`: what the policy says of an image that is here.

use std::sync::Arc;

use crate::Engine;
use crate::container::task::blocking;
use crate::error::Result;

/// What the policy says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageVerdict {
    /// The image's id.
    pub id: String,
    /// The policy's file, if there is one.
    pub policy: Option<String>,
    /// Whether a container may run it, asked for so.
    pub accepted: bool,
    /// What is said of each name by which it was asked for; one of them is enough. A nameless image has one without
    /// a name.
    pub names: Vec<NameVerdict>,
}

/// What the policy says of an image under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameVerdict {
    /// The name, in full.
    pub name: String,
    /// The rule's place in the policy.
    pub scope: String,
    /// What the rule asks for.
    pub required: Vec<String>,
    /// Why it is refused, if it is.
    pub refusal: Option<String>,
    /// The signatures by which it is accepted.
    pub signatures: Vec<Signature>,
}

/// A signature that meets a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub by: String,
    /// Digest of the manifest or index that was signed.
    pub digest: String,
    /// The name that was signed, if one was.
    pub name: Option<String>,
    /// When, if a log vouches for it.
    pub time: Option<jiff::Timestamp>,
}

impl Engine {
    /// What the policy says of an image, by reference or id, from the signatures that its last pull found.
    ///
    /// # Errors
    /// No such image; the policy can't be used.
    pub async fn image_verify(&self, name: &str) -> Result<ImageVerdict> {
        let id = self.0.find_image(name)?.id;
        let (engine, asked) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || {
            let text = id.as_str().to_owned();
            let Some(policy) = engine.policy()? else {
                return Ok(ImageVerdict { id: text, policy: None, accepted: true, names: Vec::new() });
            };
            let path = engine.config.signature_policy.as_ref();
            let path = path.map_or_else(|| super::DEFAULT_POLICY.into(), |path| path.display().to_string());
            let known = engine.known(id)?;
            let mut names = Vec::new();
            for name in known.meant(&asked) {
                let rule = policy.rule(&name, known.origin(&name));
                names.push(verdict(name.to_string(), rule, known.judge(&policy, &name)));
            }
            if names.is_empty() {
                names.push(verdict(String::new(), policy.rule_for_nameless(), known.judge_nameless(&policy)));
            }
            let accepted = names.iter().any(|name| name.refusal.is_none());
            Ok(ImageVerdict { id: text, policy: Some(path), accepted, names })
        })
        .await
    }
}

fn verdict(name: String, rule: ::trust::Rule<'_>, judged: Result<::trust::Accepted>) -> NameVerdict {
    let (refusal, proofs) = match judged {
        Ok(accepted) => (None, accepted.proofs),
        Err(error) => (Some(error.to_string()), Vec::new()),
    };
    let signature = |proof: ::trust::Proof| Signature {
        by: proof.by,
        digest: proof.digest.to_string(),
        name: proof.name,
        time: proof.time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()),
    };
    NameVerdict {
        name,
        required: rule.required(),
        scope: rule.scope,
        refusal,
        signatures: proofs.into_iter().map(signature).collect(),
    }
}
