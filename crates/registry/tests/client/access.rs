//! Who may do what: passwords, tokens, certificates.

use anyhow::{Context as _, Result, bail};
use e2e::registry::{Access, Kind, PASSWORD, Registry, USER, Wants};
use oci::Digest;
use registry::client::{Client, Config, Credentials, Login, Mount, Registry as Remote, Target};

use crate::memory::{manifest, noise, source};
use crate::{certs_d, config, repository};

fn user(password: &str) -> Credentials {
    Credentials::Basic { username: USER.into(), password: password.into() }
}

async fn denied(registry: Remote) -> Result<()> {
    let Err(error) = registry.login().await else { bail!("it lets anyone in") };
    assert!(error.is_denied(), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_password_is_asked_for() -> Result<()> {
    let registry = Registry::with(Kind::Debian, Wants { access: Access::Password, ..Wants::default() })?;
    let client = Client::new(config(None))?;
    let address = &registry.site().address;
    let digest = Digest::sha256(b"x");
    let reference = oci::Reference::parse(&registry.site().name("private/image"))?;
    let nobody = client.repository(&reference, Credentials::Anonymous);
    assert!(nobody.exists(&digest).await.is_err_and(|error| error.is_denied()));
    denied(client.registry(address, user("wrong"))).await?;
    assert_eq!(client.registry(address, user(PASSWORD)).login().await?, Login { identity_token: None });
    assert_eq!(repository(&client, registry.site(), "private/image")?.exists(&digest).await?, None);
    // what one may do, another may not
    assert!(nobody.exists(&digest).await.is_err_and(|error| error.is_denied()));
    Ok(())
}

#[tokio::test]
async fn tokens_are_had_for_what_is_done_and_kept() -> Result<()> {
    let registry = Registry::with(Kind::Debian, Wants { access: Access::Token, ..Wants::default() })?;
    let tokens = registry.tokens().context("it has no token server")?;
    let client = Client::new(config(None))?;
    let one = repository(&client, registry.site(), "one")?;
    let two = repository(&client, registry.site(), "two")?;
    let bytes = noise(5000, 1);
    let digest = Digest::sha256(&bytes);
    one.upload(&digest, 5000, &source(&bytes), None).await?;
    assert_eq!(one.exists(&digest).await?, Some(5000));
    assert_eq!(one.exists(&Digest::sha256(b"other")).await?, None);
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].parameters("scope"), ["repository:one:pull,push"]);
    assert_eq!(asked[0].parameters("account"), [USER]);

    assert!(matches!(two.mount(&digest, "one").await?, Mount::Mounted));
    let asked = tokens.asked();
    assert_eq!(asked[1].parameters("scope"), ["repository:one:pull", "repository:two:pull,push"]);

    let tag = Target::Tag("latest".into());
    let image = manifest(&bytes, &[&bytes]);
    let put = one.put_manifest(&tag, oci::media_type::OCI_MANIFEST, image).await?;
    assert_eq!(one.resolve(&tag).await?.digest, put);
    one.delete_manifest(&Target::Digest(put)).await?;
    Ok(())
}

#[tokio::test]
async fn a_login_gives_a_token_that_stands_for_the_password() -> Result<()> {
    let registry = Registry::with(Kind::Debian, Wants { access: Access::Token, ..Wants::default() })?;
    let client = Client::new(config(None))?;
    let address = &registry.site().address;
    denied(client.registry(address, user("wrong"))).await?;
    let login = client.registry(address, user(PASSWORD)).login().await?;
    let identity = Credentials::IdentityToken(login.identity_token.context("no identity token")?);
    let reference = oci::Reference::parse(&registry.site().name("some/image"))?;
    let repository = client.repository(&reference, identity);
    assert_eq!(repository.exists(&Digest::sha256(b"x")).await?, None);
    denied(client.registry(address, Credentials::IdentityToken("refresh nobody".into()))).await
}

#[tokio::test]
async fn a_private_authority_and_certificates_of_ours() -> Result<()> {
    let wants = Wants { tls: true, clients: true, access: Access::Password, ..Wants::default() };
    let registry = Registry::with(Kind::Debian, wants)?;
    let root = certs_d(registry.site())?;
    let client = Client::new(config(Some(root.path())))?;
    let repository = repository(&client, registry.site(), "some/image")?;
    let bytes = noise(5000, 1);
    let digest = Digest::sha256(&bytes);
    repository.upload(&digest, 5000, &source(&bytes), None).await?;
    assert_eq!(repository.exists(&digest).await?, Some(5000));
    // of several certificates, the one that the server's authority has issued is shown
    let several = tempfile::tempdir()?;
    let place = several.path().join(&registry.site().address);
    std::fs::create_dir(&place)?;
    for name in ["ca.crt", "client.cert", "client.key"] {
        std::fs::copy(root.path().join(&registry.site().address).join(name), place.join(name))?;
    }
    let mut openssl = std::process::Command::new("/usr/bin/openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-subj", "/CN=stranger", "-days", "2", "-keyout", "a.key", "-out", "a.cert"]);
    assert!(openssl.current_dir(&place).stderr(std::process::Stdio::null()).status()?.success());
    let client = Client::new(config(Some(several.path())))?;
    client.registry(&registry.site().address, user(PASSWORD)).login().await?;
    // without a certificate of ours there is no way in
    let folder = root.path().join(&registry.site().address);
    let files = tempfile::tempdir()?;
    std::fs::copy(folder.join("ca.crt"), files.path().join("ca.crt"))?;
    let other = tempfile::tempdir()?;
    std::os::unix::fs::symlink(files.path(), other.path().join(&registry.site().address))?;
    for certs_d in [vec![other.path().to_owned()], Vec::new()] {
        let client = Client::new(Config { certs_d, ..config(None) })?;
        let registry = client.registry(&registry.site().address, user(PASSWORD));
        let Err(error) = registry.login().await else { bail!("anyone may enter") };
        assert!(!error.is_denied() && !error.is_not_found(), "{error}");
    }
    Ok(())
}
