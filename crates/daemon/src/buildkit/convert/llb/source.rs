//! Where files come from.

use std::collections::BTreeMap;

use build::graph::{GitSource, HttpSource, ImageSource, LocalSource, OciLayoutSource, ResolveMode, Source};
use buildkit::proto::pb;
use oci::{Digest, Reference};

use super::{Result, refused};

/// Longest name of a client's store, in bytes.
const MAX_STORE: usize = 256;

pub(super) fn source(op: &pb::SourceOp) -> Result<Source> {
    let mut attributes = Attributes(op.attrs.clone());
    let (scheme, rest) = op
        .identifier
        .split_once("://")
        .ok_or_else(|| refused(format!("source {:?} has no scheme", op.identifier)))?;
    let source = match scheme {
        "docker-image" => Source::Image(image(rest, &mut attributes)?),
        "local" => Source::Local(local(rest, &mut attributes)?),
        "git" => Source::Git(git(rest, &mut attributes)?),
        "http" | "https" => Source::Http(http(&op.identifier, &mut attributes)?),
        "oci-layout" => {
            let (session, store) = (attributes.take("oci.session"), attributes.take("oci.store"));
            // a client's own bookkeeping
            attributes.take("image.recordtype");
            Source::OciLayout(OciLayoutSource { session, ..layout(rest, store)? })
        }
        scheme => {
            return Err(refused(format!(
                "sources of the kind {scheme:?} are not supported by this version of Berth"
            )));
        }
    };
    attributes.nothing_left(&op.identifier)?;
    Ok(source)
}

/// What was not taken at the end is something that isn't done.
struct Attributes(BTreeMap<String, String>);

impl Attributes {
    fn take(&mut self, key: &str) -> String {
        self.0.remove(key).unwrap_or_default()
    }

    fn list(&mut self, key: &str) -> Result<Vec<String>> {
        match self.take(key).as_str() {
            "" => Ok(Vec::new()),
            text => serde_json::from_str(text).map_err(|error| refused(format!("attribute {key}: {error}"))),
        }
    }

    fn nothing_left(&self, identifier: &str) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(key) => Err(refused(format!(
                "attribute {key} of source {identifier} is not supported by this version of Berth"
            ))),
        }
    }
}

fn reference(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| refused(format!("{text:?}: {error}")))
}

/// An image of the client's by a named context: the store is what the image is called.
pub(super) fn named_layout(text: &str) -> Result<OciLayoutSource> {
    let name = text.split(['@', ':']).next().unwrap_or_default();
    layout(text, name.to_owned())
}

fn layout(text: &str, store: String) -> Result<OciLayoutSource> {
    let reference = reference(text)?;
    if reference.digest().is_none() {
        return Err(refused(format!("oci-layout reference {text:?} has no digest")));
    }
    if store.is_empty() || store.len() > MAX_STORE {
        return Err(refused(format!("oci-layout reference {text:?} has no store")));
    }
    Ok(OciLayoutSource { reference, session: String::new(), store })
}

fn image(rest: &str, attributes: &mut Attributes) -> Result<ImageSource> {
    // how a client's own bookkeeping calls the record
    attributes.take("image.recordtype");
    let resolve = match attributes.take("image.resolvemode").as_str() {
        "" | "default" | "local" => ResolveMode::Local,
        "pull" => ResolveMode::Pull,
        other => return Err(refused(format!("there is no image.resolvemode {other:?}"))),
    };
    Ok(ImageSource { reference: reference(rest)?.with_default_tag(), resolve })
}

fn local(name: &str, attributes: &mut Attributes) -> Result<LocalSource> {
    // the build's own session is the only one that is asked; how the client compares is its own matter
    attributes.take("local.sessionid");
    attributes.take("local.differ");
    Ok(LocalSource {
        name: name.to_owned(),
        include: attributes.list("local.includepattern")?,
        exclude: attributes.list("local.excludepatterns")?,
        follow: attributes.list("local.followpaths")?,
        unique: attributes.take("local.unique"),
        shared_key_hint: attributes.take("local.sharedkeyhint"),
    })
}

fn git(rest: &str, attributes: &mut Attributes) -> Result<GitSource> {
    let (location, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
    let full = attributes.take("git.fullurl");
    // of a full URL only the place counts: the identifier says what of it is wanted
    let full = full.split('#').next().unwrap_or_default();
    let git = GitSource {
        remote: if full.is_empty() { format!("https://{location}") } else { full.to_owned() },
        reference: reference.to_owned(),
        subdir: subdir.trim_matches('/').to_owned(),
        keep_git_dir: attributes.take("git.keepgitdir") == "true",
        skip_submodules: attributes.take("git.skipsubmodules") == "true",
        checksum: attributes.take("git.checksum"),
        auth_token_secret: attributes.take("git.authtokensecret"),
        auth_header_secret: attributes.take("git.authheadersecret"),
        ssh: attributes.take("git.mountsshsock"),
        known_hosts: attributes.take("git.knownsshhosts"),
    };
    git.check().map_err(refused)?;
    Ok(git)
}

fn http(url: &str, attributes: &mut Attributes) -> Result<HttpSource> {
    let mut number = |key: &str, radix| match attributes.take(key).as_str() {
        "" => Ok(None),
        text => u32::from_str_radix(text.trim_start_matches("0o"), radix)
            .map(Some)
            .map_err(|error| refused(format!("attribute {key} {text:?}: {error}"))),
    };
    let (mode, uid, gid) = (number("http.perm", 8)?, number("http.uid", 10)?, number("http.gid", 10)?);
    let checksum = match attributes.take("http.checksum").as_str() {
        "" => None,
        text => Some(
            text.parse::<Digest>().map_err(|error| refused(format!("http.checksum {text:?}: {error}")))?,
        ),
    };
    Ok(HttpSource {
        url: url.to_owned(),
        checksum,
        filename: attributes.take("http.filename"),
        mode,
        uid,
        gid,
        unpack: false,
    })
}
