//! Image commands that wait for the daemon's side.

use crate::command::Command;

pub(crate) static BUILD: Command =
    Command::planned("build", "[OPTIONS] PATH | URL | -", "Build an image from a Dockerfile")
        .paths(&["image build", "build"]);

pub(crate) static PUSH: Command =
    Command::planned("push", "[OPTIONS] NAME[:TAG]", "Upload an image to a registry")
        .paths(&["image push", "push"]);

pub(crate) static SEARCH: Command =
    Command::planned("search", "[OPTIONS] TERM", "Search a registry for images");
