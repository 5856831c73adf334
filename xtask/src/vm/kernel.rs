//! The guest's kernel, and the few programs and modules that find its disk.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::cpio::Archive;

/// What lies between the kernel and its disk; what these need is looked up.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "ext4"];

const INIT: &str = "\
#!/busybox sh
/busybox mount -t devtmpfs dev /dev
for module in $(/busybox cat /order); do /busybox insmod /modules/$module; done
/busybox mount -t ext4 -o rw /dev/vda /root || exec /busybox sh
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root /sbin/init
";

/// Takes the kernel of `tree`, and makes the initial file system that mounts its disk.
pub(super) fn take(tree: &Path, kernel: &Path, initrd: &Path) -> Result<()> {
    let modules = tree.join("lib/modules");
    let version = std::fs::read_dir(&modules)?
        .next()
        .context("Debian's kernel is not there")??
        .file_name()
        .into_string()
        .ok()
        .context("a version that is no text")?;
    std::fs::copy(tree.join("boot").join(format!("vmlinuz-{version}")), kernel)?;
    let modules = modules.join(version);
    let order = load_order(&std::fs::read_to_string(modules.join("modules.dep"))?, MODULES);
    let mut archive = Archive::default();
    for directory in ["dev", "root", "modules"] {
        archive.directory(directory);
    }
    archive.program("busybox", &std::fs::read(tree.join("bin/busybox"))?);
    archive.program("init", INIT.as_bytes());
    archive
        .program("order", order.iter().map(|path| file_name(path)).collect::<Vec<_>>().join("\n").as_bytes());
    for path in &order {
        archive.program(&format!("modules/{}", file_name(path)), &std::fs::read(modules.join(path))?);
    }
    std::fs::write(initrd, archive.finish())?;
    Ok(())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The files to load, each after those that it needs, of modules.dep(5). What is not in it is part of the kernel.
fn load_order(dependencies: &str, wanted: &[&str]) -> Vec<String> {
    let lines: Vec<(&str, Vec<&str>)> = dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, needs)| (path, needs.split_whitespace().collect()))
        .collect();
    let mut order: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for module in wanted {
        let file = format!("{module}.ko");
        for (path, needs) in lines.iter().filter(|(path, _)| file_name(path) == file) {
            // The file lists what is needed from the nearest to the farthest.
            for path in needs.iter().rev().chain(std::iter::once(path)) {
                if seen.insert(*path) {
                    order.push((*path).to_owned());
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::load_order;

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let dependencies = "a/ext4.ko: a/jbd2.ko a/crc.ko\na/jbd2.ko: a/crc.ko\na/crc.ko:\nb/virtio_blk.ko: b/virtio.ko\nb/virtio.ko:\n";
        let order = load_order(dependencies, &["virtio_blk", "ext4", "built_in"]);
        assert_eq!(order, ["b/virtio.ko", "b/virtio_blk.ko", "a/crc.ko", "a/jbd2.ko", "a/ext4.ko"]);
    }
}
