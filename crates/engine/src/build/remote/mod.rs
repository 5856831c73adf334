//! Builds of clients that speak BuildKit's protocol: what is to be done comes as a definition or as the name of a
//! Dockerfile, and everything else is asked of the client when it is needed.

mod definition;
mod failure;
mod result;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ::build::graph::{Graph, ImageSource, Op, Output, Source};
use ::build::lower::{self, Flavor, Images as _, Lowered};
use ::build::progress::{Event, Listener, Warning};
use ::build::solve::{self, Solved, Tree};
use ::build::{Cancel, Error as BuildError};
use jiff::Timestamp;
use oci::{Descriptor, Digest, Image, ImageConfig, Platform, Reference};

use super::classic::images::BaseImages;
use super::failed;
use super::lent::Lent;
use super::settings::Settings;
use super::travel::{self, CacheExport, CacheImport, CacheTarget, Elsewhere, Imported};
use super::trees::Trees;
use super::worker::{BuildWorker, ImageKey};
use crate::Engine;
use crate::error::{Error, Result};
use crate::registry::Credentials;

pub use failure::{Place, RemoteFailure};
use failure::{Placed, Source as SourceFile};
pub use result::RemoteBuilt;

/// What is to be built, and how.
#[derive(Clone, Debug, Default)]
pub struct RemoteBuild {
    /// The work.
    pub work: Work,
    /// Names for the image.
    pub names: Vec<String>,
    /// An image is wanted.
    pub image: bool,
    /// The files are wanted.
    pub files: bool,
    /// Run everything, whatever the cache knows.
    pub no_cache: bool,
    /// Ask registries for images that are here.
    pub pull: bool,
    /// The network of steps; empty = the default.
    pub network: String,
    /// Steps may have the host's network.
    pub allow_host_network: bool,
    /// Steps may have all rights.
    pub allow_insecure: bool,
    /// Where results of other builds may be found.
    pub cache_from: Vec<CacheImport>,
    /// Where the results go for other builds.
    pub cache_to: Vec<CacheExport>,
    /// Giving it up.
    pub cancel: Cancel,
}

/// The work of a build.
#[derive(Clone, Debug)]
pub enum Work {
    /// A Dockerfile of the client's.
    Dockerfile(Box<DockerfileBuild>),
    /// A graph.
    Graph {
        /// The graph.
        graph: Graph,
        /// What of it is the result; `None` for an empty tree.
        output: Option<Output>,
    },
}

impl Default for Work {
    fn default() -> Self {
        Self::Graph { graph: Graph::new(), output: None }
    }
}

/// A Dockerfile of the client's.
#[derive(Clone, Debug, Default)]
pub struct DockerfileBuild {
    /// How it is read; the context is filled in here.
    pub options: lower::Options,
    /// Its path; empty for `Dockerfile`.
    pub filename: String,
    /// The context's URL; empty for a directory of the client's.
    pub context: String,
    /// The name of the context among the client's directories.
    pub context_key: String,
    /// The name of the directory that the Dockerfile is in.
    pub dockerfile_key: String,
    /// It is in the client's directory, even if the context is elsewhere.
    pub own_dockerfile: bool,
}

impl Engine {
    /// Builds. Ends when it is cancelled.
    ///
    /// # Errors
    /// What went wrong; of a step, which.
    pub async fn build_remote(
        &self,
        request: RemoteBuild,
        lent: Arc<dyn Lent>,
        listener: Arc<dyn Listener>,
    ) -> Result<RemoteBuilt, RemoteFailure> {
        let mut names = Vec::new();
        for name in &request.names {
            let name = Reference::parse(name).map_err(|error| Error::bad_parameter(error.to_string()))?;
            if name.digest().is_some() {
                return Err(Error::bad_parameter("build tag cannot contain a digest").into());
            }
            names.push(name.with_default_tag());
        }
        crate::container::mode::NetworkMode::parse(&request.network)?;
        self.0.swept().await;
        let cancel = CancelOnDrop(request.cancel.clone());
        let (engine, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let built = tokio::task::spawn_blocking(move || {
            let remote = Remote { engine, request, names, lent, listener, runtime };
            remote.run()
        });
        let built = built.await.map_err(|error| Error::because("build", error))?;
        drop(cancel);
        built.map_err(RemoteFailure::from)
    }
}

/// A build that nobody waits for is not wanted.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One build.
struct Remote {
    engine: Engine,
    request: RemoteBuild,
    names: Vec<Reference>,
    lent: Arc<dyn Lent>,
    listener: Arc<dyn Listener>,
    runtime: tokio::runtime::Handle,
}

/// A graph, and what makes an image of its result.
struct Prepared {
    graph: Graph,
    output: Option<Output>,
    lowered: Option<Lowered>,
    /// The Dockerfile that it was made of.
    source: Option<SourceFile>,
    layers: HashMap<ImageKey, Vec<Digest>>,
}

impl Remote {
    fn run(self) -> Result<RemoteBuilt, Placed> {
        let trees = Arc::new(Trees::new(&self.engine.0));
        let mut locals = HashMap::new();
        let prepared = self.prepare(&trees, &mut locals)?;
        let worker = BuildWorker {
            engine: Arc::clone(&self.engine.0),
            runtime: self.runtime.clone(),
            settings: self.settings(),
            trees: Arc::clone(&trees),
            cancel: self.request.cancel.clone(),
            locals,
            images: Mutex::new(prepared.layers.clone()),
            digests: Mutex::default(),
            lent: Some(Arc::clone(&self.lent)),
            elsewhere: Elsewhere { imports: self.imports()?, images: None },
        };
        let solved = self.solve(&prepared, &worker)?;
        let tree = match prepared.output {
            Some(output) => solved.tree(output).cloned(),
            None => None,
        };
        self.request.cancel.check()?;
        let tree = tree.unwrap_or(Tree::Layers(Vec::new()));
        let image = if self.request.image { Some(self.image(&prepared, &solved, &tree)?) } else { None };
        let cache = self.send_cache(&solved, &tree)?;
        Ok(RemoteBuilt::new(image, tree, trees, cache))
    }

    fn credentials(&self, reference: &Reference) -> Result<Credentials, BuildError> {
        self.lent.credentials(reference.domain()).map_err(BuildError::Invalid)
    }

    /// Caches that the client names; one that can't be read is told, and does without.
    fn imports(&self) -> Result<Vec<Imported>, BuildError> {
        let mut imports = Vec::new();
        for import in &self.request.cache_from {
            self.request.cancel.check()?;
            let credentials = |reference: &Reference| self.credentials(reference);
            match travel::open(&self.engine.0, &self.runtime, import, &credentials) {
                Ok(imported) => imports.push(imported),
                Err(BuildError::Cancelled) => return Err(BuildError::Cancelled),
                Err(error) => self.warn(&error),
            }
        }
        Ok(imports)
    }

    /// Sends the cache where the client wants it; gives its manifest in the last place.
    fn send_cache(&self, solved: &Solved, tree: &Tree) -> Result<Option<Descriptor>, BuildError> {
        let result = match tree {
            Tree::Layers(layers) => layers.as_slice(),
            Tree::Files(_) => &[],
        };
        let mut last = None;
        for export in &self.request.cache_to {
            self.request.cancel.check()?;
            let credentials = |reference: &Reference| self.credentials(reference);
            match travel::send(&self.engine.0, &self.runtime, export, &credentials, (solved, result)) {
                Ok(manifest) => last = manifest.or(last),
                Err(error) if export.ignore_error => self.warn(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    fn warn(&self, error: &BuildError) {
        self.listener.event(Event::Warning(Warning {
            vertex: None,
            short: error.to_string(),
            detail: Vec::new(),
            url: String::new(),
            filename: String::new(),
            source: Vec::new(),
            lines: Vec::new(),
        }));
    }

    fn settings(&self) -> Settings {
        Settings {
            network: self.request.network.clone(),
            allow_host_network: self.request.allow_host_network,
            allow_insecure: self.request.allow_insecure,
            ..Settings::default()
        }
    }

    fn prepare(&self, trees: &Trees, locals: &mut HashMap<String, Tree>) -> Result<Prepared, Placed> {
        let credentials = |reference: &Reference| self.credentials(reference);
        let tell = |_| self.request.cancel.check();
        let images = BaseImages::new(&self.engine, self.request.pull, &self.runtime, &credentials, &tell);
        match &self.request.work {
            Work::Dockerfile(dockerfile) => {
                let (text, options) = self.definition(dockerfile, trees, locals)?;
                let file = dockerfile::Dockerfile::parse(&text)
                    .map_err(|error| BuildError::Invalid(error.report()))?;
                let name = if dockerfile.filename.is_empty() { "Dockerfile" } else { &dockerfile.filename };
                let source = SourceFile { file: name.to_owned(), text };
                let lowered = lower::lower(&file, &options, &images);
                let lowered = lowered.map_err(|error| source.placed(error, None))?;
                let (graph, output) = (lowered.graph.clone(), lowered.output);
                Ok(Prepared {
                    graph,
                    output,
                    lowered: Some(lowered),
                    source: Some(source),
                    layers: images.into_layers(),
                })
            }
            Work::Graph { graph, output } => {
                for (_, vertex) in graph.vertices() {
                    if let Op::Source(Source::Image(ImageSource { reference, .. })) = &vertex.op {
                        images.config(reference, vertex.platform.as_ref())?;
                    }
                }
                let layers = images.into_layers();
                Ok(Prepared { graph: graph.clone(), output: *output, lowered: None, source: None, layers })
            }
        }
    }

    fn solve(&self, prepared: &Prepared, worker: &BuildWorker) -> Result<Solved, Placed> {
        let Some(output) = prepared.output else { return Ok(Solved::default()) };
        let options = solve::Options { no_cache: self.request.no_cache, cancel: self.request.cancel.clone() };
        let solver = &self.engine.0.builder.solver;
        let solved = solver.solve(&prepared.graph, &[output], worker, &*self.listener, &options);
        solved.map_err(|failure| {
            let name =
                failure.vertex.and_then(|vertex| prepared.graph.get(vertex)).map(|vertex| &vertex.name);
            let lines = failure.vertex.zip(prepared.lowered.as_ref());
            let lines = lines.and_then(|(vertex, lowered)| lowered.lines_of(vertex));
            let error = match (name, failure.error) {
                (_, BuildError::Cancelled) => BuildError::Cancelled,
                (Some(name), error) => BuildError::Invalid(format!("failed to solve: {name}: {error}")),
                (None, error) => error,
            };
            match &prepared.source {
                Some(source) if !matches!(error, BuildError::Cancelled) => source.placed(error, lines),
                _ => error.into(),
            }
        })
    }

    fn image(&self, prepared: &Prepared, solved: &Solved, tree: &Tree) -> Result<Digest, BuildError> {
        let Tree::Layers(layers) = tree else {
            return Err(BuildError::Invalid("a client's directory is no image".into()));
        };
        let config = match &prepared.lowered {
            Some(lowered) => lowered.image(solved, layers.clone(), Timestamp::now(), Flavor::Buildkit),
            None => bare(layers.clone()),
        };
        let mut config = config;
        if self.request.cache_to.iter().any(|export| export.to == CacheTarget::Inline) {
            let solver = &self.engine.0.builder.solver;
            config.build_cache = Some(travel::inline(solver, solved, &config.rootfs.diff_ids)?);
        }
        let failed = |what: &'static str| move |error: Error| BuildError::because(what, error);
        let config = super::image::settled(&self.engine.0, config, self.request.no_cache)
            .map_err(failed("make the image"))?;
        let image = Image::encode(&config).map_err(|error| BuildError::because("encode the image", error))?;
        let store = &self.engine.0.store;
        let id = store
            .create_image(image, self.names.clone(), &|_| ())
            .map_err(|error| BuildError::because("make the image", error))?;
        for name in &self.names {
            self.engine.image_event("tag", id.as_str(), &name.familiar());
        }
        Ok(id)
    }
}

/// The configuration of an image of which nothing is said.
fn bare(layers: Vec<Digest>) -> ImageConfig {
    let host = Platform::host();
    ImageConfig {
        architecture: host.architecture,
        os: host.os,
        variant: host.variant,
        rootfs: oci::image::RootFs { diff_ids: layers, ..oci::image::RootFs::default() },
        ..ImageConfig::default()
    }
}
