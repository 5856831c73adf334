//! Container commands that wait for the daemon's side.

use crate::command::Command;

pub(crate) static COMMIT: Command = Command::planned(
    "commit",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container's changes",
)
.paths(&["container commit", "commit"]);

pub(crate) static CP: Command = Command::planned(
    "cp",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-",
    "Copy files between a container and this machine",
)
.paths(&["container cp", "cp"]);
