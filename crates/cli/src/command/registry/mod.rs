//! Registries: who the user is there.

pub(crate) mod login;
pub(crate) mod logout;
