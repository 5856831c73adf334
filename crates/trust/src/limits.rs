//! What a registry may make us read and compute before it has shown that a trusted key speaks for it.

/// The most signatures of one image that are looked at.
pub const SIGNATURES: usize = 64;
/// The most referrers of one image that are listed in the search for signatures.
pub const REFERRERS: usize = 256;
/// The most bytes of a signed payload (cosign's are about 250).
pub const PAYLOAD: usize = 256 << 10;
/// The most bytes of a sigstore bundle: it holds a certificate, a payload, and one path through a Merkle tree.
pub const BUNDLE: usize = 512 << 10;
/// The most bytes of one annotation: a signature, a certificate, a chain, a log entry.
pub const ANNOTATION: usize = 64 << 10;
/// The most bytes of everything that is kept of one image's signatures.
pub const EVIDENCE: usize = 2 << 20;
/// The most bytes of one signature, once decoded: RSA with 8,192 bits has 1,024.
pub const SIGNATURE: usize = 2048;
/// The most certificates of a chain, and of a configured authority.
pub const CERTIFICATES: usize = 8;
/// The most signatures of one DSSE envelope, and of one checkpoint of a log.
pub const ENVELOPE_SIGNATURES: usize = 8;
/// The most log entries of one bundle.
pub const LOG_ENTRIES: usize = 4;
/// The most hashes of an inclusion proof: a tree of 2⁶⁴ leaves has 64 levels.
pub const PROOF_HASHES: usize = 64;
/// The most subjects of an in-toto statement.
pub const SUBJECTS: usize = 64;
/// The most bytes of the policy file, and of a file it names.
pub const POLICY: usize = 1 << 20;
/// The most scopes of one transport.
pub const SCOPES: usize = 4096;
/// The most requirements of one scope, keys of one requirement, and pinned digests.
pub const REQUIREMENTS: usize = 256;
