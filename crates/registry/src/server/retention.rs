//! Rules of retention: tags that are too many or too old go, and then manifests that nothing leads to.
//!
//! Applied before garbage is collected. What was read is looked at once more while no manifest can be put here; with several
//! instances the ages of records decide, which every push makes young.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use oci::Digest;

use super::Registry;
use super::auth::glob;
use super::config::Retention;
use super::error::{Error, Result};
use super::events::{Action, Event, Target};
use super::name::{Name, Tag};
use super::repository::Repository;
use super::repository::references::{References, read};
use super::repository::tags::TagRecord;
use super::storage::{Key, Prefix, digest_of, name_of};

/// Names that are looked at at once.
const PAGE: usize = 1000;

/// Objects that are asked for at once.
const AT_ONCE: usize = 16;

/// Applies all rules to all repositories.
///
/// # Errors
/// When the storage fails; the rest is done another time.
pub async fn apply(registry: &Registry) -> Result<()> {
    let rules = &registry.config.retention;
    if rules.is_empty() {
        return Ok(());
    }
    let mut after: Option<String> = None;
    loop {
        let page = registry.storage.list(&Prefix::repositories(), after.as_deref(), PAGE).await?;
        for name in page.iter().filter_map(|entry| name_of(&entry.name)) {
            let fits = |rule: &&Retention| {
                rule.repositories.iter().any(|pattern| glob::fits(pattern, name.as_str()))
            };
            let rules: Vec<&Retention> = rules.iter().filter(fits).collect();
            if !rules.is_empty() {
                Keeper { registry, name: &name, repository: Repository::new(registry, &name) }
                    .keep(&rules)
                    .await?;
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(()),
        }
    }
}

/// One repository, and what happens to it.
struct Keeper<'a> {
    registry: &'a Registry,
    name: &'a Name,
    repository: Repository<'a>,
}

impl Keeper<'_> {
    async fn keep(&self, rules: &[&Retention]) -> Result<()> {
        let mut tags = self.tags().await?;
        for (at, rule) in rules.iter().enumerate() {
            let is_judged = |rule: &Retention, tag: &Tag| {
                rule.tags.iter().any(|pattern| glob::fits(pattern, tag.as_str()))
            };
            let judged = tags.iter().filter(|(tag, _)| {
                is_judged(rule, tag) && !rules[..at].iter().any(|earlier| is_judged(earlier, tag))
            });
            let gone = superfluous(rule, judged.cloned().collect(), Timestamp::now());
            for (tag, record) in gone {
                // with what goes only in the log, the rest is judged as if it were gone
                if rule.dry_run {
                    tracing::info!("retention would delete the tag {tag} of {}", self.name);
                } else {
                    self.delete_tag(&tag, &record).await?;
                }
                tags.retain(|(other, _)| *other != tag);
            }
        }
        let Some((rule, age)) = rules.iter().find_map(|rule| rule.untagged.map(|age| (*rule, age.0))) else {
            return Ok(());
        };
        self.untagged(rule, age, tags.into_iter().map(|(_, record)| record.digest).collect()).await
    }

    async fn tags(&self) -> Result<Vec<(Tag, TagRecord)>> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.repository.tags(after.as_deref(), PAGE).await?;
            let reading: Vec<_> = page
                .iter()
                .map(|tag| async move { Ok::<_, Error>((tag.clone(), self.repository.tag(tag).await?)) })
                .collect();
            let read: Vec<_> = stream::iter(reading).buffered(AT_ONCE).try_collect().await?;
            found.extend(read.into_iter().filter_map(|(tag, record)| Some((tag, record?))));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.to_string()),
                _ => return Ok(found),
            }
        }
    }

    /// Deletes a tag that is still as it was when it was judged.
    async fn delete_tag(&self, tag: &Tag, judged: &TagRecord) -> Result<()> {
        let _gate = self.registry.activity.collecting().await;
        if self.repository.tag(tag).await?.as_ref() != Some(judged) {
            return Ok(());
        }
        self.repository.delete_tag(tag).await?;
        tracing::info!("retention deleted the tag {tag} of {}", self.name);
        self.tell(Target::Tag(tag.clone()));
        Ok(())
    }

    /// Deletes manifests that none of the tags leads to and that have been there for so long.
    async fn untagged(&self, rule: &Retention, age: Duration, tagged: HashSet<Digest>) -> Result<()> {
        let manifests = self.manifests().await?;
        let kept = reachable(&manifests, tagged);
        let cutoff = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        for digest in manifests.keys().filter(|digest| !kept.contains(*digest)) {
            let _gate = self.registry.activity.collecting().await;
            let record = self.registry.storage.stat(&Key::manifest(self.name, digest)).await?;
            let is_old = record.is_some_and(|meta| meta.modified < cutoff);
            if !is_old {
                continue;
            }
            if rule.dry_run {
                tracing::info!("retention would delete the manifest {digest} of {}", self.name);
                continue;
            }
            if self.repository.tags_of(digest).await?.is_empty() {
                self.repository.delete_manifest(digest).await?;
                tracing::info!("retention deleted the manifest {digest} of {}", self.name);
                let digest = digest.clone();
                self.tell(Target::Manifest { digest, size: None, media_type: None, tag: None });
            }
        }
        Ok(())
    }

    /// All manifests, and what they refer to. One that can't be read refers to nothing, and stays if a tag leads to it.
    async fn manifests(&self) -> Result<HashMap<Digest, References>> {
        let (mut found, mut after) = (HashMap::new(), None::<String>);
        loop {
            let prefix = Prefix::manifests(self.name);
            let page = self.registry.storage.list(&prefix, after.as_deref(), PAGE).await?;
            let reading: Vec<_> = page
                .iter()
                .filter_map(|entry| digest_of(&entry.name))
                .map(|digest| async move {
                    let blob = Key::blob(&digest);
                    let bytes = self.registry.storage.get(&blob, oci::manifest::MAX_DOCUMENT).await?;
                    let references = bytes.and_then(|bytes| read(&bytes)).unwrap_or_default();
                    Ok::<_, Error>((digest, references))
                })
                .collect();
            let all: Vec<_> = stream::iter(reading).buffer_unordered(AT_ONCE).try_collect().await?;
            found.extend(all);
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(found),
            }
        }
    }

    fn tell(&self, target: Target) {
        self.registry.events.tell(Event {
            at: Timestamp::now(),
            action: Action::Delete,
            repository: self.name.clone(),
            target,
            user: None,
            peer: None,
            agent: None,
        });
    }
}

/// Which of the tags that a rule judges are kept for no reason. A rule that gives no reasons keeps all.
fn superfluous(rule: &Retention, mut tags: Vec<(Tag, TagRecord)>, now: Timestamp) -> Vec<(Tag, TagRecord)> {
    if rule.keep_last.is_none() && rule.keep_newer.is_none() {
        return Vec::new();
    }
    tags.sort_by(|one, other| other.1.at.cmp(&one.1.at).then_with(|| one.0.cmp(&other.0)));
    tags.drain(..rule.keep_last.unwrap_or(0).min(tags.len()));
    if let Some(newer) = rule.keep_newer {
        tags.retain(|(_, record)| {
            Duration::try_from(now.duration_since(record.at)).is_ok_and(|age| age >= newer.0)
        });
    }
    tags
}

/// What the tagged manifests lead to: manifests of indexes, and whatever refers to what is kept as its subject.
fn reachable(manifests: &HashMap<Digest, References>, tagged: HashSet<Digest>) -> HashSet<Digest> {
    let mut about: HashMap<&Digest, Vec<&Digest>> = HashMap::new();
    for (digest, references) in manifests {
        if let Some(subject) = &references.subject {
            about.entry(subject).or_default().push(digest);
        }
    }
    let mut kept = tagged.clone();
    let mut open: Vec<Digest> = tagged.into_iter().collect();
    while let Some(digest) = open.pop() {
        let children = manifests.get(&digest).into_iter().flat_map(|references| &references.manifests);
        for next in children.chain(about.get(&digest).into_iter().flatten().copied()) {
            if kept.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Retention {
        toml::from_str(&format!("repositories = ['**']\n{text}")).unwrap()
    }

    #[test]
    fn tags_need_one_reason_to_stay() {
        let now: Timestamp = "2025-06-30T00:00:00Z".parse().unwrap();
        let digest = Digest::sha256(b"x");
        let tags: Vec<_> = (1..=5)
            .map(|day| {
                let at = format!("2025-06-2{day}T00:00:00Z").parse().unwrap();
                (format!("t{day}").parse::<Tag>().unwrap(), TagRecord { digest: digest.clone(), at })
            })
            .collect();
        let gone = |text: &str| -> Vec<String> {
            superfluous(&rule(text), tags.clone(), now).iter().map(|(tag, _)| tag.to_string()).collect()
        };
        assert!(gone("").is_empty());
        assert_eq!(gone("keep_last = 3"), ["t2", "t1"]);
        assert!(gone("keep_last = 9").is_empty());
        assert_eq!(gone("keep_newer = '7d'"), ["t3", "t2", "t1"]);
        assert_eq!(gone("keep_newer = '7d'\nkeep_last = 4"), ["t1"]);
        assert_eq!(gone("keep_last = 0").len(), 5);
    }

    #[test]
    fn indexes_keep_their_manifests_and_those_their_signatures() {
        let digest = |seed: &str| Digest::sha256(seed.as_bytes());
        let mut manifests = HashMap::new();
        let index = References { manifests: vec![digest("child")], ..References::default() };
        manifests.insert(digest("index"), index);
        for alone in ["child", "lonely"] {
            manifests.insert(digest(alone), References::default());
        }
        for (signature, subject) in [("one", "child"), ("two", "lonely"), ("three", "one")] {
            let subject = Some(digest(subject));
            manifests.insert(digest(signature), References { subject, ..References::default() });
        }
        let kept = reachable(&manifests, HashSet::from([digest("index")]));
        assert_eq!(kept, ["index", "child", "one", "three"].map(digest).into());
    }
}
