//! `GET /images/search`

use registry::client::Found;

use crate::Engine;
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::registry::{Credentials, Doing, failed};

/// Results when nobody says how many, and the most that can be asked for.
const LIMITS: (usize, usize) = (25, 100);

/// What is searched for.
#[derive(Debug, Clone, Default)]
pub struct SearchOptions {
    /// `[registry/]text`.
    pub term: String,
    /// The most results.
    pub limit: Option<i64>,
    /// `is-automated is-official stars`.
    pub filters: Filters,
    /// Who asks.
    pub credentials: Credentials,
}

/// One repository that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Its name, as one pulls it.
    pub name: String,
    /// What it says of itself.
    pub description: String,
    /// How many like it.
    pub stars: usize,
    /// It is one of Docker's own.
    pub official: bool,
}

impl Engine {
    /// Searches a registry.
    ///
    /// # Errors
    /// A filter or the limit is wrong; the registry can't be searched.
    pub async fn image_search(&self, options: SearchOptions) -> Result<Vec<SearchHit>> {
        let filters = &options.filters;
        filters.only(&["is-automated", "is-official", "stars"])?;
        let official = filters.flag("is-official")?;
        // nothing is built automatically any more
        let automated = filters.flag("is-automated")?.unwrap_or(false);
        let stars = filters.get("stars").map(stars).collect::<Result<Vec<_>>>()?;
        let stars = stars.into_iter().max().unwrap_or(0);
        let limit = limit(options.limit)?;
        let (domain, text) = split(&options.term)?;
        let current = self.0.registries.current();
        let registry = current.client.registry(&domain, options.credentials.clone());
        let found = match registry.search(&text, limit).await {
            Ok(found) => found,
            // Few have such a search: the names of all repositories are looked through.
            Err(error) if error.is_not_found() && domain != oci::DEFAULT_DOMAIN => {
                let all = registry.catalog().await.map_err(|error| failed(error, Doing::Asking))?;
                all.into_iter().filter(|name| name.contains(&text)).map(unknown).collect()
            }
            Err(error) => return Err(failed(error, Doing::Asking)),
        };
        let hits = found.into_iter().map(|hit| SearchHit {
            // a registry of one's own is part of the name
            name: if domain == oci::DEFAULT_DOMAIN { hit.name } else { format!("{domain}/{}", hit.name) },
            description: hit.description,
            stars: usize::try_from(hit.stars).unwrap_or(0),
            official: hit.official,
        });
        Ok(hits
            .filter(|hit| {
                !automated && official.is_none_or(|wanted| wanted == hit.official) && hit.stars >= stars
            })
            .take(limit)
            .collect())
    }
}

/// A repository of which only the name is known.
fn unknown(name: String) -> Found {
    Found { name, description: String::new(), stars: 0, official: false, automated: false }
}

fn stars(text: &str) -> Result<usize> {
    text.parse().map_err(|_unparsed| Error::bad_parameter(format!("invalid filter 'stars={text}'")))
}

fn limit(asked: Option<i64>) -> Result<usize> {
    let (default, most) = LIMITS;
    match asked {
        None | Some(0) => Ok(default),
        Some(limit) => {
            usize::try_from(limit).ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
                Error::bad_parameter(format!("limit {limit} is outside the range of [1, {most}]"))
            })
        }
    }
}

/// The registry, and what is searched for in it.
fn split(term: &str) -> Result<(String, String)> {
    if term.contains("://") {
        return Err(Error::bad_parameter(format!(
            "invalid repository name: repository name ({term}) should not have a scheme"
        )));
    }
    let (domain, text) = match term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (oci::DEFAULT_DOMAIN, term),
    };
    let domain = if domain == "index.docker.io" { oci::DEFAULT_DOMAIN } else { domain };
    let text = text.strip_prefix("library/").filter(|_| domain == oci::DEFAULT_DOMAIN).unwrap_or(text);
    // what would be no registry's name must not be asked for
    oci::Reference::parse(&format!("{domain}/x")).map_err(|error| Error::bad_parameter(error.to_string()))?;
    Ok((domain.to_owned(), text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_and_what() {
        let parted = |term: &str| split(term).unwrap();
        assert_eq!(parted("alpine"), ("docker.io".into(), "alpine".into()));
        assert_eq!(parted("library/alpine"), ("docker.io".into(), "alpine".into()));
        assert_eq!(parted("u/a"), ("docker.io".into(), "u/a".into()));
        assert_eq!(parted("localhost:5000/a/b"), ("localhost:5000".into(), "a/b".into()));
    }

    #[test]
    fn wrong_questions() {
        assert!(split("https://x/y").is_err() && split("a..:b/y").is_err());
        assert_eq!((limit(None).unwrap(), limit(Some(3)).unwrap()), (25, 3));
        assert!(limit(Some(101)).is_err() && limit(Some(-1)).is_err());
        assert!(stars("x").is_err());
    }
}
