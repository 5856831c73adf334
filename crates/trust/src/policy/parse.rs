//! The text of a policy. Strict, as the format demands: what is not known, not supported or said twice is refused
//! by its place, and the whole file with it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Digest, Reference};

use super::identity::SignedIdentity;
use super::scope::{self, Scopes};
use super::{Fulcio, Policy, PolicyError, Requirement, SignedBy, Signer, Subject};
use crate::certificate::{self, Certificate};
use crate::json::{self, Json, JsonError, Object};
use crate::key::PublicKey;
use crate::limits;

/// How the files that a policy names are read.
type Load<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

pub(super) fn policy(text: &[u8], load: Load<'_>) -> Result<Policy, PolicyError> {
    if text.len() > limits::POLICY {
        return Err(at("policy", format!("{} bytes, the limit is {}", text.len(), limits::POLICY)));
    }
    let mut file = json::object(text).map_err(|error| at("policy", error))?;
    let default = file.need("default").map_err(|error| at("policy", error))?;
    let default = requirements("default", default, load)?;
    let (mut docker, mut local) = (Scopes::default(), Scopes::default());
    if let Some(transports) = file.object("transports").map_err(|error| at("transports", error))? {
        for (name, table) in transports.into_members() {
            let place = format!("transports.{name}");
            match name.as_str() {
                "docker" => docker = scopes(&place, table, load)?,
                "docker-daemon" => local = scopes(&place, table, load)?,
                _ => {
                    return Err(at(
                        &place,
                        "this transport does not exist here: \"docker\" is for what is pulled, \"docker-daemon\" \
                         for what is built, loaded, imported or committed",
                    ));
                }
            }
        }
    }
    file.finish().map_err(|error| at("policy", error))?;
    Ok(Policy { default, docker, local })
}

fn scopes(place: &str, table: Json, load: Load<'_>) -> Result<Scopes, PolicyError> {
    let members = table.into_object(place).map_err(|error| at(place, error))?.into_members();
    if members.len() > limits::SCOPES {
        return Err(at(place, format!("{} scopes, the limit is {}", members.len(), limits::SCOPES)));
    }
    let mut scopes = BTreeMap::new();
    for (name, rules) in members {
        let place = format!("{place}[{name:?}]");
        if let Some(flaw) = scope::flaw(&name) {
            return Err(at(&place, flaw));
        }
        let rules = requirements(&place, rules, load)?;
        scopes.insert(name, rules);
    }
    Ok(Scopes(scopes))
}

fn requirements(place: &str, rules: Json, load: Load<'_>) -> Result<Vec<Requirement>, PolicyError> {
    let rules = rules.into_array(place).map_err(|error| at(place, error))?;
    if rules.is_empty() {
        return Err(at(place, "no requirement: write {\"type\":\"insecureAcceptAnything\"} for none"));
    }
    if rules.len() > limits::REQUIREMENTS {
        return Err(at(
            place,
            format!("{} requirements, the limit is {}", rules.len(), limits::REQUIREMENTS),
        ));
    }
    let mut all = Vec::new();
    for (number, rule) in rules.into_iter().enumerate() {
        let place = format!("{place}[{number}]");
        let object = rule.into_object("the requirement").map_err(|error| at(&place, error))?;
        all.push(Reader { place, object, load }.requirement()?);
    }
    Ok(all)
}

/// One object of the policy, its place, and how to read the files that it names.
struct Reader<'a> {
    place: String,
    object: Object,
    load: Load<'a>,
}

impl Reader<'_> {
    fn requirement(mut self) -> Result<Requirement, PolicyError> {
        let requirement = match self.need("type")?.as_str() {
            "insecureAcceptAnything" => Requirement::Accept,
            "reject" => Requirement::Reject,
            "digestPinned" => Requirement::Pinned(self.pins()?),
            "sigstoreSigned" => Requirement::Signed(Box::new(self.signed()?)),
            "signedBy" => {
                return Err(self.wrong(
                    "type",
                    "\"signedBy\" (GPG signatures) is not supported: use \"sigstoreSigned\"",
                ));
            }
            "signedBaseLayer" => {
                return Err(self.wrong("type", "\"signedBaseLayer\" is not supported"));
            }
            other => return Err(self.wrong("type", format!("unknown requirement {other:?}"))),
        };
        self.finish()?;
        Ok(requirement)
    }

    fn pins(&mut self) -> Result<Vec<Digest>, PolicyError> {
        let Some(digests) = self.object.take("digests") else { return Ok(Vec::new()) };
        let digests = self.texts("digests", digests)?;
        digests
            .iter()
            .map(|text| text.parse().map_err(|error| self.wrong("digests", format!("{error}: {text:?}"))))
            .collect()
    }

    fn signed(&mut self) -> Result<SignedBy, PolicyError> {
        if self.object.take("pki").is_some() {
            return Err(self.wrong("pki", "certificates that are not of Fulcio are not supported"));
        }
        let keys = self.keys(["keyPath", "keyPaths", "keyData", "keyDatas"])?;
        let rekor = self.keys([
            "rekorPublicKeyPath",
            "rekorPublicKeyPaths",
            "rekorPublicKeyData",
            "rekorPublicKeyDatas",
        ])?;
        let fulcio = self.object.object("fulcio").map_err(|error| at(&self.place, error))?;
        let signer = match (keys.is_empty(), fulcio) {
            (false, None) => Signer::Keys(keys),
            (true, Some(_)) if rekor.is_empty() => {
                return Err(at(
                    &self.place,
                    "\"fulcio\" needs a \"rekorPublicKeyPath\" or its like: only the log says when a certificate \
                     of ten minutes was used",
                ));
            }
            (true, Some(object)) => {
                let place = format!("{}.fulcio", self.place);
                Signer::Fulcio(Reader { place, object, load: self.load }.fulcio()?)
            }
            _ => {
                return Err(at(
                    &self.place,
                    "exactly one of \"keyPath\", \"keyPaths\", \"keyData\", \"keyDatas\" and \"fulcio\" is needed",
                ));
            }
        };
        let identity = match self.object.object("signedIdentity").map_err(|error| at(&self.place, error))? {
            None => SignedIdentity::RepoDigestOrExact,
            Some(object) => {
                let place = format!("{}.signedIdentity", self.place);
                Reader { place, object, load: self.load }.identity()?
            }
        };
        Ok(SignedBy { signer, rekor, identity })
    }

    fn fulcio(mut self) -> Result<Fulcio, PolicyError> {
        let authority = match (self.text("caPath")?, self.text("caData")?) {
            (Some(path), None) => self.file("caPath", &path)?,
            (None, Some(data)) => self.data("caData", &data)?,
            _ => return Err(at(&self.place, "exactly one of \"caPath\" and \"caData\" is needed")),
        };
        let authority = certificate::from_pem(&authority)
            .and_then(|all| all.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>())
            .map_err(|error| self.wrong("caPath", error))?;
        if authority.is_empty() {
            return Err(self.wrong("caPath", "there is no PEM-encoded certificate in it"));
        }
        let issuer = self.need("oidcIssuer")?;
        let subject = match (self.text("subjectEmail")?, self.text("subjectURI")?) {
            (Some(email), None) => Subject::Email(email),
            (None, Some(uri)) => Subject::Uri(uri),
            _ => return Err(at(&self.place, "exactly one of \"subjectEmail\" and \"subjectURI\" is needed")),
        };
        self.finish()?;
        Ok(Fulcio { authority, issuer, subject })
    }

    fn identity(mut self) -> Result<SignedIdentity, PolicyError> {
        let identity = match self.need("type")?.as_str() {
            "matchRepoDigestOrExact" => SignedIdentity::RepoDigestOrExact,
            "matchExact" => SignedIdentity::Exact,
            "matchRepository" => SignedIdentity::Repository,
            "matchDigest" => SignedIdentity::Digest,
            "exactReference" => {
                let reference = self.reference("dockerReference")?;
                if reference.is_name_only() {
                    return Err(self.wrong("dockerReference", "it needs a tag or a digest"));
                }
                SignedIdentity::ExactReference(reference)
            }
            "exactRepository" => {
                let reference = self.reference("dockerRepository")?;
                if !reference.is_name_only() {
                    return Err(self.wrong("dockerRepository", "a repository has no tag and no digest"));
                }
                SignedIdentity::ExactRepository(reference.name())
            }
            "remapIdentity" => {
                SignedIdentity::Remap { prefix: self.prefix("prefix")?, signed: self.prefix("signedPrefix")? }
            }
            other => return Err(self.wrong("type", format!("unknown identity {other:?}"))),
        };
        self.finish()?;
        Ok(identity)
    }

    fn reference(&mut self, name: &'static str) -> Result<Reference, PolicyError> {
        let text = self.need(name)?;
        Reference::parse(&text).map_err(|error| self.wrong(name, format!("{error}: {text:?}")))
    }

    fn prefix(&mut self, name: &'static str) -> Result<String, PolicyError> {
        let text = self.need(name)?;
        let flaw = if text.is_empty() || text.starts_with('*') || text.contains('@') {
            Some("it is a registry, a namespace or a repository in full".into())
        } else {
            scope::flaw(&text)
        };
        flaw.map_or(Ok(text), |flaw| Err(self.wrong(name, flaw)))
    }

    /// The keys that one of four members gives: a file, several, the text itself in base64, several.
    fn keys(&mut self, names: [&'static str; 4]) -> Result<Vec<PublicKey>, PolicyError> {
        let [path, paths, data, datas] = names;
        let mut found: Option<(&'static str, Vec<String>)> = None;
        for (name, many) in [(path, false), (paths, true), (data, false), (datas, true)] {
            let Some(value) = self.object.take(name) else { continue };
            let texts = if many {
                self.texts(name, value)?
            } else {
                vec![value.into_text(name).map_err(|error| at(&self.place, error))?]
            };
            if found.replace((name, texts)).is_some() {
                return Err(at(&self.place, format!("only one of {}", names.join(", "))));
            }
        }
        let Some((name, texts)) = found else { return Ok(Vec::new()) };
        let is_path = name == path || name == paths;
        let mut keys = Vec::new();
        for text in texts {
            let pem = if is_path { self.file(name, &text)? } else { self.data(name, &text)? };
            keys.push(PublicKey::from_pem(&pem).map_err(|error| self.wrong(name, error))?);
        }
        Ok(keys)
    }

    fn texts(&self, name: &'static str, value: Json) -> Result<Vec<String>, PolicyError> {
        let items = value.into_array(name).map_err(|error| at(&self.place, error))?;
        if items.is_empty() || items.len() > limits::REQUIREMENTS {
            return Err(self.wrong(name, format!("one to {} entries", limits::REQUIREMENTS)));
        }
        items.into_iter().map(|item| item.into_text(name).map_err(|error| at(&self.place, error))).collect()
    }

    fn file(&mut self, name: &'static str, path: &str) -> Result<Vec<u8>, PolicyError> {
        (self.load)(path).map_err(|reason| self.wrong(name, format!("{path}: {reason}")))
    }

    fn data(&self, name: &'static str, text: &str) -> Result<Vec<u8>, PolicyError> {
        STANDARD.decode(text).map_err(|error| self.wrong(name, format!("no base64: {error}")))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, PolicyError> {
        self.object.text(name).map_err(|error| at(&self.place, error))
    }

    fn need(&mut self, name: &'static str) -> Result<String, PolicyError> {
        self.object.need_text(name).map_err(|error| at(&self.place, error))
    }

    fn finish(self) -> Result<(), PolicyError> {
        self.object.finish().map_err(|error| at(&self.place, error))
    }

    fn wrong(&self, name: &str, reason: impl ToString) -> PolicyError {
        at(&format!("{}.{name}", self.place), reason)
    }
}

fn at(place: &str, reason: impl ToString) -> PolicyError {
    PolicyError { place: place.into(), reason: reason.to_string() }
}

impl From<JsonError> for PolicyError {
    fn from(error: JsonError) -> Self {
        at("policy", error)
    }
}
