//! The long lists of options, by theme, and what they put into a request.

pub(crate) mod container;
pub(crate) mod env;
pub(crate) mod filter;
pub(crate) mod kv;
pub(crate) mod when;
