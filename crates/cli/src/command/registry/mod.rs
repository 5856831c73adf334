//! Registries: who the user is there, and one of one's own (`berth registry …`).

pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod serve;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group =
    Group { name: "registry", about: "Run a registry of your own", commands: &[&serve::COMMAND] };
