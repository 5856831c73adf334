//! What may follow the program's name, in the order of the help.

use super::{
    Entry, checkpoint, container, context, image, manifest, network, object, registry, system, volume,
};
use Entry::{Command, Group, OutOfScope};

/// Every word, section by section.
pub(crate) static SECTIONS: &[(&str, &[Entry])] = &[
    (
        "Common Commands",
        &[
            Command("run", &container::run::COMMAND),
            Command("exec", &container::exec::COMMAND),
            Command("ps", &container::ls::COMMAND),
            Command("build", &image::build::COMMAND),
            Command("pull", &image::pull::COMMAND),
            Command("push", &image::push::COMMAND),
            Command("images", &image::ls::COMMAND),
            Command("login", &registry::login::COMMAND),
            Command("logout", &registry::logout::COMMAND),
            Command("search", &image::search::COMMAND),
            Command("version", &system::version::COMMAND),
            Command("info", &system::info::COMMAND),
        ],
    ),
    (
        "Management Commands",
        &[
            Group(&system::builder::GROUP),
            Group(&system::builder::BUILDX),
            Group(&checkpoint::GROUP),
            Command("completion", &super::completion::COMMAND),
            Group(&container::GROUP),
            Group(&context::GROUP),
            Group(&image::GROUP),
            Group(&manifest::GROUP),
            Group(&network::GROUP),
            Group(&system::planned::PLUGIN),
            Group(&registry::GROUP),
            Group(&system::GROUP),
            OutOfScope("trust"),
            Group(&volume::GROUP),
        ],
    ),
    (
        "Swarm Commands",
        &[
            OutOfScope("config"),
            OutOfScope("node"),
            OutOfScope("secret"),
            OutOfScope("service"),
            OutOfScope("stack"),
            OutOfScope("swarm"),
        ],
    ),
    (
        "Commands",
        &[
            Command("attach", &container::attach::COMMAND),
            Command("commit", &container::files::commit::COMMAND),
            Command("cp", &container::files::cp::COMMAND),
            Command("create", &container::create::COMMAND),
            Command("diff", &container::files::diff::COMMAND),
            Command("events", &system::events::COMMAND),
            Command("export", &container::files::export::COMMAND),
            Command("history", &image::history::COMMAND),
            Command("import", &image::import::COMMAND),
            Command("inspect", &object::COMMAND),
            Command("kill", &container::kill::COMMAND),
            Command("load", &image::load::COMMAND),
            Command("logs", &container::logs::COMMAND),
            Command("pause", &container::pause::COMMAND),
            Command("port", &container::port::COMMAND),
            Command("rename", &container::rename::COMMAND),
            Command("restart", &container::restart::COMMAND),
            Command("rm", &container::rm::COMMAND),
            Command("rmi", &image::rm::COMMAND),
            Command("save", &image::save::COMMAND),
            Command("start", &container::start::COMMAND),
            Command("stats", &container::stats::COMMAND),
            Command("stop", &container::stop::COMMAND),
            Command("tag", &image::tag::COMMAND),
            Command("top", &container::top::COMMAND),
            Command("unpause", &container::unpause::COMMAND),
            Command("update", &container::update::COMMAND),
            Command("wait", &container::wait::COMMAND),
        ],
    ),
];

/// The entry of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    SECTIONS.iter().flat_map(|(_, entries)| entries.iter()).find(|entry| match entry {
        Command(own, _) | OutOfScope(own) => *own == name,
        Group(group) => group.name == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Docker's command names, one a line, are all here.
    #[test]
    fn every_command_of_docker_is_known() {
        let names = include_str!("../../tests/docker-commands.txt");
        for line in names.lines().filter(|line| !line.is_empty() && *line != "docker") {
            let mut words = line.split(' ');
            let found = words.next().and_then(find);
            match (found, words.next()) {
                (Some(OutOfScope(_) | Command(..)), _) | (Some(Group(_)), None) => {}
                (Some(Group(group)), Some(verb)) => {
                    assert!(group.find(verb).is_some(), "{line} is unknown");
                }
                (None, _) => panic!("{line} is unknown"),
            }
        }
    }
}
