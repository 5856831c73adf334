//! `berth info` in words.

use std::fmt::Write as _;

use api::system::Info;

use crate::command::Context;
use crate::format::units::binary_size;

/// The client's part.
pub(super) fn client(context: &Context<'_>) -> String {
    format!(
        "Client:\n Version:    {}\n Context:    {}\n Debug Mode: false\n",
        env!("CARGO_PKG_VERSION"),
        context.choice.context_name()
    )
}

/// The daemon's part.
pub(super) fn server(info: &Info) -> String {
    let mut text = String::from("\nServer:\n");
    counts(&mut text, info);
    drivers(&mut text, info);
    host(&mut text, info);
    settings(&mut text, info);
    text
}

/// One line; nothing for an empty value.
fn row(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let value = value.to_string();
    if !value.is_empty() {
        line(text, format_args!(" {name}: {value}"));
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = text.write_fmt(words);
    text.push('\n');
}

fn counts(text: &mut String, info: &Info) {
    row(text, "Containers", info.containers);
    row(text, " Running", info.containers_running);
    row(text, " Paused", info.containers_paused);
    row(text, " Stopped", info.containers_stopped);
    row(text, "Images", info.images);
    row(text, "Server Version", &info.server_version);
}

fn drivers(text: &mut String, info: &Info) {
    row(text, "Storage Driver", &info.driver);
    for pair in &info.driver_status {
        if let [name, value] = pair.as_slice() {
            row(text, &format!(" {name}"), value);
        }
    }
    row(text, "Logging Driver", &info.logging_driver);
    row(text, "Cgroup Driver", &info.cgroup_driver);
    row(text, "Cgroup Version", &info.cgroup_version);
    text.push_str(" Plugins:\n");
    row(text, " Volume", info.plugins.volume.join(" "));
    row(text, " Network", info.plugins.network.join(" "));
    row(text, " Log", info.plugins.log.join(" "));
    row(text, "Swarm", &info.swarm.local_node_state);
    let runtimes: Vec<&str> = info.runtimes.keys().map(String::as_str).collect();
    row(text, "Runtimes", runtimes.join(" "));
    row(text, "Default Runtime", &info.default_runtime);
    row(text, "Init Binary", &info.init_binary);
    row(text, "containerd version", &info.containerd_commit.id);
    row(text, "runc version", &info.runc_commit.id);
    row(text, "init version", &info.init_commit.id);
    if !info.security_options.is_empty() {
        text.push_str(" Security Options:\n");
        info.security_options.iter().for_each(|option| security(text, option));
    }
}

/// `name=seccomp,profile=builtin`: the name on a line, its fields beneath.
fn security(text: &mut String, option: &str) {
    for field in option.split(',') {
        match field.split_once('=') {
            Some(("name", name)) => line(text, format_args!("  {name}")),
            Some(("profile", profile)) => line(text, format_args!("   Profile: {profile}")),
            _ => line(text, format_args!("  {field}")),
        }
    }
}

fn host(text: &mut String, info: &Info) {
    row(text, "Kernel Version", &info.kernel_version);
    row(text, "Operating System", &info.operating_system);
    row(text, "OSType", &info.os_type);
    row(text, "Architecture", &info.architecture);
    row(text, "CPUs", info.n_cpu);
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    row(text, "Total Memory", binary_size(info.mem_total as f64));
    row(text, "Name", &info.name);
    row(text, "ID", &info.id);
    row(text, "Docker Root Dir", &info.docker_root_dir);
    row(text, "Debug Mode", info.debug);
    if info.debug {
        row(text, " File Descriptors", info.n_fd);
        row(text, " Goroutines", info.n_goroutines);
        row(text, " System Time", &info.system_time);
        row(text, " EventsListeners", info.n_events_listener);
    }
}

fn settings(text: &mut String, info: &Info) {
    row(text, "HTTP Proxy", &info.http_proxy);
    row(text, "HTTPS Proxy", &info.https_proxy);
    row(text, "No Proxy", &info.no_proxy);
    if !info.labels.is_empty() {
        text.push_str(" Labels:\n");
        info.labels.iter().for_each(|label| line(text, format_args!("  {label}")));
    }
    row(text, "Experimental", info.experimental_build);
    let indexes = &info.registry_config.index_configs;
    let insecure = indexes.values().filter(|index| !index.secure).map(|index| index.name.as_str());
    let insecure: Vec<&str> =
        insecure.chain(info.registry_config.insecure_registry_cidrs.iter().map(String::as_str)).collect();
    if !insecure.is_empty() {
        text.push_str(" Insecure Registries:\n");
        insecure.iter().for_each(|registry| line(text, format_args!("  {registry}")));
    }
    if !info.registry_config.mirrors.is_empty() {
        text.push_str(" Registry Mirrors:\n");
        info.registry_config.mirrors.iter().for_each(|mirror| line(text, format_args!("  {mirror}")));
    }
    row(text, "Live Restore Enabled", info.live_restore_enabled);
    row(text, "Product License", &info.product_license);
    if !info.default_address_pools.is_empty() {
        text.push_str(" Default Address Pools:\n");
        for pool in &info.default_address_pools {
            line(text, format_args!("   Base: {}, Size: {}", pool.base, pool.size));
        }
    }
    text.push('\n');
}
