//! Chain ids: the identity of a layer together with everything below it.

use crate::Digest;

/// The chain id of `diff_id` on top of the chain `parent`: the digest of both texts with a space between
/// (image specification, "Layer ChainID"). The chain id of a lowest layer is its diffID.
pub fn next(parent: Option<&Digest>, diff_id: &Digest) -> Digest {
    match parent {
        None => diff_id.clone(),
        Some(parent) => Digest::sha256(format!("{parent} {diff_id}").as_bytes()),
    }
}

/// The chain ids of a stack of layers, lowest first; the last one names the whole stack.
pub fn ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = next(chain.last(), diff_id);
        chain.push(id);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_is_its_diff_id() {
        let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let chain = ids(&[a.clone(), b.clone()]);
        assert_eq!(chain[0], a);
        assert_eq!(chain[1], Digest::sha256(format!("{a} {b}").as_bytes()));
    }
}
