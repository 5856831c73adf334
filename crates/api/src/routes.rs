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
    /// The decoded second parameter, of a pattern that has two.
    pub second: String,
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
        let (param, second) = matched(route.pattern, path)?;
        let decoded = |text| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        Some(Found { action: route.action, param: decoded(param)?, second: decoded(second)? })
    })
}

/// The raw parameters of a path that fits the pattern.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<(&'a str, &'a str)> {
    let Some((before, rest)) = pattern.split_once('{') else { return (pattern == path).then_some(("", "")) };
    let (kind, after) = rest.split_once('}')?;
    let rest = path.strip_prefix(before)?;
    let (param, second) = match after.split_once('{') {
        Some((between, _)) => rest.rsplit_once(between).filter(|(_, second)| is_segment(second))?,
        None => (rest.strip_suffix(after)?, ""),
    };
    let slashes = kind == "name";
    (!param.is_empty() && (slashes || is_segment(param))).then_some((param, second))
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains('/')
}

impl Action {
    /// The row of this action.
    #[must_use]
    pub fn route(self) -> &'static Route {
        // The table has one row per variant, in the order of the variants.
        &ROUTES[self as usize]
    }

    /// The path to ask, with the version's prefix; `params` fill `{id}`, `{name}` and what else the pattern has, in order.
    #[must_use]
    pub fn path(self, version: Version, params: &[&str]) -> String {
        let mut path = format!("/v{version}");
        let mut params = params.iter();
        let mut rest = self.route().pattern;
        while let Some((before, (_, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            path.push_str(before);
            path.extend(utf8_percent_encode(params.next().unwrap_or(&""), PATH));
            rest = after;
        }
        path + rest
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
            let path = route.action.path(MAX, &["x", "y"]);
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
    fn two_params() {
        let find = |path| find(Method::Delete, path, MAX).unwrap();
        let path = Action::CheckpointDelete.path(MAX, &["a/b", "c d"]);
        assert_eq!(path, "/v1.55/containers/a/b/checkpoints/c%20d");
        let found = find(Version::split(&path).1);
        assert_eq!(
            (found.action, found.param.as_str(), found.second.as_str()),
            (Action::CheckpointDelete, "a/b", "c d")
        );
        assert_eq!(find("/containers/a").second, "");
    }

    #[test]
    fn a_route_begins_with_its_version() {
        assert!(find(Method::Get, "/system/df", Version::minor(24)).is_none());
        assert!(find(Method::Get, "/system/df", Version::minor(25)).is_some());
    }

    #[test]
    fn params_are_escaped() {
        assert_eq!(Action::ContainerInspect.path(MAX, &["a b?"]), "/v1.55/containers/a%20b%3F/json");
    }
}
