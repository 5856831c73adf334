//! Stages, one after the other; what an instruction does to a stage.

use std::collections::{BTreeMap, BTreeSet};

use dockerfile::ast::{Argument, Instruction};
use dockerfile::{Dockerfile, Located, Word};
use oci::image::RunConfig;
use oci::{ImageConfig, Platform};

use super::environment::{self, Arguments, key, put};
use super::{Flavor, Images, Lowered, Options, Step, at, base, context_vertex, history};
use crate::graph::{
    Action, FileAction, FileInput, FileOp, Graph, GraphError, MakeDir, Op, Output, Source, Vertex, VertexId,
};
use crate::{Error, Result};

/// Docker's search path where an image has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Triggers of one image, at most.
const MAX_TRIGGERS: usize = 1024;

/// A Dockerfile at work.
pub(super) struct Whole<'a> {
    pub(super) file: &'a Dockerfile,
    pub(super) options: &'a Options,
    images: &'a dyn Images,
    pub(super) graph: Graph,
    global: Arguments,
    /// Stages that are done.
    done: BTreeMap<usize, Done>,
    /// Trees from outside, each once.
    sources: Vec<(Source, Option<Platform>, Output)>,
    steps: Vec<Step>,
    asked: BTreeSet<String>,
    several: bool,
}

/// What has come of a stage.
#[derive(Clone)]
struct Done {
    output: Option<Output>,
    config: RunConfig,
    image: ImageConfig,
    platform: Option<Platform>,
    /// The stages that it stands on, and itself.
    lineage: Vec<usize>,
}

/// A stage at work.
pub(super) struct State<'a> {
    pub(super) index: usize,
    pub(super) escape: char,
    pub(super) options: &'a Options,
    pub(super) output: Option<Output>,
    pub(super) config: RunConfig,
    pub(super) image: ImageConfig,
    pub(super) args: Arguments,
    pub(super) platform: Option<Platform>,
    /// The stage itself has said what runs.
    pub(super) cmd_set: bool,
    /// Instructions that change files, and how many of them were.
    counted: (usize, usize),
    name: String,
    /// The first and last line of the instruction at hand.
    lines: (usize, usize),
    no_cache: bool,
}

/// What an instruction has come to.
pub(super) struct Effect {
    pub(super) created_by: Option<String>,
    pub(super) vertex: Option<VertexId>,
}

pub(super) fn lower(file: &Dockerfile, options: &Options, images: &dyn Images) -> Result<Lowered> {
    let global = base::global(file, options)?;
    let target = base::target(file, options)?;
    let needed = base::needed(file, target, &global)?;
    let mut whole = Whole {
        file,
        options,
        images,
        graph: Graph::new(),
        global,
        done: BTreeMap::new(),
        sources: Vec::new(),
        steps: Vec::new(),
        asked: BTreeSet::new(),
        several: file.stages.len() > 1,
    };
    for index in needed {
        whole.stage(index)?;
    }
    whole.finish(target)
}

impl Whole<'_> {
    fn finish(mut self, target: usize) -> Result<Lowered> {
        let missing = || Error::Invalid("the target was not reached".into());
        let done = self.done.remove(&target).ok_or_else(missing)?;
        let mut image = done.image;
        image.config = done.config;
        if !self.options.labels.is_empty() {
            image.config.labels.get_or_insert_default().extend(self.options.labels.clone());
            let labels: Vec<String> =
                self.options.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let shell = default_shell();
            let what = format!("LABEL {}", labels.join(" "));
            let created_by = history::nop(&shell, &what, self.options.flavor);
            self.steps.push(Step {
                text: what,
                stage: target,
                vertex: None,
                output: done.output,
                config: image.config.clone(),
                lines: (0, 0),
                is_from: false,
                is_trigger: false,
                created_by: (self.options.flavor == Flavor::Classic).then_some(created_by),
            });
        }
        let known =
            |name: &&String| !self.asked.contains(*name) && !dockerfile::predefined::is_predefined(name);
        let unused_args = self.options.build_args.keys().filter(known).cloned().collect();
        Ok(Lowered {
            graph: self.graph,
            output: done.output,
            steps: self.steps,
            unused_args,
            image,
            lineage: done.lineage,
        })
    }

    fn stage(&mut self, index: usize) -> Result<()> {
        let stage = &self.file.stages[index];
        let name = base::base(self.file, stage, &self.global)?;
        let line = stage.at.first_line;
        let platform = match &stage.platform {
            Some(word) => Some(self.platform(word, line)?),
            None => self.options.platform.clone(),
        };
        let begun = match base::earlier(self.file, index, &name, false) {
            Some(earlier) => {
                self.done.get(&earlier).cloned().ok_or_else(|| at(line, "a stage is missing"))?
            }
            None => self.begin(&name, platform, line)?,
        };
        let counts = |located: &&Located<Instruction>| {
            matches!(
                located.node,
                Instruction::Run(_) | Instruction::Copy(_) | Instruction::Add(_) | Instruction::Workdir(_)
            )
        };
        let total = 1 + stage.instructions.iter().filter(counts).count();
        let shown = stage.name.clone().unwrap_or_else(|| format!("stage-{index}"));
        let no_cache = stage.name.as_ref().is_some_and(|name| self.options.no_cache_stages.contains(name));
        let triggers = begun.config.on_build.clone().unwrap_or_default();
        let mut state = State {
            index,
            escape: self.file.directives.escape,
            options: self.options,
            output: begun.output,
            config: RunConfig { on_build: None, ..begun.config },
            image: begun.image,
            args: Arguments::default(),
            platform: begun.platform,
            cmd_set: false,
            counted: (1, total),
            name: base::shown(self.options, &shown, self.several),
            lines: (line, stage.at.last_line),
            no_cache,
        };
        self.push(&state, stage.at.original.clone(), None, None, true, false);
        if triggers.len() > MAX_TRIGGERS {
            return Err(at(line, format!("the base image has more than {MAX_TRIGGERS} triggers")));
        }
        for trigger in &triggers {
            let parsed = dockerfile::trigger(trigger)
                .map_err(|error| at(line, format!("trigger {trigger:?} of the base image: {error}")))?;
            self.instruction(&mut state, &parsed, true)?;
        }
        for located in &stage.instructions {
            state.lines = (located.at.first_line, located.at.last_line);
            self.instruction(&mut state, located, false)?;
        }
        let State { output, config, image, platform, .. } = state;
        let lineage = begun.lineage.into_iter().chain([index]).collect();
        self.done.insert(index, Done { output, config, image, platform, lineage });
        Ok(())
    }

    fn platform(&self, word: &Word, line: usize) -> Result<Platform> {
        let lookup = |name: &str| self.global.get(name);
        let text =
            environment::word(word, self.file.directives.escape, &lookup).map_err(|error| at(line, error))?;
        Platform::parse(&text).map_err(|error| at(line, format!("failed to parse platform {text}: {error}")))
    }

    /// A stage's beginning: an image, a named context, or nothing.
    fn begin(&mut self, name: &str, platform: Option<Platform>, line: usize) -> Result<Done> {
        if name == "scratch" {
            let image = self.empty(platform.as_ref());
            return Ok(Done {
                output: None,
                config: image.config.clone(),
                image,
                platform,
                lineage: Vec::new(),
            });
        }
        let source = base::image(name, self.options).map_err(|error| at(line, error))?;
        let known = self.images.of(&source, platform.as_ref())?;
        let is_image = known.is_some();
        let image = known.unwrap_or_else(|| self.empty(platform.as_ref()));
        let mut output = self.source(source, platform.clone())?;
        if !is_image {
            let vertex = self.graph.add(base::layer(name, output)).map_err(graph)?;
            output = Output { vertex, index: 0 };
        }
        let config = image.config.clone();
        let image = ImageConfig { container: None, parent: None, comment: None, ..image };
        Ok(Done { output: Some(output), config, image, platform, lineage: Vec::new() })
    }

    /// What an image says that begins with nothing, or with files that say nothing of themselves.
    fn empty(&self, platform: Option<&Platform>) -> ImageConfig {
        let target = platform.cloned().unwrap_or_else(Platform::host);
        let mut config = RunConfig { env: vec![format!("PATH={PATH}")], ..RunConfig::default() };
        if self.options.flavor == Flavor::Buildkit {
            "/".clone_into(&mut config.working_dir);
        }
        ImageConfig {
            architecture: target.architecture,
            os: target.os,
            variant: target.variant,
            config,
            ..ImageConfig::default()
        }
    }

    /// A tree from outside, once for all who use it.
    pub(super) fn source(&mut self, source: Source, platform: Option<Platform>) -> Result<Output> {
        let platform = platform.filter(|_| matches!(source, Source::Image(_) | Source::OciLayout(_)));
        let known = self.sources.iter().find(|(known, with, _)| *known == source && *with == platform);
        if let Some((_, _, output)) = known {
            return Ok(*output);
        }
        let mut vertex = context_vertex(&source);
        if let Source::Image(image) = &source {
            vertex.name = format!("FROM {}", image.reference);
        }
        vertex.platform.clone_from(&platform);
        let output = Output { vertex: self.graph.add(vertex).map_err(graph)?, index: 0 };
        self.sources.push((source, platform, output));
        Ok(output)
    }

    /// What `--from` names; the context where it names nothing. `None` is an empty tree.
    pub(super) fn from(&mut self, state: &State<'_>, name: Option<&str>) -> Result<Option<Output>> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            let none = || state.wrong("there is no build context to copy from");
            let context = self.options.context.clone().ok_or_else(none)?;
            return self.source(context, None).map(Some);
        };
        if let Some(index) = base::earlier(self.file, state.index, name, true) {
            let missing =
                || state.wrong(format!("invalid from flag value {name}: the stage is not known here"));
            return Ok(self.done.get(&index).ok_or_else(missing)?.output);
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            let reason = match self.options.flavor {
                Flavor::Classic => "index out of bounds".to_owned(),
                Flavor::Buildkit => format!("invalid stage index {name}"),
            };
            return Err(state.wrong(format!("invalid from flag value {name}: {reason}")));
        }
        if self.file.stages[state.index].name.as_deref() == Some(&*name.to_lowercase()) {
            return Err(state.wrong(format!("circular dependency detected on stage: {name}")));
        }
        if name == "scratch" {
            return Ok(None);
        }
        let source = base::image(name, self.options)
            .map_err(|error| state.wrong(format!("invalid from flag value {name}: {error}")))?;
        self.images.of(&source, state.platform.as_ref())?;
        self.source(source, state.platform.clone()).map(Some)
    }

    fn instruction(
        &mut self,
        state: &mut State<'_>,
        located: &Located<Instruction>,
        is_trigger: bool,
    ) -> Result<()> {
        let shell = state.shell();
        let text = match &located.node {
            Instruction::Add(_) => crate::graph::redacted(&located.at.original),
            _ => located.at.original.clone(),
        };
        let effect = match &located.node {
            Instruction::Run(run) => self.run(state, run, &located.at.original)?,
            Instruction::Copy(copy) => self.copy(state, copy, &located.at.original)?,
            Instruction::Add(add) => self.add(state, add, &text)?,
            Instruction::Workdir(path) => self.workdir(state, path)?,
            Instruction::Arg(arguments) => self.argument(state, arguments)?,
            other => {
                let what = state.configure(other)?.unwrap_or_default();
                // a new shell's line is told by the new shell
                let shell = if matches!(other, Instruction::Shell(_)) { state.shell() } else { shell };
                let created_by = Some(history::nop(&shell, &what, self.options.flavor));
                Effect { created_by, vertex: None }
            }
        };
        self.push(state, text, effect.vertex, effect.created_by, false, is_trigger);
        Ok(())
    }

    fn push(
        &mut self,
        state: &State<'_>,
        text: String,
        vertex: Option<VertexId>,
        created_by: Option<String>,
        is_from: bool,
        is_trigger: bool,
    ) {
        let vertex = if is_from { state.output.map(|output| output.vertex) } else { vertex };
        self.steps.push(Step {
            text,
            stage: state.index,
            vertex,
            output: state.output,
            config: state.config.clone(),
            lines: state.lines,
            is_from,
            is_trigger,
            created_by,
        });
    }

    fn argument(&mut self, state: &mut State<'_>, arguments: &[Argument]) -> Result<Effect> {
        let mut shown = Vec::new();
        for argument in arguments {
            let name = state.word(&argument.name)?;
            let default = argument.default.as_ref().map(|word| state.word(word)).transpose()?;
            self.asked.insert(name.clone());
            shown.push(match &default {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            let given = self.options.build_args.get(&name).cloned();
            let value = given.or(default).or_else(|| self.global.get(&name));
            state.args.set(&name, value);
        }
        let what = format!("ARG {}", shown.join(" "));
        let created_by = Some(history::nop(&state.shell(), &what, self.options.flavor));
        Ok(Effect { created_by, vertex: None })
    }

    fn workdir(&mut self, state: &mut State<'_>, path: &Word) -> Result<Effect> {
        let path = state.word(path)?;
        if path.is_empty() {
            return Err(state.wrong("cannot normalize nothing"));
        }
        let path = state.absolute(&path);
        state.config.working_dir.clone_from(&path);
        let make = MakeDir {
            path: path.clone(),
            mode: 0o755,
            make_parents: true,
            owner: None,
            timestamp: state.timestamp(),
        };
        let action = FileAction {
            input: state.output.map(|_| FileInput::Input(0)),
            secondary: None,
            output: Some(0),
            action: Action::MakeDir(make),
        };
        let op = Op::File(FileOp { actions: vec![action] });
        let name = state.title(&format!("WORKDIR {path}"));
        let vertex = self.add_vertex(state, op, state.output.into_iter().collect(), name)?;
        let shell = default_shell().join(" ");
        let created_by = match self.options.flavor {
            Flavor::Classic => format!("{shell} #(nop) WORKDIR {path}"),
            Flavor::Buildkit => format!("WORKDIR {path}"),
        };
        Ok(Effect { created_by: Some(created_by), vertex: Some(vertex) })
    }

    /// Adds a vertex whose output 0 the stage goes on with.
    pub(super) fn add_vertex(
        &mut self,
        state: &mut State<'_>,
        op: Op,
        inputs: Vec<Output>,
        name: String,
    ) -> Result<VertexId> {
        let vertex = Vertex {
            op,
            inputs,
            name,
            progress_group: None,
            platform: state.platform.clone(),
            no_cache: state.no_cache,
        };
        let vertex = self.graph.add(vertex).map_err(graph)?;
        state.output = Some(Output { vertex, index: 0 });
        Ok(vertex)
    }
}

/// Docker's shell.
pub(super) fn default_shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}

pub(super) fn graph(error: GraphError) -> Error {
    Error::Invalid(error.to_string())
}

impl State<'_> {
    /// The shell of the shell form.
    pub(super) fn shell(&self) -> Vec<String> {
        self.config.shell.clone().filter(|shell| !shell.is_empty()).unwrap_or_else(default_shell)
    }

    /// A variable: of the image first, then an argument.
    pub(super) fn lookup(&self, name: &str) -> Option<String> {
        environment::value(&self.config.env, name).map(str::to_owned).or_else(|| self.args.get(name))
    }

    /// Expands a word.
    pub(super) fn word(&self, word: &Word) -> Result<String> {
        self.text(&word.text)
    }

    /// Expands a text.
    pub(super) fn text(&self, text: &str) -> Result<String> {
        let lookup = |name: &str| self.lookup(name);
        environment::word(text, self.escape, &lookup).map_err(|error| self.wrong(error))
    }

    /// An error at this instruction.
    pub(super) fn wrong(&self, message: impl std::fmt::Display) -> Error {
        at(self.lines.0, message)
    }

    /// A path below the working directory, if it does not begin at the root; cleaned, without a slash at its end.
    pub(super) fn absolute(&self, path: &str) -> String {
        let mut names: Vec<&str> = Vec::new();
        let within = if path.starts_with('/') { "" } else { self.config.working_dir.as_str() };
        for name in within.split('/').chain(path.split('/')) {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        format!("/{}", names.join("/"))
    }

    /// The time that files get, in nanoseconds.
    pub(super) fn timestamp(&self) -> Option<i64> {
        self.options.source_date_epoch.map(|seconds| seconds.saturating_mul(1_000_000_000))
    }

    /// `[stage 2/5] RUN make`
    pub(super) fn title(&mut self, what: &str) -> String {
        let (at, total) = &mut self.counted;
        *at += 1;
        *total = (*total).max(*at);
        let what: String = what.chars().take(512).collect();
        format!("[{}{at}/{total}] {what}", self.name)
    }

    /// What commands see: variables, and arguments that none of them hides.
    pub(super) fn environment(&self) -> Vec<String> {
        let mut env = self.config.env.clone();
        for pair in self.args.visible(&self.config.env) {
            let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
            put(&mut env, name, value);
        }
        if !env.iter().any(|pair| key(pair) == "PATH") {
            env.push(format!("PATH={PATH}"));
        }
        env
    }

    /// Proxies that the build was given and no argument has named.
    pub(super) fn proxies(&self) -> Vec<String> {
        let given = dockerfile::predefined::PROXY.iter().filter(|name| !self.args.knows(name));
        given.filter_map(|name| Some(format!("{name}={}", self.options.build_args.get(*name)?))).collect()
    }
}
