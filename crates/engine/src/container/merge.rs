//! The image's defaults under the request.

use std::collections::BTreeMap;

use crate::container::{ContainerConfig, Healthcheck};

/// An image's run configuration as ours.
pub(crate) fn from_image(run: &oci::image::RunConfig) -> ContainerConfig {
    let set = |set: &Option<oci::image::Set>| set.iter().flatten().map(|(name, _)| name.clone()).collect();
    ContainerConfig {
        user: run.user.clone(),
        exposed_ports: set(&run.exposed_ports),
        env: run.env.clone(),
        entrypoint: run.entrypoint.clone(),
        cmd: run.cmd.clone(),
        healthcheck: run.healthcheck.as_ref().map(healthcheck),
        args_escaped: run.args_escaped,
        volumes: set(&run.volumes),
        working_dir: run.working_dir.clone(),
        network_disabled: run.network_disabled,
        on_build: run.on_build.clone().unwrap_or_default(),
        labels: run.labels.clone().unwrap_or_default(),
        stop_signal: run.stop_signal.clone().unwrap_or_default(),
        stop_timeout: run.stop_timeout,
        shell: run.shell.clone().unwrap_or_default(),
        tty: run.tty,
        open_stdin: run.open_stdin,
        ..ContainerConfig::default()
    }
}

/// Our configuration as an image's: what belongs to one container alone is left out.
pub(crate) fn to_image(config: ContainerConfig) -> oci::image::RunConfig {
    let set = |set: std::collections::BTreeSet<String>| {
        let set: oci::image::Set = set.into_iter().map(|name| (name, oci::image::Empty {})).collect();
        Some(set).filter(|set| !set.is_empty())
    };
    let list = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    oci::image::RunConfig {
        user: config.user,
        exposed_ports: set(super::apart_set(&config.exposed_ports)),
        env: config.env,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        healthcheck: config.healthcheck.map(image_healthcheck),
        args_escaped: config.args_escaped,
        volumes: set(config.volumes),
        working_dir: config.working_dir,
        network_disabled: config.network_disabled,
        on_build: list(config.on_build),
        labels: Some(config.labels).filter(|labels| !labels.is_empty()),
        stop_signal: Some(config.stop_signal).filter(|signal| !signal.is_empty()),
        stop_timeout: config.stop_timeout,
        shell: list(config.shell),
        tty: config.tty,
        open_stdin: config.open_stdin,
    }
}

fn image_healthcheck(check: Healthcheck) -> oci::image::Healthcheck {
    oci::image::Healthcheck {
        test: Some(check.test).filter(|test| !test.is_empty()),
        interval: check.interval,
        timeout: check.timeout,
        retries: check.retries,
        start_period: check.start_period,
        start_interval: check.start_interval,
    }
}

fn healthcheck(check: &oci::image::Healthcheck) -> Healthcheck {
    Healthcheck {
        test: check.test.clone().unwrap_or_default(),
        interval: check.interval,
        timeout: check.timeout,
        retries: check.retries,
        start_period: check.start_period,
        start_interval: check.start_interval,
    }
}

/// Completes a request with an image's defaults, as Docker does.
pub(crate) fn with_image(config: &mut ContainerConfig, image: ContainerConfig) {
    let fill = |mine: &mut String, theirs: String| {
        if mine.is_empty() {
            *mine = theirs;
        }
    };
    fill(&mut config.user, image.user);
    fill(&mut config.working_dir, image.working_dir);
    fill(&mut config.stop_signal, image.stop_signal);
    config.exposed_ports.extend(image.exposed_ports);
    config.volumes.extend(image.volumes);
    environment(&mut config.env, image.env);
    let mine = std::mem::take(&mut config.labels);
    config.labels = image.labels.into_iter().chain(mine).collect::<BTreeMap<_, _>>();
    // an entry point of the request also resets the image's arguments
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd = image.cmd;
            config.args_escaped = image.args_escaped;
        }
        if config.entrypoint.is_none() {
            config.entrypoint = image.entrypoint;
        }
    } else if config.entrypoint.as_ref().is_some_and(|words| words.iter().all(String::is_empty)) {
        // `--entrypoint ""` resets it
        config.entrypoint = None;
    }
    if config.shell.is_empty() {
        config.shell = image.shell;
    }
    config.stop_timeout = config.stop_timeout.or(image.stop_timeout);
    health(config, image.healthcheck);
}

fn environment(mine: &mut Vec<String>, image: Vec<String>) {
    let name = |var: &str| var.split_once('=').map_or(var, |(name, _)| name).to_owned();
    for var in image {
        if !mine.iter().any(|have| name(have) == name(&var)) {
            mine.push(var);
        }
    }
}

fn health(config: &mut ContainerConfig, image: Option<Healthcheck>) {
    let Some(theirs) = image else { return };
    let Some(mine) = &mut config.healthcheck else {
        config.healthcheck = Some(theirs);
        return;
    };
    if mine.test.is_empty() {
        mine.test = theirs.test;
    }
    for (mine, theirs) in [
        (&mut mine.interval, theirs.interval),
        (&mut mine.timeout, theirs.timeout),
        (&mut mine.start_period, theirs.start_period),
        (&mut mine.start_interval, theirs.start_interval),
        (&mut mine.retries, theirs.retries),
    ] {
        if *mine == 0 {
            *mine = theirs;
        }
    }
}

/// Program and arguments: the entry point, then the command.
pub(crate) fn command(config: &ContainerConfig) -> Option<(String, Vec<String>)> {
    let mut words = config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten()).cloned();
    let path = words.next().filter(|path| !path.is_empty())?;
    Some((path, words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        Some(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn an_entry_point_resets_the_images_arguments() {
        let image =
            ContainerConfig { entrypoint: words("/entry"), cmd: words("a b"), ..ContainerConfig::default() };
        let mut plain = ContainerConfig::default();
        with_image(&mut plain, image.clone());
        assert_eq!(command(&plain), Some(("/entry".into(), vec!["a".into(), "b".into()])));
        let mut other = ContainerConfig { entrypoint: words("/mine"), ..ContainerConfig::default() };
        with_image(&mut other, image.clone());
        assert_eq!(command(&other), Some(("/mine".into(), vec![])));
        let mut arguments = ContainerConfig { cmd: words("c"), ..ContainerConfig::default() };
        with_image(&mut arguments, image.clone());
        assert_eq!(command(&arguments), Some(("/entry".into(), vec!["c".into()])));
        let mut reset = ContainerConfig {
            entrypoint: Some(vec![String::new()]),
            cmd: words("sh"),
            ..ContainerConfig::default()
        };
        with_image(&mut reset, image);
        assert_eq!(command(&reset), Some(("sh".into(), vec![])));
    }

    #[test]
    fn the_images_variables_stand_behind_and_do_not_override() {
        let mut mine = vec!["A=1".to_owned()];
        environment(&mut mine, vec!["A=2".into(), "B=3".into()]);
        assert_eq!(mine, ["A=1", "B=3"]);
    }
}
