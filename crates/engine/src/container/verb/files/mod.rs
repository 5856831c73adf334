//! A container's files: copied in and out, exported, compared with the image's, committed to a new one.

mod archive;
mod changes;
mod commit;
mod export;
mod extract;
mod outgoing;
mod place;

pub use commit::CommitOptions;
pub use extract::ExtractOptions;
pub use place::PathStat;

use std::sync::Arc;

use crate::Engine;
use crate::container::task::{self, Request};
use crate::container::view::View;
use crate::container::{Container, Status};
use crate::error::{Error, Result};

impl Engine {
    /// A container and its files.
    async fn view(&self, name: &str) -> Result<(Arc<Container>, Arc<View>)> {
        let entry = self.0.containers.find(name)?;
        let view = entry.ask(Request::View).await?;
        Ok((entry.snapshot(), view))
    }

    fn container_event(&self, container: &Container, action: &str, more: &[(&str, String)]) {
        self.0.events.publish(task::event(container, action, more));
    }
}

/// Nothing is made of a container that is going, or is half gone.
fn not_going(container: &Container, verb: &str) -> Result<()> {
    let why = match container.state.status() {
        Status::Dead => "Dead",
        Status::Removing => "being removed",
        _ => return Ok(()),
    };
    Err(Error::conflict(format!("You cannot {verb} container {} which is {why}", container.id)))
}

/// The kernel's reason as Go, and so Docker, writes it.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What is wrong with an archive is the sender's fault, what the kernel refuses is not.
fn tar_error(error: tarball::Error) -> Error {
    match &error {
        tarball::Error::Io { what, source } => {
            Error::system(format!("{what}: {}", reason(source))).with_source(error)
        }
        tarball::Error::Refused(sentence) => Error::system(sentence.clone()),
        _ => Error::bad_parameter(error.to_string()).with_source(error),
    }
}
