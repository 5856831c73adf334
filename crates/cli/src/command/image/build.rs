//! `berth build`

use crate::build;
use crate::command::{Arity, Command};

pub(crate) static COMMAND: Command = Command::new(
    "build",
    "[OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    Arity::Exactly(1),
    build::run,
)
.paths(&["image build", "build", "builder build", "buildx build"])
.flags(&[build::FLAGS]);
