//! `ls` and `inspect`

use std::collections::HashSet;
use std::sync::Arc;

use super::super::{Volume, store};
use super::no_such;
use crate::Engine;
use crate::container::task::blocking;
use crate::error::Result;
use crate::filters::Filters;

impl Engine {
    /// The volumes that all filters let through: `dangling driver label name protected`.
    ///
    /// # Errors
    /// An unknown filter.
    pub async fn volume_find(&self, filters: Filters) -> Result<Vec<Volume>> {
        filters.only(&["dangling", "driver", "label", "name", "protected"])?;
        let (dangling, protected) = (filters.flag("dangling")?, filters.flag("protected")?);
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let containers = engine.containers.all();
            let snapshots = containers.iter().map(|entry| entry.snapshot());
            let used: HashSet<String> =
                snapshots.flat_map(|one| one.mounts.clone()).map(|mount| mount.name).collect();
            let wanted = |volume: &Volume| {
                dangling.is_none_or(|dangling| dangling != used.contains(&volume.name))
                    && protected.is_none_or(|protected| protected == volume.protected)
                    && filters.any("name", |pattern| matches(pattern, &volume.name))
                    && filters.exact("driver", "local")
                    && filters.labels("label", &volume.labels)
            };
            Ok(store::list(&engine.layout).into_iter().filter(wanted).collect())
        })
        .await
    }

    /// One volume.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        let (engine, name) = (Arc::clone(&self.0), name.to_owned());
        blocking(move || store::read(&engine.layout, &name).ok_or_else(|| no_such(&name))).await
    }
}

/// A part of the name; `^` and `$` hold it at an end. (Docker takes any regular expression; these are what names need.)
fn matches(pattern: &str, name: &str) -> bool {
    let (start, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
    match (start, end) {
        (true, true) => name == rest,
        (true, false) => name.starts_with(rest),
        (false, true) => name.ends_with(rest),
        (false, false) => name.contains(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_part_or_at_an_end() {
        assert!(matches("med", "named") && matches("^nam", "named") && matches("ed$", "named"));
        assert!(matches("^named$", "named") && !matches("^named$", "named2") && !matches("^med", "named"));
    }
}
