//! Disk usage.

mod build_cache;

use api::system as wire;
use api::{Query, Version};
use engine::container::{Listed, Size};
use engine::system::DiskUsage;
use jiff::Timestamp;

use super::{count, image, legacy, size, summary, total, volume};
use crate::error::{ApiError, Result};
use build_cache::build_cache_usage;

pub(crate) use build_cache::cache_rule;

/// Which kinds of things `GET /system/df` is to count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DfWanted {
    containers: bool,
    images: bool,
    volumes: bool,
    build_cache: bool,
    items: bool,
}

impl DfWanted {
    fn all_kinds(self) -> bool {
        self.containers && self.images && self.volumes && self.build_cache
    }

    /// Reads `type` (repeatable, since 1.42) and `verbose` (since 1.52).
    pub(crate) fn parse(query: &Query, version: Version) -> Result<Self> {
        let items = query.flag("verbose");
        let mut wanted = Self { containers: false, images: false, volumes: false, build_cache: false, items };
        let kinds: Vec<_> = query.all("type").filter(|_| version >= Version::minor(42)).collect();
        if kinds.is_empty() {
            return Ok(Self { containers: true, images: true, volumes: true, build_cache: true, items });
        }
        for kind in kinds {
            match kind {
                "container" => wanted.containers = true,
                "image" => wanted.images = true,
                "volume" => wanted.volumes = true,
                "build-cache" => wanted.build_cache = true,
                other => return Err(ApiError::bad_request(format!("unknown object type: {other}"))),
            }
        }
        Ok(wanted)
    }
}

/// Answer of `GET /system/df`, in the form (or both) that the client's version has; all sizes are blocks on the disk.
pub(crate) fn disk_usage(
    usage: &DiskUsage,
    data_root: String,
    wanted: DfWanted,
    version: Version,
) -> wire::DiskUsage {
    let (flat, grouped) = legacy::disk_usage(version);
    let images = wanted.images.then(|| images(usage, version));
    let containers = wanted.containers.then(|| containers(usage, version));
    let volumes = wanted.volumes.then(|| volumes(usage));
    let build_cache = wanted.build_cache.then(|| build_cache_usage(&usage.build_cache, version));
    let mut answer = wire::DiskUsage {
        data_root: Some(wire::DataRoot {
            path: data_root,
            log_size: size(usage.logs()),
            record_size: size(usage.records),
            total_size: size(usage.total()),
        }),
        ..wire::DiskUsage::default()
    };
    if flat {
        // one that asks for kinds gets the sum of images with these alone
        answer.layers_size = (wanted.images || wanted.all_kinds()).then(|| size(usage.images_size));
        answer.images = images.as_ref().map(|usage| usage.items.clone());
        answer.containers = containers.as_ref().map(|usage| usage.items.clone());
        answer.volumes = volumes.as_ref().map(|usage| usage.items.clone());
        answer.build_cache = build_cache.as_ref().map(|usage| usage.items.clone());
        answer.builder_size = (version < Version::minor(42)).then_some(size(usage.build_cache.total));
    }
    if grouped {
        answer.image_usage = images.map(|usage| trimmed(usage, wanted.items));
        answer.container_usage = containers.map(|usage| trimmed(usage, wanted.items));
        answer.volume_usage = volumes.map(|usage| trimmed(usage, wanted.items));
        answer.build_cache_usage = build_cache.map(|usage| trimmed(usage, wanted.items));
    }
    answer
}

fn trimmed<T>(mut usage: wire::Usage<T>, items: bool) -> wire::Usage<T> {
    if !items {
        usage.items = Vec::new();
    }
    usage
}

fn images(usage: &DiskUsage, version: Version) -> wire::Usage<api::image::Summary> {
    let items = usage.images.iter().map(|one| {
        let mut item = image::image_summary(&one.image, version);
        item.size = size(one.size);
        item.virtual_size = item.virtual_size.map(|_| size(one.size));
        item.shared_size = size(one.shared);
        item
    });
    wire::Usage {
        active_count: count(usage.images.iter().filter(|one| one.image.containers > 0).count()),
        total_count: count(usage.images.len()),
        reclaimable: size(usage.images_reclaimable),
        total_size: size(usage.images_size),
        items: items.collect(),
    }
}

fn containers(usage: &DiskUsage, version: Version) -> wire::Usage<api::container::Summary> {
    let now = Timestamp::now();
    let items = usage.containers.iter().map(|one| {
        let container = one.container.clone();
        let measured = Size { rw: one.written, root_fs: one.root };
        let image = container.config.image.clone();
        let mut item =
            summary(&Listed { container, size: Some(measured), image, link_names: Vec::new() }, now, version);
        item.size_logs = size(one.logs);
        item
    });
    let (running, stopped): (Vec<_>, Vec<_>) =
        usage.containers.iter().partition(|one| one.container.state.is_running());
    wire::Usage {
        active_count: count(running.len()),
        total_count: count(usage.containers.len()),
        reclaimable: total(stopped.iter().map(|one| one.written)),
        total_size: total(usage.containers.iter().map(|one| one.written)),
        items: items.collect(),
    }
}

fn volumes(usage: &DiskUsage) -> wire::Usage<api::volume::Volume> {
    let items = usage.volumes.iter().map(|one| api::volume::Volume {
        usage_data: Some(api::volume::UsageData { ref_count: count(one.users), size: size(one.size) }),
        ..volume(one.volume.clone())
    });
    let idle = usage.volumes.iter().filter(|one| one.users == 0);
    wire::Usage {
        active_count: count(usage.volumes.iter().filter(|one| one.users > 0).count()),
        total_count: count(usage.volumes.len()),
        reclaimable: total(idle.map(|one| one.size)),
        total_size: total(usage.volumes.iter().map(|one| one.size)),
        items: items.collect(),
    }
}
