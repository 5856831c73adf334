//! Where the container's output is kept.

use api::container::CreateRequest;

use super::refuse;
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::opts::kv;

pub(crate) const FLAGS: &[Flag] = &[
    Flag::string("log-driver", "Driver of the container's log"),
    Flag::list("log-opt", "Options of that driver"),
];

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    let (driver, options) = (matches.get("log-driver"), matches.all("log-opt"));
    if driver == "none" && !options.is_empty() {
        return refuse("invalid logging opts for driver none");
    }
    let log = &mut request.host_config.log_config;
    driver.clone_into(&mut log.kind);
    log.config = kv::map(&options);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;

    #[test]
    fn log_options() {
        let log =
            plan(&["--log-driver", "local", "--log-opt", "max-size=1m"]).unwrap().host_config.log_config;
        assert_eq!((log.kind.as_str(), log.config["max-size"].as_str()), ("local", "1m"));
        assert!(plan(&["--log-driver", "none", "--log-opt", "a=b"]).is_err());
    }
}
