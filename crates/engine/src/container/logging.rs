//! Log drivers and their options: the daemon's defaults under the request; `logdriver` knows what they mean.

use logdriver::{Context, OptionError, Places, configure};
use shim::protocol::LogRequest;

use crate::container::{Container, LogConfig};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Completes a request's log settings with the daemon's. Only options of the cache are meant for every driver.
pub(crate) fn complete(asked: &LogConfig, default: &LogConfig) -> LogConfig {
    let mut config = asked.clone();
    if config.driver.is_empty() {
        config.driver.clone_from(&default.driver);
    }
    let same = config.driver == default.driver;
    for (name, value) in &default.options {
        if same || (name.starts_with("cache-") && config.driver != "none") {
            config.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    config
}

/// Checks a driver and its options.
///
/// # Errors
/// An unknown driver or option, or a value that makes no sense.
pub(crate) fn check(config: &LogConfig) -> Result<()> {
    let nowhere = std::path::Path::new("");
    let places = Places { file: nowhere, cache: nowhere, program: nowhere, journal: nowhere };
    configure(&config.driver, &config.options, &Context::nobody(), &places).map_err(wrong)?;
    Ok(())
}

fn wrong(error: OptionError) -> Error {
    Error::bad_parameter(error.to_string()).with_source(error)
}

/// What the shim is told.
///
/// # Errors
/// An option is wrong.
pub(crate) fn request(engine: &Inner, container: &Container) -> Result<LogRequest> {
    let log = &container.host.log_config;
    let context = Context {
        id: &container.id,
        name: &container.name,
        created: container.created,
        program: &container.path,
        args: &container.args,
        image_name: &container.config.image,
        image_id: &container.image_id,
        labels: &container.config.labels,
        env: &container.config.env,
    };
    with_places(engine, container, |places| configure(&log.driver, &log.options, &context, places))
        .map_err(wrong)
}

/// Where `logs` finds what was written; the driver `none` when nothing is kept.
pub(crate) fn kept(engine: &Inner, container: &Container) -> LogRequest {
    let log = &container.host.log_config;
    with_places(engine, container, |places| logdriver::kept(&log.driver, &log.options, places))
}

fn with_places<T>(engine: &Inner, container: &Container, use_them: impl FnOnce(&Places<'_>) -> T) -> T {
    let (layout, config) = (&engine.layout, &engine.config);
    use_them(&Places {
        file: &layout.log(&container.id),
        cache: &layout.cached_log(&container.id),
        program: &config.log_forwarder,
        journal: &config.journal_socket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LogConfig { driver: driver.to_owned(), options }
    }

    #[test]
    fn defaults_are_of_the_same_driver_or_the_cache() {
        let default = config("json-file", &[("max-size", "1m"), ("cache-disabled", "true")]);
        assert_eq!(complete(&LogConfig::default(), &default), default);
        assert_eq!(
            complete(&config("syslog", &[]), &default),
            config("syslog", &[("cache-disabled", "true")])
        );
        assert_eq!(complete(&config("none", &[]), &default), config("none", &[]));
    }

    #[test]
    fn unknown_drivers_and_options_are_refused() {
        assert!(check(&config("json-file", &[("tag", "{{index .ContainerEnv 0}}")])).is_ok());
        for (driver, option) in
            [("nope", ("a", "b")), ("json-file", ("nope", "1")), ("json-file", ("max-file", "0"))]
        {
            assert!(check(&config(driver, &[option])).is_err());
        }
    }
}
