//! Cases as they stand in `corpus/*.cases`:
//!
//! ```text
//! === name
//! file PATH MODE TEXT…       what the context has; `\n` in TEXT is a line break
//! dir PATH MODE | link PATH TARGET | hard PATH TARGET
//! owner UID                  of the entry before
//! xattr NAME VALUE           of the entry before
//! tar PATH NAME=TEXT…        an archive in the context (`.tar`, `.tar.gz`)
//! arg NAME=VALUE             a build argument
//! target STAGE
//! squash yes                 the steps' layers become one
//! ours WHY                   Docker's classic builder has no such thing: the case says itself what comes
//! error TEXT                 … it is refused, or fails, and says this
//! says TEXT                  Docker refuses, or fails, in other words than these
//! config PATH JSON           … the configuration has this value (`Env`, `Healthcheck.Interval`)
//! tree PATH LINE             … the image has this entry, as a tree shows it
//! --- Dockerfile follows up to the next case
//! ```

use anyhow::{Context, Result, bail, ensure};

/// One Dockerfile and what it is built with.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) dockerfile: String,
    pub(super) arguments: Vec<(String, String)>,
    pub(super) target: Option<String>,
    /// `--squash`
    pub(super) squash: bool,
    /// Why Docker's classic builder is not asked.
    pub(super) ours: Option<String>,
    /// What comes then: `error`, `config` or `tree`, and the rest of the line.
    pub(super) expected: Vec<(String, String)>,
    /// How our sentence differs from Docker's.
    pub(super) says: Option<String>,
    context: Vec<Entry>,
}

struct Entry {
    path: String,
    kind: tar::EntryType,
    mode: u32,
    owner: u64,
    content: Vec<u8>,
    link: String,
    xattrs: Vec<(String, String)>,
}

/// Every case, by file.
pub(super) fn all() -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for (file, text) in super::CORPUS {
        for part in text.split("\n=== ").skip(1) {
            let case = Case::parse(part)
                .with_context(|| format!("{file}: {}", part.lines().next().unwrap_or("")))?;
            ensure!(!cases.iter().any(|other| other.name == case.name), "{} comes twice", case.name);
            cases.push(case);
        }
    }
    Ok(cases)
}

impl Case {
    fn parse(text: &str) -> Result<Self> {
        let (head, dockerfile) = text.split_once("\n---\n").context("no Dockerfile")?;
        let mut lines = head.lines();
        let mut case = Self {
            name: lines.next().unwrap_or_default().to_owned(),
            dockerfile: unescape(dockerfile.trim_end_matches('\n')) + "\n",
            arguments: Vec::new(),
            target: None,
            squash: false,
            ours: None,
            says: None,
            expected: Vec::new(),
            context: Vec::new(),
        };
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            case.line(line).with_context(|| line.to_owned())?;
        }
        ensure!(case.ours.is_some() != case.expected.is_empty(), "either Docker or the case says what comes");
        Ok(case)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let (key, rest) = line.split_once(' ').context("a key and a value")?;
        let words: Vec<&str> = rest.splitn(3, ' ').collect();
        let at = |index: usize| words.get(index).copied().unwrap_or_default();
        let mode = || u32::from_str_radix(at(1), 8).context("a mode");
        match key {
            "file" => {
                let content = at(2).replace("\\n", "\n").into_bytes();
                self.context.push(Entry::new(at(0), tar::EntryType::Regular, mode()?).with(content));
            }
            "dir" => self.context.push(Entry::new(at(0), tar::EntryType::Directory, mode()?)),
            "link" => self.context.push(Entry::new(at(0), tar::EntryType::Symlink, 0o777).to(at(1))),
            "hard" => self.context.push(Entry::new(at(0), tar::EntryType::Link, 0o644).to(at(1))),
            "tar" => {
                let files = rest.split(' ').skip(1).filter_map(|file| file.split_once('='));
                let archive = e2e::image::archive(&files.collect::<Vec<_>>())?;
                let archive = if at(0).ends_with(".gz") { gzip(&archive)? } else { archive };
                self.context.push(Entry::new(at(0), tar::EntryType::Regular, 0o644).with(archive));
            }
            "owner" => self.last()?.owner = rest.parse()?,
            "xattr" => {
                let pair = (at(0).to_owned(), at(1).to_owned());
                self.last()?.xattrs.push(pair);
            }
            "arg" => {
                let (name, value) = rest.split_once('=').context("NAME=VALUE")?;
                self.arguments.push((name.to_owned(), value.to_owned()));
            }
            "target" => self.target = Some(rest.to_owned()),
            "squash" => self.squash = rest == "yes",
            "ours" => self.ours = Some(rest.to_owned()),
            "error" | "config" | "tree" => self.expected.push((key.to_owned(), rest.to_owned())),
            "says" => self.says = Some(rest.to_owned()),
            other => bail!("{other} is no key"),
        }
        Ok(())
    }

    fn last(&mut self) -> Result<&mut Entry> {
        self.context.last_mut().context("an entry before it")
    }

    /// The context as a tar archive, the Dockerfile in it.
    pub(super) fn tar(&self) -> Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        let dockerfile = Entry::new("Dockerfile", tar::EntryType::Regular, 0o644)
            .with(self.dockerfile.clone().into_bytes());
        for entry in self.context.iter().chain([&dockerfile]) {
            entry.append(&mut builder)?;
        }
        Ok(builder.into_inner()?)
    }
}

impl Entry {
    fn new(path: &str, kind: tar::EntryType, mode: u32) -> Self {
        let (link, content) = (String::new(), Vec::new());
        Self { path: path.to_owned(), kind, mode, owner: 0, content, link, xattrs: Vec::new() }
    }

    fn with(self, content: Vec<u8>) -> Self {
        Self { content, ..self }
    }

    fn to(self, link: &str) -> Self {
        Self { link: link.to_owned(), ..self }
    }

    fn append(&self, builder: &mut tar::Builder<Vec<u8>>) -> Result<()> {
        let xattrs: Vec<(String, &[u8])> = self
            .xattrs
            .iter()
            .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_bytes()))
            .collect();
        builder.append_pax_extensions(xattrs.iter().map(|(name, value)| (name.as_str(), *value)))?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        header.set_uid(self.owner);
        header.set_gid(self.owner);
        header.set_mtime(1_700_000_000);
        header.set_size(self.content.len() as u64);
        if self.link.is_empty() {
            builder.append_data(&mut header, &self.path, self.content.as_slice())?;
        } else {
            builder.append_link(&mut header, &self.path, &self.link)?;
        }
        Ok(())
    }
}

/// What no editor shows is written by name.
fn unescape(text: &str) -> String {
    text.replace("<CR>", "\r").replace("<BOM>", "\u{feff}").replace("<TAB>", "\t")
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}
