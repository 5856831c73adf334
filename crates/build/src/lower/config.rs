//! Instructions that only change what containers get.

use std::collections::BTreeMap;

use dockerfile::ast::{CommandLine, Healthcheck, Instruction, Pair};
use dockerfile::{Word, expand, expose};
use oci::image::Empty;

use super::environment::put;
use super::history::quoted;
use super::stage::State;
use crate::Result;

impl State<'_> {
    /// Does the instruction if it is of this kind; what the history says of it.
    pub(super) fn configure(&mut self, instruction: &Instruction) -> Result<Option<String>> {
        Ok(Some(match instruction {
            Instruction::Cmd(command) => {
                let words = command.words(&self.shell());
                self.cmd_set = true;
                let text = format!("CMD {}", quoted(&words));
                self.config.args_escaped = false;
                self.config.cmd = Some(words);
                text
            }
            Instruction::Entrypoint(command) => self.entrypoint(command),
            Instruction::Env(pairs) => self.env(pairs)?,
            Instruction::Label(pairs) => self.label(pairs)?,
            Instruction::Expose(ports) => self.expose(ports)?,
            Instruction::Healthcheck(check) => self.healthcheck(check),
            Instruction::Maintainer(name) => {
                self.image.author = Some(name.text.clone());
                format!("MAINTAINER {name}")
            }
            Instruction::Onbuild(trigger) => {
                self.config.on_build.get_or_insert_default().push(trigger.expression.clone());
                format!("ONBUILD {}", trigger.expression)
            }
            Instruction::Shell(words) => {
                let words: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
                let text = format!("SHELL [{}]", words.join(" "));
                self.config.shell = Some(words);
                text
            }
            Instruction::Stopsignal(signal) => {
                let signal = self.word(signal)?;
                let text = format!("STOPSIGNAL {signal}");
                if !is_signal(&signal) {
                    return Err(self.wrong(format!("Invalid signal: {signal}")));
                }
                self.config.stop_signal = Some(signal);
                text
            }
            Instruction::User(user) => {
                self.config.user = self.word(user)?;
                format!("USER {}", self.config.user)
            }
            Instruction::Volume(paths) => self.volume(paths)?,
            _ => return Ok(None),
        }))
    }

    fn entrypoint(&mut self, command: &CommandLine) -> String {
        let words = command.words(&self.shell());
        let text = format!("ENTRYPOINT {}", quoted(&words));
        self.config.entrypoint = if words.is_empty() { None } else { Some(words) };
        // an inherited command belongs to the inherited entry point
        if !self.cmd_set {
            self.config.cmd = None;
        }
        text
    }

    fn env(&mut self, pairs: &[Pair]) -> Result<String> {
        let expanded = self.pairs(pairs)?;
        for (name, value) in &expanded {
            put(&mut self.config.env, name, value);
        }
        Ok(format!("ENV {}", joined(&expanded)))
    }

    fn label(&mut self, pairs: &[Pair]) -> Result<String> {
        let expanded = self.pairs(pairs)?;
        let labels = self.config.labels.get_or_insert_with(BTreeMap::new);
        labels.extend(expanded.iter().cloned());
        Ok(format!("LABEL {}", joined(&expanded)))
    }

    /// Each from the environment before the whole instruction.
    fn pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>> {
        pairs.iter().map(|pair| Ok((self.word(&pair.name)?, self.word(&pair.value)?))).collect()
    }

    fn expose(&mut self, ports: &[Word]) -> Result<String> {
        let mut words = Vec::new();
        for port in ports {
            words.extend(self.words(port)?);
        }
        words.sort();
        let mut exposed = self.config.exposed_ports.take().unwrap_or_default();
        for word in &words {
            let ports = expose::parse(word).map_err(|error| self.wrong(error))?;
            exposed.extend(ports.each().map(|port| (port, Empty {})));
        }
        self.config.exposed_ports = Some(exposed);
        Ok(format!("EXPOSE {}", words.join(" ")))
    }

    fn volume(&mut self, paths: &[Word]) -> Result<String> {
        let mut words = Vec::new();
        for path in paths {
            let path = self.word(path)?;
            if path.trim().is_empty() {
                return Err(self.wrong("VOLUME specified can not be an empty string"));
            }
            words.push(path);
        }
        let volumes = self.config.volumes.get_or_insert_default();
        volumes.extend(words.iter().map(|path| (path.clone(), Empty {})));
        Ok(format!("VOLUME [{}]", words.join(" ")))
    }

    fn healthcheck(&mut self, check: &Healthcheck) -> String {
        let test = check.test();
        let mut probe = oci::image::Healthcheck { test: Some(test.clone()), ..Default::default() };
        if let Healthcheck::Probe { interval, timeout, start_period, start_interval, retries, .. } = check {
            (probe.interval, probe.timeout, probe.start_period) = (*interval, *timeout, *start_period);
            (probe.start_interval, probe.retries) = (*start_interval, i64::from(*retries));
        }
        let time = |nanos: i64| format!("{:?}", duration(nanos));
        let text = format!(
            "HEALTHCHECK &{{{} {} {} {} {} '{}'}}",
            quoted(&test),
            time(probe.interval),
            time(probe.timeout),
            time(probe.start_period),
            time(probe.start_interval),
            retries(probe.retries),
        );
        self.config.healthcheck = Some(probe);
        text
    }

    /// A word's several words.
    pub(super) fn words(&self, word: &Word) -> Result<Vec<String>> {
        let lookup = |name: &str| self.lookup(name);
        expand::words(&word.text, self.escape, &lookup).map_err(|error| self.wrong(error))
    }
}

/// Go's `%c` of a count.
fn retries(count: i64) -> String {
    match u32::try_from(count).ok().and_then(char::from_u32) {
        Some('\0') | None => "\\x00".to_owned(),
        Some(letter) => letter.escape_default().to_string(),
    }
}

/// Go's `Duration.String` for whole and broken seconds.
fn duration(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let broken = nanos % 1_000_000_000;
    match (nanos, hours, minutes) {
        (0, ..) => "0s".to_owned(),
        (..1_000_000_000, ..) => format!("{}ms", nanos / 1_000_000),
        (_, 0, 0) if broken == 0 => format!("{rest}s"),
        (_, 0, 0) => format!("{}s", nanos as f64 / 1e9),
        (_, 0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

/// A name with or without `SIG`, or a number, of which Docker wants no more than that it is one.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i32>() {
        return number > 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = (1..=64).filter_map(sys::signal::Signal::from_number);
    let mut known = known.map(sys::signal::Signal::name);
    matches!(name, "IOT" | "CLD")
        || name.starts_with("RTMIN")
        || name.starts_with("RTMAX")
        || known.any(|signal| signal.strip_prefix("SIG").unwrap_or(&signal) == name)
}
