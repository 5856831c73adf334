//! Copies into and out of a running container.

use std::path::Path;

use anyhow::Result;
use e2e::Berth;
use e2e::peers::Docker;

use super::IMAGE;
use super::measure::{RUNS, Row, in_turn, time};

/// Directories, and files in each: ten thousand files of a kilobyte.
const DIRECTORIES: usize = 100;
const FILES: usize = 100;
/// The large copies take long enough to be seen in few runs.
const LARGE_RUNS: usize = 5;

/// Where this machine's side of the copies lies, in memory: a disk whose ext4 has no journal looks past every
/// inode that was freed in the last minute for each file that it makes, so that whoever copies after ten thousand
/// removals waits for seconds (`recently_deleted` in the kernel's `fs/ext4/ialloc.c`).
const MEMORY: &str = "/dev/shm";

/// One small file, then ten thousand, both ways.
pub(super) fn rows(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let start = ["run", "-d", "--name", "bench-cp", "--network", "none", IMAGE, "sleep", "1000"];
    berth.berth(start)?.ok()?;
    docker.run(&start)?.ok()?;
    let rows = measure(berth, docker);
    berth.berth(["rm", "-f", "bench-cp"])?.ok()?;
    docker.run(&["rm", "-f", "bench-cp"])?.ok()?;
    rows
}

fn measure(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let here = tempfile::Builder::new().prefix("bench-cp-").tempdir_in(MEMORY)?;
    let tree = here.path().join("tree");
    make(&tree)?;
    let (tree, out) = (tree.display().to_string(), here.path().join("out"));
    let to = out.display().to_string();
    let one = ["cp", &format!("{tree}/0/0"), "bench-cp:/tmp/one"];
    let (ours, theirs) = in_turn(|| time(berth.berth_command(one)?), || time(docker.command(&one)), RUNS)?;
    let mut rows = vec![Row::new("cp of one file into a container", "ms", ours, "docker", theirs)];

    // Into a new place each time, for the same reason.
    let (mut here, mut there) = (0.., 0..);
    let next =
        |places: &mut std::ops::RangeFrom<u32>| format!("bench-cp:/tmp/in{}", places.next().unwrap_or(0));
    let (ours, theirs) = in_turn(
        || time(berth.berth_command(["cp", &tree, &next(&mut here)])?),
        || time(docker.command(&["cp", &tree, &next(&mut there)])),
        LARGE_RUNS,
    )?;
    rows.push(Row::new("cp of 10,000 files into a container", "ms", ours, "docker", theirs));

    let outward = ["cp", "bench-cp:/tmp/in0", &to];
    let remove = || if out.exists() { std::fs::remove_dir_all(&out) } else { Ok(()) };
    let (ours, theirs) = in_turn(
        || {
            remove()?;
            time(berth.berth_command(outward)?)
        },
        || {
            remove()?;
            time(docker.command(&outward))
        },
        LARGE_RUNS,
    )?;
    rows.push(Row::new("cp of 10,000 files out of a container", "ms", ours, "docker", theirs));
    Ok(rows)
}

fn make(tree: &Path) -> Result<()> {
    for directory in 0..DIRECTORIES {
        let directory = tree.join(directory.to_string());
        std::fs::create_dir_all(&directory)?;
        for file in 0..FILES {
            std::fs::write(directory.join(file.to_string()), [b'x'; 1024])?;
        }
    }
    Ok(())
}
