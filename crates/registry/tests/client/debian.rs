//! Debian's registry: what it takes comes back the same.

use std::sync::atomic::Ordering;

use oci::Digest;
use registry::client::{Client, Config, Credentials, Mount, Target};

use crate::support::debian_registry::DockerRegistry;
use crate::support::{Memory, descriptor, manifest, noise, source};

fn client() -> Client {
    Client::new(Config::default()).unwrap()
}

#[tokio::test]
async fn an_image_goes_there_and_back() {
    let registry = DockerRegistry::start();
    let client = client();
    let repository = client.repository(&registry.reference("some/image:v1"), Credentials::Anonymous);
    let (config, known, streamed) = (noise(900, 1), noise(300_000, 2), noise(2_000_000, 3));
    for bytes in [&config, &known] {
        let digest = Digest::sha256(bytes);
        assert_eq!(repository.exists(&digest).await.unwrap(), None);
        repository.upload(&digest, bytes.len() as u64, &source(bytes), None).await.unwrap();
        assert_eq!(repository.exists(&digest).await.unwrap(), Some(bytes.len() as u64));
    }
    let (digest, size) = repository.upload_stream(&source(&streamed), None).await.unwrap();
    assert_eq!((&digest, size), (&Digest::sha256(&streamed), streamed.len() as u64));

    let bytes = manifest(&config, &[&known, &streamed]);
    let tag = Target::Tag("v1".into());
    let put = repository.put_manifest(&tag, oci::media_type::OCI_MANIFEST, bytes.clone()).await.unwrap();
    assert_eq!(put, Digest::sha256(&bytes));
    let resolved = repository.resolve(&tag).await.unwrap();
    assert_eq!((&resolved.digest, resolved.size), (&put, bytes.len() as u64));
    for target in [tag.clone(), Target::Digest(put.clone())] {
        let fetched = repository.manifest(&target).await.unwrap();
        assert_eq!(fetched.bytes, bytes);
        assert_eq!(fetched.descriptor, resolved);
    }
    assert_eq!(repository.tags().await.unwrap(), ["v1"]);
    assert_eq!(repository.registry().catalog().await.unwrap(), ["some/image"]);

    let small = repository.small_blob(&descriptor(&config), 4096).await.unwrap();
    assert_eq!(small, config);
    for bytes in [&known, &streamed] {
        let memory = Memory::new(bytes.len());
        repository.blob(&descriptor(bytes), &memory.sink()).await.unwrap();
        assert!(memory.is_whole());
        assert_eq!(memory.digest(), Digest::sha256(bytes));
    }

    repository.delete_manifest(&Target::Digest(put)).await.unwrap();
    let error = repository.manifest(&tag).await.unwrap_err();
    assert!(error.is_not_found() && error.has_code("MANIFEST_UNKNOWN"), "{error}");
    assert_eq!(repository.resolve(&tag).await.unwrap_err().to_string(), error.to_string());
}

#[tokio::test]
async fn only_what_is_missing_comes_and_large_blobs_come_over_several_connections() {
    let registry = DockerRegistry::start();
    let client = Client::new(Config { segment: 100_000, connections: 4, ..Config::default() }).unwrap();
    let repository = client.repository(&registry.reference("a"), Credentials::Anonymous);
    let bytes = noise(1_234_567, 4);
    let blob = descriptor(&bytes);
    repository.upload(&blob.digest, blob.size, &source(&bytes), None).await.unwrap();

    let memory = Memory::new(bytes.len());
    repository.blob(&blob, &memory.sink()).await.unwrap();
    assert_eq!(memory.digest(), blob.digest);

    let memory = Memory::missing(bytes.len(), vec![10..20, 1_000_000..1_234_567]);
    repository.blob(&blob, &memory.sink()).await.unwrap();
    assert!(memory.is_whole());
    assert_eq!(memory.written.load(Ordering::Relaxed), 10 + 234_567);
    let got = memory.bytes.lock().unwrap();
    assert_eq!(got[1_000_000..], bytes[1_000_000..]);
    assert_eq!(got[10..20], bytes[10..20]);
}

#[tokio::test]
async fn a_blob_is_taken_over_from_another_repository() {
    let registry = DockerRegistry::start();
    let client = client();
    let one = client.repository(&registry.reference("one"), Credentials::Anonymous);
    let two = client.repository(&registry.reference("two"), Credentials::Anonymous);
    let bytes = noise(5000, 5);
    let digest = Digest::sha256(&bytes);
    // not there yet: the session that the registry opens takes the bytes
    let Mount::Refused(session) = two.mount(&digest, "one").await.unwrap() else { panic!("mounted nothing") };
    one.upload(&digest, 5000, &source(&bytes), None).await.unwrap();
    assert!(matches!(two.mount(&digest, "one").await.unwrap(), Mount::Mounted));
    assert_eq!(two.exists(&digest).await.unwrap(), Some(5000));
    let other = noise(6000, 6);
    two.upload(&Digest::sha256(&other), 6000, &source(&other), Some(session)).await.unwrap();
    assert_eq!(two.exists(&Digest::sha256(&other)).await.unwrap(), Some(6000));
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let registry = with_password();
    let client = client();
    let reference = registry.reference("private/image");
    let digest = Digest::sha256(b"x");
    let nobody = client.repository(&reference, Credentials::Anonymous);
    assert!(nobody.exists(&digest).await.unwrap_err().is_denied());
    let basic = |password: &str| Credentials::Basic { username: "ann".into(), password: password.into() };
    let wrong = client.repository(&reference, basic("wrong"));
    assert!(wrong.registry().login().await.unwrap_err().is_denied());
    let right = client.repository(&reference, basic("secret"));
    assert_eq!(right.registry().login().await.unwrap().identity_token, None);
    assert_eq!(right.exists(&digest).await.unwrap(), None);
    // what one may do, another may not
    assert!(nobody.exists(&digest).await.unwrap_err().is_denied());
}

/// `ann` may enter with `secret` (bcrypt, as the registry wants it).
fn with_password() -> DockerRegistry {
    DockerRegistry::with(|root| {
        let file = root.join("htpasswd");
        std::fs::write(&file, "ann:$2b$05$JfTEMTZKunY3aquINRbf/.QSEQozsiZFT1/OsEq2.aKiozcXnJZkG\n").unwrap();
        format!("auth:\n  htpasswd:\n    realm: here\n    path: {}\n", file.display())
    })
}
