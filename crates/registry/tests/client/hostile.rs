//! A registry that misbehaves: clear errors, bounded reading, no wrong content.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use e2e::registry::{Fault, Faulty, Picture};
use oci::{Descriptor, Digest, media_type};
use registry::client::{Cause, Client, Config, Error, Repository, Target, Time, limits};
use serde_json::json;

use crate::memory::{Memory, noise, source};
use crate::{config, repository, soon};

const TAG: &str = "latest";

/// An image with one layer, served by a registry that can be told to misbehave.
struct Hostile {
    faulty: Faulty,
    layer: Bytes,
    blob: Descriptor,
    repository: Repository,
}

impl Hostile {
    fn new(size: usize, config: Config) -> Result<Self> {
        let layer = noise(size, 7);
        let mut picture = Picture::default();
        let config_blob = picture.blob(b"{}".to_vec(), media_type::OCI_CONFIG);
        let blob = picture.blob(layer.to_vec(), media_type::OCI_LAYER_GZIP);
        let document = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config_blob, "layers": [blob],
        });
        picture.manifest(media_type::OCI_MANIFEST, &document)?;
        let faulty = Faulty::start(&picture)?;
        let repository = repository(&Client::new(config)?, &faulty.site(), "a/b")?;
        Ok(Self { faulty, layer, blob: serde_json::from_value(blob)?, repository })
    }

    fn small() -> Result<Self> {
        Self::new(1000, config(None))
    }

    /// Fetches the layer and checks what has come.
    async fn fetch(&self) -> Result<()> {
        let memory = Memory::new(self.blob.size);
        soon(self.repository.blob(&self.blob, &memory.sink())).await??;
        anyhow::ensure!(memory.is_whole() && memory.digest() == self.blob.digest, "something else came");
        Ok(())
    }

    async fn blob_error(&self) -> Result<Error> {
        let memory = Memory::new(self.blob.size);
        let result = soon(self.repository.blob(&self.blob, &memory.sink())).await?;
        result.err().context("the blob was taken")
    }

    async fn manifest_error(&self) -> Result<Error> {
        let result = soon(self.repository.manifest(&Target::Tag(TAG.into()))).await?;
        result.err().context("the manifest was taken")
    }
}

fn cause(error: &Error) -> Result<&Cause> {
    match error {
        Error::Network(error) => Ok(&error.cause),
        other => bail!("{other}"),
    }
}

#[tokio::test]
async fn what_breaks_is_resumed_where_it_broke() -> Result<()> {
    let hostile = Hostile::new(2_000_000, config(None))?;
    hostile.faulty.fault("/blobs/", 5, Fault::Cut(300_000));
    hostile.fetch().await?;
    let digest = hostile.blob.digest.as_str();
    let asked = hostile.faulty.asked("GET", digest);
    assert_eq!(asked.len(), 6);
    assert_eq!(asked[0].request.header("range"), None);
    let range = asked[5].request.header("range").context("no range")?;
    assert!(range.starts_with("bytes=1") && range.ends_with("-1999999"), "{range}");
    Ok(())
}

#[tokio::test]
async fn several_connections_survive_the_same() -> Result<()> {
    let hostile = Hostile::new(3_000_000, Config { segment: 200_000, connections: 4, ..config(None) })?;
    hostile.faulty.rule(Some("GET"), "/blobs/", 2, 4, Fault::Cut(150_000));
    hostile.fetch().await?;
    let asked = hostile.faulty.asked("GET", hostile.blob.digest.as_str());
    // a cut of what another cut has left may be none
    assert!(asked.len() >= 15 + 2, "{}", asked.len());
    assert!(asked.iter().all(|seen| seen.request.header("range").is_some()));
    Ok(())
}

#[tokio::test]
async fn a_server_without_ranges_sends_the_whole_once() -> Result<()> {
    let hostile = Hostile::new(1_000_000, Config { segment: 100_000, connections: 4, ..config(None) })?;
    hostile.faulty.fault("/blobs/", 99, Fault::NoRanges);
    hostile.fetch().await?;
    assert_eq!(hostile.faulty.asked("GET", hostile.blob.digest.as_str()).len(), 1);
    // and what is there already is not written again
    let memory = Memory::missing(hostile.blob.size, &[(10, 20), (900_000, 1_000_000)]);
    soon(hostile.repository.blob(&hostile.blob, &memory.sink())).await??;
    assert_eq!(memory.written(), 100_010);
    assert_eq!(memory.part(900_000..1_000_000), hostile.layer[900_000..]);
    assert_eq!(memory.part(10..20), hostile.layer[10..20]);
    Ok(())
}

#[tokio::test]
async fn bytes_of_another_version_are_asked_for_anew() -> Result<()> {
    let hostile = Hostile::new(1_000_000, Config { segment: 100_000, connections: 2, ..config(None) })?;
    let etag = |value: &str| Fault::Header("ETag".into(), value.into());
    hostile.faulty.rule(Some("GET"), "/blobs/", 0, 1, etag("\"one\""));
    hostile.fetch().await?;
    let asked = hostile.faulty.asked("GET", hostile.blob.digest.as_str());
    assert!(asked.iter().any(|seen| seen.request.header("if-range") == Some("\"one\"")));
    Ok(())
}

#[tokio::test]
async fn lengths_and_places_are_checked() -> Result<()> {
    let hostile = Hostile::small()?;
    hostile.faulty.fault("/blobs/", 1, Fault::Short(10));
    let error = hostile.blob_error().await?;
    assert!(matches!(error, Error::Size { expected: 1000, found: 990, .. }), "{error}");
    hostile.faulty.fault("/blobs/", 3, Fault::Cut(100));
    hostile.faulty.fault("/blobs/", 1, Fault::WrongRange);
    // the third resumption is refused its attempts only if none had brought anything; here all are too short
    let memory = Memory::missing(1000, &[(500, 1000)]);
    let result = soon(hostile.repository.blob(&hostile.blob, &memory.sink())).await?;
    assert!(result.is_err() && !memory.is_whole());
    hostile.faulty.mend();
    hostile.faulty.fault("/blobs/", 99, Fault::Header("Content-Encoding".into(), "gzip".into()));
    let error = hostile.blob_error().await?;
    assert!(error.to_string().contains("gzip"), "{error}");
    hostile.faulty.mend();
    hostile.faulty.fault("/blobs/", 99, Fault::Header("Content-Range".into(), "bytes 0-99/1000".into()));
    let memory = Memory::missing(1000, &[(500, 1000)]);
    let result = soon(hostile.repository.blob(&hostile.blob, &memory.sink())).await?;
    let Err(error) = result else { bail!("the wrong part was taken") };
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    assert_eq!(memory.written(), 0);
    Ok(())
}

#[tokio::test]
async fn an_endless_body_ends_where_the_blob_does() -> Result<()> {
    let hostile = Hostile::small()?;
    hostile.faulty.fault("/blobs/", 99, Fault::Endless);
    let error = hostile.blob_error().await?;
    assert!(matches!(error, Error::Size { expected: 1000, .. }), "{error}");
    let config = Descriptor::new("x", Digest::sha256(b"{}"), 2);
    let result = soon(hostile.repository.small_blob(&config, 100)).await?;
    assert!(matches!(result, Err(Error::Size { expected: 2, .. })));
    hostile.faulty.fault("/manifests/", 99, Fault::Endless);
    let error = hostile.manifest_error().await?;
    assert!(matches!(error, Error::TooLarge { limit: limits::MAX_MANIFEST, .. }), "{error}");
    hostile.faulty.fault("/tags/", 99, Fault::Endless);
    let result = soon(hostile.repository.tags()).await?;
    assert!(matches!(result, Err(Error::TooLarge { limit: limits::MAX_PAGE, .. })));
    Ok(())
}

#[tokio::test]
async fn endless_errors_and_heads_are_cut_off() -> Result<()> {
    let hostile = Hostile::small()?;
    hostile.faulty.fault("/manifests/", 99, Fault::EndlessError(403));
    let error = hostile.manifest_error().await?;
    assert_eq!(error.status(), Some(403), "{error}");
    hostile.faulty.mend();
    hostile.faulty.fault("/manifests/", 99, Fault::EndlessHead);
    let error = hostile.manifest_error().await?;
    assert!(matches!(cause(&error)?, Cause::Broken(_)), "{error}");
    Ok(())
}

#[tokio::test]
async fn who_stands_still_is_left() -> Result<()> {
    let time =
        Time { stall: Duration::from_millis(300), head: Duration::from_millis(600), ..Time::default() };
    let hostile = Hostile::new(100_000, Config { time, ..config(None) })?;
    let begin = Instant::now();
    // (what is held is released by mending)
    for fault in [Fault::Hold(10), Fault::Drip(Duration::from_millis(20))] {
        hostile.faulty.fault("/blobs/", 99, fault);
        let error = hostile.blob_error().await?;
        assert!(matches!(cause(&error)?, Cause::Stalled { .. }), "{error}");
        hostile.faulty.mend();
    }
    hostile.faulty.fault("/manifests/", 99, Fault::DripHead(Duration::from_millis(50)));
    let error = hostile.manifest_error().await?;
    assert!(matches!(cause(&error)?, Cause::HeadTimeout), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    // slow, but it moves
    hostile.faulty.mend();
    hostile.faulty.fault("/blobs/", 1, Fault::Slow(60_000));
    hostile.fetch().await
}

#[tokio::test]
async fn redirects_end() -> Result<()> {
    let hostile = Hostile::small()?;
    hostile.faulty.fault("/blobs/", 99, Fault::Loop);
    let error = hostile.blob_error().await?;
    assert!(error.to_string().contains("10 redirects"), "{error}");
    assert_eq!(hostile.faulty.asked("GET", "/blobs/").len(), 11);
    hostile.faulty.mend();
    hostile.faulty.fault("/blobs/", 99, Fault::Away("gopher://x".into()));
    let error = hostile.blob_error().await?;
    assert!(error.to_string().contains("no http or https URL"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_busy_registry_is_asked_when_it_says() -> Result<()> {
    let hostile = Hostile::small()?;
    hostile.faulty.fault("/blobs/", 1, Fault::Busy(1));
    let begin = Instant::now();
    hostile.fetch().await?;
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    hostile.faulty.fault("/blobs/", 99, Fault::Busy(86_400));
    let error = hostile.blob_error().await?;
    assert_eq!(error.status(), Some(429), "{error}");
    hostile.faulty.mend();
    hostile.faulty.forget();
    hostile.faulty.fault("/manifests/", 99, Fault::error(503, "UNAVAILABLE", "later"));
    let error = hostile.manifest_error().await?;
    assert_eq!(error.to_string(), "unavailable: later");
    assert_eq!(hostile.faulty.asked("GET", "/manifests/").len(), 3);
    Ok(())
}

#[tokio::test]
async fn manifests_are_what_they_are_said_to_be() -> Result<()> {
    let hostile = Hostile::small()?;
    let tag = Target::Tag(TAG.into());
    let right = hostile.repository.manifest(&tag).await?;
    let put = |fault| hostile.faulty.fault("/manifests/", 1, fault);

    put(Fault::Flip(20));
    let error = hostile.manifest_error().await?;
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    put(Fault::body(media_type::OCI_MANIFEST, "{}"));
    let by_digest = hostile.repository.manifest(&Target::Digest(right.descriptor.digest.clone())).await;
    assert!(matches!(by_digest, Err(Error::Digest { .. })));
    let other = Digest::sha256(b"other");
    put(Fault::Header("Docker-Content-Digest".into(), other.to_string()));
    assert!(matches!(hostile.manifest_error().await?, Error::Digest { .. }));
    put(Fault::Header("Docker-Content-Digest".into(), "sha256:../../x".into()));
    assert!(matches!(hostile.manifest_error().await?, Error::Protocol { .. }));
    put(Fault::Header("Content-Type".into(), media_type::OCI_INDEX.into()));
    assert!(matches!(hostile.manifest_error().await?, Error::Manifest { .. }));
    let both = json!({
        "schemaVersion": 2, "config": hostile.blob, "layers": [], "manifests": [],
    });
    put(Fault::body(media_type::OCI_MANIFEST, both.to_string()));
    let error = hostile.manifest_error().await?;
    assert!(error.to_string().contains("ambiguous"), "{error}");
    put(Fault::body("application/vnd.docker.distribution.manifest.v1+prettyjws", r#"{"schemaVersion":1}"#));
    let error = hostile.manifest_error().await?;
    assert!(error.to_string().contains("schema version 1"), "{error}");
    put(Fault::body(media_type::OCI_MANIFEST, "<html>"));
    assert!(matches!(hostile.manifest_error().await?, Error::Manifest { .. }));

    // the word of a HEAD is not taken for another digest
    put(Fault::Header("Docker-Content-Digest".into(), other.to_string()));
    let resolved = hostile.repository.resolve(&Target::Digest(right.descriptor.digest.clone())).await;
    assert!(matches!(resolved, Err(Error::Digest { .. })));
    // without a word it is asked what it has
    put(Fault::Header("Docker-Content-Digest".into(), String::new()));
    assert!(hostile.repository.manifest(&tag).await.is_err());
    assert_eq!(hostile.repository.manifest(&tag).await?.bytes, right.bytes);
    Ok(())
}

#[tokio::test]
async fn a_wrong_blob_is_not_returned() -> Result<()> {
    let hostile = Hostile::small()?;
    hostile.faulty.fault("/blobs/", 99, Fault::Flip(0));
    let result = soon(hostile.repository.small_blob(&hostile.blob, 5000)).await?;
    assert!(matches!(result, Err(Error::Digest { .. })));
    let mut stream = hostile.repository.blob_stream(&hostile.blob.digest).await?;
    let mut got = 0;
    let error = loop {
        match soon(stream.next()).await? {
            Ok(Some(bytes)) => got += bytes.len(),
            Ok(None) => bail!("the stream came to its end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Digest { .. }) && got < 1000, "{error}");
    Ok(())
}

#[tokio::test]
async fn a_stream_is_resumed() -> Result<()> {
    let hostile = Hostile::new(1_000_000, config(None))?;
    for fault in [Fault::Cut(300_000), Fault::NoRanges] {
        hostile.faulty.mend();
        hostile.faulty.fault("/blobs/", 1, Fault::Cut(200_000));
        hostile.faulty.fault("/blobs/", 1, fault);
        let mut stream = hostile.repository.blob_stream(&hostile.blob.digest).await?;
        let mut got = Vec::new();
        while let Some(bytes) = soon(stream.next()).await?? {
            got.extend_from_slice(&bytes);
        }
        assert!(got == hostile.layer);
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() -> Result<()> {
    let hostile = Hostile::small()?;
    let bytes = noise(3_000_000, 9);
    let digest = Digest::sha256(&bytes);
    hostile.faulty.rule(Some("PUT"), "/blobs/uploads/", 0, 1, Fault::Deaf(100_000));
    soon(hostile.repository.upload(&digest, bytes.len() as u64, &source(&bytes), None)).await??;
    let bytes = noise(3_000_000, 10);
    hostile.faulty.rule(Some("PATCH"), "/blobs/uploads/", 0, 2, Fault::Deaf(100_000));
    let (digest, size) = soon(hostile.repository.upload_stream(&source(&bytes), None)).await??;
    assert_eq!((digest, size), (Digest::sha256(&bytes), 3_000_000));
    Ok(())
}
