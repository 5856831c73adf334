//! Credentials for a registry.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

wire! {
    /// Credentials: body of `POST /auth`, and content of the `X-Registry-Auth` header.
    #[serde(rename_all = "lowercase")]
    pub struct AuthConfig {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub username: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub password: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub auth: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub serveraddress: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub identitytoken: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub registrytoken: String,
    }

    /// Answer of `POST /auth`.
    #[serde(rename_all = "PascalCase")]
    pub struct AuthResponse {
        pub identity_token: String,
        pub status: String,
    }
}

impl AuthConfig {
    /// The value of an `X-Registry-Auth` header.
    #[must_use]
    pub fn to_header(&self) -> String {
        URL_SAFE.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads an `X-Registry-Auth` header. Absent padding is allowed, as Docker allows it.
    ///
    /// # Errors
    /// A sentence, when it is not base64url of JSON.
    pub fn from_header(text: &str) -> Result<Self, String> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|error| format!("invalid X-Registry-Auth header: {error}"))?;
        serde_json::from_slice(&bytes).map_err(|error| format!("invalid X-Registry-Auth header: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        let auth = AuthConfig { username: "u".into(), password: "p?>".into(), ..AuthConfig::default() };
        assert_eq!(AuthConfig::from_header(&auth.to_header()), Ok(auth));
        assert!(AuthConfig::from_header("!").is_err());
    }
}
