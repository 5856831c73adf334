//! What a client hears of a pull or push: words at once, numbers now and then.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::error::{Error, Result};
use crate::image::Progress;

/// Shortest time between two numbers of one layer, as in Docker.
const PACE: Duration = Duration::from_millis(100);

/// The client's end.
#[derive(Clone)]
pub(crate) struct News(mpsc::Sender<Result<Progress>>);

impl News {
    pub(crate) fn new(sender: mpsc::Sender<Result<Progress>>) -> Self {
        Self(sender)
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn abandoned(&self) {
        self.0.closed().await;
    }

    async fn tell(&self, progress: Progress) {
        // nobody listens: the work is about to end
        let _ = self.0.send(Ok(progress)).await;
    }

    /// A sentence.
    pub(crate) async fn say(&self, text: String) {
        self.tell(Progress::Message(text)).await;
    }

    /// Something named is done.
    pub(crate) async fn step(&self, id: String, status: String) {
        self.tell(Progress::Step { id, status }).await;
    }

    /// What a layer has come to.
    pub(crate) async fn layer(&self, id: &str, status: &str) {
        let (id, status) = (id.to_owned(), status.to_owned());
        self.tell(Progress::Layer { id, status, current: 0, total: 0 }).await;
    }

    /// A push's result, for programs.
    pub(crate) async fn pushed(&self, tag: &str, pushed: &oci::Descriptor) {
        let (tag, digest) = (tag.to_owned(), pushed.digest.as_str().to_owned());
        let (size, media_type) = (pushed.size, pushed.media_type.clone());
        self.tell(Progress::Pushed { tag, digest, size, media_type }).await;
    }

    /// A push has put a manifest in the place of the index that it is of.
    pub(crate) async fn pushed_instead(&self, index: &oci::Descriptor, manifest: &oci::Descriptor) {
        let (index, manifest) = (Box::new(index.clone()), Box::new(manifest.clone()));
        self.tell(Progress::PushedInstead { index, manifest }).await;
    }

    /// The end.
    pub(crate) async fn failed(&self, error: Error) {
        let _ = self.0.send(Err(error)).await;
    }
}

/// Numbers of one layer: now and then, and never between two words or after them.
#[derive(Clone)]
pub(crate) struct Meter {
    news: News,
    id: String,
}

/// Bytes so far, and in all.
pub(crate) type Count = (u64, u64);

impl Meter {
    pub(crate) fn new(news: News, id: &str) -> Self {
        Self { news, id: id.to_owned() }
    }

    /// Does `work`, and meanwhile tells how far `counts` are; the last number as well.
    pub(crate) async fn during<C, T>(
        &self,
        status: &str,
        counts: &mut watch::Receiver<C>,
        count: impl Fn(&C) -> Count,
        work: impl Future<Output = T>,
    ) -> T {
        let tell = |(current, total): Count| {
            if current > 0 {
                let (id, status) = (self.id.clone(), status.to_owned());
                // A client that lags behind gets fewer numbers: it must not hold up others who wait for the layer.
                let _ = self.news.0.try_send(Ok(Progress::Layer { id, status, current, total }));
            }
        };
        let telling = async {
            while counts.changed().await.is_ok() {
                let now = count(&counts.borrow_and_update());
                tell(now);
                tokio::time::sleep(PACE).await;
            }
            std::future::pending::<T>().await
        };
        let done = tokio::select! {
            done = work => done,
            never = telling => never,
        };
        if counts.has_changed().unwrap_or(false) {
            let last = count(&counts.borrow_and_update());
            tell(last);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn numbers_are_told_now_and_then_and_at_the_end() {
        let (sender, mut receiver) = mpsc::channel(64);
        let (counts, mut seen) = watch::channel((0, 1000));
        let work = async {
            for n in 1..=1000 {
                counts.send_replace((n, 1000));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            "done"
        };
        let meter = Meter::new(News::new(sender), "a");
        assert_eq!(meter.during("Downloading", &mut seen, |count| *count, work).await, "done");
        drop(meter);
        let mut told = Vec::new();
        while let Some(Ok(Progress::Layer { current, .. })) = receiver.recv().await {
            told.push(current);
        }
        assert!((10..=12).contains(&told.len()), "{told:?}");
        assert!(told.is_sorted() && told.last() == Some(&1000), "{told:?}");
    }
}
