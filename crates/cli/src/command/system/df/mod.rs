//! `berth system df`

mod verbose;

use api::Action;
use api::system::{BuildCache, DataRoot, DiskUsage, Usage};
use api::{container, image, volume};

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row};
use crate::format::units::human_size;

pub(crate) static COMMAND: Command =
    Command::new("df", "[OPTIONS]", "Show what takes space on the disk", Arity::None, run).flags(&[&[
        Flag::format(),
        Flag::bool("verbose", "Show each image, container and volume").short('v'),
    ]]);

const COLUMNS: Columns = Columns {
    headers: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    default: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    kind: "*formatter.diskUsageContext",
};

/// One kind of things: how many, how many in use, bytes, bytes that could be freed.
struct Kind {
    name: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
}

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let whole = matches.bool("verbose");
    let usage: DiskUsage =
        context.client()?.call(Action::SystemDataUsage, "").switch("verbose", whole).fetch()?;
    if whole {
        return verbose::run(context, matches.get("format"), usage);
    }
    let more = usage.data_root.clone().filter(|_| context.program != "docker");
    let mut rows: Vec<Row> = kinds(usage).iter().map(row).collect();
    rows.extend(more.iter().flat_map(beside));
    list::print(context.out, matches.get("format"), &COLUMNS, &rows)
}

/// What Docker does not count, so that the sizes add up to what the data root takes on the disk.
fn beside(root: &DataRoot) -> [Row; 2] {
    let one = |name: &str, size: i64| Row {
        fields: vec![
            ("Type", name.to_owned()),
            ("TotalCount", "-".to_owned()),
            ("Active", "-".to_owned()),
            ("Size", human_size(size)),
            ("Reclaimable", human_size(0)),
        ],
        ..Row::default()
    };
    [one("Container Logs", root.log_size), one("Records", root.record_size)]
}

/// Since 1.52 the daemon sums up itself; before, the lists are there to be summed up.
fn kinds(usage: DiskUsage) -> [Kind; 4] {
    let images = usage.images.unwrap_or_default();
    let layers = usage.layers_size.unwrap_or_default();
    [
        usage.image_usage.map_or_else(|| of_images(&images, layers), |sums| of_sums("Images", &sums)),
        usage.container_usage.map_or_else(
            || of_containers(&usage.containers.unwrap_or_default()),
            |sums| of_sums("Containers", &sums),
        ),
        usage.volume_usage.map_or_else(
            || of_volumes(&usage.volumes.unwrap_or_default()),
            |sums| of_sums("Local Volumes", &sums),
        ),
        usage
            .build_cache_usage
            .map_or_else(|| of_cache(&usage.build_cache.unwrap_or_default()), |sums| of_sums(CACHE, &sums)),
    ]
}

const CACHE: &str = "Build Cache";

fn of_sums<T>(name: &'static str, sums: &Usage<T>) -> Kind {
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    Kind {
        name,
        total: count(sums.total_count),
        active: count(sums.active_count),
        size: sums.total_size,
        reclaimable: sums.reclaimable,
    }
}

fn of_cache(cache: &[BuildCache]) -> Kind {
    Kind {
        name: CACHE,
        total: cache.len(),
        active: cache.iter().filter(|entry| entry.in_use).count(),
        size: cache.iter().filter(|entry| !entry.shared).map(|entry| entry.size).sum(),
        reclaimable: cache
            .iter()
            .filter(|entry| !entry.in_use && !entry.shared)
            .map(|entry| entry.size)
            .sum(),
    }
}

fn row(kind: &Kind) -> Row {
    let reclaimable = human_size(kind.reclaimable);
    let share = if kind.size > 0 && kind.name != CACHE {
        format!(" ({}%)", kind.reclaimable.saturating_mul(100) / kind.size)
    } else {
        String::new()
    };
    Row {
        fields: vec![
            ("Type", kind.name.to_owned()),
            ("TotalCount", kind.total.to_string()),
            ("Active", kind.active.to_string()),
            ("Size", human_size(kind.size)),
            ("Reclaimable", reclaimable + &share),
        ],
        ..Row::default()
    }
}

fn of_images(images: &[image::Summary], layers: i64) -> Kind {
    let used: i64 = images
        .iter()
        .filter(|image| image.containers > 0)
        .map(|image| if image.shared_size < 0 { image.size } else { image.size - image.shared_size })
        .sum();
    Kind {
        name: "Images",
        total: images.len(),
        active: images.iter().filter(|image| image.containers > 0).count(),
        size: layers,
        reclaimable: (layers - used).max(0),
    }
}

fn of_containers(containers: &[container::Summary]) -> Kind {
    let active = |container: &&container::Summary| {
        ["running", "paused", "restarting"].contains(&container.state.as_str())
    };
    let size: i64 = containers.iter().map(|container| container.size_rw).sum();
    Kind {
        name: "Containers",
        total: containers.len(),
        active: containers.iter().filter(active).count(),
        size,
        reclaimable: size - containers.iter().filter(active).map(|container| container.size_rw).sum::<i64>(),
    }
}

fn of_volumes(volumes: &[volume::Volume]) -> Kind {
    let usage = |volume: &volume::Volume| volume.usage_data.clone().unwrap_or_default();
    let size = |volume: &&volume::Volume| usage(volume).size.max(0);
    Kind {
        name: "Local Volumes",
        total: volumes.len(),
        active: volumes.iter().filter(|volume| usage(volume).ref_count > 0).count(),
        size: volumes.iter().map(|volume| size(&volume)).sum(),
        reclaimable: volumes
            .iter()
            .filter(|volume| usage(volume).ref_count == 0)
            .map(|volume| size(&volume))
            .sum(),
    }
}
