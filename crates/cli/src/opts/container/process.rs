//! What runs, as whom, in which namespaces, and how it ends.

use api::container::{CreateRequest, RestartPolicy};

use super::refuse;
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::opts::{env, kv};
use crate::session::terminal;

pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("annotation", "Add an annotation for the OCI runtime").ty("map").shows("map[]"),
    Flag::list("attach", "Attach to STDIN, STDOUT or STDERR").short('a').check(check_stream),
    Flag::string("cgroup-parent", "Parent cgroup of the container's own"),
    Flag::string(
        "cgroupns",
        "Cgroup namespace to use (host|private)\n'host':    The host's\n'private': One of its own\n'':        What the daemon's settings say (default)",
    ),
    Flag::string("cidfile", "Write the container's ID to this file"),
    Flag::bool("disable-content-trust", "Skip the verification of signatures (default true)").hidden(),
    Flag::string("domainname", "NIS domain name of the container"),
    Flag::string("entrypoint", "Replace the image's ENTRYPOINT"),
    Flag::list("env", "Set an environment variable").short('e').check(env::check_variable),
    Flag::list("env-file", "Read environment variables from a file"),
    Flag::list("group-add", "Join another group"),
    Flag::string("hostname", "Host name of the container").short('h'),
    Flag::bool("init", "Run an init that forwards signals and reaps processes"),
    Flag::bool("interactive", "Keep STDIN open even if not attached").short('i'),
    Flag::string("ipc", "IPC namespace to use"),
    Flag::string("isolation", "Isolation technology of the container"),
    Flag::list("label", "Set metadata").short('l').check(env::check_label),
    Flag::list("label-file", "Read metadata from a file of lines"),
    Flag::string("name", "Name of the container"),
    Flag::string("pid", "PID namespace to use"),
    Flag::string("platform", "Choose this platform of an image that has several"),
    Flag::string("pull", "Pull the image first (\"always\", \"missing\", \"never\")").default("missing"),
    Flag::bool("quiet", "Show no progress of a pull").short('q'),
    Flag::string("restart", "When to start the container again after it has exited").default("no"),
    Flag::bool("rm", "Remove the container and its anonymous volumes when it exits"),
    Flag::string("runtime", "OCI runtime to use"),
    Flag::string("stop-signal", "Signal that asks the container to end"),
    Flag::int("stop-timeout", "Seconds from that signal until the container is killed"),
    Flag::string(
        "systemd",
        "Run as a system container: when the command is systemd (true), never (false) or always",
    )
    .default("true")
    .check(check_systemd),
    Flag::bool("tty", "Give the container a terminal").short('t'),
    Flag::bool("use-api-socket", "Give the container the API's socket and the user's logins"),
    Flag::string("user", "User name or UID (format: <name|uid>[:<group|gid>])").short('u'),
    Flag::string("userns", "User namespace to use: host, private or auto[:size=N,…]"),
    Flag::string("uts", "UTS namespace to use"),
    Flag::string("workdir", "Working directory in the container").short('w'),
];

/// What the daemon reads as `--systemd`.
const SYSTEMD: &str = "io.berth.systemd";

fn check_systemd(text: &str) -> Result<(), String> {
    if ["true", "false", "always"].contains(&text) {
        return Ok(());
    }
    Err("must be \"true\", \"false\" or \"always\"".to_owned())
}

fn check_stream(text: &str) -> Result<(), String> {
    if ["stdin", "stdout", "stderr"].contains(&text.to_lowercase().as_str()) {
        return Ok(());
    }
    Err("valid streams are STDIN, STDOUT and STDERR".to_owned())
}

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    identity(matches, request)?;
    streams(matches, request);
    namespaces(matches, request)?;
    ending(matches, request)
}

/// What runs, and what it is called.
fn identity(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    if matches.bool("use-api-socket") {
        return refuse("--use-api-socket is not supported yet");
    }
    refuse_content_trust(matches)?;
    let config = &mut request.config;
    config.image = matches.arg(0).to_owned();
    if matches.args.len() > 1 {
        config.cmd = matches.args[1..].to_vec().into();
    }
    if let Some(entrypoint) = matches.given("entrypoint") {
        // An empty one is sent as such: it takes the image's away.
        config.entrypoint = vec![entrypoint.to_owned()].into();
    }
    config.env = env::variables(&matches.all("env-file"), &matches.all("env"))?;
    config.labels = env::labels(&matches.all("label-file"), &matches.all("label"))?;
    config.hostname = matches.get("hostname").to_owned();
    config.domainname = matches.get("domainname").to_owned();
    config.user = matches.get("user").to_owned();
    config.working_dir = matches.get("workdir").to_owned();
    let host = &mut request.host_config;
    host.group_add = matches.list("group-add");
    host.annotations = kv::map(&matches.all("annotation"));
    if matches.has("systemd") {
        host.annotations.insert(SYSTEMD.to_owned(), matches.get("systemd").to_owned());
    }
    host.runtime = matches.get("runtime").to_owned();
    host.isolation = matches.get("isolation").to_owned();
    host.init = matches.has("init").then(|| matches.bool("init"));
    matches.get("cidfile").clone_into(&mut host.container_id_file);
    Ok(())
}

/// Which streams are attached.
/// `--disable-content-trust=false` asks for what nobody does here.
pub(crate) fn refuse_content_trust(matches: &Matches) -> Result<()> {
    if matches.has("disable-content-trust") && !matches.bool("disable-content-trust") {
        return refuse(
            "--disable-content-trust=false: Docker's content trust has ended; the signature policy says whose signatures of images are needed",
        );
    }
    Ok(())
}

fn streams(matches: &Matches, request: &mut CreateRequest) {
    let attach: Vec<String> = matches.all("attach").iter().map(|name| name.to_lowercase()).collect();
    let wanted = |name: &str| attach.iter().any(|stream| stream == name);
    let config = &mut request.config;
    config.tty = matches.bool("tty");
    config.open_stdin = matches.bool("interactive");
    config.attach_stdin = config.open_stdin || wanted("stdin");
    config.attach_stdout = attach.is_empty() || wanted("stdout");
    config.attach_stderr = attach.is_empty() || wanted("stderr");
    config.stdin_once = config.open_stdin && config.attach_stdin;
    if let (true, Some((rows, columns))) = (config.tty, terminal::size()) {
        request.host_config.console_size = [rows.into(), columns.into()];
    }
}

fn namespaces(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    let container = |mode: &str| mode.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    let pid = matches.get("pid");
    if !["", "host"].contains(&pid) && !container(pid) {
        return refuse("--pid: invalid PID mode");
    }
    for (flag, known, kind) in
        [("uts", &["", "host"][..], "UTS"), ("cgroupns", &["", "host", "private"], "CGROUP")]
    {
        if !known.contains(&matches.get(flag)) {
            return refuse(format!("--{flag}: invalid {kind} mode"));
        }
    }
    if !is_userns(matches.get("userns")) {
        return refuse("--userns: invalid USER mode");
    }
    let host = &mut request.host_config;
    pid.clone_into(&mut host.pid_mode);
    matches.get("ipc").clone_into(&mut host.ipc_mode);
    matches.get("uts").clone_into(&mut host.uts_mode);
    matches.get("userns").clone_into(&mut host.userns_mode);
    matches.get("cgroupns").clone_into(&mut host.cgroupns_mode);
    matches.get("cgroup-parent").clone_into(&mut host.resources.cgroup_parent);
    Ok(())
}

/// Docker's word, or one of Podman's, whose options the daemon judges.
fn is_userns(mode: &str) -> bool {
    let word = mode.split_once(':').map_or(mode, |(word, _)| word);
    ["", "host", "private"].contains(&mode) || ["auto", "keep-id", "nomap", "container", "ns"].contains(&word)
}

/// How it ends, and what happens then.
fn ending(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    matches.get("stop-signal").clone_into(&mut request.config.stop_signal);
    request.config.stop_timeout = matches.int("stop-timeout");
    request.host_config.auto_remove = matches.bool("rm");
    request.host_config.restart_policy = restart_policy(matches.get("restart"))?;
    let policy = request.host_config.restart_policy.name.as_str();
    if matches.bool("rm") && !["", "no"].contains(&policy) {
        return refuse("conflicting options: cannot specify both --restart and --rm");
    }
    Ok(())
}

/// `no`, `always`, `unless-stopped`, `on-failure[:count]`; the daemon judges the name.
pub(crate) fn restart_policy(text: &str) -> Result<RestartPolicy> {
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() && text.contains(':') {
        return refuse("invalid restart policy format: no policy provided before colon");
    }
    let maximum_retry_count = if count.is_empty() {
        0
    } else {
        match count.parse() {
            Ok(count) => count,
            Err(_) => {
                return refuse("invalid restart policy format: maximum retry count must be an integer");
            }
        }
    };
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;
    use super::*;

    #[test]
    fn streams_follow_attach_and_interactive() {
        let streams = |words: &[&str]| {
            let config = plan(words).unwrap().config;
            (config.attach_stdin, config.attach_stdout, config.attach_stderr, config.stdin_once)
        };
        assert_eq!(streams(&[]), (false, true, true, false));
        assert_eq!(streams(&["-i"]), (true, true, true, true));
        assert_eq!(streams(&["-a", "STDERR"]), (false, false, true, false));
        assert!(plan(&["-a", "x"]).unwrap_err().ends_with("valid streams are STDIN, STDOUT and STDERR"));
    }

    #[test]
    fn entrypoint_may_be_emptied() {
        assert_eq!(plan(&["--entrypoint", ""]).unwrap().config.entrypoint, vec![String::new()].into());
        assert_eq!(plan(&[]).unwrap().config.entrypoint.0, None);
    }

    #[test]
    fn namespaces_are_checked() {
        assert_eq!(plan(&["--pid", "foo"]).unwrap_err(), "--pid: invalid PID mode");
        assert_eq!(plan(&["--uts", "foo"]).unwrap_err(), "--uts: invalid UTS mode");
        assert_eq!(plan(&["--cgroupns", "foo"]).unwrap_err(), "--cgroupns: invalid CGROUP mode");
        assert_eq!(plan(&["--pid", "container:x"]).unwrap().host_config.pid_mode, "container:x");
    }

    #[test]
    fn restart_policies() {
        let policy = restart_policy("on-failure:3").unwrap();
        assert_eq!((policy.name.as_str(), policy.maximum_retry_count), ("on-failure", 3));
        assert!(restart_policy("on-failure:x").is_err() && restart_policy(":1").is_err());
        assert!(plan(&["--rm", "--restart", "always"]).unwrap_err().contains("both --restart and --rm"));
        assert!(plan(&["--rm", "--restart", "no"]).is_ok());
    }

    #[test]
    fn content_trust_is_not_feigned() {
        assert!(plan(&["--disable-content-trust"]).is_ok());
        assert!(plan(&["--disable-content-trust=false"]).unwrap_err().contains("signatures"));
    }

    #[test]
    fn init_can_be_refused() {
        assert_eq!(plan(&["--init=false"]).unwrap().host_config.init, Some(false));
        assert_eq!(plan(&[]).unwrap().host_config.init, None);
    }
}
