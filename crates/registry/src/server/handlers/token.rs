//! `/token`: tokens of this registry's own, as Docker's token specification has them (`GET`), and as OAuth 2 (`POST`).

use hyper::header;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use crate::server::auth::{Access, Shown};
use crate::server::error::{Code, Error, Result};
use crate::server::http::answer::{self, Answer};
use crate::server::http::call::{Call, decode, query};

/// The most bytes of a form.
const FORM: usize = 64 << 10;
/// The most scopes of one token.
const SCOPES: usize = 64;

/// A token for who asks, of what is asked as far as they may.
pub(crate) async fn issue(mut call: Call) -> Result<Answer> {
    let live = call.registry.live();
    let form = if call.method == Method::POST { form(&call.read(FORM).await?)? } else { Vec::new() };
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let from_query = |name| query(&call.uri, name);
    let (service, scopes): (Option<String>, Vec<String>) = if call.method == Method::POST {
        (field("service").map(str::to_owned), field("scope").map(str::to_owned).into_iter().collect())
    } else {
        (from_query("service").next(), from_query("scope").collect())
    };
    let shown = match (call.header(&header::AUTHORIZATION), field("grant_type")) {
        (_, Some("password")) => {
            Shown::Password(field("username").unwrap_or_default(), field("password").unwrap_or_default())
        }
        (_, Some(other)) => {
            let message = format!("unsupported_grant_type: {other:?}, use 'password'");
            return Err(Error::new(Code::Unauthorized, message));
        }
        (Some(text), None) => Shown::Header(text),
        (None, None) => Shown::Nothing,
    };
    let asked = scopes.iter().flat_map(|text| text.split(' ')).filter_map(scope).take(SCOPES).collect();
    let (token, lifetime) = live.auth.issue(shown, service.as_deref(), asked).await?;
    let body = json!({
        "token": token,
        "access_token": token,
        "expires_in": lifetime,
        "issued_at": Timestamp::now().to_string(),
    });
    Ok(answer::status(StatusCode::OK).header(header::CACHE_CONTROL, "no-store").json(&body))
}

/// `repository:NAME:pull,push`. A name may have colons (of a host's port), and a type a class.
fn scope(text: &str) -> Option<Access> {
    let (kind, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let kind = kind.split('(').next().unwrap_or(kind);
    let actions = actions.split(',').map(str::to_owned).collect();
    Some(Access { kind: kind.into(), name: name.into(), actions })
}

fn form(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let wrong = || Error::new(Code::Unsupported, "the form is malformed");
    let text = std::str::from_utf8(bytes).map_err(|_utf8| wrong())?;
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let read = scope("repository:a/b:pull,push").unwrap();
        assert_eq!((read.kind.as_str(), read.name.as_str()), ("repository", "a/b"));
        assert_eq!(read.actions, ["pull", "push"]);
        assert_eq!(scope("repository(plugin):a:pull").unwrap().kind, "repository");
        assert_eq!(scope("registry:catalog:*").unwrap().actions, ["*"]);
        assert!(scope("repository").is_none());
    }

    #[test]
    fn forms() {
        let form = form(b"grant_type=password&username=a%40b&password=x+y%2B").unwrap();
        assert_eq!(form[1].1, "a@b");
        assert_eq!(form[2].1, "x y+");
    }
}
