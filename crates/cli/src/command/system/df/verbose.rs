//! `berth system df --verbose`: each image, container, volume and record of the build cache.

use api::system::DiskUsage;
use api::{container, volume};

use crate::command::{Context, container::ls, image};
use crate::error::Result;
use crate::format::json::Json;
use crate::format::list::{self, Columns, Row};
use crate::format::template::{Data, Format};
use crate::format::units::human_size;

const IMAGES: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
/// With our own column.
const CONTAINERS_AND_LOGS: Columns = Columns {
    headers: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Size", "SIZE"),
        ("LogSize", "LOGS"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("Names", "NAMES"),
    ],
    default: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.LogSize}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    kind: ls::COLUMNS.kind,
};

const VOLUMES: Columns = Columns {
    headers: &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
    default: "{{.Name}}\t{{.Links}}\t{{.Size}}",
    kind: "*formatter.volumeContext",
};

const CACHE: Columns = Columns {
    headers: &[
        ("ID", "CACHE ID"),
        ("CacheType", "CACHE TYPE"),
        ("Size", "SIZE"),
        ("CreatedSince", "CREATED"),
        ("LastUsedSince", "LAST USED"),
        ("UsageCount", "USAGE"),
        ("Shared", "SHARED"),
    ],
    default: "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}",
    kind: "*formatter.buildCacheContext",
};

/// The rows of the four sections.
struct Sections {
    images: Vec<Row>,
    containers: Vec<Row>,
    volumes: Vec<Row>,
    cache: Vec<Row>,
    cache_size: i64,
}

pub(super) fn run(context: &Context<'_>, format: &str, usage: DiskUsage) -> Result<()> {
    let root = usage.data_root.clone().filter(|_| context.program != "docker");
    match format {
        "" | "table" => {}
        "json" => return whole(context, "{{json .}}", usage),
        template => return whole(context, template, usage),
    }
    let sections = sections(usage, false, root.is_some());
    let mut text = String::from("Images space usage:\n\n");
    let images = Columns { default: IMAGES, ..image::ls::COLUMNS };
    text += &list::render("", &images, &sections.images)?;
    text += "\nContainers space usage:\n\n";
    let dockers = Columns { default: CONTAINERS, ..ls::COLUMNS };
    let containers = if root.is_some() { CONTAINERS_AND_LOGS } else { dockers };
    text += &list::render("", &containers, &sections.containers)?;
    text += "\nLocal Volumes space usage:\n\n";
    text += &list::render("", &VOLUMES, &sections.volumes)?;
    text += &format!("\nBuild cache usage: {}\n\n", human_size(sections.cache_size));
    text += &list::render("", &CACHE, &sections.cache)?;
    if let Some(root) = root {
        text += &format!(
            "\nData root usage: {} in {}, {} of it container logs, {} records\n",
            human_size(root.total_size),
            root.path,
            human_size(root.log_size),
            human_size(root.record_size),
        );
    }
    context.out.text(&text)
}

/// One object of four lists, for a template.
fn whole(context: &Context<'_>, template: &str, usage: DiskUsage) -> Result<()> {
    let sections = sections(usage, true, false);
    let lists = [
        ("Images", &sections.images),
        ("Containers", &sections.containers),
        ("Volumes", &sections.volumes),
        ("BuildCache", &sections.cache),
    ];
    let list = |rows: &Vec<Row>| Json::Array(rows.iter().map(object).collect());
    let object = Json::Object(lists.map(|(name, rows)| (name.to_owned(), list(rows))).into());
    context.out.text(&Format::parse(template)?.render(Data::from_json(&object))?)
}

fn object(row: &Row) -> Json {
    let mut members: Vec<(String, Json)> =
        row.fields.iter().map(|(name, text)| ((*name).to_owned(), Json::String(text.clone()))).collect();
    if let Some((name, _)) = &row.object {
        members.push(((*name).to_owned(), Json::Null));
    }
    members.sort_by(|a, b| a.0.cmp(&b.0));
    Json::Object(members)
}

/// Since 1.52 the lists are in the sums; before, they stand by themselves.
fn sections(usage: DiskUsage, whole: bool, logs: bool) -> Sections {
    let images = usage.image_usage.map(|sums| sums.items).or(usage.images).unwrap_or_default();
    let containers = usage.container_usage.map(|sums| sums.items).or(usage.containers).unwrap_or_default();
    let volumes = usage.volume_usage.map(|sums| sums.items).or(usage.volumes).unwrap_or_default();
    let cache = usage.build_cache_usage.map(|sums| sums.items).or(usage.build_cache).unwrap_or_default();
    Sections {
        images: images
            .iter()
            .flat_map(|image| image::ls::rows(image, whole, false))
            .map(undigested)
            .collect(),
        containers: containers.iter().map(|one| container(one, whole, logs)).collect(),
        volumes: volumes.iter().map(volume).collect(),
        cache_size: cache.iter().filter(|record| !record.shared).map(|record| record.size).sum(),
        cache: cache.iter().map(record).collect(),
    }
}

/// Digests are not asked for here, and so not told, not even that there is none.
fn undigested(mut row: Row) -> Row {
    for (_, digest) in row.fields.iter_mut().filter(|(name, _)| *name == "Digest") {
        digest.clear();
    }
    row
}

fn container(container: &container::Summary, whole: bool, logs: bool) -> Row {
    let own = container::Summary { size_root_fs: 0, ..container.clone() };
    let mut row = ls::row(&own, whole);
    if logs {
        row.fields.push(("LogSize", human_size(container.size_logs)));
    }
    row
}

fn volume(volume: &volume::Volume) -> Row {
    let usage = volume.usage_data.clone().unwrap_or_default();
    let known = |number: i64, text: String| if number < 0 { "N/A".to_owned() } else { text };
    Row {
        fields: vec![
            ("Driver", volume.driver.clone()),
            ("Labels", list::labels(&volume.labels)),
            ("Links", known(usage.ref_count, usage.ref_count.to_string())),
            ("Mountpoint", volume.mountpoint.clone()),
            ("Name", volume.name.clone()),
            ("Scope", volume.scope.clone()),
            ("Size", known(usage.size, human_size(usage.size))),
        ],
        ..Row::default()
    }
}

fn record(record: &api::system::BuildCache) -> Row {
    let since = |time: &str| {
        let moment = time.parse::<jiff::Timestamp>().ok();
        moment.map(|time| crate::format::time::ago(time.as_second())).unwrap_or_default()
    };
    Row {
        fields: vec![
            ("CacheType", record.kind.clone()),
            ("CreatedSince", since(&record.created_at)),
            ("Description", record.description.clone()),
            ("ID", list::ellipsis(&record.id, 12)),
            ("InUse", record.in_use.to_string()),
            ("LastUsedSince", record.last_used_at.as_deref().map(since).unwrap_or_default()),
            ("Parent", record.parents.join(", ")),
            ("Shared", record.shared.to_string()),
            ("Size", human_size(record.size)),
            ("UsageCount", record.usage_count.to_string()),
        ],
        ..Row::default()
    }
}
