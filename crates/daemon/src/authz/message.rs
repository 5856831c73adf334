//! What plugins are told, and what they answer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use hyper::{StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::serve::Peer;

/// Headers that hold secrets.
const SECRET: [&str; 3] = ["authorization", "x-registry-config", "x-registry-auth"];

/// One request, and later its answer. Bodies and certificates are in base64, as Go writes bytes.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_auth_n_method: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_uri: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    request_headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_peer_certificates: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    response_status_code: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    response_body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    response_headers: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl Message {
    /// A request without its body.
    pub(super) fn request(peer: Option<&Peer>, method: &str, uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            user: peer.map(|peer| peer.name.clone()).unwrap_or_default(),
            user_auth_n_method: if peer.is_some() { "TLS" } else { "" },
            request_method: method.to_owned(),
            request_uri: uri.to_string(),
            request_headers: shown(headers),
            request_peer_certificates: peer.map(Peer::pems).unwrap_or_default(),
            ..Self::default()
        }
    }

    pub(super) fn set_request_body(&mut self, body: &[u8]) {
        self.request_body = STANDARD.encode(body);
    }

    pub(super) fn set_response(&mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        self.response_status_code = status.as_u16();
        self.response_headers = shown(headers);
        self.response_body = STANDARD.encode(body);
    }

    /// As it is sent.
    pub(super) fn encode(&self) -> bytes::Bytes {
        // strings alone: this can't fail, and an empty message would be refused by every plugin
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// Headers as Go names them; of several with one name the last.
fn shown(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in headers {
        if name == HOST || name == AUTHORIZATION || SECRET.contains(&name.as_str()) {
            continue;
        }
        all.insert(canonical(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    all
}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let written = if upper { c.to_ascii_uppercase() } else { c };
            upper = c == '-';
            written
        })
        .collect()
}

/// A plugin's word. One that says nothing has not allowed anything.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Verdict {
    pub(super) allow: bool,
    msg: String,
    #[serde(rename = "Err")]
    pub(super) error: String,
}

impl Verdict {
    /// Why not.
    pub(super) fn text(&self) -> &str {
        if self.msg.is_empty() { &self.error } else { &self.msg }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_and_names_are_go_s() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("content-type", "a"), ("x-registry-auth", "s"), ("authorization", "s"), ("host", "h")]
        {
            headers.insert(name, value.parse().unwrap());
        }
        let uri = "/v1.41/x?y=1".parse().unwrap();
        let mut message = Message::request(None, "POST", &uri, &headers);
        message.set_request_body(b"{}");
        let text = String::from_utf8(message.encode().to_vec()).unwrap();
        assert_eq!(
            text,
            r#"{"RequestMethod":"POST","RequestUri":"/v1.41/x?y=1","RequestBody":"e30=","RequestHeaders":{"Content-Type":"a"}}"#
        );
    }

    #[test]
    fn silence_is_no_leave() {
        let verdict: Verdict = serde_json::from_str("{}").unwrap();
        assert!(!verdict.allow);
    }
}
