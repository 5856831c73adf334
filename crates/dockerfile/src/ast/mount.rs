//! `RUN --mount`: options as written, and what they come to once they are expanded.

use std::fmt;

use crate::directive::parse_bool;
use crate::numbers;
use crate::span::{Span, Word};
use crate::suggest::did_you_mean;

/// `--mount=key=value,…` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// Keys in lower case with their values, in order. Values expand.
    pub options: Vec<(String, Option<String>)>,
    /// All of it.
    pub word: Word,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted, and its own options.
    pub kind: MountKind,
    /// Where; relative ones are below the working directory. Empty for secrets and agents that say nothing (the default
    /// depends on the id) and for secrets that are variables alone.
    pub target: String,
    /// Nothing is written, or what is written is lost.
    pub read_only: bool,
}

/// The types of mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// A directory or a file of the context, of a stage or of an image. What is written (`rw`) is thrown away.
    Bind {
        /// Stage, named context or image; the build context where it is not said.
        from: Option<String>,
        /// Path in there, `/` by default.
        source: String,
    },
    /// A directory that outlives the build.
    Cache {
        /// What it is known by; the target by default.
        id: Option<String>,
        /// Who may use it at a time.
        sharing: Sharing,
        /// Where its first content is from.
        from: Option<String>,
        /// Path in there, `/` by default.
        source: String,
        /// Of the directory, 0755 and root's by default.
        owner: Owner,
    },
    /// Memory.
    Tmpfs {
        /// Bytes at most.
        size: Option<u64>,
    },
    /// A secret that the client gives: a file, a variable, or both.
    Secret {
        /// What the client knows it by; the base of the target by default.
        id: Option<String>,
        /// The variable that it becomes.
        env: Option<String>,
        /// The build fails where the client does not have it; else it is left out.
        required: bool,
        /// Of the file, 0400 and root's by default.
        owner: Owner,
    },
    /// The socket of an ssh agent.
    Ssh {
        /// What the client knows it by, `default` by default.
        id: Option<String>,
        /// The build fails where the client does not have it.
        required: bool,
        /// Of the socket, 0600 and root's by default.
        owner: Owner,
    },
}

/// Whose a mounted file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// Who may use a cache at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// All at once.
    #[default]
    Shared,
    /// Whoever comes while it is in use gets one of their own.
    Private,
    /// Whoever comes while it is in use waits.
    Locked,
}

/// Why a mount is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountError {
    /// The reason, in BuildKit's words where it has any.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MountError {}

fn refused(message: impl Into<String>) -> MountError {
    MountError { message: message.into(), hint: None }
}

const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];
const SHARING: [&str; 3] = ["shared", "private", "locked"];
const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "required",
    "size",
    "id",
    "sharing",
    "mode",
    "uid",
    "gid",
    "env",
];

/// Options before it is known whether the type has them.
#[derive(Default)]
struct Draft {
    kind: Option<&'static str>,
    from: Option<String>,
    source: Option<String>,
    target: String,
    read_only: Option<bool>,
    required: Option<bool>,
    size: Option<u64>,
    id: Option<String>,
    sharing: Option<Sharing>,
    env: Option<String>,
    owner: Owner,
}

impl MountSpec {
    /// Does a value have something to expand?
    pub fn has_variables(&self) -> bool {
        self.options.iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.contains('$')))
    }

    /// Where the mount stands.
    pub fn span(&self) -> Span {
        self.word.span
    }

    /// The mount, each value expanded by `expand`.
    ///
    /// # Errors
    /// An unknown key or type, a value that is none, keys that the type does not have, or what `expand` says.
    pub fn resolve(
        &self,
        expand: &mut dyn FnMut(&str) -> Result<String, MountError>,
    ) -> Result<Mount, MountError> {
        let mut draft = Draft::default();
        for (key, value) in &self.options {
            match value {
                Some(value) => draft.set(key, &expand(value)?)?,
                None => draft.flag(key)?,
            }
        }
        draft.finish()
    }
}

impl Draft {
    fn kind(&self) -> &'static str {
        self.kind.unwrap_or("bind")
    }

    fn flag(&mut self, key: &str) -> Result<(), MountError> {
        match key {
            "readonly" | "ro" => self.read_only = Some(true),
            "readwrite" | "rw" => self.read_only = Some(false),
            "required" => self.required = Some(true),
            other => {
                return Err(MountError {
                    message: format!("invalid field '{other}' must be a key=value pair"),
                    hint: did_you_mean(other, KEYS).filter(|_| !KEYS.contains(&other)),
                });
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), MountError> {
        let boolean =
            || parse_bool(value).ok_or_else(|| refused(format!("invalid value for {key}: {value}")));
        let number = |radix| {
            u32::from_str_radix(value, radix)
                .ok()
                .filter(|_| !value.starts_with('+'))
                .ok_or_else(|| refused(format!("invalid value {value} for {key}")))
        };
        match key {
            "type" => self.kind = Some(one_of("mount type", value, &TYPES)?),
            "from" => self.from = Some(value.to_owned()),
            "source" | "src" => self.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "readonly" | "ro" => self.read_only = Some(boolean()?),
            "readwrite" | "rw" => self.read_only = Some(!boolean()?),
            "required" => self.required = Some(boolean()?),
            "size" => {
                let size = numbers::bytes(value);
                self.size = Some(size.ok_or_else(|| refused(format!("invalid value for {key}: {value}")))?);
            }
            "id" => self.id = Some(value.to_owned()),
            "env" => self.env = Some(value.to_owned()),
            "sharing" => {
                self.sharing = Some(match one_of("sharing value", value, &SHARING)? {
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => Sharing::Shared,
                });
            }
            "mode" => self.owner.mode = Some(number(8)?),
            "uid" => self.owner.uid = Some(number(10)?),
            "gid" => self.owner.gid = Some(number(10)?),
            other => {
                return Err(MountError {
                    message: format!("unexpected key '{other}' in '{other}={value}'"),
                    hint: did_you_mean(other, KEYS),
                });
            }
        }
        Ok(())
    }

    /// Options of another type than this are refused.
    fn check(&self) -> Result<(), MountError> {
        let kind = self.kind();
        let unexpected = |key: &str| Err(refused(format!("unexpected key '{key}' for mount type '{kind}'")));
        let client = matches!(kind, "secret" | "ssh");
        for (key, given) in [("mode", self.owner.mode), ("uid", self.owner.uid), ("gid", self.owner.gid)] {
            if given.is_some() && !(client || kind == "cache") {
                return Err(refused(format!("{key} not allowed for \"{kind}\" type mounts")));
            }
        }
        if self.required.is_some() && !client {
            return unexpected("required");
        }
        if self.size.is_some() && kind != "tmpfs" {
            return unexpected("size");
        }
        if self.env.is_some() && kind != "secret" {
            return unexpected("env");
        }
        if self.id.is_some() && !(client || kind == "cache") {
            return unexpected("id");
        }
        if kind == "secret" {
            if self.from.is_some() {
                return Err(refused("secret mount should not have a from"));
            }
            if self.sharing.is_some() {
                return Err(refused("secret mount should not define sharing"));
            }
            if self.source.is_some() && self.id.is_some() {
                return Err(refused("both source and id can't be set"));
            }
            if self.source.is_none() && self.id.is_none() && self.target.is_empty() {
                return Err(refused("invalid secret mount. one of source, target required"));
            }
        }
        if self.sharing.is_some() && kind != "cache" {
            return Err(refused(format!("invalid cache sharing set for {kind} mount")));
        }
        if matches!(kind, "tmpfs" | "ssh") && self.from.is_some() {
            return unexpected("from");
        }
        if kind == "tmpfs" && self.source.is_some() {
            return unexpected("source");
        }
        if matches!(kind, "bind" | "cache" | "tmpfs") && self.target.is_empty() {
            return Err(refused(format!(
                "invalid mount target \"{}\": a {kind} mount needs one",
                self.target
            )));
        }
        Ok(())
    }

    fn finish(self) -> Result<Mount, MountError> {
        self.check()?;
        let kind = self.kind();
        let read_only = self.read_only.unwrap_or(!matches!(kind, "cache" | "tmpfs"));
        let source = self.source.clone().unwrap_or_else(|| "/".to_owned());
        let required = self.required.unwrap_or(false);
        // a secret's source is the name that the client has for it
        let id = self.id.or(self.source.filter(|_| matches!(kind, "secret" | "ssh")));
        let kind = match kind {
            "cache" => MountKind::Cache {
                id,
                sharing: self.sharing.unwrap_or_default(),
                from: self.from,
                source,
                owner: self.owner,
            },
            "tmpfs" => MountKind::Tmpfs { size: self.size.filter(|size| *size > 0) },
            "secret" => MountKind::Secret { id, env: self.env, required, owner: self.owner },
            "ssh" => MountKind::Ssh { id, required, owner: self.owner },
            _ => MountKind::Bind { from: self.from, source },
        };
        Ok(Mount { kind, target: self.target, read_only })
    }
}

fn one_of(what: &str, value: &str, known: &'static [&'static str]) -> Result<&'static str, MountError> {
    let lower = value.to_ascii_lowercase();
    known.iter().copied().find(|known| *known == lower).ok_or_else(|| MountError {
        message: format!("unsupported {what} \"{value}\""),
        hint: did_you_mean(value, known.iter().copied()),
    })
}
