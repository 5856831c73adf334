//! Routes that the API documents and Berth does not have (yet): a sentence that names the feature.

use api::Action;
use hyper::StatusCode;

use crate::error::ApiError;

/// Swarm stays out: other tools do that better.
const SWARM: &str = "This node is not a swarm manager: swarm mode is not part of Berth; use Kubernetes to \
                     orchestrate containers over several machines";

/// The answer for an action without a handler.
pub(crate) fn answer(action: Action) -> ApiError {
    let path = action.route().pattern;
    if is_swarm(path) {
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, SWARM);
    }
    ApiError::not_implemented(format!("{} is not supported by this version of Berth", feature(action, path)))
}

fn is_swarm(path: &str) -> bool {
    ["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs"]
        .iter()
        .any(|start| path.starts_with(start))
}

fn feature(action: Action, path: &str) -> String {
    let name = match action {
        Action::ImageBuild | Action::Session => "building images",
        _ if path.starts_with("/plugins") => "managing plugins",
        _ => return format!("{} {path}", action.route().method.as_str()),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swarm_and_the_rest() {
        assert_eq!(answer(Action::NodeList).status(), 503);
        assert!(answer(Action::NodeList).to_string().contains("Kubernetes"));
        assert_eq!(answer(Action::PluginList).status(), 501);
        assert_eq!(
            answer(Action::ImageBuild).to_string(),
            "building images is not supported by this version of Berth"
        );
    }
}
