//! What a step is about: a command, or an endpoint of the route table.

use api::routes::{Method, ROUTES, find};
use api::version::MAX;

use super::script::{Action, Row, Step};

/// Verbs of `container` that are commands of their own as well.
const VERBS: &[&str] = &[
    "attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs", "pause", "port", "rename",
    "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait",
];

/// Verbs of `image` that are commands of their own as well.
const IMAGE_VERBS: &[&str] = &["history", "import", "load", "pull", "push", "save", "tag"];

/// The other spellings of the commands of the table, each with the name under which it is written down.
const OTHERS: &[(&str, &str)] = &[
    ("container inspect", "container inspect"),
    ("container ls", "container ls"),
    ("container list", "container ls"),
    ("container ps", "container ls"),
    ("ps", "container ls"),
    ("container remove", "container rm"),
    ("container prune", "container prune"),
    ("image inspect", "image inspect"),
    ("image ls", "image ls"),
    ("image list", "image ls"),
    ("images", "image ls"),
    ("image prune", "image prune"),
    ("image rm", "image rm"),
    ("image remove", "image rm"),
    ("rmi", "image rm"),
    ("search", "search"),
    ("inspect", "inspect"),
    ("network connect", "network connect"),
    ("network create", "network create"),
    ("network disconnect", "network disconnect"),
    ("network inspect", "network inspect"),
    ("network ls", "network ls"),
    ("network list", "network ls"),
    ("network prune", "network prune"),
    ("network rm", "network rm"),
    ("network remove", "network rm"),
    ("volume create", "volume create"),
    ("volume inspect", "volume inspect"),
    ("volume ls", "volume ls"),
    ("volume list", "volume ls"),
    ("volume prune", "volume prune"),
    ("volume rm", "volume rm"),
    ("volume remove", "volume rm"),
    ("volume update", "volume update"),
    ("system df", "system df"),
    ("system dial-stdio", "system dial-stdio"),
    ("system events", "system events"),
    ("events", "system events"),
    ("system info", "system info"),
    ("info", "system info"),
    ("system prune", "system prune"),
    ("checkpoint create", "checkpoint create"),
    ("checkpoint ls", "checkpoint ls"),
    ("checkpoint list", "checkpoint ls"),
    ("checkpoint rm", "checkpoint rm"),
    ("checkpoint remove", "checkpoint rm"),
    ("version", "version"),
];

/// Spellings and endpoints that no row drives, and why.
pub(super) const OPEN: &[(&str, &str)] = &[
    ("checkpoint create", "needs `criu`, and a Docker with experimental features"),
    ("checkpoint ls", "as `checkpoint create`"),
    ("checkpoint list", "as `checkpoint create`"),
    ("checkpoint rm", "as `checkpoint create`"),
    ("checkpoint remove", "as `checkpoint create`"),
    ("GET /containers/{id}/checkpoints", "as `checkpoint create`"),
    ("POST /containers/{id}/checkpoints", "as `checkpoint create`"),
    ("DELETE /containers/{id}/checkpoints/{checkpoint}", "as `checkpoint create`"),
    ("GET /images/{name}/attestations", "of a later version of the API"),
    ("GET /images/{name}/verify", "Berth's own: Docker has nothing beside it"),
    ("GET /images/{name}/sbom", "as `verify`"),
    ("POST /volumes/{id}/protect", "Berth's own: Docker has nothing beside it"),
    ("POST /volumes/{id}/unprotect", "as `protect`"),
];

/// Every spelling, with its name.
pub(super) fn commands() -> Vec<(String, String)> {
    let of = |noun: &str, verb: &str| {
        let name = format!("{noun} {verb}");
        [(verb.to_owned(), name.clone()), (name.clone(), name)]
    };
    let verbs = VERBS.iter().flat_map(|verb| of("container", verb));
    let verbs = verbs.chain(IMAGE_VERBS.iter().flat_map(|verb| of("image", verb)));
    let others = OTHERS.iter().map(|(spelling, name)| ((*spelling).to_owned(), (*name).to_owned()));
    verbs.chain(others).collect()
}

/// The endpoints of containers, volumes, events and the system, as `METHOD /path`.
pub(super) fn endpoints() -> Vec<String> {
    let of_the_table = |pattern: &str| {
        [
            "/containers",
            "/exec",
            "/images",
            "/distribution",
            "/networks",
            "/volumes",
            "/events",
            "/system",
            "/info",
            "/version",
            "/_ping",
            "/commit",
        ]
        .iter()
        .any(|prefix| pattern.starts_with(prefix))
    };
    let routes = ROUTES.iter().filter(|route| of_the_table(route.pattern));
    routes.map(|route| format!("{} {}", route.method.as_str(), shown(route.pattern))).collect()
}

/// The path as Docker's reference writes it. (Ours takes names of two parts, those of links, for containers.)
fn shown(pattern: &str) -> String {
    pattern.replace("/containers/{name}", "/containers/{id}")
}

/// The name of what a step is about and, for a command, the spelling that it uses.
pub(super) fn of(step: &Step) -> Vec<String> {
    match &step.action {
        Action::Command(words) => {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let two = words.get(..2).map(|two| two.join(" "));
            let one = words.first().map(|one| (*one).to_owned());
            let spelling = [two, one]
                .into_iter()
                .flatten()
                .find_map(|typed| commands().into_iter().find(|(spelling, _)| *spelling == typed));
            spelling.map_or_else(Vec::new, |(spelling, name)| vec![name, spelling])
        }
        Action::Request { method, path, .. } => {
            let path = path.split('?').next().unwrap_or_default().replace('%', "");
            let found = Method::parse(method).and_then(|method| find(method, &path, MAX));
            found.map_or_else(Vec::new, |found| {
                let route = found.action.route();
                vec![format!("{} {}", route.method.as_str(), shown(route.pattern))]
            })
        }
        Action::Look { .. } => Vec::new(),
    }
}

/// Commands, by every spelling, and endpoints that no row drives, or that are [`OPEN`] and driven all the same.
pub(super) fn missing(rows: &[Row]) -> Vec<String> {
    let driven: Vec<String> = rows.iter().flat_map(|row| &row.steps).flat_map(of).collect();
    let spellings = commands().into_iter().map(|(spelling, _)| spelling);
    let open = |name: &String| OPEN.iter().any(|(open, _)| open == name);
    spellings.chain(endpoints()).filter(|wanted| driven.contains(wanted) == open(wanted)).collect()
}
