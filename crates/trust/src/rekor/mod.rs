//! Entries of a Rekor transparency log: what was logged, when, and that the log vouches for it.
//!
//! Two proofs exist. The *promise* (signed entry timestamp) is the log's signature over the entry and its time;
//! the *inclusion proof* leads from the entry to a root that the log has signed. Only the promise covers the time.

mod body;
mod inclusion;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) use body::{Logged, Signed, Signer};
pub(crate) use inclusion::Inclusion;

use crate::key::PublicKey;

/// Why a log entry proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RekorError {
    #[error("it has no entry of a transparency log, which the policy asks for")]
    Missing,
    #[error("its log entry is malformed: {0}")]
    Malformed(String),
    #[error("its log entry is of the log {0}, which the policy does not name")]
    OtherLog(String),
    #[error("its log entry has no inclusion promise")]
    NoPromise,
    #[error("its log entry has no inclusion proof")]
    NoInclusion,
    #[error("the inclusion promise of its log entry is not signed by the configured log")]
    Promise,
    #[error("the inclusion proof of its log entry does not lead to the root of the tree")]
    Path,
    #[error("the checkpoint of its log entry is not signed by the configured log")]
    Checkpoint,
    #[error("its log entry is of kind {0}, which is not supported")]
    Kind(String),
    #[error("its log entry is about another {0}")]
    About(&'static str),
    #[error("its log entry says no time that the log vouches for; RFC 3161 timestamps are not supported")]
    NoTime,
}

/// One entry of a log, as a bundle carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The entry's canonical text.
    pub(crate) body: Vec<u8>,
    /// Seconds since 1970.
    pub(crate) integrated: Option<i64>,
    /// SHA-256 of the log's public key.
    pub(crate) log: [u8; 32],
    /// Its number in the log (over all its shards).
    pub(crate) index: i64,
    /// The signed entry timestamp.
    pub(crate) promise: Option<Vec<u8>>,
    pub(crate) inclusion: Option<Inclusion>,
}

/// What the format that carried the entry demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Promise,
    Inclusion,
}

impl Entry {
    /// Checks every proof that the entry carries, and that it carries the one that is demanded; answers the time
    /// if the log vouches for it.
    pub(crate) fn verify(&self, logs: &[PublicKey], demand: Demand) -> Result<Option<i64>, RekorError> {
        let log = logs
            .iter()
            .find(|log| log.fingerprint() == self.log)
            .ok_or_else(|| RekorError::OtherLog(hex::encode(self.log)))?;
        match demand {
            Demand::Promise if self.promise.is_none() => return Err(RekorError::NoPromise),
            Demand::Inclusion if self.inclusion.is_none() => return Err(RekorError::NoInclusion),
            _ => {}
        }
        if let Some(inclusion) = &self.inclusion {
            inclusion.verify(&self.body, log)?;
        }
        let Some(promise) = &self.promise else { return Ok(None) };
        let time = self.integrated.ok_or(RekorError::Promise)?;
        if !log.verifies(self.promised(time).as_bytes(), promise) {
            return Err(RekorError::Promise);
        }
        Ok(Some(time))
    }

    /// What the promise signs: canonical JSON (RFC 8785) of four members. The values need no escapes.
    fn promised(&self, time: i64) -> String {
        format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":{}}}"#,
            STANDARD.encode(&self.body),
            hex::encode(self.log),
            self.index,
        )
    }
}
