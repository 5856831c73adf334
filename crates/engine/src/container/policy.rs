//! What follows an exit. Pure.

use std::time::Duration;

use crate::container::{Container, Exited, RestartPolicy, State};

/// Shortest and longest delay before a restart, as Docker.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Delays that double.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackOff(Option<Duration>);

impl BackOff {
    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.0.map_or(FIRST_DELAY, |last| (last * 2).min(LONGEST_DELAY));
        self.0 = Some(delay);
        delay
    }

    /// Begins again.
    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }
}

/// Puts the end of a run into a container: what the policy starts again is counted here, in the commit that consumes the
/// end, so that whatever is killed when, each end counts once.
pub(crate) fn conclude(container: &mut Container, exit: Exited) {
    container.state = if restarts(container, exit.code) {
        container.restart_count = container.restart_count.saturating_add(1);
        State::Restarting(exit)
    } else {
        State::Exited(exit)
    };
}

/// Whether a run that ended with `code` is followed by another.
fn restarts(container: &Container, code: i32) -> bool {
    !container.restart_cancelled && wanted(container, code)
}

/// Whether a container that does not run is started when the daemon starts. As in Docker a stop by hand matters to
/// `unless-stopped` alone.
pub(crate) fn starts_with_daemon(container: &Container) -> bool {
    !matches!(container.state, State::Created { .. }) && wanted(container, container.state.exit_code())
}

fn wanted(container: &Container, code: i32) -> bool {
    match container.host.restart_policy {
        RestartPolicy::No => false,
        RestartPolicy::Always => true,
        RestartPolicy::UnlessStopped => !container.stopped_by_hand,
        RestartPolicy::OnFailure(most) => code != 0 && (most == 0 || container.restart_count < most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{HostConfig, sample};

    fn ended(policy: RestartPolicy, code: i32, change: impl Fn(&mut Container)) -> Container {
        let host = HostConfig { restart_policy: policy, ..HostConfig::default() };
        let mut container = sample(Default::default(), host);
        change(&mut container);
        conclude(&mut container, Exited { code, ..Exited::default() });
        container
    }

    #[test]
    fn policies_decide_as_docker() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        let again = |policy, code, change: fn(&mut Container)| {
            let ended = ended(policy, code, change);
            assert_eq!(ended.restart_count > 3, ended.state.is_restarting());
            ended.state.is_restarting()
        };
        let by_hand = |container: &mut Container| {
            (container.stopped_by_hand, container.restart_count) = (true, 3);
        };
        let cancelled = |container: &mut Container| {
            (container.restart_cancelled, container.restart_count) = (true, 3);
        };
        let thrice = |container: &mut Container| container.restart_count = 3;
        assert!(!again(No, 1, thrice));
        assert!(again(Always, 0, thrice) && again(Always, 0, by_hand) && !again(Always, 1, cancelled));
        assert!(again(UnlessStopped, 0, thrice) && !again(UnlessStopped, 1, by_hand));
        assert!(again(OnFailure(0), 1, thrice) && again(OnFailure(4), 1, by_hand));
        assert!(!again(OnFailure(3), 1, thrice) && !again(OnFailure(0), 0, thrice));
    }

    #[test]
    fn a_daemon_starts_what_docker_starts() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        let stopped = |policy, code| {
            starts_with_daemon(&ended(policy, code, |container| {
                (container.stopped_by_hand, container.restart_cancelled) = (true, true);
            }))
        };
        assert!(!stopped(No, 1) && stopped(Always, 0) && !stopped(UnlessStopped, 1));
        assert!(stopped(OnFailure(0), 143) && !stopped(OnFailure(0), 0));
        assert!(!starts_with_daemon(&sample(
            Default::default(),
            HostConfig { restart_policy: Always, ..HostConfig::default() }
        )));
    }

    #[test]
    fn delays_double_up_to_a_minute() {
        let mut back_off = BackOff::default();
        assert_eq!(back_off.next(), FIRST_DELAY);
        assert_eq!(back_off.next(), FIRST_DELAY * 2);
        for _ in 0..20 {
            back_off.next();
        }
        assert_eq!(back_off.next(), LONGEST_DELAY);
        back_off.reset();
        assert_eq!(back_off.next(), FIRST_DELAY);
    }
}
