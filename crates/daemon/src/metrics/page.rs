//! The page, in Prometheus's text format.

use std::fmt::Write as _;

use api::routes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::{MEDIA_TYPE, Metrics, locked};
use crate::app::App;
use crate::response::{self, Response};

/// The answer with the page.
pub(crate) async fn render(app: &App) -> Response {
    let mut out = String::with_capacity(16 << 10);
    match app.engine.info().await {
        Ok(info) => facts(&mut out, app, &info),
        Err(error) => {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            return response::bytes(StatusCode::INTERNAL_SERVER_ERROR, text, format!("{error}\n"));
        }
    }
    counts(&mut out, &app.metrics);
    work(&mut out, &app.engine.counts());
    requests(&mut out, &app.metrics);
    response::bytes(StatusCode::OK, HeaderValue::from_static(MEDIA_TYPE), out)
}

fn head(out: &mut String, name: &str, kind: &str, about: &str) {
    let _ = writeln!(out, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

fn one(out: &mut String, name: &str, kind: &str, about: &str, value: impl std::fmt::Display) {
    head(out, name, kind, about);
    let _ = writeln!(out, "{name} {value}");
}

/// A label's value: the format has three characters that must be escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn facts(out: &mut String, app: &App, info: &engine::system::Info) {
    let version = env!("CARGO_PKG_VERSION");
    head(
        out,
        "engine_daemon_engine_info",
        "gauge",
        "The information related to the engine and the OS it is running on",
    );
    let labels = [
        ("architecture", info.machine.as_str()),
        ("commit", option_env!("BERTH_COMMIT").unwrap_or("")),
        ("daemon_id", &info.id),
        ("graphdriver", &info.storage_driver),
        ("kernel", &info.kernel),
        ("os", &info.operating_system),
        ("os_type", "linux"),
        ("os_version", &info.os_version),
        ("version", version),
    ];
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let _ = writeln!(out, "engine_daemon_engine_info{{{}}} 1", labels.join(","));
    one(
        out,
        "engine_daemon_engine_cpus_cpus",
        "gauge",
        "The number of cpus that the host system of the engine has",
        info.cpus,
    );
    one(
        out,
        "engine_daemon_engine_memory_bytes",
        "gauge",
        "The number of bytes of memory that the host system of the engine has",
        info.memory,
    );
    head(
        out,
        "engine_daemon_container_states_containers",
        "gauge",
        "The count of containers in various states",
    );
    for (state, count) in [("paused", info.paused), ("running", info.running), ("stopped", info.stopped)] {
        let _ = writeln!(out, "engine_daemon_container_states_containers{{state=\"{state}\"}} {count}");
    }
    // one of them counts for this page
    let listeners = info.events_listeners.saturating_sub(1);
    one(
        out,
        "engine_daemon_events_subscribers_total",
        "gauge",
        "The number of current subscribers to events",
        listeners,
    );
    one(out, "berth_images", "gauge", "Images that the daemon has", info.images);
    one(out, "berth_requests_in_flight", "gauge", "Requests that are being worked on", *app.work().borrow());
    one(out, "process_open_fds", "gauge", "Number of open file descriptors.", info.fds);
}

fn counts(out: &mut String, metrics: &Metrics) {
    let events = locked(&metrics.events).clone();
    let all: u64 = events.values().sum();
    one(out, "engine_daemon_events_total", "counter", "The number of events logged", all);
    head(out, "berth_events_total", "counter", "Events by type and action");
    for ((kind, action), count) in &events {
        let _ = writeln!(out, "berth_events_total{{type=\"{kind}\",action=\"{}\"}} {count}", escaped(action));
    }
    let of = |kind: &'static str, action: &str| events.get(&(kind, action.to_owned())).copied().unwrap_or(0);
    let named = [
        (
            "berth_container_starts_total",
            "Starts of containers, those by restart policies too",
            of("container", "start"),
        ),
        ("berth_container_deaths_total", "Ends of containers", of("container", "die")),
        ("berth_container_ooms_total", "Containers that ran out of memory", of("container", "oom")),
        ("berth_image_pulls_total", "Images pulled", of("image", "pull")),
        ("berth_image_pushes_total", "Images pushed", of("image", "push")),
    ];
    for (name, about, count) in named {
        one(out, name, "counter", about, count);
    }
    let actions = locked(&metrics.actions).clone();
    for noun in ["container", "network"] {
        let name = format!("engine_daemon_{noun}_actions_seconds");
        head(
            out,
            &name,
            "histogram",
            &format!("The number of seconds it takes to process each {noun} action"),
        );
        for ((of, action), histogram) in &actions {
            if *of == noun {
                histogram.write(out, &name, &format!("action=\"{action}\""));
            }
        }
    }
    head(
        out,
        "berth_requests_denied_total",
        "counter",
        "Requests that an authorisation plugin refused (403) or failed to judge (500)",
    );
    for (status, count) in locked(&metrics.denied).iter() {
        let _ = writeln!(out, "berth_requests_denied_total{{status=\"{status}\"}} {count}");
    }
}

/// What no event tells.
fn work(out: &mut String, counts: &engine::system::Counts) {
    let steps = "berth_build_steps_total";
    head(out, steps, "counter", "Steps of builds that were made, and those that the build cache had");
    for (result, count) in [("cached", counts.steps_cached), ("made", counts.steps_made)] {
        let _ = writeln!(out, "{steps}{{result=\"{result}\"}} {count}");
    }
    let named = [
        ("berth_builds_failed_total", "Builds that failed or were cancelled", counts.builds_failed),
        ("berth_image_pull_bytes_total", "Bytes of layers that came from registries", counts.pulled_bytes),
        ("engine_daemon_health_checks_total", "The total number of health checks", counts.probes),
        (
            "engine_daemon_health_checks_failed_total",
            "The total number of failed health checks",
            counts.probes_failed,
        ),
    ];
    for (name, about, count) in named {
        one(out, name, "counter", about, count);
    }
}

fn requests(out: &mut String, metrics: &Metrics) {
    let requests = locked(&metrics.requests).clone();
    let name = "berth_api_request_seconds";
    head(
        out,
        name,
        "histogram",
        "Time to the answer of API requests, or to its beginning where it is a stream",
    );
    for ((action, status), histogram) in &requests {
        let (method, route) = match action.and_then(|index| routes::ROUTES.get(index)) {
            Some(route) => (route.method.as_str(), route.pattern),
            None => ("", "none"),
        };
        histogram.write(out, name, &format!("method=\"{method}\",route=\"{route}\",status=\"{status}\""));
    }
}
