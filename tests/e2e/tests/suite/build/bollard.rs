//! A library that speaks BuildKit's protocol by itself: `bollard`, with a context that is uploaded, secrets, and the
//! session's answers to a registry that wants to know who asks.

use std::collections::HashMap;

use ::bollard::auth::DockerCredentials;
use ::bollard::grpc::build::{ImageBuildFrontendOptions, ImageBuildLoadInput, SecretSource};
use ::bollard::grpc::driver::Build as _;
use ::bollard::grpc::driver::moby::Moby;
use ::bollard::{API_DEFAULT_VERSION, Docker};
use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image;
use e2e::programs::PATIENCE;
use e2e::registry::{Access, Kind, PASSWORD, Registry, USER, Wants};

use super::{found_below, no_places};

const SECRET: &str = "tired-heron-bottle-cork";

/// Builds an archive, with the secret at hand and these logins.
fn build(
    berth: &Berth,
    name: &str,
    files: &[(&str, &str)],
    logins: &[(&str, &str)],
) -> Result<Result<(), String>> {
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), SECRET)?;
    let options = ImageBuildFrontendOptions::builder()
        .set_secret("token", &SecretSource::File(secret.path().to_owned()))
        .buildarg("WHO", "a library")
        .build();
    let input = ImageBuildLoadInput::Upload(image::archive(files)?.into());
    let credentials: HashMap<&str, DockerCredentials> = logins
        .iter()
        .map(|(address, password)| {
            let (username, password) = (Some(USER.to_owned()), Some((*password).to_owned()));
            (*address, DockerCredentials { username, password, ..Default::default() })
        })
        .collect();
    let socket = berth.root().join("sock");
    let docker =
        Docker::connect_with_unix(&socket.to_string_lossy(), PATIENCE.as_secs(), API_DEFAULT_VERSION)?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let built = Moby::new(&docker).docker_build(name, options, input, Some(credentials), None);
        let built = tokio::time::timeout(PATIENCE, built).await.context("the build does not end")?;
        Ok(built.map_err(|error| format!("{error:?}")))
    })
}

#[test]
fn a_secret_for_a_step_and_a_login_for_a_registry() -> Result<()> {
    let mut registry = Registry::with(Kind::Ours, Wants { access: Access::Password, ..Wants::default() })?;
    let (address, private) = (registry.site().address.clone(), registry.site().name("private/base:1"));
    let berth = Berth::start()?;
    berth.berth(["login", "-u", USER, "-p", PASSWORD, &address])?.ok()?;
    berth.berth(["tag", IMAGE, &private])?.ok()?;
    berth.berth(["push", &private])?.ok()?;
    berth.berth(["logout", &address])?.ok()?;
    berth.berth(["rmi", &private])?.ok()?;
    let dockerfile = format!(
        "FROM {private}\nARG WHO\nCOPY file /file\n\
         RUN --mount=type=secret,id=token,required wc -c < /run/secrets/token > /length; echo $WHO > /who\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("file", "of the archive\n")];
    for logins in [&[] as &[(&str, &str)], &[(address.as_str(), "wrong")]] {
        let failed =
            build(&berth, "library:0", &files, logins)?.err().context("nobody was asked who they are")?;
        ensure!(failed.contains("private/base"), "{failed}");
    }
    let built = build(&berth, "library:1", &files, &[(&address, PASSWORD)])?;
    ensure!(built.is_ok(), "{built:?}");
    let said = berth.docker(["run", "--rm", "library:1", "cat", "/file", "/length", "/who"])?.ok()?;
    ensure!(said == format!("of the archive\n{}\na library", SECRET.len()), "{said}");
    berth.docker(["image", "inspect", "library:0"])?.fails(1, "No such image")?;
    let wrong = build(&berth, "library:2", &[("Dockerfile", &format!("FROM {IMAGE}\nRUN exit 5\n"))], &[])?;
    ensure!(wrong.as_ref().is_err_and(|error| error.contains("exit code: 5")), "{wrong:?}");
    for bytes in [SECRET, PASSWORD] {
        ensure!(found_below(&berth.data_root(), bytes.as_bytes())?.is_none(), "{bytes} was kept");
    }
    no_places(&berth)?;
    registry.terminate()?;
    berth.finish()
}
