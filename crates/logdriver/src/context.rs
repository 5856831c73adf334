//! What a driver's options pick from: the container. Labels, environment and tag.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;
use template::Value;

use crate::error::{OptionError, Result};
use crate::tag::Tag;

/// `--log-opt`, by name.
pub type Options = BTreeMap<String, String>;

/// Where a log's files lie, and who forwards.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The file of `json-file` and `local`.
    pub file: &'a Path,
    /// The file that `logs` reads for a driver that keeps none.
    pub cache: &'a Path,
    /// The program that forwards: see [`crate::forward`].
    pub program: &'a Path,
    /// Socket of journald's native protocol.
    pub journal: &'a Path,
}

/// The container.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The container's full id; empty when there is no container, and only the options are checked.
    pub id: &'a str,
    /// Its name, without a slash.
    pub name: &'a str,
    /// When it was made.
    pub created: Timestamp,
    /// Its program.
    pub program: &'a str,
    /// The program's arguments.
    pub args: &'a [String],
    /// The image as the user named it.
    pub image_name: &'a str,
    /// The image's full id.
    pub image_id: &'a str,
    /// The container's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its environment, `NAME=value`.
    pub env: &'a [String],
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

impl Context<'static> {
    /// No container: only the options are checked.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            id: "",
            name: "",
            created: Timestamp::UNIX_EPOCH,
            program: "",
            args: &[],
            image_name: "",
            image_id: "",
            labels: &NO_LABELS,
            env: &[],
        }
    }
}

/// Docker's name of the daemon in tags.
const DAEMON: &str = "docker";

impl Context<'_> {
    /// The first twelve characters of the id.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(self.id)
    }

    /// Program and arguments.
    pub(crate) fn command(&self) -> String {
        [self.program].into_iter().chain(self.args.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// What `labels`, `labels-regex`, `env` and `env-regex` pick, in this order, under names changed by `name`.
    pub(crate) fn attributes(
        &self,
        options: &Options,
        name: impl Fn(&str) -> String,
    ) -> Result<BTreeMap<String, String>> {
        // of a variable that is there twice the last one counts, as for the process itself
        let env: BTreeMap<String, String> = self
            .env
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let mut picked = BTreeMap::new();
        for (option, from) in [("labels", self.labels), ("env", &env)] {
            let names = options.get(option).map_or("", String::as_str).split(',');
            picked.extend(names.filter_map(|key| Some((name(key), from.get(key)?.clone()))));
            let pattern = options.get(&format!("{option}-regex")).filter(|pattern| !pattern.is_empty());
            let Some(pattern) = pattern else { continue };
            let pattern = Regex::new(pattern).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                OptionError::new(format!("error parsing regexp: {reason}: `{pattern}`"))
            })?;
            let matching = from.iter().filter(|(key, _)| pattern.is_match(key));
            picked.extend(matching.map(|(key, value)| (name(key), value.clone())));
        }
        Ok(picked)
    }

    /// The `tag` option, or `default`, with the container's facts filled in.
    pub(crate) fn tag(&self, options: &Options, default: &str) -> Result<String> {
        let given = options.get("tag").map(String::as_str).filter(|tag| !tag.is_empty());
        let source = given.unwrap_or(default);
        let tag = Tag::parse(source)?;
        if self.id.is_empty() {
            // its fields may need a container's facts
            return Ok(String::new());
        }
        tag.fill(&self.facts(options))
    }

    /// The fields of Docker's tag templates.
    fn facts(&self, options: &Options) -> Value {
        let text = |text: &str| Value::String(text.into());
        let map = |map: &BTreeMap<String, String>| {
            Value::Map(Arc::new(map.iter().map(|(k, v)| (Arc::from(k.as_str()), text(v))).collect()))
        };
        let list = |items: &[String]| Value::List(items.iter().map(|item| text(item)).collect());
        let image_id = self.image_id.get(..12).unwrap_or(self.image_id);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let fields = [
            ("Config", map(options)),
            ("ContainerID", text(self.id)),
            ("ContainerName", text(&format!("/{}", self.name))),
            ("ContainerEntrypoint", text(self.program)),
            ("ContainerArgs", list(self.args)),
            ("ContainerImageID", text(self.image_id)),
            ("ContainerImageName", text(self.image_name)),
            ("ContainerCreated", text(&self.created.to_string())),
            ("ContainerEnv", list(self.env)),
            ("ContainerLabels", map(self.labels)),
            ("DaemonName", text(DAEMON)),
            ("Command", text(&self.command())),
            ("FullID", text(self.id)),
            ("Hostname", text(&host)),
            ("ID", text(self.short_id())),
            ("ImageFullID", text(self.image_id)),
            ("ImageID", text(image_id)),
            ("ImageName", text(self.image_name)),
            ("Name", text(self.name)),
        ];
        Value::Map(Arc::new(fields.into_iter().map(|(name, value)| (Arc::from(name), value)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::{context, options};

    #[test]
    fn tags() {
        let tag = |template: &str| context(|c| c.tag(&options(&[("tag", template)]), "{{.ID}}"));
        assert_eq!(tag("").unwrap(), "0123456789ab");
        assert_eq!(
            tag("{{.ImageName}}/{{.Name}}/{{ .ImageID }}-{{.DaemonName}}").unwrap(),
            "busybox/web/sha256:fedcb-docker"
        );
        assert_eq!(tag("{{upper .Name}} {{.ContainerName}} {{.Command}}").unwrap(), "WEB /web sh -c x");
        assert_eq!(tag("{{index .ContainerLabels \"a\"}}{{json .ContainerArgs}}").unwrap(), r#"1["-c","x"]"#);
        let error = tag("{{.Nope}}").unwrap_err().to_string();
        assert_eq!(
            error,
            "template: log-tag:1:2: executing \"log-tag\" at <.Nope>: can't evaluate field Nope in type *logger.Info"
        );
        assert!(tag("{{.ID").unwrap_err().to_string().starts_with("template: log-tag:1: "));
        assert!(Context::nobody().tag(&options(&[("tag", "{{index .ContainerEnv 3}}")]), "").is_ok());
        assert!(Context::nobody().tag(&options(&[("tag", "{{.ID")]), "").is_err());
    }

    #[test]
    fn attributes() {
        let pick = |list: &[(&str, &str)]| {
            context(|c| c.attributes(&options(list), |name| format!("_{name}"))).map(|map| {
                map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(pick(&[("labels", "a,c"), ("env", "X,Z")]).unwrap(), "_X=new _a=1");
        assert_eq!(pick(&[("labels-regex", "^b$|nope"), ("env-regex", "^XY")]).unwrap(), "_XY=no _b=2");
        assert_eq!(pick(&[("env-regex", ""), ("labels", "")]).unwrap(), "");
        assert!(pick(&[("env-regex", "(")]).unwrap_err().to_string().starts_with("error parsing regexp: "));
    }
}
