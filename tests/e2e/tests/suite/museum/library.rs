//! CVE-2019-14271: `docker cp` entered the container's root, and then the C library loaded one of the container's.

use anyhow::{Context, Result, ensure};
use e2e::daemon::Berth;
use e2e::image::Image;
use e2e::programs;

/// What the loader is asked for by name: `PT_INTERP` in the program's headers (`elf(5)`), and with it any library.
#[test]
fn programs_load_nothing() -> Result<()> {
    const PT_INTERP: u32 = 3;
    for name in ["berth", "berthd", "berth-shim", "berth-oci"] {
        let bytes = std::fs::read(programs::program(name)?)?;
        let word = |at: usize, len: usize| -> Result<u64> {
            let part = bytes.get(at..at + len).context("the file is too short")?;
            Ok(part.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
        };
        let (offset, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
        for n in 0..count {
            let kind = word(usize::try_from(offset + n * size)?, 4)?;
            ensure!(kind != u64::from(PT_INTERP), "{name} wants a loader");
        }
    }
    Ok(())
}

/// Libraries where the C library would look for them, and a configuration that names them; a library that is no library
/// would be an error wherever it is loaded.
#[test]
fn users_are_looked_up_without_the_containers_libraries() -> Result<()> {
    let berth = Berth::start()?;
    let mut image = Image::busybox()?;
    image.layer(|layer| {
        layer.file(
            "etc/nsswitch.conf",
            0o644,
            b"passwd: evil files\ngroup: evil files\nhosts: evil files\n",
        )?;
        for dir in ["lib/", "lib64/", "lib/x86_64-linux-gnu/", "usr/", "usr/lib/"] {
            layer.dir(dir, 0o755)?;
            for library in ["libnss_files.so.2", "libnss_evil.so.2", "libc.so.6", "libdl.so.2"] {
                layer.file(&format!("{dir}{library}"), 0o755, b"#!/bin/sh\necho ran >> /ran\n")?;
            }
        }
        Ok(())
    })?;
    berth.load(&image, "evil:1")?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", "evil:1", "sleep", "1000"])?.ok()?;
    let file = berth.root().join("file");
    std::fs::write(&file, "content")?;
    let file = file.to_string_lossy();
    berth.berth(["cp", &*file, "box:/tmp/file"])?.ok()?;
    berth.docker(["cp", "-a", &*file, "box:/tmp/again"])?.ok()?;
    ensure!(berth.berth(["exec", "-u", "app:extra", "box", "id", "-u"])?.ok()? == "1000");
    ensure!(berth.berth(["run", "--rm", "-u", "app", "evil:1", "id", "-g"])?.ok()? == "1000");
    // no process of ours has mapped a file of the container's
    for line in e2e::leaks::processes(berth.root())? {
        let pid = line.split(' ').next().unwrap_or_default();
        let Ok(maps) = std::fs::read_to_string(format!("/proc/{pid}/maps")) else { continue };
        ensure!(!maps.contains(".so"), "{line}: {maps}");
    }
    ensure!(berth.berth(["exec", "box", "test", "-e", "/ran"])?.code == 1, "a planted file has run");
    berth.finish()
}
