//! Health checks.

use api::container::{CreateRequest, HealthConfig};

use super::refuse;
use crate::error::Result;
use crate::flag::{Flag, Matches, check};

pub(crate) const FLAGS: &[Flag] = &[
    Flag::string("health-cmd", "Command that checks the health"),
    Flag::duration("health-interval", "Time between two checks (ms|s|m|h)"),
    Flag::int("health-retries", "Failures in a row that make the container unhealthy"),
    Flag::duration("health-start-interval", "Time between two checks while the container starts (ms|s|m|h)"),
    Flag::duration("health-start-period", "Time to start, in which failures don't count (ms|s|m|h)"),
    Flag::duration("health-timeout", "Longest time of one check (ms|s|m|h)"),
    Flag::bool("no-healthcheck", "Don't run the image's HEALTHCHECK"),
];

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    let mut health = HealthConfig::default();
    for (flag, target) in [
        ("health-interval", &mut health.interval),
        ("health-timeout", &mut health.timeout),
        ("health-start-period", &mut health.start_period),
        ("health-start-interval", &mut health.start_interval),
    ] {
        *target = matches.given(flag).and_then(|text| check::parse_duration(text).ok()).unwrap_or(0);
        if *target < 0 {
            return refuse(format!("--{flag} cannot be negative"));
        }
    }
    health.retries = matches.int("health-retries").unwrap_or(0);
    if health.retries < 0 {
        return refuse("--health-retries cannot be negative");
    }
    let command = matches.get("health-cmd");
    if !command.is_empty() {
        health.test = vec!["CMD-SHELL".into(), command.into()];
    }
    let asked = health != HealthConfig::default();
    if matches.bool("no-healthcheck") {
        if asked {
            return refuse("--no-healthcheck conflicts with --health-* options");
        }
        health.test = vec!["NONE".into()];
    }
    request.config.healthcheck = (asked || !health.test.is_empty()).then_some(health);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;

    #[test]
    fn health_checks() {
        let health =
            plan(&["--health-cmd", "true", "--health-interval", "1m30s"]).unwrap().config.healthcheck;
        let health = health.unwrap();
        assert_eq!((health.test, health.interval), (vec!["CMD-SHELL".into(), "true".into()], 90_000_000_000));
        assert_eq!(plan(&["--no-healthcheck"]).unwrap().config.healthcheck.unwrap().test, ["NONE"]);
        assert_eq!(plan(&[]).unwrap().config.healthcheck, None);
        let both = plan(&["--no-healthcheck", "--health-cmd", "x"]).unwrap_err();
        assert_eq!(both, "--no-healthcheck conflicts with --health-* options");
    }
}
