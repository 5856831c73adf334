//! An engine and the client that drives it: one step in, one masked answer out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use e2e::image;
use e2e::programs::{self, Ran};
use serde_json::Value;

use super::around::Around;
use super::compare::{Answer, Part};
use super::mask;
use super::script::{Action, Body, Mode, Row, Step};
use super::wire;

/// The version that both engines speak.
pub(super) const VERSION: &str = "1.41";

/// Where a client is pointed at.
pub(super) struct Engine {
    pub(super) name: &'static str,
    root: PathBuf,
    client: PathBuf,
    /// What is published on it; engines share the machine's ports.
    port: u16,
    /// What stands around it, by the words of the steps: addresses of its host.
    names: Vec<(&'static str, String)>,
    kept: BTreeMap<String, String>,
}

/// The port that the reference publishes on, and under which every engine's is shown.
const PORT: u16 = 18_091;

/// How long a step may take; one that hangs is a difference of its own.
pub(super) const ENOUGH: Duration = Duration::from_secs(30);

type Later = JoinHandle<Result<Ran>>;

impl Engine {
    /// The engine whose socket is `sock` below `root`, which gets a working folder with a few files.
    pub(super) fn new(
        name: &'static str,
        number: u16,
        root: &Path,
        client: PathBuf,
        around: &Around,
    ) -> Result<Self> {
        let (kept, names) = (BTreeMap::new(), around.names().to_vec());
        let engine = Self { name, root: root.to_path_buf(), client, port: PORT + number, names, kept };
        let work = engine.work();
        std::fs::create_dir_all(work.join("folder"))?;
        std::fs::write(work.join("file"), "from outside\n")?;
        std::fs::write(work.join("folder/inner"), "inner\n")?;
        std::fs::write(work.join("env"), "ONE=1\n# a comment\nTWO=two words\n")?;
        std::fs::write(work.join("labels"), "from=file\n")?;
        std::fs::write(work.join("put.tar"), image::archive(&[("put", "put there\n"), ("put2", "2\n")])?)?;
        Ok(engine)
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Drives a row; one answer per step, in the order of the steps.
    pub(super) fn drive(&mut self, row: &Row, skip: impl Fn(&Step) -> bool) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let mut later: Vec<(usize, Later)> = Vec::new();
        for (index, step) in row.steps.iter().enumerate() {
            if skip(step) {
                answers.push(Answer::new());
                continue;
            }
            if step.modes.contains(&Mode::Background) {
                later.push((index, self.spawn(step)?));
                answers.push(Answer::new());
                continue;
            }
            answers.push(self.step(step).with_context(|| format!("{}, {}", step.place, self.name))?);
        }
        for (index, thread) in later {
            let ran = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            answers[index] = self.ran(&row.steps[index], ran);
        }
        self.clear().with_context(|| format!("cleaning up after {:?}, {}", row.title, self.name))?;
        Ok(answers)
    }

    fn spawn(&self, step: &Step) -> Result<Later> {
        let Action::Command(words) = &step.action else { anyhow::bail!("{}: not a command", step.place) };
        let mut command = self.command(words);
        let input = self.filled(step.input.as_deref().unwrap_or_default());
        Ok(std::thread::spawn(move || programs::run_with(&mut command, input.as_bytes(), ENOUGH)))
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = programs::command(&self.client, words.iter().map(|word| self.filled(word)));
        command.env("DOCKER_HOST", format!("unix://{}", self.root.join("sock").display()));
        command.env("DOCKER_CONFIG", self.root.join("client")).env("DOCKER_API_VERSION", VERSION);
        command.current_dir(self.work());
        command
    }

    fn step(&mut self, step: &Step) -> Result<Answer> {
        let (answer, output) = match &step.action {
            Action::Command(words) => {
                let input = self.filled(step.input.as_deref().unwrap_or_default());
                match programs::run_with(&mut self.command(words), input.as_bytes(), ENOUGH) {
                    Ok(ran) => {
                        let output = ran.stdout.trim_end().to_owned();
                        (self.ran(step, ran), output)
                    }
                    Err(error) => (vec![("exit", Part::Text(format!("{error:#}")))], String::new()),
                }
            }
            Action::Request { method, path, body } => match self.ask(step, method, path, body) {
                Ok(answer) => {
                    let output = String::from_utf8_lossy(&answer.body).into_owned();
                    (self.answered(step, &answer)?, output)
                }
                Err(error) => (vec![("status", Part::Text(format!("{error:#}")))], String::new()),
            },
            Action::Look { how, path } => {
                // What is not there is a difference, not the end of the run.
                let text = look(how, &self.work().join(self.filled(path)))
                    .unwrap_or_else(|error| format!("{error:#}"));
                (vec![("file", self.part(&text))], text)
            }
        };
        if let Some((name, path)) = &step.keeps {
            let value = match path {
                Some(path) => field(&output, path),
                None => Some(output.clone()),
            };
            self.kept.insert(name.clone(), value.unwrap_or_else(|| "nothing".to_owned()));
        }
        Ok(answer)
    }

    fn ask(&self, step: &Step, method: &str, path: &str, body: &Body) -> Result<wire::Answer> {
        let (kind, body) = match body {
            Body::Json(text) => ("application/json", self.filled(text).into_bytes()),
            Body::File(name) => ("application/x-tar", std::fs::read(self.work().join(name))?),
        };
        let mut headers = Vec::new();
        if !body.is_empty() {
            headers.push(("Content-Type", kind));
        }
        if path.contains("/ws") {
            let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
            headers.extend([
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
            ]);
            headers.extend([key, ("Origin", "http://docker")]);
        } else if step.modes.contains(&Mode::Hijack) {
            headers.extend([("Connection", "Upgrade"), ("Upgrade", "tcp")]);
        }
        let path = format!("/v{VERSION}{}", escaped(&self.filled(path)));
        wire::ask(&self.root.join("sock"), method, &path, &headers, &body)
    }

    fn ran(&self, step: &Step, ran: Ran) -> Answer {
        let mut answer = vec![("exit", Part::Text(ran.code.to_string()))];
        if !step.modes.contains(&Mode::Exit) {
            answer.push(("stdout", self.part(&ran.stdout)));
        }
        answer.push(("stderr", Part::Text(self.masked(ran.stderr.trim()))));
        answer
    }

    fn answered(&self, step: &Step, answer: &wire::Answer) -> Result<Answer> {
        let mut parts = vec![("status", Part::Text(answer.status.to_string()))];
        parts.push(("type", Part::Text(answer.header("content-type").unwrap_or_default().to_owned())));
        if let Some(stat) = answer.header("x-docker-container-path-stat") {
            let stat = base64::engine::general_purpose::STANDARD.decode(stat)?;
            parts.push(("stat", self.part(&String::from_utf8_lossy(&stat))));
        }
        if !step.modes.contains(&Mode::Exit) || answer.status >= 400 {
            let kind = answer.header("content-type").unwrap_or_default();
            let tar = matches!(kind, "application/x-tar" | "application/octet-stream") && answer.status < 300;
            let body =
                if tar { listed(&answer.body)? } else { String::from_utf8_lossy(&answer.body).into_owned() };
            parts.push(("body", self.part(&body)));
        }
        Ok(parts)
    }

    /// One JSON value, several one after another, or text.
    fn part(&self, text: &str) -> Part {
        let text = &self.common(text);
        if text.trim_start().starts_with(['{', '[']) {
            let values: Result<Vec<Value>, _> =
                serde_json::Deserializer::from_str(text).into_iter().collect();
            if let Ok(mut values) = values {
                let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
                return Part::Json(mask::json(value, &self.root.to_string_lossy()));
            }
        }
        Part::Text(self.masked(text))
    }

    fn masked(&self, text: &str) -> String {
        mask::text(&self.common(text), &self.root.to_string_lossy())
    }

    /// `text` with what is this engine's alone called as everywhere.
    fn common(&self, text: &str) -> String {
        let text = text.replace(&self.port.to_string(), &PORT.to_string());
        self.names.iter().fold(text, |text, (word, address)| text.replace(address, &word.replace('%', "=")))
    }

    /// `text` with what was kept, and where the working folder is.
    fn filled(&self, text: &str) -> String {
        let work = self.work().display().to_string();
        let mut filled = text.replace("%work%", &work).replace("%image%", e2e::daemon::IMAGE);
        filled = filled.replace("%port%", &self.port.to_string());
        for (word, address) in &self.names {
            filled = filled.replace(word, address);
        }
        for (name, value) in &self.kept {
            filled = filled.replace(&format!("%{name}%"), value);
        }
        filled
    }

    fn json(&self, method: &str, path: &str) -> Result<Value> {
        let answer = wire::ask(&self.root.join("sock"), method, &format!("/v{VERSION}{path}"), &[], b"")?;
        let body = String::from_utf8_lossy(&answer.body);
        // What was removed in the meantime is no longer to be removed.
        anyhow::ensure!(answer.status < 300 || matches!(answer.status, 404 | 409), "{method} {path}: {body}");
        Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Removes all that a row may have left, so that the next one finds an empty engine.
    pub(super) fn clear(&self) -> Result<()> {
        for container in list(&self.json("GET", "/containers/json?all=1")?, "Id") {
            self.json("DELETE", &format!("/containers/{container}?force=1&v=1"))?;
        }
        for volume in list(&self.json("GET", "/volumes")?["Volumes"], "Name") {
            self.json("DELETE", &format!("/volumes/{volume}"))?;
        }
        for image in self.json("GET", "/images/json")?.as_array().into_iter().flatten() {
            let names = ["RepoTags", "RepoDigests"].map(|key| image[key].as_array());
            let tags = names.into_iter().flatten().flatten().filter_map(Value::as_str);
            let (ours, others): (Vec<&str>, Vec<&str>) = tags.partition(|tag| *tag == e2e::daemon::IMAGE);
            let gone = match ours.is_empty() {
                true => vec![image["Id"].as_str().unwrap_or_default()],
                false => others,
            };
            for name in gone {
                self.json("DELETE", &format!("/images/{name}?force=1"))?;
            }
        }
        let networks = self.json("GET", "/networks")?;
        let made = |network: &&Value| !matches!(network["Name"].as_str(), Some("bridge" | "host" | "none"));
        // Those that lend others their configuration go last.
        let (lent, own): (Vec<&Value>, Vec<&Value>) = networks
            .as_array()
            .into_iter()
            .flatten()
            .filter(made)
            .partition(|network| network["ConfigOnly"] == true);
        for network in own.into_iter().chain(lent) {
            self.json("DELETE", &format!("/networks/{}", network["Id"].as_str().unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// JSON in a query, as a client writes it.
fn escaped(path: &str) -> String {
    path.replace('{', "%7B").replace('}', "%7D").replace('"', "%22").replace('[', "%5B").replace(']', "%5D")
}

fn list(value: &Value, key: &str) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
}

/// `.Id` of a JSON text.
fn field(text: &str, path: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let value = path.split('.').skip(1).try_fold(&value, |value, key| value.get(key))?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn look(how: &str, path: &Path) -> Result<String> {
    let shown = || path.display().to_string();
    match how {
        "cat" => std::fs::read_to_string(path).with_context(shown),
        "tar" => listed(&std::fs::read(path).with_context(shown)?),
        "ls" => {
            let entries = std::fs::read_dir(path).with_context(shown)?;
            let mut names = Vec::new();
            for entry in entries {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names.join("\n"))
        }
        other => anyhow::bail!("no look {other:?}"),
    }
}

/// The entries of an archive, in the order of their names.
fn listed(archive: &[u8]) -> Result<String> {
    let mut archive = tar::Archive::new(archive);
    let mut lines = Vec::new();
    for entry in archive.entries()? {
        let entry = entry?;
        let header = entry.header();
        lines.push(format!(
            "{} {:?} {:o} {}:{} {}",
            entry.path()?.display(),
            header.entry_type(),
            header.mode()?,
            header.uid()?,
            header.gid()?,
            header.size()?
        ));
    }
    lines.sort();
    Ok(lines.join("\n"))
}
