//! `berth system df`

use api::Action;
use api::system::DiskUsage;
use api::{container, image, volume};

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
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
    if matches.bool("verbose") {
        return Err(Error::said(
            "system df --verbose: not supported yet; 'ps -s' and 'images' show single sizes",
        ));
    }
    let usage: DiskUsage = context.client()?.call(Action::SystemDataUsage, "").fetch()?;
    let images = usage.images.or_else(|| usage.image_usage.map(|usage| usage.items)).unwrap_or_default();
    let containers =
        usage.containers.or_else(|| usage.container_usage.map(|usage| usage.items)).unwrap_or_default();
    let volumes = usage.volumes.or_else(|| usage.volume_usage.map(|usage| usage.items)).unwrap_or_default();
    let layers = usage.layers_size.unwrap_or_else(|| images.iter().map(|image| image.size).sum());
    let cache = usage.build_cache.unwrap_or_default();
    let cache_size: i64 = cache.iter().filter(|entry| !entry.shared).map(|entry| entry.size).sum();
    let kinds = [
        of_images(&images, layers),
        of_containers(&containers),
        of_volumes(&volumes),
        Kind {
            name: "Build Cache",
            total: cache.len(),
            active: cache.iter().filter(|entry| entry.in_use).count(),
            size: cache_size,
            reclaimable: cache
                .iter()
                .filter(|entry| !entry.in_use && !entry.shared)
                .map(|entry| entry.size)
                .sum(),
        },
    ];
    let rows: Vec<Row> = kinds.iter().map(row).collect();
    list::print(context.out, matches.get("format"), &COLUMNS, &rows)
}

fn row(kind: &Kind) -> Row {
    let reclaimable = human_size(kind.reclaimable);
    let share = if kind.size > 0 && kind.name != "Build Cache" {
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
