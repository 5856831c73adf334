//! Inclusion proofs (RFC 6962 2.1.1) and the signed checkpoints they lead to (C2SP signed-note, tlog-checkpoint).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::RekorError;
use crate::key::PublicKey;
use crate::limits;

type Hash = [u8; 32];

/// A way from an entry to the root of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inclusion {
    /// The entry's number in this tree.
    pub(crate) index: u64,
    /// How many leaves the tree has.
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) path: Vec<Hash>,
    /// The log's signed note with the size and root.
    pub(crate) checkpoint: String,
}

impl Inclusion {
    pub(super) fn verify(&self, body: &[u8], log: &PublicKey) -> Result<(), RekorError> {
        let leaf: Hash = Sha256::new().chain_update([0]).chain_update(body).finalize().into();
        if root(leaf, self.index, self.size, &self.path) != Some(self.root) {
            return Err(RekorError::Path);
        }
        let (size, root) = checkpoint(&self.checkpoint, log)?;
        if (size, root) != (self.size, self.root) {
            return Err(RekorError::Path);
        }
        Ok(())
    }
}

/// The root that `path` leads to (RFC 9162 2.1.3.2), or nothing if it is too short or too long.
fn root(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = pair(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = pair(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

fn pair(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The size and root of a checkpoint that `log` has signed.
fn checkpoint(note: &str, log: &PublicKey) -> Result<(u64, Hash), RekorError> {
    let malformed = || RekorError::Malformed("checkpoint".into());
    let (text, signatures) = note.split_once("\n\n").ok_or_else(malformed)?;
    // the newline that ends the text is signed with it
    let text = note.get(..=text.len()).ok_or_else(malformed)?;
    let signed = signatures
        .lines()
        .take(limits::ENVELOPE_SIGNATURES)
        .filter_map(|line| line.strip_prefix("\u{2014} ")?.split_once(' '))
        .filter_map(|(_, signature)| STANDARD.decode(signature).ok())
        // four bytes of the key's hash come first
        .any(|signature| signature.get(4..).is_some_and(|bytes| log.verifies(text.as_bytes(), bytes)));
    if !signed {
        return Err(RekorError::Checkpoint);
    }
    let mut lines = text.lines().skip(1);
    let size = lines.next().and_then(|line| line.parse().ok()).ok_or_else(malformed)?;
    let root = lines
        .next()
        .and_then(|line| STANDARD.decode(line).ok())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(malformed)?;
    Ok((size, root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf_hash(body: &[u8]) -> Hash {
        Sha256::new().chain_update([0]).chain_update(body).finalize().into()
    }

    /// The root of a tree and the path to one of its leaves, as RFC 6962 2.1 defines them (recursively, unlike the
    /// code that is tested).
    fn tree(leaves: &[Hash], index: usize) -> (Hash, Vec<Hash>) {
        if leaves.len() == 1 {
            return (leaves[0], Vec::new());
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (whole_left, whole_right) = (tree(left, 0).0, tree(right, 0).0);
        let mut path = if index < split { tree(left, index).1 } else { tree(right, index - split).1 };
        path.push(if index < split { whole_right } else { whole_left });
        (pair(&whole_left, &whole_right), path)
    }

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_its_root_and_to_no_other() {
        let leaves: Vec<Hash> = (0u8..20).map(|n| leaf_hash(&[n])).collect();
        for size in 1..=leaves.len() {
            for index in 0..size {
                let (want, path) = tree(&leaves[..size], index);
                let go = |leaf, index, size, path: &[Hash]| root(leaf, index as u64, size as u64, path);
                assert_eq!(go(leaves[index], index, size, &path), Some(want));
                assert_ne!(go(leaf_hash(b"other"), index, size, &path), Some(want));
                assert_eq!(go(leaves[index], size, size, &path), None);
                if !path.is_empty() {
                    assert_ne!(go(leaves[index], index, size, &path[1..]), Some(want));
                }
                let mut longer = path.clone();
                longer.push(want);
                assert_ne!(go(leaves[index], index, size, &longer), Some(want));
            }
        }
    }
}
