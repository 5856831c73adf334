//! Registries: pull and push between engines, and what goes wrong on the way.

mod fixtures;
