//! Builds of clients that speak BuildKit's protocol: what is to be done comes as a definition or as the name of a
//! Dockerfile, and everything else is asked of the client when it is needed.

mod definition;
mod failure;
mod result;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ::build::attest::{self, Predicate};
use ::build::graph::{Graph, ImageSource, Op, Output, Source};
use ::build::lower::{self, Flavor, Images as _, Lowered};
use ::build::progress::{Event, Listener, Warning};
use ::build::solve::{self, Solved, Tree};
use ::build::{Cancel, CancelOnDrop, Error as BuildError};
use jiff::Timestamp;
use oci::{Descriptor, Digest, ImageConfig, Platform, Reference};

use super::classic::images::{BaseImages, Known};
use super::failed;
use super::lent::Lent;
use super::settings::Settings;
use super::travel::{self, CacheExport, CacheImport, CacheTarget, Elsewhere, Imported};
use super::trees::Trees;
use super::worker::BuildWorker;
use crate::Engine;
use crate::container::Resources;
use crate::error::{Error, Result};
use crate::registry::Credentials;

pub use failure::{Place, RemoteFailure};
use failure::{Placed, Source as SourceFile};
pub use result::{Built, RemoteBuilt};

/// What is to be built, and how.
#[derive(Clone, Debug, Default)]
pub struct RemoteBuild {
    /// The work.
    pub work: Work,
    /// An image is wanted.
    pub image: bool,
    /// The files are wanted.
    pub files: bool,
    /// Run everything, whatever the cache knows.
    pub no_cache: bool,
    /// One layer instead of those that a Dockerfile's target has made.
    pub squash: bool,
    /// Ask registries for images that are here.
    pub pull: bool,
    /// For which platforms; none for the daemon's.
    pub platforms: Vec<Platform>,
    /// What is to be said of the result.
    pub attest: Attest,
    /// The network of steps; empty = the default.
    pub network: String,
    /// Limits of steps.
    pub resources: Resources,
    /// Security options of steps.
    pub security_opt: Vec<String>,
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

/// What is to be said of a result.
#[derive(Clone, Debug, Default)]
pub struct Attest {
    /// How it came to be.
    pub provenance: Option<attest::Wanted>,
    /// What packages it holds.
    pub sbom: bool,
    /// When the list of packages says that it was made, in seconds since 1970; `None` for now.
    pub epoch: Option<i64>,
    /// What the client has told of the build, for the provenance.
    pub told: attest::Facts,
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
        crate::container::mode::NetworkMode::parse(&request.network)?;
        self.0.swept().await;
        let cancel = CancelOnDrop(request.cancel.clone());
        let (engine, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let built = tokio::task::spawn_blocking(move || {
            let remote = Remote { engine, request, lent, listener, runtime };
            remote.run()
        });
        let built = built.await.map_err(|error| Error::because("build", error))?;
        drop(cancel);
        built.map_err(RemoteFailure::from)
    }
}

/// One build.
struct Remote {
    engine: Engine,
    request: RemoteBuild,
    lent: Arc<dyn Lent>,
    listener: Arc<dyn Listener>,
    runtime: tokio::runtime::Handle,
}

/// A graph, and what makes images of its results.
struct Prepared {
    graph: Graph,
    targets: Vec<Target>,
    /// The Dockerfile that it was made of.
    source: Option<SourceFile>,
    images: Known,
}

/// One platform's result.
struct Target {
    platform: Platform,
    output: Option<Output>,
    lowered: Option<Lowered>,
}

impl Remote {
    fn run(self) -> Result<RemoteBuilt, Placed> {
        let started = Timestamp::now();
        let trees = Arc::new(Trees::new(&self.engine.0));
        let mut locals = HashMap::new();
        let mut prepared = self.prepare(&trees, &mut locals)?;
        let worker = BuildWorker {
            engine: Arc::clone(&self.engine.0),
            runtime: self.runtime.clone(),
            settings: self.settings()?,
            trees: Arc::clone(&trees),
            cancel: self.request.cancel.clone(),
            locals,
            images: Mutex::new(std::mem::take(&mut prepared.images.layers)),
            lent_images: std::mem::take(&mut prepared.images.lent),
            digests: Mutex::default(),
            lent: Some(Arc::clone(&self.lent)),
            elsewhere: Elsewhere { imports: self.imports()?, images: None },
            foreign: super::foreign::vertices(&prepared.graph),
        };
        let solved = self.solve(&prepared, &worker)?;
        self.request.cancel.check()?;
        let mut results = Vec::with_capacity(prepared.targets.len());
        for target in &prepared.targets {
            let tree = target.output.and_then(|output| solved.tree(output).cloned());
            let tree = tree.unwrap_or(Tree::Layers(Vec::new()));
            let config = match self.request.image {
                true => Some(self.image(&prepared.graph, target, &solved, &tree, &trees)?),
                false => None,
            };
            let predicates = self.predicates(&prepared.graph, target, &tree, &trees, started)?;
            let base_layers = target.lowered.as_ref().map_or(0, Lowered::base_layers);
            let platform = target.platform.clone();
            results.push(Built { platform, config, base_layers, predicates, tree });
        }
        let cache = self.send_cache(&solved, &results)?;
        Ok(RemoteBuilt { results, cache, trees })
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
            match travel::open(&self.engine.0, &self.runtime, import, &self.lent, &credentials) {
                Ok(imported) => imports.push(imported),
                Err(BuildError::Cancelled) => return Err(BuildError::Cancelled),
                Err(error) => self.warn(&error),
            }
        }
        Ok(imports)
    }

    /// Sends the cache where the client wants it; gives its manifest in the last place.
    fn send_cache(&self, solved: &Solved, built: &[Built]) -> Result<Option<Descriptor>, BuildError> {
        let layers = |one: &Built| match &one.tree {
            Tree::Layers(layers) => layers.clone(),
            Tree::Files(_) => Vec::new(),
        };
        let results: Vec<Vec<Digest>> = built.iter().map(layers).collect();
        let (mut last, mut local) = (None, None);
        for export in &self.request.cache_to {
            self.request.cancel.check()?;
            match travel::send(&self.engine.0, &self.runtime, export, &*self.lent, (solved, &results)) {
                // the client notes the manifest in its directories, where one that lies in a registry would be missing
                Ok(manifest) if matches!(export.to, CacheTarget::Client { .. }) => local = manifest,
                Ok(manifest) => last = manifest.or(last),
                Err(error) if export.ignore_error => self.warn(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(local.or(last))
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

    fn settings(&self) -> Result<Settings, BuildError> {
        let (ulimits, shm_size) = match &self.request.work {
            Work::Dockerfile(dockerfile) => (dockerfile.options.ulimits.clone(), dockerfile.options.shm_size),
            Work::Graph { .. } => (Vec::new(), None),
        };
        let settings = Settings {
            network: self.request.network.clone(),
            resources: self.request.resources.clone(),
            security_opt: self.request.security_opt.clone(),
            allow_host_network: self.request.allow_host_network,
            allow_insecure: self.request.allow_insecure,
        };
        let checked = settings.checked(&self.engine.0, &ulimits, shm_size);
        checked.map_err(|error| BuildError::Invalid(error.to_string()))
    }

    fn prepare(&self, trees: &Trees, locals: &mut HashMap<String, Tree>) -> Result<Prepared, Placed> {
        let credentials = |reference: &Reference| self.credentials(reference);
        let tell = |_| self.request.cancel.check();
        let images = BaseImages::new(&self.engine, self.request.pull, &self.runtime, &credentials, &tell);
        let images = images.with(&self.lent);
        match &self.request.work {
            Work::Dockerfile(dockerfile) => {
                let (text, options) = self.definition(dockerfile, trees, locals)?;
                let file = dockerfile::Dockerfile::parse(&text)
                    .map_err(|error| BuildError::Invalid(error.report()))?;
                let name = if dockerfile.filename.is_empty() { "Dockerfile" } else { &dockerfile.filename };
                let source = SourceFile { file: name.to_owned(), text };
                let mut graph = Graph::new();
                let mut targets = Vec::new();
                for options in self.platforms(options) {
                    let lowered = lower::lower(&file, &options, &images);
                    let mut lowered = lowered.map_err(|error| source.placed(error, None))?;
                    lowered.join(&mut graph)?;
                    let platform = options.platform.clone().unwrap_or_else(|| lowered.platform());
                    targets.push(Target { platform, output: lowered.output, lowered: Some(lowered) });
                }
                Ok(Prepared { graph, targets, source: Some(source), images: images.known() })
            }
            Work::Graph { graph, output } => {
                for (_, vertex) in graph.vertices() {
                    if let Op::Source(source) = &vertex.op {
                        images.of(source, vertex.platform.as_ref())?;
                    }
                }
                let images = images.known();
                let target = Target { platform: Platform::host(), output: *output, lowered: None };
                Ok(Prepared { graph: graph.clone(), targets: vec![target], source: None, images })
            }
        }
    }

    /// The options for each platform.
    fn platforms(&self, options: lower::Options) -> Vec<lower::Options> {
        let several_platforms = self.request.platforms.len() > 1;
        match self.request.platforms.as_slice() {
            [] => vec![options],
            all => {
                let one = |platform: &Platform| {
                    let platform = Some(platform.clone());
                    lower::Options { platform, several_platforms, ..options.clone() }
                };
                all.iter().map(one).collect()
            }
        }
    }

    fn solve(&self, prepared: &Prepared, worker: &BuildWorker) -> Result<Solved, Placed> {
        let targets: Vec<Output> = prepared.targets.iter().filter_map(|target| target.output).collect();
        if targets.is_empty() {
            return Ok(Solved::default());
        }
        let options = solve::Options { no_cache: self.request.no_cache, cancel: self.request.cancel.clone() };
        let solver = &self.engine.0.builder.solver;
        let solved = solver.solve(&prepared.graph, &targets, worker, &*self.listener, &options);
        self.engine.0.counters.built(&solved);
        solved.map_err(|failure| {
            let name =
                failure.vertex.and_then(|vertex| prepared.graph.get(vertex)).map(|vertex| &vertex.name);
            let lowered = || prepared.targets.iter().filter_map(|target| target.lowered.as_ref());
            let lines =
                failure.vertex.and_then(|vertex| lowered().find_map(|lowered| lowered.lines_of(vertex)));
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

    fn image(
        &self,
        graph: &Graph,
        target: &Target,
        solved: &Solved,
        tree: &Tree,
        trees: &Trees,
    ) -> Result<ImageConfig, BuildError> {
        let Tree::Layers(layers) = tree else {
            return Err(BuildError::Invalid("a client's directory is no image".into()));
        };
        let mut config = match &target.lowered {
            Some(lowered) => lowered.image(solved, layers.clone(), Timestamp::now(), Flavor::Buildkit),
            None => bare(layers.clone()),
        };
        if self.request.cache_to.iter().any(|export| export.to == CacheTarget::Inline) {
            let solver = &self.engine.0.builder.solver;
            config.build_cache = Some(travel::inline(solver, solved, &config.rootfs.diff_ids)?);
        }
        let engine = &self.engine.0;
        let failed = |error| BuildError::because("make the image", error);
        let config = super::image::settled(engine, config, self.request.no_cache).map_err(failed)?;
        let Some(lowered) = target.lowered.as_ref().filter(|_| self.request.squash) else {
            return Ok(config);
        };
        let squashed = super::squash::squash(engine, (graph, lowered), solved, Flavor::Buildkit, config);
        let (config, hold) = squashed.map_err(failed)?;
        hold.map(|hold| trees.take(hold));
        super::image::settled(engine, config, self.request.no_cache).map_err(failed)
    }

    /// What is to be said of a result.
    fn predicates(
        &self,
        graph: &Graph,
        target: &Target,
        tree: &Tree,
        trees: &Trees,
        started: Timestamp,
    ) -> Result<Vec<Predicate>, BuildError> {
        let wanted = &self.request.attest;
        let mut all = Vec::new();
        if wanted.sbom {
            let root = trees.open(tree)?;
            let packages = sbom::scan(&root, &|| self.request.cancel.check().is_err())
                .map_err(|error| BuildError::because("look for packages", error))?;
            self.request.cancel.check()?;
            let created = wanted.epoch.and_then(|epoch| Timestamp::from_second(epoch).ok());
            let created = created.unwrap_or_else(Timestamp::now);
            let value = sbom::spdx(&packages, &target.platform.to_string(), created);
            all.push(Predicate { kind: attest::SPDX.to_owned(), value });
        }
        if let Some(provenance) = &wanted.provenance {
            let mut facts = wanted.told.clone();
            facts.images = self.base_images(graph, target);
            (facts.started, facts.finished) = (started, Timestamp::now());
            all.push(attest::provenance(provenance, &facts, graph, target.output));
        }
        Ok(all)
    }

    /// The images that a result is made of, by the digests that registries know them by.
    fn base_images(&self, graph: &Graph, target: &Target) -> Vec<(Reference, Platform, Digest)> {
        let store = &self.engine.0.store;
        let needed = graph.needed(&target.output.into_iter().collect::<Vec<_>>());
        let mut all = Vec::new();
        for (_, vertex) in graph.vertices().filter(|(id, _)| needed[id.index()]) {
            let Op::Source(Source::Image(ImageSource { reference, .. })) = &vertex.op else { continue };
            // one that was removed meanwhile has no digest any more
            let Ok(id) = store.resolve(&reference.to_string()) else { continue };
            let manifests = store.manifests(&id).unwrap_or_default();
            let digest = manifests.first().map_or(id, |kept| kept.top().digest.clone());
            let platform = vertex.platform.clone().unwrap_or_else(|| target.platform.clone());
            all.push((reference.clone(), platform, digest));
        }
        all
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
