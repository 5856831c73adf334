//! What a build has come to, as long as somebody wants something of it.

use std::sync::Arc;

use ::build::attest::Predicate;
use ::build::solve::Tree;
use oci::{Descriptor, ImageConfig, Platform};

use super::super::trees::Trees;

/// A finished build; its files stay as long as this.
pub struct RemoteBuilt {
    /// One result for each platform.
    pub results: Vec<Built>,
    /// The manifest of the cache that was sent to a registry.
    pub cache: Option<Descriptor>,
    pub(in crate::build) trees: Arc<Trees>,
}

/// One platform's result.
pub struct Built {
    /// For what.
    pub platform: Platform,
    /// The image's configuration, if an image was wanted.
    pub config: Option<ImageConfig>,
    /// How many of its layers are the base image's.
    pub(in crate::build) base_layers: usize,
    /// What is said of it.
    pub(in crate::build) predicates: Vec<Predicate>,
    pub(in crate::build) tree: Tree,
}
