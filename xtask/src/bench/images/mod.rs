//! Images in and out: pull, load, save and push of a large image, beside dockerd, Podman and skopeo.
//!
//! One registry (Debian's) on the loopback interface serves all. Before each measurement what the last one made
//! is removed and the disk is synchronised, so that nobody pays for another's writes.

mod make;
mod sides;

use std::path::Path;

use anyhow::{Context, Result};
use e2e::Berth;
use e2e::peers::Docker;
use e2e::registry::copiers::Copier;
use e2e::registry::{Kind, Registry};

use super::measure::{Row, median, together};
use super::small;
use make::{LOADED, Material};
use sides::{Side, Sides, used};

pub(in crate::bench) use make::prepare;

/// How often each side is measured: each time takes seconds.
const RUNS: usize = 3;

/// All rows.
pub(super) fn rows(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let material = Material::read(small())?;
    crate::run::say(&format!("  {}\n", material.described));
    let registry = Registry::start(Kind::Debian)?;
    let probe = registry.probe(&[])?;
    material.whole.push(&probe, "bench/whole", "latest")?;
    material.half.push(&probe, "bench/half", "latest")?;
    material.large.push(&probe, "bench/large", "latest")?;
    let sides = Sides {
        berth,
        docker,
        podman: Copier::podman()?.on("overlay"),
        skopeo: Copier::skopeo()?,
        site: registry.site().clone(),
    };
    let mut rows = Vec::new();
    rows.extend(pulls(&sides, &material)?);
    rows.extend(removals(&sides)?);
    rows.extend(archives(&sides, &material)?);
    rows.extend(pushes(&sides, &material)?);
    rows.extend(costs(&sides)?);
    sides.clear()?;
    Ok(rows)
}

/// A row for each peer.
fn beside(work: &str, unit: &'static str, figures: &[(Side, f64)]) -> Vec<Row> {
    let ours = figures.first().map_or(f64::NAN, |(_, figure)| *figure);
    let row = |(side, theirs): &(Side, f64)| Row::new(work, unit, ours, side.name(), *theirs);
    figures.iter().skip(1).map(row).collect()
}

/// The same work on several sides in turn: medians, ours first.
fn in_turn(sides: &[Side], mut work: impl FnMut(Side) -> Result<f64>) -> Result<Vec<(Side, f64)>> {
    let work = std::cell::RefCell::new(&mut work);
    let mut each: Vec<Box<dyn FnMut() -> Result<f64> + '_>> = Vec::new();
    for side in sides {
        let work = &work;
        each.push(Box::new(move || work.borrow_mut()(*side)));
    }
    let mut each: Vec<&mut dyn FnMut() -> Result<f64>> =
        each.iter_mut().map(|side| &mut **side as &mut dyn FnMut() -> Result<f64>).collect();
    let medians = together(&mut each, RUNS)?;
    Ok(sides.iter().copied().zip(medians).collect())
}

fn pulls(sides: &Sides, material: &Material) -> Result<Vec<Row>> {
    let what = &material.described;
    let cold = in_turn(&Side::ALL, |side| {
        sides.remove(side)?;
        sides.pull(side, "bench/whole:latest")
    })?;
    let mut rows = beside(&format!("pull, cold: {what}"), "ms", &cold);
    let warm = in_turn(&Side::ENGINES, |side| {
        sides.remove(side)?;
        sides.pull(side, "bench/half:latest")?;
        sides.settle()?;
        sides.pull(side, "bench/whole:latest")
    })?;
    rows.extend(beside("pull with half of the layers there", "ms", &warm));
    let large = in_turn(&Side::ALL, |side| {
        sides.remove(side)?;
        sides.pull(side, "bench/large:latest")
    })?;
    rows.extend(beside("pull of a single layer of 1 GB", "ms", &large));
    Ok(rows)
}

/// What a machine does that throws an image away for the next one. Docker's and Podman's commands remove before they
/// end, ours after: so there is one row of the commands together, and one of the space.
fn removals(sides: &Sides) -> Result<Vec<Row>> {
    let mut until_gone = Side::ENGINES.map(|side| (side, Vec::new()));
    let again = in_turn(&Side::ENGINES, |side| {
        sides.remove(side)?;
        sides.pull(side, "bench/whole:latest")?;
        sides.settle()?;
        let again = sides.delete(side)? + sides.pull(side, "bench/whole:latest")?;
        sides.emptied(side)?;
        sides.settle()?;
        let gone = sides.delete(side)? + sides.emptied(side)?;
        until_gone.iter_mut().filter(|(other, _)| *other == side).for_each(|(_, all)| all.push(gone));
        Ok(again)
    })?;
    let mut rows = beside("remove it and pull it again, together", "ms", &again);
    let until_gone = until_gone.map(|(side, all)| (side, median(all)));
    rows.extend(beside("remove it, until its space is back", "ms", &until_gone));
    Ok(rows)
}

fn archives(sides: &Sides, material: &Material) -> Result<Vec<Row>> {
    let archive = material.archive.to_str().context("path")?;
    let load = in_turn(&Side::ENGINES, |side| {
        sides.remove(side)?;
        sides.run(side, &["load", "-i", archive])
    })?;
    let out = tempfile::tempdir_in(material.archive.parent().unwrap_or(Path::new("/")))?;
    let out = out.path().join("saved.tar");
    let path = out.to_str().context("path")?;
    let save = in_turn(&Side::ENGINES, |side| {
        let _ = std::fs::remove_file(&out);
        sides.settle()?;
        sides.run(side, &["save", "-o", path, LOADED])
    })?;
    let mut rows = beside("load", "ms", &load);
    rows.extend(beside("save", "ms", &save));
    Ok(rows)
}

/// What was loaded has no packed layers: they are made on the way.
fn pushes(sides: &Sides, material: &Material) -> Result<Vec<Row>> {
    let archive = material.archive.to_str().context("path")?;
    let pushed = in_turn(&Side::ENGINES, |side| {
        // whoever has pushed it before may remember what it had become
        sides.remove(side)?;
        sides.run(side, &["load", "-i", archive])?;
        let empty = Registry::start(Kind::Debian)?;
        sides.settle()?;
        sides.push(side, empty.site(), LOADED, "bench/pushed:1")
    })?;
    Ok(beside("push to an empty registry, packing", "ms", &pushed))
}

/// What a pull takes beside time.
fn costs(sides: &Sides) -> Result<Vec<Row>> {
    let peaks = Side::ALL.map(|side| {
        sides.remove(side)?;
        Ok((side, sides.peak(side, "bench/whole:latest")?))
    });
    let peaks: Vec<_> = peaks.into_iter().collect::<Result<_>>()?;
    let mut rows = beside("memory at most, pulling", "MiB", &peaks);
    let disks = Side::ENGINES.map(|side| {
        sides.remove(side)?;
        let before = used(sides.root(side))?;
        sides.pull(side, "bench/whole:latest")?;
        Ok((side, used(sides.root(side))? - before))
    });
    let disks: Vec<_> = disks.into_iter().collect::<Result<_>>()?;
    rows.extend(beside("bytes on disk", "MB", &disks));
    Ok(rows)
}
