//! Registries: pull and push between engines, and what goes wrong on the way.

mod buckets;
mod faults;
mod fixtures;
mod killed;
mod manifests;
mod matrix;
mod reach;
mod resume;
mod served;
mod shared;
