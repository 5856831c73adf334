//! Sizes for people.

pub(crate) use api::units::{binary_size, human_size, short_size, with_precision};
