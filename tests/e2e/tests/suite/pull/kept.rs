//! Compressed layers that are kept.

use anyhow::{Result, ensure};
use e2e::daemon::Berth;
use e2e::registry::{Faulty, Packing, Picture, Style};

use super::picture;

/// What was pulled goes on with its own digest though its registry is gone; without the option it is compressed anew.
#[test]
fn what_is_kept_is_pushed_as_it_came() -> Result<()> {
    for kept in [true, false] {
        let berth = Berth::bare(&[])?;
        let mut berth = match kept {
            false => berth,
            true => {
                berth.finish()?;
                Berth::bare(&["--keep-compressed-layers"])?
            }
        };
        let picture = picture(Style::Oci, &[Packing::Gzip, Packing::Zstd], &[300_000, 200_000])?;
        let (from, to) = (Faulty::start(&picture)?, Faulty::start(&Picture::default())?);
        let (source, target) = (from.site().name("some/image:1"), to.site().name("copy/image:1"));
        berth.berth(["pull", "-q", &source])?.ok()?;
        // and after a restart, with nobody to ask for the bytes
        drop(from);
        berth.terminate()?;
        berth.spawn()?;
        berth.berth(["tag", &source, &target])?.ok()?;
        let said = berth.berth(["push", &target])?.ok()?;
        ensure!(said.contains(&picture.root) == kept, "{said}");
        let pushed = to.picture();
        for (digest, size) in picture.layers()? {
            let blob = pushed.blobs.get(&digest).map(|bytes| bytes.len() as u64);
            ensure!(!kept || blob == Some(size), "{digest}: {blob:?} of {size}");
        }
        let layers = berth.data_root().join("store/layers");
        let on_disk = || -> Result<usize> {
            let folders = std::fs::read_dir(&layers)?.map(|layer| Ok(layer?.path().join("compressed")));
            let folders = folders.collect::<Result<Vec<_>>>()?;
            Ok(folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().count())
        };
        let count = if kept { picture.layers()?.len() } else { 0 };
        ensure!(on_disk()? == count, "{} of {count}", on_disk()?);
        berth.berth(["rmi", &source, &target])?.ok()?;
        ensure!(on_disk()? == 0, "they go with their image");
        berth.finish()?;
    }
    Ok(())
}
