//! The session with the store: a lease that is kept alive, this machine's entry, a picture of the whole, and what
//! happens to it. When it breaks, another one is made; what it has to do is the same whether it is the first one, or
//! the store was away, has forgotten what we saw last, or has lost everything.

mod backoff;
mod reconcile;
mod record;

use std::sync::Arc;

use tokio::sync::watch;

use crate::client::{Watch, explain};
use crate::error::{Error, Result};
use crate::model::{Host, Value as _};
use crate::shared::{Link, Shared};
use crate::txn::Txn;
use crate::view::View;
use crate::wire::{KeyValue, RangeRequest, RangeResponse, WatchResponse};
use backoff::Backoff;

/// Keys of one page of the picture.
const PAGE: i64 = 500;
/// Event of a key that is gone.
const DELETED: i32 = 1;

/// Keeps a session until everything ends.
pub(crate) async fn run(shared: Arc<Shared>) {
    let (mut closing, mut backoff) = (shared.closing.subscribe(), Backoff::new(shared.options.store.ttl));
    loop {
        let ended = tokio::select! {
            ended = session(&shared, &mut backoff) => ended,
            () = closed(&mut closing) => return,
        };
        let error = match ended {
            Ok(()) => Error::Expired,
            Err(error) => error,
        };
        tell(&shared, &error);
        let wait = backoff.next();
        // whoever asks for a comparison now gets it by the session that comes
        if tokio::time::timeout(wait, closed(&mut closing)).await.is_ok() {
            return;
        }
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // the sender lives as long as we do
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Says once that and why the store is away.
fn tell(shared: &Shared, error: &Error) {
    let away = matches!(
        error,
        Error::Unavailable { .. } | Error::Refused(_) | Error::HostInUse { .. } | Error::Record { .. }
    );
    let before = if away { Link::Down(error.clone()) } else { Link::Opening };
    let before = shared.link.send_replace(before);
    match before {
        Link::Down(known) if known == *error => {}
        _ if away => tracing::warn!(%error, "no session with the cluster store: networks go on as they are"),
        _ => tracing::debug!(%error, "the session with the cluster store is made anew"),
    }
}

/// One session, from its lease to its end.
async fn session(shared: &Arc<Shared>, backoff: &mut Backoff) -> Result<()> {
    let (lease, new) = lease(shared).await?;
    register(shared, lease).await?;
    let mut view = picture(shared).await?;
    let before = shared.view();
    if view.revision < before.revision {
        tracing::warn!(
            "the cluster store has lost what it had: its networks are written again as this host knows them"
        );
        crate::network::restore(shared, &before, &view).await?;
        view = picture(shared).await?;
    }
    let revision = view.revision;
    let rewrite = shared.take_rewrite() || new;
    reconcile::reconcile(shared, &view, lease, rewrite).await?;
    let mut watch = shared.client.watch(shared.keys.all(), revision + 1).await?;
    shared.view.send_replace(Arc::new(view));
    if matches!(shared.link.send_replace(Link::Up(lease)), Link::Down(_)) || new {
        tracing::info!(store = %shared.options.store.url, "session with the cluster store");
    }
    backoff.worked();
    follow(shared, &mut watch, lease).await
}

/// The lease of the last session, if it has not run out, or a new one; whether it is new.
async fn lease(shared: &Shared) -> Result<(i64, bool)> {
    let (dir, url) = (&shared.options.record_dir, &shared.options.store.url);
    if let Some(lease) = record::read(dir, url)
        && shared.client.keep_alive(lease).await?
    {
        return Ok((lease, false));
    }
    let lease = shared.client.grant(shared.options.store.ttl).await?;
    // before anything hangs on it
    record::write(dir, url, lease)?;
    Ok((lease, true))
}

/// This machine's entry.
async fn register(shared: &Shared, lease: i64) -> Result<()> {
    let host = shared.host();
    let key = shared.keys.host(&host.id);
    let request = RangeRequest { key: key.clone().into(), ..RangeRequest::default() };
    let there = shared.client.range(request).await?.kvs.into_iter().next();
    let revision = there.as_ref().map_or(0, |there| there.mod_revision);
    if let Some(there) = there.filter(|there| there.lease != lease)
        && let Ok(other) = Host::read(&host.id, &there.value)
        && other.address != host.address
    {
        return Err(Error::HostInUse { id: host.id, advertise: other.address.to_string() });
    }
    let txn = Txn::default().if_unchanged(&key, revision).put(&key, host.write(), lease);
    if shared.client.txn(txn.build()).await?.succeeded {
        return Ok(());
    }
    Err(Error::Refused(format!("somebody else writes the entry of host {}", host.id)))
}

/// Everything in the store, as it is at one revision.
async fn picture(shared: &Shared) -> Result<View> {
    let (mut key, range_end) = shared.keys.all();
    let mut view = View::default();
    loop {
        let request =
            RangeRequest { key, range_end: range_end.clone(), limit: PAGE, revision: view.revision };
        let RangeResponse { header, kvs, more } = shared.client.range(request).await?;
        if view.revision == 0 {
            view.revision = header.map(|header| header.revision).unwrap_or_default();
        }
        let last = kvs.last().map(|kv| kv.key.clone());
        for kv in kvs {
            take(shared, &mut view, &kv, true);
        }
        match last {
            Some(last) if more => key = [&last[..], &[0]].concat(),
            _ => return Ok(view),
        }
    }
}

/// Takes a key's value; one that we would not have written is told of.
fn take(shared: &Shared, view: &mut View, kv: &KeyValue, there: bool) {
    let value = there.then_some(kv.value.as_slice());
    if let Err(unfit) = view.apply(&shared.keys, &kv.key, value) {
        let key: String =
            String::from_utf8_lossy(&kv.key).chars().filter(|c| !c.is_control()).take(256).collect();
        tracing::warn!(%key, %unfit, "ignored in the cluster store");
    }
}

/// What happens, until the session ends.
async fn follow(shared: &Arc<Shared>, watch: &mut Watch, lease: i64) -> Result<()> {
    let mut beat = tokio::time::interval(shared.options.store.heartbeat);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            answer = watch.next() => match answer {
                Ok(Some(answer)) => happened(shared, answer)?,
                Ok(None) => return Err(shared.client.gone("it has ended the watch")),
                Err(status) => return Err(shared.client.gone(&explain(&status))),
            },
            _ = beat.tick() => {
                if !shared.client.keep_alive(lease).await? {
                    return Err(Error::Expired);
                }
            }
            () = shared.resync_asked() => return Ok(()),
        }
    }
}

/// The events of one answer, which are whole revisions.
fn happened(shared: &Shared, answer: WatchResponse) -> Result<()> {
    if answer.compact_revision != 0 {
        return Err(Error::Compacted(answer.compact_revision));
    }
    if answer.canceled {
        return Err(shared.client.gone(&answer.cancel_reason));
    }
    let mut view = View::clone(&shared.view());
    let mut touched = Vec::new();
    for event in answer.events {
        let Some(kv) = event.kv else { continue };
        touched.extend(shared.keys.read(&kv.key));
        take(shared, &mut view, &kv, event.kind != DELETED);
    }
    if let Some(header) = answer.header {
        view.revision = view.revision.max(header.revision);
    }
    let lost = {
        let own = shared.own();
        touched.iter().any(|key| own.misses(&view, shared.host_id(), key))
    };
    shared.view.send_replace(Arc::new(view));
    if lost {
        tracing::warn!(
            "somebody has taken entries of this host out of the cluster store: they are written again"
        );
        shared.ask_resync(false);
    }
    Ok(())
}
