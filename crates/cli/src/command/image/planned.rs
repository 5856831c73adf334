//! Image commands that wait for the daemon's side.

use crate::command::Command;

pub(crate) static BUILD: Command =
    Command::planned("build", "[OPTIONS] PATH | URL | -", "Build an image from a Dockerfile")
        .paths(&["image build", "build"]);
