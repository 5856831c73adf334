//! Registries that behave: what they take comes back the same.

use anyhow::{Result, bail};
use e2e::registry::{Kind, Registry};
use oci::Digest;
use registry::client::{Client, Config, Mount, Target};

use crate::memory::{Memory, descriptor, manifest, noise, source};
use crate::{config, repository, soon};

#[tokio::test]
async fn an_image_goes_there_and_back() -> Result<()> {
    let registry = Registry::start(Kind::Debian)?;
    let client = Client::new(config(None))?;
    let repository = repository(&client, registry.site(), "some/image:v1")?;
    let (config, known, streamed) = (noise(900, 1), noise(300_000, 2), noise(2_000_000, 3));
    for bytes in [&config, &known] {
        let digest = Digest::sha256(bytes);
        assert_eq!(repository.exists(&digest).await?, None);
        soon(repository.upload(&digest, bytes.len() as u64, &source(bytes), None)).await??;
        assert_eq!(repository.exists(&digest).await?, Some(bytes.len() as u64));
    }
    let (digest, size) = soon(repository.upload_stream(&source(&streamed), None)).await??;
    assert_eq!((&digest, size), (&Digest::sha256(&streamed), streamed.len() as u64));

    let bytes = manifest(&config, &[&known, &streamed]);
    let tag = Target::Tag("v1".into());
    let put = repository.put_manifest(&tag, oci::media_type::OCI_MANIFEST, bytes.clone()).await?;
    assert_eq!(put, Digest::sha256(&bytes));
    let resolved = repository.resolve(&tag).await?;
    assert_eq!((&resolved.digest, resolved.size), (&put, bytes.len() as u64));
    for target in [tag.clone(), Target::Digest(put.clone())] {
        let fetched = repository.manifest(&target).await?;
        assert_eq!(fetched.bytes, bytes);
        assert_eq!(fetched.descriptor, resolved);
    }
    assert_eq!(repository.tags().await?, ["v1"]);
    assert_eq!(repository.registry().catalog().await?, ["some/image"]);

    assert_eq!(repository.small_blob(&descriptor(&config), 4096).await?, config);
    for bytes in [&known, &streamed] {
        let memory = Memory::new(bytes.len() as u64);
        soon(repository.blob(&descriptor(bytes), &memory.sink())).await??;
        assert!(memory.is_whole());
        assert_eq!(memory.digest(), Digest::sha256(bytes));
    }

    repository.delete_manifest(&Target::Digest(put)).await?;
    let Err(error) = repository.manifest(&tag).await else { bail!("the manifest is still there") };
    assert!(error.is_not_found() && error.has_code("MANIFEST_UNKNOWN"), "{error}");
    let Err(same) = repository.resolve(&tag).await else { bail!("the tag is still there") };
    assert_eq!(same.to_string(), error.to_string());
    Ok(())
}

#[tokio::test]
async fn only_what_is_missing_comes_and_large_blobs_come_over_several_connections() -> Result<()> {
    let registry = Registry::start(Kind::Debian)?;
    let client = Client::new(Config { segment: 100_000, connections: 4, ..config(None) })?;
    let repository = repository(&client, registry.site(), "a")?;
    let bytes = noise(1_234_567, 4);
    let blob = descriptor(&bytes);
    repository.upload(&blob.digest, blob.size, &source(&bytes), None).await?;

    let memory = Memory::new(blob.size);
    soon(repository.blob(&blob, &memory.sink())).await??;
    assert_eq!(memory.digest(), blob.digest);

    let memory = Memory::missing(blob.size, &[(10, 20), (1_000_000, 1_234_567)]);
    soon(repository.blob(&blob, &memory.sink())).await??;
    assert!(memory.is_whole());
    assert_eq!(memory.written(), 10 + 234_567);
    assert_eq!(memory.part(1_000_000..1_234_567), bytes[1_000_000..]);
    assert_eq!(memory.part(10..20), bytes[10..20]);
    Ok(())
}

#[tokio::test]
async fn a_blob_is_taken_over_from_another_repository() -> Result<()> {
    let registry = Registry::start(Kind::Debian)?;
    let client = Client::new(config(None))?;
    let one = repository(&client, registry.site(), "one")?;
    let two = repository(&client, registry.site(), "two")?;
    let (bytes, other) = (noise(5000, 5), noise(6000, 6));
    let digest = Digest::sha256(&bytes);
    // not there yet: the session that the registry opens takes the bytes
    let Mount::Refused(session) = two.mount(&digest, "one").await? else { bail!("mounted nothing") };
    one.upload(&digest, 5000, &source(&bytes), None).await?;
    assert!(matches!(two.mount(&digest, "one").await?, Mount::Mounted));
    assert_eq!(two.exists(&digest).await?, Some(5000));
    two.upload(&Digest::sha256(&other), 6000, &source(&other), Some(session)).await?;
    assert_eq!(two.exists(&Digest::sha256(&other)).await?, Some(6000));
    Ok(())
}

#[tokio::test]
async fn a_blob_comes_as_a_stream() -> Result<()> {
    let registry = Registry::start(Kind::Debian)?;
    let client = Client::new(config(None))?;
    let repository = repository(&client, registry.site(), "a")?;
    for size in [0, 1, 3_000_000] {
        let bytes = noise(size, size as u64);
        let digest = Digest::sha256(&bytes);
        repository.upload(&digest, size as u64, &source(&bytes), None).await?;
        let mut stream = repository.blob_stream(&digest).await?;
        assert_eq!(stream.size(), Some(size as u64));
        let mut got = Vec::new();
        while let Some(chunk) = soon(stream.next()).await?? {
            got.extend_from_slice(&chunk);
        }
        assert!(got == bytes, "{size}");
    }
    Ok(())
}

#[tokio::test]
async fn what_refers_to_an_image_is_found_where_the_registry_has_no_api_for_it() -> Result<()> {
    let registry = Registry::start(Kind::Debian)?;
    let client = Client::new(config(None))?;
    let repository = repository(&client, registry.site(), "a")?;
    let bytes = noise(100, 1);
    let blob = descriptor(&bytes);
    repository.upload(&blob.digest, blob.size, &source(&bytes), None).await?;
    let image = manifest(&bytes, &[&bytes]);
    let tag = Target::Tag("latest".into());
    let digest = repository.put_manifest(&tag, oci::media_type::OCI_MANIFEST, image.clone()).await?;
    assert_eq!(repository.referrers(&digest, None).await?, []);
    let mut put = Vec::new();
    for kind in ["a/signature", "a/bill"] {
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST, "artifactType": kind,
            "config": blob, "layers": [blob], "annotations": {"of": kind},
            "subject": oci::Descriptor::new(oci::media_type::OCI_MANIFEST, digest.clone(), image.len() as u64),
        });
        let bytes: bytes::Bytes = manifest.to_string().into();
        let target = Target::Digest(Digest::sha256(&bytes));
        // twice: it is listed once
        for _ in 0..2 {
            repository.put_manifest(&target, oci::media_type::OCI_MANIFEST, bytes.clone()).await?;
        }
        put.push(Digest::sha256(&bytes));
    }
    let all = repository.referrers(&digest, None).await?;
    assert_eq!(all.iter().map(|one| one.descriptor.digest.clone()).collect::<Vec<_>>(), put);
    let bills = repository.referrers(&digest, Some("a/bill")).await?;
    assert_eq!(bills.len(), 1);
    assert_eq!((&bills[0].descriptor.digest, bills[0].artifact_type.as_str()), (&put[1], "a/bill"));
    assert_eq!(bills[0].descriptor.annotations["of"], "a/bill");
    Ok(())
}
