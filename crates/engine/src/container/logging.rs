//! Log drivers and their options: the daemon's defaults under the request; the shim knows what they mean.

use std::path::{Path, PathBuf};

use shim::log::{LogContext, configure};
use shim::protocol::LogRequest;

use crate::container::{Container, LogConfig};
use crate::error::{Error, Result};

/// Drivers that the shim has.
pub(crate) const DRIVERS: [&str; 3] = ["json-file", "local", "none"];

/// Completes a request's log settings with the daemon's, and checks them.
///
/// # Errors
/// An unknown driver or option, or a value that makes no sense.
pub(crate) fn complete(asked: &LogConfig, default: &LogConfig) -> Result<LogConfig> {
    let mut config = asked.clone();
    if config.driver.is_empty() {
        config.driver.clone_from(&default.driver);
    }
    if config.driver == default.driver {
        for (name, value) in &default.options {
            config.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    check(&config)?;
    Ok(config)
}

/// Checks a driver and its options.
///
/// # Errors
/// An unknown driver or option, or a value that makes no sense.
pub(crate) fn check(config: &LogConfig) -> Result<()> {
    let nobody = LogContext {
        id: "",
        name: "",
        image_name: "",
        image_id: "",
        labels: &std::collections::BTreeMap::new(),
        env: &[],
    };
    configure(&config.driver, &config.options, Path::new("log"), &nobody).map_err(wrong)?;
    Ok(())
}

fn wrong(error: shim::log::LogError) -> Error {
    Error::bad_parameter(error.to_string()).with_source(error)
}

/// What the shim is told.
///
/// # Errors
/// An option is wrong.
pub(crate) fn request(container: &Container, path: PathBuf) -> Result<LogRequest> {
    let log = &container.host.log_config;
    let context = LogContext {
        id: &container.id,
        name: &container.name,
        image_name: &container.config.image,
        image_id: &container.image_id,
        labels: &container.config.labels,
        env: &container.config.env,
    };
    configure(&log.driver, &log.options, &path, &context).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LogConfig { driver: driver.to_owned(), options }
    }

    #[test]
    fn unknown_drivers_and_options_are_refused() {
        let default = config("json-file", &[("max-size", "1m")]);
        assert_eq!(complete(&LogConfig::default(), &default).unwrap(), default);
        assert!(complete(&config("fluentd", &[]), &default).is_err());
        assert!(complete(&config("json-file", &[("nope", "1")]), &default).is_err());
        assert!(complete(&config("json-file", &[("max-file", "0")]), &default).is_err());
    }
}
