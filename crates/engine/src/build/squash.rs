//! `--squash`: one layer instead of those that the target's own stage has made. The steps' layers stay in the cache.

use ::build::graph::{Graph, Op, Source};
use ::build::lower::{Flavor, Lowered};
use ::build::solve::Solved;
use jiff::Timestamp;
use oci::{Digest, History, Image, ImageConfig};
use store::Hold;

use crate::engine::Inner;
use crate::error::{Error, Result};

/// The image with one layer above those of what its last `FROM` says, and as long as the other value lives, that layer.
///
/// As in Docker, steps keep their lines of the history, as empty ones, and a line of its own tells of the layer. Where
/// no step has made a layer, which Docker calls an error, the image stays what it is.
///
/// # Errors
/// The disk is full.
pub(super) fn squash(
    engine: &Inner,
    (graph, lowered): (&Graph, &Lowered),
    solved: &Solved,
    flavor: Flavor,
    mut config: ImageConfig,
) -> Result<(ImageConfig, Option<Hold>)> {
    let layers = &config.rootfs.diff_ids;
    let base = lowered.base(solved, flavor);
    let below = base.as_ref().map(|base| base.rootfs.diff_ids.as_slice()).unwrap_or_default();
    let kept = layers.iter().zip(below).take_while(|(own, below)| own == below).count();
    if layers.len() == kept {
        return Ok((config, None));
    }
    let before = id(&config)?;
    let comment = match &base {
        None => format!("create new from {before}"),
        Some(base) => {
            let image = image(engine, graph, lowered).map_or_else(|| id(base), Ok)?;
            format!("merge {before} to {image}")
        }
    };
    let hold = engine.store.squash(layers, kept)?;
    let lines = base.as_ref().map_or(0, |base| base.history.len());
    config.history.iter_mut().skip(lines).for_each(|line| line.empty_layer = true);
    config.created = Some(Timestamp::now().to_string());
    config.history.push(History {
        created: config.created.clone(),
        comment: Some(comment),
        empty_layer: hold.layers().len() == kept,
        ..History::default()
    });
    config.rootfs.diff_ids = hold.layers().to_vec();
    Ok((config, Some(hold)))
}

fn id(config: &ImageConfig) -> Result<Digest> {
    let image = Image::encode(config).map_err(|error| Error::because("encode the image", error))?;
    Ok(image.id().clone())
}

/// The image that the target's stage begins with, if it is one, and still here.
fn image(engine: &Inner, graph: &Graph, lowered: &Lowered) -> Option<Digest> {
    let vertex = graph.get(lowered.from()?.output?.vertex)?;
    let Op::Source(Source::Image(image)) = &vertex.op else { return None };
    engine.store.resolve(&image.reference.to_string()).ok()
}
