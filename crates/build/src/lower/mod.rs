//! A Dockerfile becomes a graph and the configuration of an image.
//!
//! Only the stages that the target needs are lowered. What a base image says is asked of [`Images`], when its stage is
//! begun. Instructions that change no file make no vertex; each is a [`Step`] all the same.

mod base;
mod config;
mod environment;
mod history;
mod run;
mod stage;
mod transfer;

use std::collections::BTreeMap;

use dockerfile::Dockerfile;
use jiff::Timestamp;
use oci::image::RunConfig;
use oci::{ImageConfig, Platform, Reference};

use crate::graph::{
    ExtraHost, Graph, LocalSource, OciLayoutSource, Op, Output, Source, Ulimit, Vertex, VertexId,
};
use crate::solve::Solved;
use crate::{Error, Result};

/// Says what images are.
pub trait Images {
    /// The configuration of an image that a stage begins with, which is fetched if need be.
    ///
    /// # Errors
    /// There is none, or it can't be had.
    fn config(&self, image: &Reference, platform: Option<&Platform>) -> Result<ImageConfig>;

    /// The same of an image in a layout that the client has.
    ///
    /// # Errors
    /// There is none, or it can't be had.
    fn layout(&self, layout: &OciLayoutSource, _platform: Option<&Platform>) -> Result<ImageConfig> {
        let name = layout.reference.familiar();
        Err(Error::Unsupported(format!("an OCI layout as a source of this build ({name})")))
    }

    /// The configuration of a source; `None` for one that is no image.
    ///
    /// # Errors
    /// As [`Self::config`].
    fn of(&self, source: &Source, platform: Option<&Platform>) -> Result<Option<ImageConfig>> {
        match source {
            Source::Image(image) => self.config(&image.reference, platform).map(Some),
            Source::OciLayout(layout) => self.layout(layout, platform).map(Some),
            Source::Local(_) | Source::Git(_) | Source::Http(_) => Ok(None),
        }
    }
}

/// In whose words histories are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavor {
    /// The classic builder's: `/bin/sh -c #(nop)  ENV a=b`.
    #[default]
    Classic,
    /// BuildKit's: `ENV a=b`, `RUN … # buildkit`.
    Buildkit,
}

/// How a Dockerfile is to be built.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// `--target`, empty for the last stage.
    pub target: String,
    /// `--label`: over those that the Dockerfile gives.
    pub labels: BTreeMap<String, String>,
    /// `--platform`, `None` for the daemon's.
    pub platform: Option<Platform>,
    /// `--add-host`
    pub extra_hosts: Vec<ExtraHost>,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`
    pub ulimits: Vec<Ulimit>,
    /// `--cgroup-parent`
    pub cgroup_parent: String,
    /// Names of stages that are run whatever the cache knows (`--no-cache-filter`).
    pub no_cache_stages: Vec<String>,
    /// In whose words histories are written.
    pub flavor: Flavor,
    /// What the context is, for vertices that use it.
    pub context: Option<Source>,
    /// Named contexts (`--build-context`).
    pub contexts: BTreeMap<String, Source>,
    /// Vertices say for which platform they are: the image is built for several.
    pub several_platforms: bool,
    /// Files are made with this time, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub source_date_epoch: Option<i64>,
}

/// A Dockerfile as a graph.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// All work.
    pub graph: Graph,
    /// The target's files; `None` for an image without any.
    pub output: Option<Output>,
    /// Instructions of all stages that are needed, in the file's order.
    pub steps: Vec<Step>,
    /// Build arguments that were given and that nothing asked for.
    pub unused_args: Vec<String>,
    image: ImageConfig,
    /// The stages whose steps the target's history tells.
    lineage: Vec<usize>,
}

impl Lowered {
    /// The first and last line of the instruction that a vertex does.
    pub fn lines_of(&self, vertex: VertexId) -> Option<(usize, usize)> {
        self.steps.iter().find(|step| step.vertex == Some(vertex)).map(|step| step.lines)
    }
}

/// An instruction of a stage that is needed.
#[derive(Clone, Debug)]
pub struct Step {
    /// As it is written, on one line.
    pub text: String,
    /// Which stage it is of.
    pub stage: usize,
    /// What does it, if it changes files.
    pub vertex: Option<VertexId>,
    /// The stage's files behind it.
    pub output: Option<Output>,
    /// What containers get behind it.
    pub config: RunConfig,
    /// Its first and last line in the file; of a trigger, those of the instruction that fires it.
    pub lines: (usize, usize),
    /// It begins a stage.
    pub is_from: bool,
    /// It fires a trigger of the base image.
    pub is_trigger: bool,
    /// What the history says of it; `None` for one that it says nothing of. U+0000 stands for the digest of what was
    /// copied.
    created_by: Option<String>,
}

/// Whether a Dockerfile has the stage that is to be built; the last one, if none is named.
///
/// # Errors
/// It has not.
pub fn check_target(file: &Dockerfile, options: &Options) -> Result<()> {
    base::target(file, options).map(drop)
}

/// Reads a Dockerfile's meaning.
///
/// # Errors
/// What is wrong with it, with the line; an image can't be had.
pub fn lower(file: &Dockerfile, options: &Options, images: &dyn Images) -> Result<Lowered> {
    stage::lower(file, options, images)
}

/// An error at an instruction.
fn at(line: usize, message: impl std::fmt::Display) -> Error {
    Error::At { line, message: message.to_string() }
}

/// What a line of a history should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// U+0000 stands for digits that are not known.
    text: String,
}

impl Line {
    /// Whether it is this one.
    pub fn is(&self, line: &str) -> bool {
        match self.text.split_once('\0') {
            None => self.text == line,
            Some((before, after)) => {
                let digits = line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                digits.is_some_and(|digits| {
                    digits.len() == 64 && digits.bytes().all(|one| one.is_ascii_hexdigit())
                })
            }
        }
    }
}

impl Lowered {
    /// The history of the target up to a step of its own, whose key in the cache is `key`; `None` for a vertex that is
    /// none.
    pub fn history_until(&self, vertex: VertexId, key: &oci::Digest) -> Option<Vec<Line>> {
        let base = self.image.history.iter();
        let mut lines: Vec<Line> =
            base.map(|entry| Line { text: entry.created_by.clone().unwrap_or_default() }).collect();
        let own = self.steps.iter().filter(|step| self.lineage.contains(&step.stage) && !step.is_from);
        for step in own {
            let Some(text) = &step.created_by else { continue };
            if step.vertex == Some(vertex) {
                lines.push(Line { text: text.replace('\0', key.hex()) });
                return Some(lines);
            }
            lines.push(Line { text: text.clone() });
        }
        None
    }

    /// Moves the graph above another.
    ///
    /// # Errors
    /// There are too many vertices.
    pub fn join(&mut self, graph: &mut Graph) -> Result<()> {
        let own = std::mem::take(&mut self.graph);
        let by = graph.join(own).map_err(|error| Error::Invalid(error.to_string()))?;
        self.output = self.output.map(|output| output.moved(by));
        for step in &mut self.steps {
            step.output = step.output.map(|output| output.moved(by));
            step.vertex = step.vertex.map(|vertex| Output { vertex, index: 0 }.moved(by).vertex);
        }
        Ok(())
    }

    /// How many of the image's layers are its base image's.
    pub fn base_layers(&self) -> usize {
        self.image.rootfs.diff_ids.len()
    }

    /// The target's own `FROM`.
    pub fn from(&self) -> Option<&Step> {
        let target = self.lineage.last()?;
        self.steps.iter().find(|step| step.is_from && step.stage == *target)
    }

    /// What the target's own stage begins with, as an image; `None` for `FROM scratch`. An earlier stage is told of as if
    /// it were the target.
    pub fn base(&self, solved: &Solved, flavor: Flavor) -> Option<ImageConfig> {
        let from = self.from()?;
        let layers = match solved.tree(from.output?) {
            Some(crate::solve::Tree::Layers(layers)) => layers.clone(),
            _ => self.image.rootfs.diff_ids.clone(),
        };
        let lineage = &self.lineage[..self.lineage.len() - 1];
        let own = || self.steps.iter().filter(|step| lineage.contains(&step.stage) && !step.is_from);
        let mut base = self.told(own, solved, layers, Timestamp::UNIX_EPOCH, flavor);
        base.config = from.config.clone();
        Some(base)
    }

    /// The platform that the image says it is for.
    pub fn platform(&self) -> Platform {
        let host = Platform::host();
        let or = |text: &String, host: String| if text.is_empty() { host } else { text.clone() };
        Platform {
            architecture: or(&self.image.architecture, host.architecture),
            os: or(&self.image.os, host.os),
            os_version: self.image.os_version.clone(),
            os_features: self.image.os_features.clone(),
            variant: self.image.variant.clone(),
        }
    }

    /// The target's configuration, when everything was made: with the layers, and a history whose times are those of
    /// the work.
    pub fn image(
        &self,
        solved: &Solved,
        layers: Vec<oci::Digest>,
        now: Timestamp,
        flavor: Flavor,
    ) -> ImageConfig {
        let own = || self.steps.iter().filter(|step| self.lineage.contains(&step.stage) && !step.is_from);
        self.told(own, solved, layers, now, flavor)
    }

    /// The base image with these steps' lines in its history.
    fn told<'a, I: Iterator<Item = &'a Step>>(
        &self,
        own: impl Fn() -> I,
        solved: &Solved,
        layers: Vec<oci::Digest>,
        now: Timestamp,
        flavor: Flavor,
    ) -> ImageConfig {
        let mut image = self.image.clone();
        // what changes no file was done when its neighbour was
        let mut last = own().find_map(|step| Some(solved.made.get(&step.vertex?)?.at));
        let mut depth = history::layers(&image.history);
        for step in own() {
            let Some(created_by) = &step.created_by else { continue };
            let made = step.vertex.and_then(|vertex| solved.made.get(&vertex));
            let at = made.map(|made| made.at).or(last).unwrap_or(now);
            last = Some(at);
            let digest = made.and_then(|made| made.key.as_ref()).map(|key| key.hex().to_owned());
            let stack = step.output.and_then(|output| solved.tree(output));
            let height = match stack {
                Some(crate::solve::Tree::Layers(layers)) => layers.len(),
                _ => depth,
            };
            image.history.push(history::entry(
                created_by.replace('\0', &digest.unwrap_or_default()),
                at,
                image.author.clone(),
                height <= depth,
                flavor,
            ));
            depth = height;
        }
        image.created = Some(last.unwrap_or(now).to_string());
        image.rootfs = oci::image::RootFs { diff_ids: layers, ..oci::image::RootFs::default() };
        image
    }
}

/// The vertex of the build's context.
fn context_vertex(source: &Source) -> Vertex {
    let name = match source {
        Source::Local(LocalSource { name, .. }) if name == "context" => {
            "[internal] load build context".to_owned()
        }
        Source::Local(LocalSource { name, .. }) => format!("[context {name}] load"),
        Source::Image(image) => format!("[context] FROM {}", image.reference.familiar()),
        Source::Git(git) => format!("[internal] load git source {}", git.shown()),
        Source::Http(http) => format!("[internal] load {}", crate::graph::redacted(&http.url)),
        Source::OciLayout(layout) => format!("[context] OCI load {}", layout.reference.familiar()),
    };
    Vertex {
        op: Op::Source(source.clone()),
        inputs: Vec::new(),
        name,
        progress_group: None,
        platform: None,
        no_cache: false,
    }
}

#[cfg(test)]
mod tests;
