//! `COPY` and `ADD`.

use dockerfile::ast::{Add, Copy, Source, Transfer};
use dockerfile::expand;
use oci::Digest;

use super::Flavor;
use super::stage::{Effect, State, Whole, default_shell};
use crate::Result;
use crate::graph::{
    self, Action, Chown, FileAction, FileInput, FileOp, GitSource, HttpSource, MakeFile, Op, Output, Owner,
};

/// A file whose URL gives it no name.
const UNNAMED: &str = "__unnamed__";

/// A transfer on its way into a file operation.
struct Draft {
    inputs: Vec<Output>,
    actions: Vec<FileAction>,
    /// The tree so far.
    current: Option<FileInput>,
}

impl Draft {
    fn new(state: &State<'_>) -> Self {
        let current = state.output.map(|_| FileInput::Input(0));
        Self { inputs: state.output.into_iter().collect(), actions: Vec::new(), current }
    }

    fn input(&mut self, output: Option<Output>) -> Option<FileInput> {
        let output = output?;
        let known = self.inputs.iter().position(|known| *known == output);
        Some(FileInput::Input(known.unwrap_or_else(|| {
            self.inputs.push(output);
            self.inputs.len() - 1
        })))
    }

    /// Copies from a tree on top of what is there.
    fn copy(&mut self, copy: graph::Copy, from: Option<FileInput>) {
        let action = Action::Copy(Box::new(copy));
        self.actions.push(FileAction { input: self.current, secondary: from, output: None, action });
        self.current = Some(FileInput::Action(self.actions.len() - 1));
    }

    /// A file by itself; the tree that it is in.
    fn file(&mut self, make: MakeFile) -> FileInput {
        let action = Action::MakeFile(make);
        self.actions.push(FileAction { input: None, secondary: None, output: None, action });
        FileInput::Action(self.actions.len() - 1)
    }
}

/// What a transfer says, expanded.
struct Plan {
    destination: String,
    chown: Option<Chown>,
    mode: Option<String>,
    exclude: Vec<String>,
    parents: bool,
}

impl Whole<'_> {
    pub(super) fn copy(&mut self, state: &mut State<'_>, copy: &Copy, original: &str) -> Result<Effect> {
        let from = copy.from.as_ref().map(|word| word.text.clone());
        let plan = plan(state, &copy.transfer, copy.parents)?;
        let mut draft = Draft::new(state);
        for source in &copy.transfer.sources {
            match source {
                Source::Path(word) => {
                    let source = state.word(word)?;
                    self.within(state, &source, from.is_none(), "COPY")?;
                    let tree = self.from(state, from.as_deref())?;
                    let from = draft.input(tree);
                    draft.copy(plan.copy(state, &source, false), from);
                }
                Source::Heredoc(heredoc) => heredoc_file(state, &mut draft, &plan, heredoc)?,
            }
        }
        self.transferred(state, draft, &plan, "COPY", original)
    }

    pub(super) fn add(&mut self, state: &mut State<'_>, add: &Add, original: &str) -> Result<Effect> {
        let plan = plan(state, &add.transfer, false)?;
        let checksum = add.checksum.as_ref().map(|word| state.word(word)).transpose()?;
        let checksum = checksum.unwrap_or_default();
        let mut draft = Draft::new(state);
        for source in &add.transfer.sources {
            let word = match source {
                Source::Heredoc(heredoc) => {
                    heredoc_file(state, &mut draft, &plan, heredoc)?;
                    continue;
                }
                Source::Path(word) => state.word(word)?,
            };
            let copy = |unpack| plan.copy(state, &word, add.unpack.unwrap_or(unpack));
            if let Some(git) = GitSource::parse(&word) {
                let keep_git_dir = add.keep_git_dir || git.keep_git_dir;
                let checksum = if checksum.is_empty() { git.checksum.clone() } else { checksum.clone() };
                let git = GitSource { keep_git_dir, checksum, ..git };
                git.check().map_err(|error| state.wrong(error))?;
                let tree = self.source(graph::Source::Git(git), None)?;
                let from = draft.input(Some(tree));
                draft.copy(graph::Copy { source: "/".into(), wildcard: false, ..copy(false) }, from);
            } else if graph::is_url(&word) {
                let http = http(state, &word, &checksum, &plan)?;
                let source = format!("/{}", http.filename);
                let tree = self.source(graph::Source::Http(http), None)?;
                let from = draft.input(Some(tree));
                draft.copy(graph::Copy { source, wildcard: false, ..copy(false) }, from);
            } else if !checksum.is_empty() {
                return Err(state.wrong("checksum can't be specified for non-HTTP(S) and non-Git sources"));
            } else {
                self.within(state, &word, true, "ADD")?;
                let tree = self.from(state, None)?;
                let from = draft.input(tree);
                draft.copy(copy(true), from);
            }
        }
        self.transferred(state, draft, &plan, "ADD", original)
    }

    /// BuildKit takes what leads out of the context as if its root were that of everything; the classic builder
    /// refuses it.
    fn within(&self, state: &State<'_>, source: &str, is_context: bool, verb: &str) -> Result<()> {
        let mut depth = 0_usize;
        let mut leads_out = false;
        for part in source.split('/').filter(|part| !matches!(*part, "" | ".")) {
            match part {
                ".." => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => leads_out = true,
                },
                _ => depth += 1,
            }
        }
        if leads_out && is_context && self.options.flavor == Flavor::Classic && !source.starts_with('/') {
            let message = format!("{verb} failed: forbidden path outside the build context: {source} ()");
            return Err(state.wrong(message));
        }
        Ok(())
    }

    fn transferred(
        &mut self,
        state: &mut State<'_>,
        draft: Draft,
        plan: &Plan,
        verb: &str,
        original: &str,
    ) -> Result<Effect> {
        let Draft { inputs, mut actions, .. } = draft;
        if let Some(last) = actions.last_mut() {
            last.output = Some(0);
        }
        let count = actions.iter().filter(|action| matches!(action.action, Action::Copy(_))).count();
        let name = state.title(original);
        let vertex = self.add_vertex(state, Op::File(FileOp { actions }), inputs, name)?;
        let shell = default_shell().join(" ");
        let created_by = match self.options.flavor {
            Flavor::Classic => {
                let kind = if count > 1 { "multi" } else { "file" };
                format!("{shell} #(nop) {verb} {kind}:\0 in {} ", plan.destination)
            }
            Flavor::Buildkit => format!("{original} # buildkit"),
        };
        Ok(Effect { created_by: Some(created_by), vertex: Some(vertex) })
    }
}

impl Plan {
    fn copy(&self, state: &State<'_>, source: &str, unpack: bool) -> graph::Copy {
        graph::Copy {
            source: source.to_owned(),
            target: self.destination.clone(),
            owner: self.chown.clone(),
            mode: self.mode.clone(),
            follow_symlinks: true,
            contents_only: true,
            unpack,
            make_parents: true,
            wildcard: true,
            exclude: self.exclude.clone(),
            timestamp: state.timestamp(),
            parents: self.parents,
            ..graph::Copy::default()
        }
    }
}

fn plan(state: &State<'_>, transfer: &Transfer, parents: bool) -> Result<Plan> {
    let written = state.word(&transfer.destination)?;
    let slashed = written.ends_with('/') || written.ends_with("/.") || written == ".";
    if transfer.sources.len() > 1 && !slashed {
        return Err(state.wrong(
            "When using COPY with more than one source file, the destination must be a directory and end with a /",
        ));
    }
    let mut destination = state.absolute(&written);
    if slashed && !destination.ends_with('/') {
        destination.push('/');
    }
    let chown = transfer.chown.as_ref().map(|word| state.word(word)).transpose()?;
    let mode = transfer.chmod.as_ref().map(|word| state.word(word)).transpose()?;
    let exclude = transfer.exclude.iter().map(|word| state.word(word)).collect::<Result<_>>()?;
    Ok(Plan {
        destination,
        chown: chown.filter(|text| !text.is_empty()).map(|text| owner(&text)),
        mode: mode.filter(|text| !text.is_empty()),
        exclude,
        parents,
    })
}

/// `user[:group]`
fn owner(text: &str) -> Chown {
    let one = |text: &str| match text.parse() {
        Ok(id) => Owner::Id(id),
        Err(_) => Owner::Name { name: text.to_owned(), input: None },
    };
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let some = |text: &str| (!text.is_empty()).then(|| one(text));
    Chown { user: some(user), group: some(group) }
}

fn heredoc_file(
    state: &State<'_>,
    draft: &mut Draft,
    plan: &Plan,
    heredoc: &dockerfile::ast::Heredoc,
) -> Result<()> {
    let mut content = heredoc.content();
    if heredoc.expand {
        let lookup = |name: &str| state.lookup(name);
        content = expand::body(&content, &lookup).map_err(|error| state.wrong(error))?;
    }
    let make = MakeFile {
        path: format!("/{}", heredoc.name),
        mode: 0o644,
        data: content.into_bytes(),
        owner: None,
        timestamp: state.timestamp(),
    };
    let from = draft.file(make);
    let copy = graph::Copy { wildcard: false, ..plan.copy(state, &format!("/{}", heredoc.name), false) };
    draft.copy(copy, Some(from));
    Ok(())
}

/// What `ADD` makes of a URL.
fn http(state: &State<'_>, url: &str, checksum: &str, plan: &Plan) -> Result<HttpSource> {
    let checksum = match checksum {
        "" => None,
        text => {
            Some(text.parse::<Digest>().map_err(|error| state.wrong(format!("invalid checksum: {error}")))?)
        }
    };
    let http = HttpSource { url: url.to_owned(), checksum, ..HttpSource::default() };
    let filename = match http.name() {
        Some(name) => name,
        None if plan.destination.ends_with('/') => {
            let url = graph::redacted(url);
            return Err(state.wrong(format!("cannot determine filename for source {url}")));
        }
        // the destination is the name
        None => UNNAMED.to_owned(),
    };
    Ok(HttpSource { filename, ..http })
}
