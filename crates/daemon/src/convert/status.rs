//! The sentence of `docker ps`: `Up 5 minutes (healthy)`.

use engine::container::{Container, HealthStatus, State};
use jiff::Timestamp;

/// A container's state in words.
pub(super) fn status(container: &Container, now: Timestamp) -> String {
    let since = |time: Option<Timestamp>| human(now, time.unwrap_or(now));
    match &container.state {
        State::Created { .. } => "Created".to_owned(),
        State::Running(run) => format!("Up {}{}", since(Some(run.started_at)), health(container)),
        State::Paused(run) => format!("Up {} (Paused)", since(Some(run.started_at))),
        State::Restarting(exit) => format!("Restarting ({}) {} ago", exit.code, since(exit.finished_at)),
        State::Removing(_) => "Removal In Progress".to_owned(),
        State::Exited(exit) => format!("Exited ({}) {} ago", exit.code, since(exit.finished_at)),
        State::Dead(_) => "Dead".to_owned(),
    }
}

fn health(container: &Container) -> &'static str {
    match container.health.as_ref().map(|health| health.status) {
        None => "",
        Some(HealthStatus::Starting) => " (health: starting)",
        Some(HealthStatus::Healthy) => " (healthy)",
        Some(HealthStatus::Unhealthy) => " (unhealthy)",
    }
}

/// A span of time in the words that Docker uses.
fn human(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    let hours = (seconds + 1800) / 3600;
    match (seconds, seconds / 60) {
        (0, _) => "Less than a second".to_owned(),
        (1, _) => "1 second".to_owned(),
        (2..60, _) => format!("{seconds} seconds"),
        (_, 1) => "About a minute".to_owned(),
        (_, minutes @ 2..60) => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn spans() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let span = |seconds| human(now, now - SignedDuration::from_secs(seconds));
        let hour = 3600;
        for (seconds, words) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (59 * 60, "59 minutes"),
            (hour, "About an hour"),
            (hour + 1800, "2 hours"),
            (47 * hour, "47 hours"),
            (48 * hour, "2 days"),
            (14 * 24 * hour, "2 weeks"),
            (60 * 24 * hour, "2 months"),
            (800 * 24 * hour, "2 years"),
        ] {
            assert_eq!(span(seconds), words, "{seconds}");
        }
    }
}
