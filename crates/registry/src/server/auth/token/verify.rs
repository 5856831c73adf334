//! Whether a token is good: signed by a key that we know, by the right issuer, for us, and now.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{Algorithm, Claims, Keys};

/// The most bytes of a token.
const MAX: usize = 64 << 10;

/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Refused {
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is signed by an algorithm that is not supported, use RS256 or ES256")]
    Algorithm,
    #[error("the token is signed by none of the keys that this registry knows")]
    Signature,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another service")]
    Audience,
    #[error("the token is expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

/// Reads a token.
pub(in super::super) fn verify(
    token: &str,
    keys: &Keys,
    issuer: &str,
    service: &str,
    now: i64,
) -> Result<Claims, Refused> {
    if token.len() > MAX {
        return Err(Refused::Malformed);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::Malformed);
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_base64| Refused::Malformed);
    let head: Header = serde_json::from_slice(&decode(header)?).map_err(|_json| Refused::Malformed)?;
    let algorithm = Algorithm::parse(&head.alg).ok_or(Refused::Algorithm)?;
    let signed = &token[..header.len() + 1 + claims.len()];
    // nothing of it is believed before this
    if !keys.verify(head.kid.as_deref(), algorithm, signed.as_bytes(), &decode(signature)?) {
        return Err(Refused::Signature);
    }
    let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_json| Refused::Malformed)?;
    if claims.iss != issuer {
        return Err(Refused::Issuer);
    }
    if !claims.aud.names(service) {
        return Err(Refused::Audience);
    }
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(Refused::Expired);
    }
    if claims.nbf.saturating_sub(LEEWAY) > now {
        return Err(Refused::Early);
    }
    Ok(claims)
}
