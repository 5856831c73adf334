//! `berth create`

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use api::Action;
use api::container::{CreateRequest, CreateResponse};

use crate::command::image::pull::pull;
use crate::command::{Arity, Command, Context};
use crate::error::{DAEMON_FAULT, Error, Result, reason};
use crate::flag::Matches;
use crate::opts::container;
use crate::session::progress::Target;

pub(crate) static COMMAND: Command = Command::new(
    "create",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    Arity::AtLeast(1),
    |context, matches| {
        let request = plan(matches)?;
        let id = create(context, matches, &request)?;
        context.out.line(&id)
    },
)
.stops_at_first_argument()
.paths(&["container create", "create"])
.flags(&container::FLAGS);

/// The request, or the refusal with the exit code of a wrong command line.
pub(super) fn plan(matches: &Matches) -> Result<CreateRequest> {
    let policy = matches.get("pull");
    if !["always", "missing", "never"].contains(&policy) {
        return Err(at_fault(Error::said(format!(
            "invalid pull option: '{policy}': must be one of \"always\", \"missing\" or \"never\""
        ))));
    }
    container::request(matches).map_err(at_fault)
}

/// A failure before the container's own exit code exists.
pub(super) fn at_fault(error: Error) -> Error {
    match error {
        Error::Run { .. } | Error::Exit(_) => error,
        other => Error::Run { code: DAEMON_FAULT, text: other.to_string() },
    }
}

/// Creates the container and returns its id.
pub(super) fn create(context: &Context<'_>, matches: &Matches, request: &CreateRequest) -> Result<String> {
    let policy = matches.get("pull");
    oci::AnyReference::parse(&request.config.image).map_err(|error| Error::said(error.to_string()))?;
    warn(context, request);
    let id_file = matches.given("cidfile").map(IdFile::create).transpose()?;
    let client = context.client()?;
    if policy == "always" {
        fetch(context, &request.config.image, matches)?;
    }
    let send = || -> Result<CreateResponse> {
        client
            .call(Action::ContainerCreate, "")
            .given("name", matches.get("name"))
            .given("platform", matches.get("platform"))
            .json(request)?
            .fetch()
    };
    let created = match send() {
        Err(error) if policy == "missing" && is_absent_image(&error) => {
            if !matches.bool("quiet") {
                context
                    .out
                    .error_line(&format!("Unable to find image '{}' locally", named(&request.config.image)));
            }
            fetch(context, &request.config.image, matches)?;
            send()?
        }
        other => other?,
    };
    for warning in &created.warnings {
        context.out.error_line(&format!("WARNING: {warning}"));
    }
    if let Some(file) = id_file {
        file.write(&created.id)?;
    }
    Ok(created.id)
}

/// What is allowed and seldom meant.
fn warn(context: &Context<'_>, request: &CreateRequest) {
    let host = &request.host_config;
    if host.resources.oom_kill_disable == Some(true) && host.resources.memory == 0 {
        context.out.error_line(
            "WARNING: Disabling the OOM killer on containers without setting a '-m/--memory' limit may be dangerous.",
        );
    }
    let local = |server: &&String| server.starts_with("127.") || server.as_str() == "::1";
    if let Some(server) = host.dns.iter().find(local) {
        context.out.error_line(&format!("WARNING: Localhost DNS ({server}) may fail in containers."));
    }
}

/// Pulls on behalf of `run`: what it tells goes to standard error.
fn fetch(context: &Context<'_>, image: &str, matches: &Matches) -> Result<()> {
    pull(context, image, matches.get("platform"), Target::Error, matches.bool("quiet"))
}

/// Whether the image is what was not found, and not a network or a volume.
fn is_absent_image(error: &Error) -> bool {
    error.is_not_found() && error.to_string().to_lowercase().contains("no such image")
}

/// With the tag that is meant when none is given.
fn named(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || image.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}

/// `--cidfile`: made before the container, removed again when that fails.
struct IdFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl IdFile {
    fn create(path: &str) -> Result<Self> {
        let opened = OpenOptions::new().write(true).create_new(true).open(path);
        let file = opened.map_err(|error| {
            Error::said(if error.kind() == std::io::ErrorKind::AlreadyExists {
                format!(
                    "container ID file found, make sure the other container isn't running or delete {path}"
                )
            } else {
                format!("failed to create the container ID file: open {path}: {}", reason(&error))
            })
        })?;
        Ok(Self { path: path.into(), file, written: false })
    }

    fn write(mut self, id: &str) -> Result<()> {
        self.file
            .write_all(id.as_bytes())
            .map_err(Error::io(format!("failed to write the container ID ({id}) to file")))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            // An empty file would make the next run refuse to start.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_file_stays_only_with_an_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cid");
        let text = path.to_str().unwrap();
        drop(IdFile::create(text).unwrap());
        assert!(!path.exists());
        IdFile::create(text).unwrap().write("abc").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "abc");
        assert!(IdFile::create(text).err().unwrap().to_string().starts_with("container ID file found"));
    }

    #[test]
    fn tags_are_completed() {
        assert_eq!(named("h:5000/a"), "h:5000/a:latest");
        assert_eq!(named("a:1"), "a:1");
        assert_eq!(named("a@sha256:x"), "a@sha256:x");
    }
}
