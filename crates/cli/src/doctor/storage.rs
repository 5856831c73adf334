//! Where images and containers lie.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Check, fail, ok, read, warn};
use crate::format::units::human_size;

/// Free bytes below which a pull is likely to fail.
const LITTLE: u64 = 2 << 30;
/// Of a hundred, the inodes that should be free.
const FEW_INODES: u64 = 5;
/// File systems that an overlay can't write to.
const UNFIT: [&str; 8] = ["overlay", "nfs", "nfs4", "cifs", "vfat", "exfat", "ecryptfs", "fuseblk"];

pub(super) fn checks(data_root: &Path) -> Vec<Check> {
    let place = existing(data_root);
    let mut checks = Vec::new();
    match mount_of(&place) {
        Some(mount) => checks.push(file_system(data_root, &mount)),
        None => {
            checks.push(warn("storage", format!("no mount is known for {}", place.display()), "report this"))
        }
    }
    checks.extend(space(data_root, &place));
    checks
}

/// The directory itself, or the nearest above it that there is.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Of a line of `/proc/self/mountinfo`.
#[derive(Debug)]
struct Mount {
    kind: String,
    source: String,
    options: String,
}

fn mount_of(place: &Path) -> Option<Mount> {
    let device = std::fs::metadata(place).ok()?.dev();
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    read("/proc/self/mountinfo").lines().rev().find_map(|line| {
        let (place, rest) = line.split_once(" - ")?;
        if place.split(' ').nth(2)? != number {
            return None;
        }
        let mut rest = rest.split(' ');
        Some(Mount {
            kind: rest.next()?.to_owned(),
            source: rest.next()?.to_owned(),
            options: rest.next().unwrap_or_default().to_owned(),
        })
    })
}

fn file_system(data_root: &Path, mount: &Mount) -> Check {
    let place = data_root.display();
    let kind = mount.kind.as_str();
    if UNFIT.contains(&kind) {
        return warn(
            "storage",
            format!(
                "{place} is on {kind}, which overlays can't be made on: every container copies its whole image"
            ),
            "give berthd --data-root on ext4, xfs or btrfs",
        );
    }
    if kind == "xfs" && mount.options.contains("ftype=0") {
        return fail(
            "storage",
            format!("{place} is on an xfs without ftype (d_type): overlays break on it"),
            "make the file system anew with mkfs.xfs -n ftype=1",
        );
    }
    let device = mount.source.rsplit('/').next().unwrap_or_default();
    if kind == "ext4" && !journalled(device) {
        return warn(
            "storage",
            format!(
                "{place} is on an ext4 without a journal: after a power cut files may be damaged that were acknowledged"
            ),
            "tune2fs -O has_journal, while it is not mounted",
        );
    }
    let quota = ["prjquota", "pquota"].iter().any(|word| mount.options.contains(word));
    let quota =
        if quota { "with project quotas" } else { "without project quotas: --storage-opt size is refused" };
    ok("storage", format!("{place} is on {kind}, {quota}"))
}

/// A journal has a thread of the kernel's with statistics, `sda1-8`. A kernel that shows none is not judged.
fn journalled(device: &str) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc/fs/jbd2") else {
        return !Path::new("/proc/fs/ext4").join(device).exists();
    };
    let begins = format!("{device}-");
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(&begins))
        || !Path::new("/proc/fs/ext4").join(device).exists()
}

fn space(data_root: &Path, place: &Path) -> Vec<Check> {
    let Ok(found) = rustix::fs::statvfs(place) else { return Vec::new() };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let root = data_root.display();
    let mut checks = vec![if free < LITTLE {
        warn(
            "free space",
            format!("{} are free at {root}", human_size(i64::try_from(free).unwrap_or(i64::MAX))),
            "berth system prune -a, berth builder prune, or a larger disk",
        )
    } else {
        ok(
            "free space",
            format!("{} are free at {root}", human_size(i64::try_from(free).unwrap_or(i64::MAX))),
        )
    }];
    // some file systems make inodes as they go, and say 0
    if found.f_files > 0 && found.f_favail * 100 / found.f_files < FEW_INODES {
        checks.push(warn(
            "inodes",
            format!("{} of {} are free at {root}", found.f_favail, found.f_files),
            "remove images with many small files, or make the file system anew with more inodes",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn judged(kind: &str, options: &str) -> Check {
        let mount = Mount { kind: kind.into(), source: "/dev/none".into(), options: options.into() };
        file_system(Path::new("/x"), &mount)
    }

    #[test]
    fn file_systems() {
        assert_eq!(judged("nfs4", "rw").status, Status::Warn);
        assert_eq!(judged("xfs", "rw,ftype=0").status, Status::Fail);
        assert!(judged("xfs", "rw,prjquota").found.contains("with project quotas"));
        assert_eq!(judged("btrfs", "rw").status, Status::Ok);
    }

    #[test]
    fn the_mount_of_a_directory_is_found() {
        assert!(mount_of(Path::new("/proc")).is_some_and(|mount| mount.kind == "proc"));
        assert_eq!(existing(Path::new("/proc/no/such/thing")), Path::new("/proc"));
    }
}
