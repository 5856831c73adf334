//! What killed instances leave: multipart uploads that nobody completes (which cost money, and no listing shows), parts of
//! uploads that are gone, words of collectors.

use std::time::{Duration, SystemTime};

use hyper::Method;

use super::super::{Prefix, Result};
use super::bucket::{Ask, Bucket};
use super::guard::EXPIRED;
use super::list::{Listed, stamp};

/// No page of a listing leads to more.
const MOST_PAGES: usize = 10_000;

impl Bucket {
    /// Removes all that is older than `age`; how much there was.
    pub(super) async fn remains(&self, age: Duration) -> Result<usize> {
        let multiparts = self.multiparts(age).await?;
        let parts = self.orphans(age).await?;
        Ok(multiparts + parts + self.words().await?)
    }

    async fn multiparts(&self, age: Duration) -> Result<usize> {
        let (mut count, mut from) = (0, None::<(String, String)>);
        for _ in 0..MOST_PAGES {
            let mut query = vec![("uploads", String::new()), ("prefix", self.full(""))];
            if let Some((key, id)) = from.take() {
                query.extend([("key-marker", key), ("upload-id-marker", id)]);
            }
            let (_, page) = self.page(&query).await?;
            for upload in page.children("Upload") {
                let Some(full) = upload.value("Key") else { continue };
                let (Some(key), Some(id)) = (self.short(full), upload.value("UploadId")) else { continue };
                if upload.value("Initiated").and_then(stamp).is_some_and(|since| is_old(since, age)) {
                    let ask =
                        Ask::new("give up", Method::DELETE, key.to_owned()).query("uploadId", id.trim());
                    self.send(&ask, &[204, 404]).await?;
                    count += 1;
                }
            }
            let more = page.value("IsTruncated").map(str::trim) == Some("true");
            match (page.value("NextKeyMarker"), page.value("NextUploadIdMarker")) {
                (Some(key), Some(id)) if more && !key.is_empty() => from = Some((key.into(), id.into())),
                _ => break,
            }
        }
        Ok(count)
    }

    /// Parts of uploads of which nothing says any more that there are such.
    async fn orphans(&self, age: Duration) -> Result<usize> {
        let (mut count, mut token) = (0, None);
        let mut group: Vec<Listed> = Vec::new();
        loop {
            let (page, next, _) = self.below(Prefix::uploading().as_str(), token).await?;
            for one in page {
                if group.first().is_some_and(|first| upload(&first.key) != upload(&one.key)) {
                    count += self.orphaned(std::mem::take(&mut group), age).await?;
                }
                group.push(one);
            }
            token = next;
            if token.is_none() {
                return Ok(count + self.orphaned(group, age).await?);
            }
        }
    }

    async fn orphaned(&self, group: Vec<Listed>, age: Duration) -> Result<usize> {
        let is_upload = group.iter().any(|one| one.key.ends_with("/begin"));
        if is_upload || !group.iter().all(|one| is_old(one.modified, age)) {
            return Ok(0);
        }
        for one in &group {
            self.delete(&one.key).await?;
        }
        Ok(group.len())
    }

    async fn words(&self) -> Result<usize> {
        let (mut count, mut token) = (0, None);
        loop {
            let (page, next, now) = self.below(Prefix::all_condemned().as_str(), token).await?;
            for word in page {
                if now.duration_since(word.modified).is_ok_and(|age| age > EXPIRED * 2) {
                    self.delete(&word.key).await?;
                    count += 1;
                }
            }
            token = next;
            if token.is_none() {
                return Ok(count);
            }
        }
    }
}

fn is_old(since: SystemTime, age: Duration) -> bool {
    SystemTime::now().duration_since(since).is_ok_and(|found| found >= age)
}

/// The upload that a part belongs to.
fn upload(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(upload, _)| upload)
}
