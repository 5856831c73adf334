//! `WWW-Authenticate`, RFC 9110 section 11.6.1.

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};

use crate::client::limits::MAX_CHALLENGES;

/// One challenge: a scheme in lower case and its parameters, their names in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter; of two with one name, the first.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of an answer, in order. What cannot be read ends the header field it stands in.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut all = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        if let Ok(text) = value.to_str() {
            parse(text, &mut all);
        }
    }
    all
}

/// Whether an answer says that the token does not suffice: whoever asks is known, and not allowed.
pub(crate) fn insufficient(headers: &HeaderMap) -> bool {
    let says = |one: &Challenge| one.scheme == "bearer" && one.get("error") == Some("insufficient_scope");
    challenges(headers).iter().any(says)
}

fn parse(text: &str, all: &mut Vec<Challenge>) {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((word, after)) = token(rest) else { return };
        // `name=value` goes on with the challenge before it; anything else begins one
        if let Some((value, after)) = value(after) {
            let Some(challenge) = all.last_mut() else { return };
            challenge.parameters.push((word.to_ascii_lowercase(), value));
            rest = after;
        } else {
            if all.len() == MAX_CHALLENGES {
                return;
            }
            all.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            rest = after;
        }
    }
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Reads `= value` with blanks around the sign; the value is a token or quoted.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']).strip_prefix('=')?.trim_start_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        // unquoted values with colons are sent by some
        let end = text.find([',', ' ', '\t', '"']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((out, &quoted[at + 1..])),
            '\\' => out.push(characters.next()?.1),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, field.parse().unwrap());
        }
        challenges(&headers)
    }

    #[test]
    fn what_registries_send() {
        let all = read(&[
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        ]);
        assert_eq!(all[0].scheme, "bearer");
        assert_eq!(all[0].get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(all[0].get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(all[0].get("error"), None);
        let all = read(&[r#"BASIC Realm = "a \"b\" c""#]);
        assert_eq!((all[0].scheme.as_str(), all[0].get("realm")), ("basic", Some(r#"a "b" c"#)));
    }

    #[test]
    fn several_in_one_and_in_many_fields() {
        let all = read(&[r#"Basic realm="x", Bearer realm=http://h:1/t, service=s , , Negotiate"#, "Digest"]);
        let schemes: Vec<&str> = all.iter().map(|challenge| challenge.scheme.as_str()).collect();
        assert_eq!(schemes, ["basic", "bearer", "negotiate", "digest"]);
        assert_eq!(all[1].get("realm"), Some("http://h:1/t"));
        assert_eq!(all[1].get("service"), Some("s"));
    }

    #[test]
    fn nonsense_is_bounded() {
        assert!(read(&["realm=\"x\""]).is_empty());
        assert_eq!(read(&["Bearer realm=\"never ends"]).first().unwrap().get("realm"), None);
        assert!(read(&["\"\"\"", "=,=,="]).is_empty());
        assert_eq!(read(&["a,".repeat(1000).as_str()]).len(), MAX_CHALLENGES);
    }
}
