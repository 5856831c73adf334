//! `POST /build`: the classic builder's words over the one solver.

pub(super) mod images;
mod lines;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ::build::graph::{ExtraHost, GitSource, HttpSource, LocalSource, Source, redacted};
use ::build::lower::{self, Flavor, Lowered};
use ::build::solve::{self, Failure, Solved, Tree};
use ::build::{Cancel, Error as BuildError};
use dockerfile::Dockerfile;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use oci::{Digest, Image, ImageConfig, Platform, Reference};
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::SyncIoBridge;

use super::settings::Settings;
use super::source::Fetcher;
use super::travel::Elsewhere;
use super::trees::{Directory, Trees};
use super::worker::BuildWorker;
use super::{BuildNews, BuildRequest, context, failed};
use crate::error::{Error, Result};
use crate::image::Progress;
use crate::registry::Credentials;
use crate::{Engine, Reader, Stream};
use images::BaseImages;
use lines::Lines;

/// News that may wait for a slow client.
const BACKLOG: usize = 256;

/// Sends news; nobody listening is the end of the build.
#[derive(Clone)]
pub(super) struct News(mpsc::Sender<BuildNews>);

impl News {
    /// Waits while the client is slow. Nobody listens any more when it fails, and then the build is cancelled anyway.
    fn send(&self, news: BuildNews) {
        let send = || drop(self.0.blocking_send(news));
        // a step's output is told from within the runtime
        match tokio::runtime::Handle::try_current() {
            Ok(_) => tokio::task::block_in_place(send),
            Err(_) => send(),
        }
    }
}

impl Engine {
    /// Builds an image of a context that is a tar, compressed or not. It ends when nobody listens any more.
    ///
    /// # Errors
    /// A setting is wrong, or the context or the Dockerfile can't be read. In the stream: whatever else.
    pub async fn build(&self, request: BuildRequest, archive: Reader) -> Result<Stream<BuildNews>> {
        let plan = Plan::of(request)?;
        let settings = plan.settings().checked(&self.0, &[], u64::try_from(plan.request.shm_size).ok())?;
        self.0.swept().await;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let (engine, cancel, runtime) = (self.clone(), Cancel::new(), tokio::runtime::Handle::current());
        let watched = (sender.clone(), cancel.clone());
        let watch = Watch(tokio::spawn(async move {
            watched.0.closed().await;
            watched.1.cancel();
        }));
        let news = News(sender);
        let archive = SyncIoBridge::new(archive);
        let (begin, begun) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let build = Build { engine, plan, settings, cancel, runtime, news: news.clone() };
            let read = build.read(archive);
            let (answer, read) = match read {
                Ok(read) => (Ok(()), Some(read)),
                Err(error) => (Err(error), None),
            };
            // whoever does not wait for the beginning does not listen either
            if begin.send(answer).is_ok()
                && let Some((directory, file)) = read
                && let Err(failure) = build.run(directory, &file)
            {
                news.send(failure);
            }
            drop(watch);
        });
        begun.await.unwrap_or_else(|_| Err(Error::system("the build has ended before it began")))?;
        let next = |mut receiver: mpsc::Receiver<BuildNews>| async move {
            receiver.recv().await.map(|news| (Ok(news), receiver))
        };
        Ok(futures_util::stream::unfold(receiver, next).boxed())
    }
}

/// Looks whether somebody listens; it holds a sender itself, and so must end with the build whatever becomes of that.
struct Watch(tokio::task::JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request whose settings were checked.
struct Plan {
    request: BuildRequest,
    remote: Option<Source>,
    tags: Vec<Reference>,
    platform: Option<Platform>,
    extra_hosts: Vec<ExtraHost>,
}

impl Plan {
    fn of(request: BuildRequest) -> Result<Self> {
        let wrong = |error: oci::ReferenceError| Error::bad_parameter(error.to_string());
        let mut tags: Vec<Reference> = Vec::new();
        for tag in request.tags.iter().filter(|tag| !tag.is_empty()) {
            let tag = Reference::parse(tag).map_err(wrong)?;
            if tag.digest().is_some() {
                return Err(Error::bad_parameter("build tag cannot contain a digest"));
            }
            let tag = tag.with_default_tag();
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let platform = match request.platform.as_str() {
            "" => None,
            text => Some(Platform::parse(text).map_err(Error::bad_parameter)?),
        };
        let host = |line: &String| {
            let (host, ip) = line
                .split_once(['=', ':'])
                .ok_or_else(|| Error::bad_parameter(format!("bad format for add-host: \"{line}\"")))?;
            Ok(ExtraHost { host: host.to_owned(), ip: ip.to_owned() })
        };
        let extra_hosts = request.extra_hosts.iter().map(host).collect::<Result<_>>()?;
        crate::container::mode::NetworkMode::parse(&request.network)?;
        let remote = remote(&request.remote)?;
        Ok(Self { request, remote, tags, platform, extra_hosts })
    }

    fn lowering(&self) -> lower::Options {
        let request = &self.request;
        let local = LocalSource { name: "context".into(), ..LocalSource::default() };
        lower::Options {
            build_args: request.build_args.clone(),
            target: request.target.clone(),
            labels: request.labels.clone(),
            platform: self.platform.clone(),
            extra_hosts: self.extra_hosts.clone(),
            shm_size: u64::try_from(request.shm_size).ok().filter(|size| *size > 0),
            flavor: Flavor::Classic,
            context: Some(Source::Local(local)),
            ..lower::Options::default()
        }
    }

    fn settings(&self) -> Settings {
        let request = &self.request;
        let network = match request.network.as_str() {
            "default" => String::new(),
            other => other.to_owned(),
        };
        Settings {
            network,
            resources: request.resources.clone(),
            security_opt: request.security_opt.clone(),
            // the classic builder gives whoever asks the host's network
            allow_host_network: true,
            allow_insecure: false,
        }
    }
}

/// A context that is not the request's body. As in Docker, a repository's `.git` is a part of it.
fn remote(text: &str) -> Result<Option<Source>> {
    if text.is_empty() {
        return Ok(None);
    }
    match Source::remote(text).map_err(Error::bad_parameter)? {
        Some(Source::Git(git)) => Ok(Some(Source::Git(GitSource { keep_git_dir: true, ..git }))),
        Some(Source::Http(http)) => {
            Ok(Some(Source::Http(HttpSource { filename: context::NAMES[0].to_owned(), ..http })))
        }
        _ => Err(Error::bad_parameter(format!("{:?} is no context of a build", redacted(text)))),
    }
}

/// One build.
struct Build {
    engine: Engine,
    plan: Plan,
    settings: Settings,
    cancel: Cancel,
    runtime: tokio::runtime::Handle,
    news: News,
}

/// How the classic builder says that a copy finds nothing.
fn absent(path: &str, instruction: &str) -> String {
    if dockerfile::glob::has_wildcard(path) {
        return "no source files were specified".to_owned();
    }
    let absent = format!("stat {}: file does not exist", path.trim_start_matches('/'));
    match instruction.split_whitespace().any(|word| word.starts_with("--from=")) {
        true => absent,
        false => format!("file not found in build context or excluded by .dockerignore: {absent}"),
    }
}

/// The classic builder does not say where an instruction stands.
fn message(error: &BuildError) -> BuildNews {
    let message = match error {
        BuildError::At { message, .. } => message.clone(),
        other => other.to_string(),
    };
    BuildNews::Failed { code: 0, message }
}

impl Build {
    fn read(&self, archive: SyncIoBridge<Reader>) -> Result<(Directory, Dockerfile)> {
        let (directory, alone) = match self.plan.remote.as_ref() {
            Some(remote) => {
                let fetcher = Fetcher {
                    engine: Arc::clone(&self.engine.0),
                    runtime: self.runtime.clone(),
                    cancel: self.cancel.clone(),
                    lent: None,
                };
                context::fetched(&fetcher, remote).map_err(failed)?
            }
            None => {
                let place = context::unpack(&self.engine.0.store, archive).map_err(failed)?;
                (Directory::Own(Arc::new(place)), false)
            }
        };
        let name = if alone { "" } else { self.plan.request.dockerfile.as_str() };
        let text = context::dockerfile(directory.path(), name).map_err(failed)?;
        let file = Dockerfile::parse(&text).map_err(|error| Error::bad_parameter(error.to_string()))?;
        lower::check_target(&file, &self.plan.lowering()).map_err(failed)?;
        Ok((directory, file))
    }

    fn run(&self, directory: Directory, file: &Dockerfile) -> Result<(), BuildNews> {
        let inner = &self.engine.0;
        let trees = Arc::new(Trees::new(inner));
        let locals = HashMap::from([("context".to_owned(), trees.put(directory))]);
        let mut worker = BuildWorker {
            engine: Arc::clone(inner),
            runtime: self.runtime.clone(),
            settings: self.settings.clone(),
            trees,
            cancel: self.cancel.clone(),
            locals,
            images: Mutex::default(),
            lent_images: HashMap::new(),
            digests: Mutex::default(),
            lent: None,
            elsewhere: Elsewhere::default(),
            foreign: HashMap::new(),
        };
        let credentials = |image: &Reference| Ok(self.credentials(image));
        let tell = |step| self.pulled(step);
        let images =
            BaseImages::new(&self.engine, self.plan.request.pull, &self.runtime, &credentials, &tell);
        let lowered = lower::lower(file, &self.plan.lowering(), &images).map_err(|error| message(&error))?;
        if lowered.output.is_none() && lowered.steps.last().is_some_and(|step| step.is_from) {
            let message = "No image was generated. Is your Dockerfile empty?".to_owned();
            return Err(BuildNews::Failed { code: 0, message });
        }
        worker.images = Mutex::new(images.known().layers);
        worker.elsewhere.images = Some((lowered.clone(), self.cache_from()));
        worker.foreign = super::foreign::vertices(&lowered.graph);
        let lines = Lines::new(&lowered, &self.news, self.plan.request.quiet);
        let solved = self.solve(&lowered, &worker, &lines)?;
        lines.rest(&solved);
        let id = self
            .image(&lowered, &solved)
            .map_err(|error| BuildNews::Failed { code: 0, message: error.to_string() })?;
        self.tell(&lowered, &lines, &id);
        Ok(())
    }

    /// The images that are here of those that the client names: what led to their layers need not be done again.
    fn cache_from(&self) -> Vec<ImageConfig> {
        let names = self.plan.request.cache_from.iter();
        names.filter_map(|name| Some(self.engine.0.find_image(name).ok()?.image.config().clone())).collect()
    }

    fn pulled(&self, step: Progress) -> Result<(), BuildError> {
        if self.plan.request.quiet {
            return Ok(());
        }
        self.news.0.blocking_send(BuildNews::Pull(step)).map_err(|_nobody_listens| BuildError::Cancelled)
    }

    /// Who the client is at an image's registry, of those that it has told of.
    fn credentials(&self, image: &Reference) -> Credentials {
        let domain = image.domain();
        let names: &[&str] = match domain {
            "docker.io" => &["https://index.docker.io/v1/", "docker.io", "index.docker.io"],
            domain => &[domain],
        };
        let known = |name: &&str| {
            let bare = |key: &str| {
                let key = key.trim_start_matches("https://").trim_start_matches("http://");
                key.split('/').next().unwrap_or(key).to_owned()
            };
            let mut all = self.plan.request.credentials.iter();
            all.find(|(key, _)| key.as_str() == *name || bare(key) == *name).map(|(_, who)| who.clone())
        };
        names.iter().find_map(known).unwrap_or_default()
    }

    fn solve(&self, lowered: &Lowered, worker: &BuildWorker, lines: &Lines<'_>) -> Result<Solved, BuildNews> {
        let Some(output) = lowered.output else { return Ok(Solved::default()) };
        let options = solve::Options { no_cache: self.plan.request.no_cache, cancel: self.cancel.clone() };
        let solver = &self.engine.0.builder.solver;
        // every step is told, also those whose files the target does not look at
        let targets: Vec<_> = lowered.steps.iter().filter_map(|step| step.output).chain([output]).collect();
        let solved = solver.solve(&lowered.graph, &targets, worker, lines, &options);
        self.engine.0.counters.built(&solved);
        solved.map_err(|failure| self.failure(lowered, failure))
    }

    /// In the classic builder's words.
    fn failure(&self, lowered: &Lowered, failure: Failure) -> BuildNews {
        let step =
            failure.vertex.and_then(|vertex| lowered.steps.iter().find(|step| step.vertex == Some(vertex)));
        let text = step.map(|step| step.text.as_str()).unwrap_or_default();
        let verb = text.split_whitespace().next().unwrap_or_default().to_uppercase();
        match failure.error {
            BuildError::Exit { args, code } => BuildNews::Failed {
                code,
                message: format!("The command '{}' returned a non-zero code: {code}", args.join(" ")),
            },
            BuildError::Missing { path } => {
                BuildNews::Failed { code: 0, message: format!("{verb} failed: {}", absent(&path, text)) }
            }
            error => message(&error),
        }
    }

    /// The image itself, durable and named.
    fn image(&self, lowered: &Lowered, solved: &Solved) -> Result<Digest> {
        self.cancel.check().map_err(failed)?;
        let inner = &self.engine.0;
        let layers = match lowered.output.and_then(|output| solved.tree(output)) {
            Some(Tree::Layers(layers)) => layers.clone(),
            Some(Tree::Files(_)) => return Err(Error::system("a client's directory is no image")),
            None => Vec::new(),
        };
        let config = lowered.image(solved, layers, Timestamp::now(), Flavor::Classic);
        let anew = self.plan.request.no_cache;
        let mut config = super::image::settled(inner, config, anew)?;
        let mut hold = None;
        if self.plan.request.squash {
            let parts = (&lowered.graph, lowered);
            (config, hold) = super::squash::squash(inner, parts, solved, Flavor::Classic, config)?;
            config = super::image::settled(inner, config, anew)?;
        }
        let image = Image::encode(&config).map_err(|error| Error::because("encode the image", error))?;
        let id = inner.store.create_image(image, self.plan.tags.clone(), None, &|_| ())?;
        drop(hold);
        for tag in &self.plan.tags {
            self.engine.image_event("tag", id.as_str(), &tag.familiar());
        }
        Ok(id)
    }

    fn tell(&self, lowered: &Lowered, lines: &Lines<'_>, id: &Digest) {
        if self.plan.request.quiet {
            self.news.send(BuildNews::Built(id.as_str().to_owned()));
            return self.news.send(BuildNews::Text(format!("{id}\n")));
        }
        if !lowered.unused_args.is_empty() {
            lines.text(format!(
                "[Warning] One or more build-args [{}] were not consumed\n",
                lowered.unused_args.join(" ")
            ));
        }
        self.news.send(BuildNews::Built(id.as_str().to_owned()));
        self.news.send(BuildNews::Text(format!("Successfully built {}\n", id.short())));
        for tag in &self.plan.tags {
            self.news.send(BuildNews::Text(format!("Successfully tagged {}\n", tag.familiar())));
        }
    }
}
