//! Layers made anew with times that are not after a given one.

use oci::Digest;

use crate::build::Hold;
use crate::disk::TmpDir;
use crate::error::Context;
use crate::layer;
use crate::load::ChunkOutput;
use crate::load::{Publisher, chunks, unpack_here};
use crate::state::chain_name;
use crate::{Error, Result, Store};

impl Store {
    /// Makes the stack `layers` anew, with no time in it after `latest` (seconds since 1970), and holds it. The lowest
    /// `kept` layers stay what they are.
    ///
    /// # Errors
    /// A layer is missing, or not what it was; [`Error::NoSpace`].
    pub fn clamp_times(&self, layers: &[Digest], kept: usize, latest: i64) -> Result<Hold> {
        let kept = kept.min(layers.len());
        let missing = || Error::Damaged(format!("the layers of {} are missing", chain_name(layers)));
        let keys = self.inner().lock().chains.get(&chain_name(layers)).cloned().ok_or_else(missing)?;
        let mut publisher = Publisher::new(self.inner());
        publisher.hold(&keys);
        let mut held = match kept {
            0 => None,
            _ => Some(self.restack(&layers[..kept])?),
        };
        for key in &keys[kept..] {
            let below = held.as_ref().map(|held| held.layers().to_vec()).unwrap_or_default();
            held = Some(self.clamp_layer(key, &below, latest)?);
        }
        match held {
            Some(held) => Ok(held),
            None => self.restack(&[]),
        }
    }

    fn clamp_layer(&self, key: &str, below: &[Digest], latest: i64) -> Result<Hold> {
        let inner = self.inner();
        let dir = inner.layout.layer(key);
        let (whole, mut tar) = chunks();
        let (writer, reader) = chunks();
        let failed = || Error::Damaged("a thread failed".into());
        let fresh = std::thread::scope(|scope| {
            let assembling = scope.spawn(move || layer::assemble(&dir, whole));
            let clamping = scope.spawn(move || {
                let mut output = ChunkOutput::new(&writer);
                tarball::clamp_times(&mut tar, &mut output, latest).context("change a layer's times")?;
                if output.flush_last() {
                    drop(output);
                    writer.end();
                }
                Ok(())
            });
            let unpacked = unpack_here(reader, TmpDir::new(&inner.layout)?, inner.limits, inner.umask);
            let clamped = clamping.join().unwrap_or_else(|_panic| Err(failed()));
            let assembled = assembling.join().unwrap_or_else(|_panic| Err(failed()));
            assembled.and(clamped).and(unpacked)
        })?;
        let mut publisher = Publisher::new(inner);
        let keys = match below {
            [] => Vec::new(),
            below => {
                let chains = &inner.lock().chains;
                chains.get(&chain_name(below)).map(|keys| keys.to_vec()).unwrap_or_default()
            }
        };
        publisher.hold(&keys);
        publisher.above_unsynced(&keys, below, fresh)
    }
}
