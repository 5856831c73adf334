//! The Dockerfile, and what of the context is left out.

use std::collections::HashMap;
use std::sync::Arc;

use ::build::Error as BuildError;
use ::build::graph::{GitSource, HttpSource, LocalSource, Source, redacted};
use ::build::lower::Options;
use ::build::solve::Tree;
use store::Scratch;
use sys::path::Root;

use super::super::context;
use super::super::source::Fetcher;
use super::super::trees::{Directory, Trees};
use super::{DockerfileBuild, Remote};

/// Longest file that says what is left out.
const MAX_IGNORE: usize = 1 << 20;
/// The host of the URLs that name a client's uploads.
const UPLOADS: &str = "http://buildkit-session/";

impl Remote {
    /// The Dockerfile's bytes, and how it is to be read.
    pub(super) fn definition(
        &self,
        dockerfile: &DockerfileBuild,
        trees: &Trees,
        locals: &mut HashMap<String, Tree>,
    ) -> Result<(Vec<u8>, Options), BuildError> {
        let mut options = dockerfile.options.clone();
        if let Some(path) = dockerfile.context.strip_prefix(UPLOADS) {
            let archive =
                self.lent.upload("buildkit-session", &format!("/{path}")).map_err(BuildError::Invalid)?;
            let place = context::unpack(&self.engine.0.store, archive)?;
            let text = context::dockerfile(place.path(), &dockerfile.filename)?;
            let name = dockerfile.context_key.clone();
            options.context =
                Some(Source::Local(LocalSource { name: name.clone(), ..LocalSource::default() }));
            locals.insert(name, trees.add(Arc::new(place)));
            return Ok((text, options));
        }
        if !dockerfile.context.is_empty() {
            let (directory, alone) = self.elsewhere(&dockerfile.context, &options)?;
            let name = dockerfile.context_key.clone();
            let text = if dockerfile.own_dockerfile {
                self.files(dockerfile)?.0
            } else {
                let filename = if alone { "" } else { dockerfile.filename.as_str() };
                context::dockerfile(directory.path(), filename)?
            };
            options.context =
                Some(Source::Local(LocalSource { name: name.clone(), ..LocalSource::default() }));
            locals.insert(name, trees.put(directory));
            return Ok((text, options));
        }
        let (text, ignore) = self.files(dockerfile)?;
        options.context = Some(Source::Local(LocalSource {
            name: dockerfile.context_key.clone(),
            exclude: ignore.as_deref().map(dockerfile::ignore::lines).unwrap_or_default(),
            ..LocalSource::default()
        }));
        Ok((text, options))
    }

    /// A context that is no directory of the client's; whether it is a Dockerfile and nothing else.
    fn elsewhere(&self, context: &str, options: &Options) -> Result<(Directory, bool), BuildError> {
        let source = Source::remote(context).map_err(BuildError::Invalid)?;
        let keep = options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(|keep| is_true(keep));
        let source = match source {
            Some(Source::Git(git)) => {
                Source::Git(GitSource { keep_git_dir: keep || git.keep_git_dir, ..git })
            }
            Some(Source::Http(http)) => {
                Source::Http(HttpSource { filename: context::NAMES[0].to_owned(), ..http })
            }
            _ => {
                let context = redacted(context);
                return Err(BuildError::Invalid(format!("{context:?} is no context of a build")));
            }
        };
        let fetcher = Fetcher {
            engine: Arc::clone(&self.engine.0),
            runtime: self.runtime.clone(),
            cancel: self.request.cancel.clone(),
            lent: Some(Arc::clone(&self.lent)),
        };
        context::fetched(&fetcher, &source)
    }

    /// The Dockerfile and its own `.dockerignore`, or the context's.
    fn files(&self, dockerfile: &DockerfileBuild) -> Result<(Vec<u8>, Option<Vec<u8>>), BuildError> {
        let name = if dockerfile.filename.is_empty() { "Dockerfile" } else { &dockerfile.filename };
        let own = dockerfile::ignore::own_file(name);
        let mut wanted = vec![name.to_owned(), own.clone()];
        if dockerfile.filename.is_empty() {
            wanted.push("dockerfile".to_owned());
        }
        let place = self.some(&dockerfile.dockerfile_key, wanted)?;
        let text = context::dockerfile(place.path(), &dockerfile.filename)?;
        if let Some(own) = read(&place, &own)? {
            return Ok((text, Some(own)));
        }
        let place = self.some(&dockerfile.context_key, vec![".dockerignore".to_owned()])?;
        Ok((text, read(&place, ".dockerignore")?))
    }

    /// Some files of a directory of the client's.
    fn some(&self, name: &str, files: Vec<String>) -> Result<Scratch, BuildError> {
        let place = self
            .engine
            .0
            .store
            .scratch()
            .map_err(|error| BuildError::because("make room for the Dockerfile", error))?;
        let into = sys::file::open_directory(place.path())
            .map_err(|error| BuildError::because("make room for the Dockerfile", error))?;
        let wanted = LocalSource { name: name.to_owned(), follow: files, ..LocalSource::default() };
        let done = self.lent.directory(&wanted, into);
        done.map_err(|error| BuildError::Invalid(format!("failed to read {name}: {error}")))?;
        Ok(place)
    }
}

/// As Go's `strconv.ParseBool` reads it.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn read(place: &Scratch, name: &str) -> Result<Option<Vec<u8>>, BuildError> {
    let failed = |error| BuildError::because(format!("read {name}"), error);
    let root = Root::open_in_root(place.path()).map_err(failed)?;
    match root.read_bounded(name, MAX_IGNORE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
