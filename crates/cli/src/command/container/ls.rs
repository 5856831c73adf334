//! `berth ps`

use api::Action;
use api::container::Summary;

use crate::client::config;
use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row, ellipsis, short_id};
use crate::format::{ports, template, time, units};
use crate::opts::filter;

pub(crate) static COMMAND: Command = Command::new("ls", "[OPTIONS]", "List containers", Arity::None, run)
    .aliases(&["list", "ps"])
    .paths(&["container ls", "container list", "container ps", "ps"])
    .flags(&[&[
        Flag::bool("all", "Show stopped containers too").short('a'),
        Flag::filter().short('f'),
        Flag::format(),
        Flag::int("last", "Only the last ones created, in whatever state").short('n').default("-1"),
        Flag::bool("latest", "Only the last one created, in whatever state").short('l'),
        Flag::bool("no-trunc", "Don't shorten what is long"),
        Flag::bool("quiet", "Only IDs").short('q'),
        Flag::bool("size", "Show the sizes of the containers' files").short('s'),
    ]]);

pub(crate) const COLUMNS: Columns = Columns {
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Names", "NAMES"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Platform", "PLATFORM"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
    ],
    default: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    kind: template::PS,
};

/// As [`COLUMNS`], for `--size`.
const WITH_SIZE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let quiet = matches.bool("quiet");
    let mut format = matches.get("format").to_owned();
    if format.is_empty() && !quiet {
        format = config::text(&context.choice.config_dir, "psFormat").unwrap_or_default();
    }
    if quiet && (format.is_empty() || format == "table") {
        "{{.ID}}".clone_into(&mut format);
    }
    let size = matches.bool("size");
    let last = if matches.bool("latest") { 1 } else { matches.int("last").unwrap_or(-1) };
    let containers: Vec<Summary> = context
        .client()?
        .call(Action::ContainerList, "")
        .switch("all", matches.bool("all"))
        .given("limit", &if last > 0 { last.to_string() } else { String::new() })
        .switch("size", size || format.contains(".Size") || format.contains("{{json .}}"))
        .given("filters", &filter::encode(&matches.all("filter")))
        .fetch()?;
    let whole = matches.bool("no-trunc");
    let rows: Vec<Row> = containers.iter().map(|container| row(container, whole)).collect();
    let columns = Columns { default: if size { WITH_SIZE } else { COLUMNS.default }, ..COLUMNS };
    list::print(context.out, &format, &columns, &rows)
}

pub(crate) fn row(container: &Summary, whole: bool) -> Row {
    let text = |text: &str, width: usize| if whole { text.to_owned() } else { ellipsis(text, width) };
    let mounts: Vec<String> = container
        .mounts
        .iter()
        .map(|mount| if mount.name.is_empty() { &mount.source } else { &mount.name })
        .map(|name| text(name, 15))
        .collect();
    let local = container.mounts.iter().filter(|mount| mount.driver == "local").count();
    let networks: Vec<&str> = container.network_settings.networks.keys().map(String::as_str).collect();
    let id = if whole { container.id.as_str() } else { short_id(&container.id) };
    Row {
        fields: vec![
            ("ID", id.to_owned()),
            ("Names", names(&container.names, whole)),
            ("Image", image(container, whole)),
            ("Command", go_quote(&text(&container.command, 20))),
            ("CreatedAt", time::go_local(container.created)),
            ("RunningFor", time::ago(container.created)),
            ("Ports", ports::display(&container.ports)),
            ("State", container.state.clone()),
            ("Status", container.status.clone()),
            ("Size", size(container)),
            ("Labels", list::labels(&container.labels)),
            ("Mounts", mounts.join(",")),
            ("LocalVolumes", local.to_string()),
            ("Networks", networks.join(",")),
        ],
        object: Some(("Platform", platform(container))),
        switches: Vec::new(),
        labels: container.labels.clone(),
    }
}

/// `linux/arm64/v8` and the same as JSON.
fn platform(container: &Summary) -> Option<(String, String)> {
    let platform = container.image_manifest_descriptor.as_ref()?.platform.as_ref()?;
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
    Some((parts.join("/"), serde_json::to_string(platform).unwrap_or_default()))
}

/// Names without their slash; links (names of two parts) only when all is shown.
fn names(names: &[String], whole: bool) -> String {
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        .filter(|name| whole || !name.contains('/'))
        .collect();
    names.join(",")
}

fn image(container: &Summary, whole: bool) -> String {
    let image = container.image.as_str();
    if image.is_empty() {
        return "<no image>".to_owned();
    }
    if whole {
        return image.to_owned();
    }
    let by_id = short_id(&container.image_id);
    if !by_id.is_empty() && by_id == short_id(image) {
        return by_id.to_owned();
    }
    // A name with a digest is shown without it.
    image.split_once('@').map_or(image, |(name, _)| name).to_owned()
}

fn size(container: &Summary) -> String {
    let own = units::short_size(container.size_rw);
    if container.size_root_fs > 0 {
        return format!("{own} (virtual {})", units::short_size(container.size_root_fs));
    }
    own
}

/// Go's `strconv.Quote`.
pub(crate) fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_links_are_left_out() {
        let all = ["/a".to_owned(), "/b/c".to_owned()];
        assert_eq!(names(&all, false), "a");
        assert_eq!(names(&all, true), "a,b/c");
    }

    #[test]
    fn images() {
        let of = |image: &str, whole| {
            let container = Summary {
                image: image.into(),
                image_id: "sha256:0123456789abcdef".into(),
                ..Summary::default()
            };
            super::image(&container, whole)
        };
        assert_eq!(of("", false), "<no image>");
        assert_eq!(of("sha256:0123456789abcdef", false), "0123456789ab");
        assert_eq!(of("a@sha256:00", false), "a");
        assert_eq!(of("a@sha256:00", true), "a@sha256:00");
    }

    #[test]
    fn quoting() {
        assert_eq!(go_quote("a \"b\"\n\u{1}"), "\"a \\\"b\\\"\\n\\x01\"");
    }
}
