//! The closed table of what can be asked. Daemon and client both read it, so they can't disagree.

mod table;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::version::Version;

pub use table::{Action, ROUTES};

/// Characters that a name in a path is written without.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The methods that the API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// What is asked.
    pub action: Action,
    /// How.
    pub method: Method,
    /// Where: a path without version; `{id}` stands for one segment, `{name}` for one or more.
    pub pattern: &'static str,
    /// The first version that has it.
    pub since: Version,
}

/// A request that the table knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is asked.
    pub action: Action,
    /// The decoded `{id}` or `{name}`; empty for a pattern without one.
    pub param: String,
}

impl Method {
    /// The method's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// The method of a name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete]
            .into_iter()
            .find(|method| method.as_str() == name)
    }
}

/// Finds the row of a path without version prefix.
#[must_use]
pub fn find(method: Method, path: &str, version: Version) -> Option<Found> {
    ROUTES.iter().filter(|route| route.method == method && route.since <= version).find_map(|route| {
        let param = matched(route.pattern, path)?;
        let param = percent_decode_str(param).decode_utf8().ok()?.into_owned();
        Some(Found { action: route.action, param })
    })
}

/// The raw parameter of a path that fits the pattern.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = pattern.split_once('{') else { return (pattern == path).then_some("") };
    let (kind, after) = rest.split_once('}')?;
    let param = path.strip_prefix(before)?.strip_suffix(after)?;
    let slashes = kind == "name";
    (!param.is_empty() && (slashes || !param.contains('/'))).then_some(param)
}

impl Action {
    /// The row of this action.
    #[must_use]
    pub fn route(self) -> &'static Route {
        // The table has one row per variant, in the order of the variants.
        &ROUTES[self as usize]
    }

    /// The path to ask, with the version's prefix; `param` fills `{id}` or `{name}`.
    #[must_use]
    pub fn path(self, version: Version, param: &str) -> String {
        let pattern = self.route().pattern;
        match pattern.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
            Some((before, after)) => {
                format!("/v{version}{before}{}{after}", utf8_percent_encode(param, PATH))
            }
            None => format!("/v{version}{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::MAX;

    fn get(path: &str) -> Option<(Action, String)> {
        find(Method::Get, path, MAX).map(|found| (found.action, found.param))
    }

    #[test]
    fn rows_are_in_the_order_of_the_actions() {
        for (index, route) in ROUTES.iter().enumerate() {
            assert_eq!(route.action as usize, index, "{}", route.pattern);
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_path() {
        for route in &ROUTES {
            let path = route.action.path(MAX, "x");
            let (_, path) = Version::split(&path);
            let found = find(route.method, path, MAX).unwrap();
            assert_eq!(found.action, route.action, "{path}");
        }
    }

    #[test]
    fn names_may_have_slashes_and_ids_may_not() {
        assert_eq!(
            get("/images/docker.io/library/a:b/json"),
            Some((Action::ImageInspect, "docker.io/library/a:b".into()))
        );
        assert_eq!(get("/images/a%3Ab/json"), Some((Action::ImageInspect, "a:b".into())));
        assert_eq!(get("/images/json"), Some((Action::ImageList, String::new())));
        assert_eq!(get("/images/get"), Some((Action::ImageGetAll, String::new())));
        assert_eq!(get("/volumes/a/b"), None);
        assert_eq!(
            get("/containers/parent/alias/json"),
            Some((Action::ContainerInspect, "parent/alias".into()))
        );
        assert_eq!(get("/containers//json"), None);
        assert_eq!(get("/containers/json/json"), Some((Action::ContainerInspect, "json".into())));
    }

    #[test]
    fn a_route_begins_with_its_version() {
        assert!(find(Method::Get, "/system/df", Version::minor(24)).is_none());
        assert!(find(Method::Get, "/system/df", Version::minor(25)).is_some());
    }

    #[test]
    fn params_are_escaped() {
        assert_eq!(Action::ContainerInspect.path(MAX, "a b?"), "/v1.55/containers/a%20b%3F/json");
    }
}
