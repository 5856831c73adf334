//! What is built: a directory, an archive, a URL, or a Dockerfile alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use buildkit::method;
use oci::{Digest, Reference};

use super::layout::{LATEST, Layout};
use super::services::Upload;
use super::temporary::{Temporary, random};
use crate::error::{Error, Result, reason};

/// Longest Dockerfile.
const MAX_DOCKERFILE: u64 = 16 << 20;

/// Contexts as the daemon's frontend is told of them.
#[derive(Default)]
pub(super) struct Contexts {
    /// Directories that are lent.
    pub(super) dirs: BTreeMap<String, PathBuf>,
    /// Streams that are lent.
    pub(super) uploads: BTreeMap<String, Upload>,
    /// Image layouts that are lent, by their stores' names.
    pub(super) layouts: BTreeMap<String, Layout>,
    /// Attributes of the frontend.
    pub(super) attrs: BTreeMap<String, String>,
    /// Directories that go with this value.
    temporary: Vec<Temporary>,
}

impl Contexts {
    /// Reads the positional argument and `--file`.
    pub(super) fn read(context: &str, file: Option<&str>) -> Result<Self> {
        let mut contexts = Self::default();
        if file == Some("-") && context == "-" {
            return Err(Error::said(
                "invalid argument: can't use stdin for both build context and dockerfile",
            ));
        }
        match context {
            "-" => contexts.stdin(file)?,
            url if is_url(url) => {
                contexts.attr("context", url);
                match file {
                    Some("-") => {
                        contexts.dockerfile(&mut std::io::stdin().lock())?;
                        contexts.attr("dockerfilekey", "dockerfile");
                    }
                    Some(name) => contexts.attr("filename", name),
                    None => {}
                }
            }
            path => contexts.path(Path::new(path), file)?,
        }
        Ok(contexts)
    }

    fn attr(&mut self, name: &str, value: &str) {
        self.attrs.insert(name.to_owned(), value.to_owned());
    }

    fn stdin(&mut self, file: Option<&str>) -> Result<()> {
        let mut head = Vec::new();
        let mut stdin = std::io::stdin().lock();
        stdin.by_ref().take(512).read_to_end(&mut head).map_err(Error::io("read standard input"))?;
        if head.is_empty() {
            return Err(Error::said("standard input is empty: neither an archive nor a Dockerfile"));
        }
        drop(stdin);
        if is_archive(&head) {
            self.archive(Box::new(Cursor::new(head).chain(std::io::stdin())), file)
        } else {
            let empty = Temporary::new()?;
            self.dirs.insert("context".to_owned(), empty.path().to_owned());
            self.temporary.push(empty);
            self.dockerfile(&mut Cursor::new(head).chain(std::io::stdin().lock()))
        }
    }

    fn archive(&mut self, source: Box<dyn Read + Send>, file: Option<&str>) -> Result<()> {
        let id = random(16)?;
        self.attr("context", &format!("http://buildkit-session/{id}"));
        if let Some(file) = file {
            self.attr("filename", file);
        }
        self.uploads.insert(id, Some(source).into());
        Ok(())
    }

    /// A Dockerfile from standard input.
    fn dockerfile(&mut self, source: &mut dyn Read) -> Result<()> {
        let dir = Temporary::new()?;
        let path = dir.path().join("Dockerfile");
        let mut bytes = Vec::new();
        source.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes).map_err(Error::io("read standard input"))?;
        if bytes.len() as u64 > MAX_DOCKERFILE {
            return Err(Error::said(format!("the Dockerfile has more than {MAX_DOCKERFILE} bytes")));
        }
        std::fs::write(&path, bytes)
            .map_err(|error| Error::said(format!("write {}: {}", path.display(), reason(&error))))?;
        self.dirs.insert("dockerfile".to_owned(), dir.path().to_owned());
        self.attr("filename", "Dockerfile");
        self.temporary.push(dir);
        Ok(())
    }

    fn path(&mut self, path: &Path, file: Option<&str>) -> Result<()> {
        let unable = |why: String| Error::said(format!("unable to prepare context: {why}"));
        let found = std::fs::metadata(path);
        let found = found.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => unable(format!("path \"{}\" not found", path.display())),
            _ => unable(format!("open {}: {}", path.display(), reason(&error))),
        })?;
        if found.is_file() {
            let mut opened = File::open(path)
                .map_err(|error| unable(format!("open {}: {}", path.display(), reason(&error))))?;
            let mut head = Vec::new();
            opened
                .by_ref()
                .take(512)
                .read_to_end(&mut head)
                .map_err(|error| unable(format!("read {}: {}", path.display(), reason(&error))))?;
            if !is_archive(&head) {
                return Err(unable(format!("{} is neither a directory nor an archive", path.display())));
            }
            return self.archive(Box::new(Cursor::new(head).chain(opened)), file);
        }
        self.dirs.insert("context".to_owned(), path.to_owned());
        match file {
            Some("-") => return self.dockerfile(&mut std::io::stdin().lock()),
            Some(file) => {
                let file = Path::new(file);
                let (dir, name) = (file.parent(), file.file_name().and_then(|name| name.to_str()));
                let name =
                    name.ok_or_else(|| Error::said(format!("{:?} is no name of a Dockerfile", file)))?;
                let dir = dir.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
                self.dirs.insert("dockerfile".to_owned(), dir.to_owned());
                self.attr("filename", name);
            }
            None => {
                self.dirs.insert("dockerfile".to_owned(), path.to_owned());
            }
        }
        let dir = &self.dirs["dockerfile"];
        let name = self.attrs.get("filename").map_or("Dockerfile", String::as_str);
        match std::fs::metadata(dir.join(name)) {
            Ok(_) => Ok(()),
            // as BuildKit's frontend tries it
            Err(_) if name == "Dockerfile" && dir.join("dockerfile").exists() => Ok(()),
            Err(error) => Err(Error::said(format!(
                "failed to read dockerfile: open {}: {}",
                if file.is_some() { dir.join(name).display().to_string() } else { name.to_owned() },
                reason(&error)
            ))),
        }
    }

    /// Another context, by its name: `--build-context name=value`.
    pub(super) fn named(&mut self, text: &str) -> Result<()> {
        let wrong = || Error::said(format!("invalid context value: {text}, expected key=value"));
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        let key = format!("context:{name}");
        if let Some(layout) = value.strip_prefix("oci-layout://") {
            return self.layout(&key, layout);
        }
        if is_url(value) || value.starts_with("docker-image://") || value.starts_with("target:") {
            self.attr(&key, value);
            return Ok(());
        }
        if !Path::new(value).is_dir() {
            return Err(Error::said(format!("failed to get build context {name}: {value} is no directory")));
        }
        self.attr(&key, &format!("local:{name}"));
        self.dirs.insert(name.to_owned(), PathBuf::from(value));
        Ok(())
    }

    /// An image in a layout of this machine's: `directory[:tag][@digest]`.
    fn layout(&mut self, key: &str, text: &str) -> Result<()> {
        let wrong = |why: &str| Error::said(format!("invalid context value oci-layout://{text}: {why}"));
        let (place, digest) =
            text.split_once('@').map_or((text, None), |(place, digest)| (place, Some(digest)));
        // a colon in a directory's name is none before a tag
        let tagged = place.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (dir, tag) = tagged.map_or((place, None), |(dir, tag)| (dir, Some(tag)));
        if !Path::new(dir).is_dir() {
            return Err(wrong(&format!("{dir} is no directory")));
        }
        let layout = Layout::new(dir, false);
        let digest = match digest {
            Some(digest) => digest.parse::<Digest>().map_err(|error| wrong(&error.to_string()))?,
            None => {
                let found = match (layout.find(tag.unwrap_or(LATEST))?, tag) {
                    (Some(found), _) => Some(found),
                    (None, None) => layout.only()?,
                    (None, Some(_)) => None,
                };
                let none = || wrong(&format!("no image is called {:?} there", tag.unwrap_or(LATEST)));
                found.ok_or_else(none)?.digest
            }
        };
        // where it is, is nobody's business: the daemon knows it by this
        let store = random(12)?;
        let reference = Reference::parse(&format!("{store}:{}@{digest}", tag.unwrap_or(LATEST)))
            .map_err(|error| wrong(&error.to_string()))?;
        self.attr(key, &format!("oci-layout://{}", reference.familiar()));
        self.layouts.insert(format!("{}{store}", method::store::LAYOUT), layout);
        Ok(())
    }

    /// The Dockerfile, where it is on this machine.
    pub(super) fn dockerfile_path(&self) -> Option<PathBuf> {
        let name = self.attrs.get("filename").map_or("Dockerfile", String::as_str);
        self.dirs.get("dockerfile").map(|dir| dir.join(name))
    }
}

/// Whether a context is elsewhere.
fn is_url(text: &str) -> bool {
    let starts = ["http://", "https://", "git://", "git@", "ssh://", "github.com/"];
    // what lies here by such a name is what is meant, as with Docker's client
    starts.iter().any(|start| text.starts_with(start)) || is_scp(text) && !Path::new(text).exists()
}

/// `user@host:path`, as the daemon reads it.
fn is_scp(text: &str) -> bool {
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let parts = text.split_once('@').and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
    parts.is_some_and(|(user, (host, path))| word(user, b"-_") && word(host, b"-.") && !path.is_empty())
}

/// Whether bytes begin an archive, compressed or not.
fn is_archive(head: &[u8]) -> bool {
    const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    COMPRESSED.iter().any(|magic| head.starts_with(magic)) || tarball::is_tar_start(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_dockerfiles() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let missing = Contexts::read(path, None).err().unwrap().to_string();
        assert_eq!(missing, "failed to read dockerfile: open Dockerfile: no such file or directory");
        std::fs::write(dir.path().join("Dockerfile"), "FROM x").unwrap();
        let read = Contexts::read(path, None).unwrap();
        assert_eq!(read.dirs["context"], dir.path());
        assert!(read.attrs.is_empty());
        let file = format!("{path}/Dockerfile");
        let read = Contexts::read(path, Some(&file)).unwrap();
        assert_eq!(
            (read.attrs["filename"].as_str(), read.dockerfile_path().unwrap()),
            ("Dockerfile", file.into())
        );
        let absent = Contexts::read("/nonexistent", None).err().unwrap().to_string();
        assert_eq!(absent, "unable to prepare context: path \"/nonexistent\" not found");
        let url = Contexts::read("https://example.com/x.git#main", Some("a/Dockerfile")).unwrap();
        assert_eq!(url.attrs["context"], "https://example.com/x.git#main");
        for scp in ["git@h:x.git", "me_too@h.example:../a/b#main:sub", "u@127.0.0.1:/x"] {
            let read = Contexts::read(scp, None).unwrap();
            assert_eq!((read.attrs["context"].as_str(), read.dirs.len()), (scp, 0));
        }
        for path in ["a@b", "a@b:", "@b:c", "a@b/c:d", "./a@b:c"] {
            assert!(Contexts::read(path, None).is_err(), "{path}");
        }
    }

    #[test]
    fn named_contexts() {
        let mut contexts = Contexts::default();
        contexts.named("base=docker-image://alpine").unwrap();
        contexts.named("here=/").unwrap();
        assert_eq!(contexts.attrs["context:base"], "docker-image://alpine");
        assert_eq!(
            (contexts.attrs["context:here"].as_str(), contexts.dirs["here"].as_path()),
            ("local:here", Path::new("/"))
        );
        let layout = tempfile::tempdir().unwrap();
        let path = layout.path().to_str().unwrap();
        let digest = Digest::sha256(b"x");
        assert!(contexts.named(&format!("i=oci-layout://{path}")).is_err());
        contexts.named(&format!("i=oci-layout://{path}:1@{digest}")).unwrap();
        let image = contexts.attrs["context:i"].strip_prefix("oci-layout://").unwrap().to_owned();
        let (store, rest) = image.split_once(':').unwrap();
        assert_eq!(rest, format!("1@{digest}"));
        assert!(contexts.layouts.contains_key(&format!("oci:{store}")));
        let known = oci::Descriptor::new(oci::media_type::OCI_MANIFEST, digest, 1);
        Layout::new(path, true).note("tag", &known).unwrap();
        contexts.named(&format!("j=oci-layout://{path}:tag")).unwrap();
        assert!(contexts.named(&format!("j=oci-layout://{path}:other")).is_err());
        assert!(contexts.named("x").is_err() && contexts.named("x=/nonexistent").is_err());
    }
}
