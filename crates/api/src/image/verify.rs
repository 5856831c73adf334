//! What the signature policy says of an image; not Docker's.

wire! {
    /// Answer of `GET /images/{name}/verify`.
    #[serde(rename_all = "PascalCase")]
    pub struct VerifyResponse {
        pub id: String,
        /// The policy's file; empty when there is none and every image is accepted.
        pub policy: String,
        pub accepted: bool,
        pub names: Vec<VerifiedName>,
    }

    /// The image under one of its names.
    #[serde(rename_all = "PascalCase")]
    pub struct VerifiedName {
        /// The name in full; empty for an image without one.
        pub name: String,
        pub accepted: bool,
        /// The rule's place in the policy.
        pub scope: String,
        /// What the rule asks for.
        pub required: Vec<String>,
        /// Why it is refused.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub refusal: String,
        pub signatures: Vec<VerifiedSignature>,
    }

    /// A signature that meets a requirement.
    #[serde(rename_all = "PascalCase")]
    pub struct VerifiedSignature {
        /// A key's fingerprint, or an identity and who vouches for it.
        pub signer: String,
        /// Digest of what was signed.
        pub digest: String,
        /// The name that was signed.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub signed_name: String,
        /// When, if a log vouches for it.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub signed_at: String,
    }
}
