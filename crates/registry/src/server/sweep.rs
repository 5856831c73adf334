//! What is done from time to time: uploads that nobody goes on with are given up.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

use super::Registry;
use super::storage::{Key, Prefix, Result, UploadId, name_of};

/// How often.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Names that are looked at at once.
const PAGE: usize = 1000;

/// Sweeps at once and then every hour, until it is dropped.
pub(super) async fn forever(registry: Arc<Registry>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let expire = registry.config.uploads.expire.0;
        match uploads(&registry, expire).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} uploads were given up: nobody went on with them"),
            Err(error) => tracing::error!("cannot sweep uploads: {error}"),
        }
        match registry.storage.sweep(expire).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} remains of instances that were killed are gone"),
            Err(error) => tracing::error!("cannot sweep the storage: {error}"),
        }
    }
}

/// Gives up uploads that got no byte for so long; how many there were.
async fn uploads(registry: &Registry, expire: Duration) -> Result<usize> {
    let storage = &registry.storage;
    let (mut swept, mut after) = (0, None);
    loop {
        let page = storage.list(&Prefix::uploading(), after.as_deref(), PAGE).await?;
        for name in page.iter().filter_map(|entry| name_of(&entry.name)) {
            for id in storage.list(&Prefix::uploads(&name), None, PAGE).await? {
                let Some(id) = UploadId::parse(&id.name) else { continue };
                let key = Key::upload(&name, &id);
                let Some(meta) = storage.upload_stat(&key).await? else { continue };
                // a time in the future is a clock that was put back: its turn comes
                if SystemTime::now().duration_since(meta.modified).is_ok_and(|age| age >= expire) {
                    swept += usize::from(storage.upload_abort(&key).await?);
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(swept),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::config::Config;
    use super::super::storage;
    use super::*;

    #[tokio::test]
    async fn only_old_uploads_are_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[storage]\npath = 'data'\n[http]\nlisten = '127.0.0.1:0'\n";
        let config = Config::parse(text, &Path::new(dir.path()).join("x.toml")).unwrap();
        let storage = storage::open(&config.storage).await.unwrap();
        let registry = Registry::new(config, storage).unwrap();
        let key = Key::upload(&"a/b".parse().unwrap(), &UploadId::random().unwrap());
        registry.storage.upload_begin(&key).await.unwrap();
        assert_eq!(uploads(&registry, Duration::from_secs(3600)).await.unwrap(), 0);
        assert!(registry.storage.upload_stat(&key).await.unwrap().is_some());
        assert_eq!(uploads(&registry, Duration::ZERO).await.unwrap(), 1);
        assert!(registry.storage.upload_stat(&key).await.unwrap().is_none());
    }
}
