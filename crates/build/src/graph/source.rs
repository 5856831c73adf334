//! Where files come from.

use oci::{Digest, Reference};

/// Files from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An image (`docker-image://`).
    Image(ImageSource),
    /// A directory of the client's (`local://`).
    Local(LocalSource),
    /// A git repository (`git://`).
    Git(GitSource),
    /// A file that a web server has (`http://`, `https://`).
    Http(HttpSource),
    /// An image in an OCI layout that the client has (`oci-layout://`).
    OciLayout(OciLayoutSource),
}

/// An image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSource {
    /// Which.
    pub reference: Reference,
    /// Whether a registry is asked.
    pub resolve: ResolveMode,
}

/// Whether a registry is asked for an image that is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResolveMode {
    /// What is here is used (`local`, and our `default`).
    #[default]
    Local,
    /// A registry is always asked (`pull`).
    Pull,
}

/// A directory of the client's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalSource {
    /// What the client knows it by: `context`, `dockerfile`.
    pub name: String,
    /// Only what matches one of these; empty for everything.
    pub include: Vec<String>,
    /// Not what matches these (`.dockerignore`'s rules).
    pub exclude: Vec<String>,
    /// Symbolic links whose targets are sent too.
    pub follow: Vec<String>,
    /// Tells transfers apart that must not be shared.
    pub unique: String,
    /// Lets transfers of one directory share what was sent before.
    pub shared_key_hint: String,
}

/// A git repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GitSource {
    /// Where it is.
    pub remote: String,
    /// Branch, tag or commit; empty for the remote's `HEAD`.
    pub reference: String,
    /// Only this directory of it; empty for all.
    pub subdir: String,
    /// `.git` stays.
    pub keep_git_dir: bool,
    /// Submodules stay empty.
    pub skip_submodules: bool,
    /// The commit's digits that it must be, empty for whatever it is.
    pub checksum: String,
    /// Secret with a token for `Authorization`, empty for none.
    pub auth_token_secret: String,
    /// Secret with the whole header, empty for none.
    pub auth_header_secret: String,
    /// Which of the client's ssh agents, empty for none.
    pub ssh: String,
    /// Lines as in `known_hosts`, empty for none.
    pub known_hosts: String,
}

/// A file that a web server has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpSource {
    /// Where it is.
    pub url: String,
    /// The digest that it must have.
    pub checksum: Option<Digest>,
    /// The file's name, empty for the URL's last component ([`HttpSource::name`]).
    pub filename: String,
    /// Mode bits, `None` for 0600.
    pub mode: Option<u32>,
    /// Owner, `None` for root.
    pub uid: Option<u32>,
    /// Group, `None` for root's.
    pub gid: Option<u32>,
    /// If it is an archive, compressed or not, the result is what is in it.
    pub unpack: bool,
}

impl HttpSource {
    /// The file's name: as it is given, or the last of the URL's path without what it escapes; `None` if that is none.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        if !self.filename.is_empty() {
            return Some(self.filename.clone());
        }
        let path = self.url.split_once("://")?.1.split(['?', '#']).next()?.split_once('/')?.1;
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let name = path.trim_end_matches('/').rsplit('/').next()?;
        let fits = !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains('\0');
        fits.then(|| name.to_owned())
    }
}

/// An image in an OCI layout that the client has.
#[derive(Clone, Debug, PartialEq)]
pub struct OciLayoutSource {
    /// Name and digest.
    pub reference: Reference,
    /// Session that has it, empty for any of the build's.
    pub session: String,
    /// The content store's name there.
    pub store: String,
}
