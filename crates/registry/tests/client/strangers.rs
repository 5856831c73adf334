//! Credentials, and the strangers that would like to have them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use e2e::registry::listener::{Ended, Listener, Request, Stream, answer, refuse};
use e2e::registry::tls::{Authority, serving};
use oci::{Descriptor, Digest, media_type};
use registry::client::{Client, Config, Credentials, Proxies, Repository, Target};

use crate::memory::{Memory, noise};
use crate::{config, soon};

/// A server that answers as a closure says, and remembers what it was asked.
struct Place {
    listener: Listener,
    asked: Arc<Mutex<Vec<Request>>>,
}

type Answers = dyn Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync;

impl Place {
    fn new(
        answers: impl Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::with(None, Box::new(answers))
    }

    fn with(tls: Option<Arc<rustls::ServerConfig>>, answers: Box<Answers>) -> Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        let handler = move |request: &Request, stream: &mut dyn Stream| {
            list.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            answers(request, stream)
        };
        let listener = Listener::http(None, tls, Arc::new(Ended::default()), Arc::new(handler))?;
        Ok(Self { listener, asked })
    }

    fn address(&self) -> String {
        self.listener.address().to_string()
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was said of who asks, request by request.
    fn authorizations(&self) -> Vec<Option<String>> {
        self.asked().iter().map(|request| request.header("authorization").map(str::to_owned)).collect()
    }
}

fn user() -> Credentials {
    Credentials::Basic { username: "ann".into(), password: "secret".into() }
}

const BASIC: &str = "Basic YW5uOnNlY3JldA==";

fn repository(config: Config, domain: &str, credentials: Credentials) -> Result<Repository> {
    let reference = oci::Reference::parse(&format!("{domain}/some/image"))?;
    Ok(Client::new(config)?.repository(&reference, credentials))
}

fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::sha256(bytes), bytes.len() as u64)
}

/// A `certs.d` with this `hosts.toml` for a domain.
fn hosts(domain: &str, text: &str) -> Result<tempfile::TempDir> {
    let root = tempfile::tempdir()?;
    std::fs::create_dir(root.path().join(domain))?;
    std::fs::write(root.path().join(domain).join("hosts.toml"), text)?;
    Ok(root)
}

/// Wants a password, then does as `then` says.
fn guarded(
    then: impl Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync,
) -> impl Fn(&Request, &mut dyn Stream) -> io::Result<bool> + Send + Sync {
    move |request, stream| match request.header("authorization") {
        Some(BASIC) => then(request, stream),
        _ => answer(stream, 401, &[("WWW-Authenticate", "Basic realm=\"here\"")], b""),
    }
}

#[tokio::test]
async fn a_storage_that_a_registry_redirects_to_learns_no_password() -> Result<()> {
    let bytes = noise(100_000, 1);
    let stored = bytes.clone();
    let storage = Place::new(move |request, stream| {
        if !request.target.contains("signature=1") && request.header("range").is_some() {
            return refuse(stream, 403, "EXPIRED", "the signature has ended");
        }
        match request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
            None => answer(stream, 200, &[], &stored[..50_000]).map(|_| false),
            Some((from, to)) => {
                let (from, to): (usize, usize) = (from.parse().unwrap_or(0), to.parse().unwrap_or(0));
                let part = format!("bytes {from}-{to}/{}", stored.len());
                answer(stream, 206, &[("Content-Range", part.as_str())], &stored[from..=to])
            }
        }
    })?;
    let address = storage.address();
    let count = Mutex::new(0);
    let registry = Place::new(guarded(move |_, stream| {
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let location = format!("http://{address}/blob?signature={count}");
        *count = 1;
        answer(stream, 307, &[("Location", location.as_str())], b"")
    }))?;
    let repository =
        repository(Config { segment: 20_000, connections: 1, ..config(None) }, &registry.address(), user())?;
    let blob = blob(&bytes);
    // a part first: the place is remembered, then refuses, and the registry names another
    let memory = Memory::missing(blob.size, &[(10, 20), (50, 60)]);
    soon(repository.blob(&blob, &memory.sink())).await?.err().context("an expired place was good")?;
    soon(repository.blob(&blob, &memory.sink())).await??;
    assert!(memory.is_whole());
    assert!(storage.authorizations().iter().all(Option::is_none));
    assert!(storage.asked().len() >= 3);
    // the second part went straight to the storage
    assert_eq!(registry.authorizations().iter().flatten().count(), 2);
    Ok(())
}

#[tokio::test]
async fn foreign_layers_are_fetched_as_nobody() -> Result<()> {
    let bytes = noise(1000, 2);
    let stranger = Place::new(|_, stream| {
        let challenge = "Bearer realm=\"http://127.0.0.1:1/steal\",service=\"x\", Basic realm=\"x\"";
        answer(stream, 401, &[("WWW-Authenticate", challenge)], b"")
    })?;
    let stored = bytes.clone();
    let right = Place::new(move |_, stream| answer(stream, 200, &[], &stored))?;
    let registry = Place::new(guarded(|_, stream| refuse(stream, 404, "BLOB_UNKNOWN", "unknown")))?;
    let repository = repository(config(None), &registry.address(), user())?;
    let mut blob = blob(&bytes);
    blob.urls = vec![format!("http://{}/x", stranger.address()), format!("http://{}/x", right.address())];
    // only what may lie elsewhere is looked for there
    let result = repository.blob(&blob, &Memory::new(blob.size).sink()).await;
    assert!(result.is_err_and(|error| error.is_not_found()));
    assert_eq!(stranger.asked().len() + right.asked().len(), 0);
    blob.media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
    let memory = Memory::new(blob.size);
    soon(repository.blob(&blob, &memory.sink())).await??;
    assert_eq!(memory.digest(), blob.digest);
    assert_eq!(stranger.authorizations(), [None]);
    assert_eq!(right.authorizations(), [None]);
    blob.urls = vec!["file:///etc/passwd".into()];
    let result = repository.blob(&blob, &Memory::new(blob.size).sink()).await;
    assert!(result.is_err_and(|error| error.to_string().contains("no http or https URL")));
    Ok(())
}

#[tokio::test]
async fn a_challenge_must_make_sense() -> Result<()> {
    for realm in ["file:///etc/passwd", "", "/token", "ftp://x/", "http://u:p@x/"] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let registry = Place::new(move |_, stream| {
            answer(stream, 401, &[("WWW-Authenticate", challenge.as_str())], b"")
        })?;
        let repository = repository(config(None), &registry.address(), user())?;
        let Err(error) = soon(repository.tags()).await? else { bail!("{realm:?} was good") };
        assert!(error.to_string().contains("token server"), "{error}");
    }
    Ok(())
}

/// A registry with tokens: `wanted` is what each answer that is no token says is needed.
fn with_tokens(wanted: Vec<(&'static str, &'static str)>, tokens: Vec<String>) -> Result<(Place, Place)> {
    let tokens = Mutex::new(tokens.into_iter());
    let issuer = Place::new(move |_, stream| {
        let next = tokens.lock().unwrap_or_else(PoisonError::into_inner).next();
        match next {
            Some(body) => answer(stream, 200, &[], body.as_bytes()),
            None => refuse(stream, 401, "UNAUTHORIZED", "no more"),
        }
    })?;
    let realm = format!("http://{}/token", issuer.address());
    let registry = Place::new(move |request, stream| {
        let said = request.header("authorization").unwrap_or_default();
        match wanted.iter().find(|(token, _)| *token == said) {
            None => answer(stream, 200, &[], b"{\"tags\":[\"a\"]}"),
            Some((_, more)) => {
                let challenge = format!("Bearer realm=\"{realm}\",service=\"here\"{more}");
                answer(stream, 401, &[("WWW-Authenticate", challenge.as_str())], b"")
            }
        }
    })?;
    Ok((registry, issuer))
}

#[tokio::test]
async fn more_rights_are_asked_for_when_they_are_missing() -> Result<()> {
    let more = ",error=\"insufficient_scope\",scope=\"repository:some/image:pull repository:other:pull\"";
    let wanted = vec![("", ",scope=\"repository:some/image:pull\""), ("Bearer one", more)];
    let tokens = vec![r#"{"token":"one"}"#.to_owned(), r#"{"access_token":"two"}"#.to_owned()];
    let (registry, issuer) = with_tokens(wanted, tokens)?;
    let repository = repository(config(None), &registry.address(), user())?;
    assert_eq!(soon(repository.tags()).await??, ["a"]);
    let asked = issuer.asked();
    assert_eq!(asked[0].parameters("scope"), ["repository:some/image:pull"]);
    assert_eq!(asked[1].parameters("scope"), ["repository:other:pull", "repository:some/image:pull"]);
    assert!(issuer.authorizations().iter().all(|said| said.as_deref() == Some(BASIC)));
    assert_eq!(registry.authorizations().last(), Some(&Some("Bearer two".into())));
    Ok(())
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_once() -> Result<()> {
    let wanted = vec![("", ""), ("Bearer old", ",error=\"invalid_token\"")];
    let tokens = vec![r#"{"token":"old"}"#.to_owned(), r#"{"token":"new","expires_in":300}"#.to_owned()];
    let (registry, issuer) = with_tokens(wanted, tokens)?;
    let repository = repository(config(None), &registry.address(), Credentials::Anonymous)?;
    for _ in 0..3 {
        assert_eq!(soon(repository.tags()).await??, ["a"]);
    }
    assert_eq!(issuer.asked().len(), 2);
    assert!(issuer.authorizations().iter().all(Option::is_none));
    Ok(())
}

#[tokio::test]
async fn answers_of_token_servers_are_checked() -> Result<()> {
    let endless = format!("{{\"token\":\"{}\"}}", "x".repeat(2 << 20));
    let long = format!("{{\"token\":\"{}\"}}", "x".repeat(100 << 10));
    for (body, named) in [
        ("{}", "no token"),
        ("<html>", "no token"),
        ("{\"token\":\"a\\r\\nX: y\"}", "characters"),
        (endless.as_str(), "limit"),
        (long.as_str(), "limit"),
    ] {
        let (registry, _issuer) = with_tokens(vec![("", "")], vec![body.to_owned()])?;
        let repository = repository(config(None), &registry.address(), user())?;
        let Err(error) = soon(repository.tags()).await? else { bail!("{named}: taken") };
        assert!(
            error.to_string().contains("cannot authenticate") && error.to_string().contains(named),
            "{error}"
        );
    }
    // nor is a registry that is never content asked for ever
    let wanted = vec![("", ""), ("Bearer a", ""), ("Bearer b", ""), ("Bearer c", "")];
    let tokens = ["a", "b", "c"].map(|token| format!("{{\"token\":\"{token}\"}}")).to_vec();
    let (registry, _issuer) = with_tokens(wanted, tokens)?;
    let repository = repository(config(None), &registry.address(), user())?;
    let result = soon(repository.tags()).await?;
    assert!(result.is_err_and(|error| error.is_denied()));
    assert_eq!(registry.asked().len(), 3);
    Ok(())
}

#[tokio::test]
async fn mirrors_get_no_password_and_their_failures_do_not_count() -> Result<()> {
    let mirror = Place::new(guarded(|_, stream| answer(stream, 200, &[], b"{\"tags\":[]}")))?;
    let liar =
        Place::new(|_, stream| answer(stream, 200, &[("Content-Type", media_type::OCI_INDEX)], b"{}"))?;
    let manifest = br#"{"schemaVersion":2,"manifests":[]}"#;
    let registry = Place::new(guarded(move |request, stream| {
        let body: &[u8] = if request.target.contains("/tags/") { b"{\"tags\":[\"a\"]}" } else { manifest };
        answer(stream, 200, &[("Content-Type", media_type::OCI_INDEX)], body)
    }))?;
    let text = format!(
        "server = \"http://{}\"\n[host.\"http://{}\"]\n[host.\"http://{}\"]\n[host.\"http://{}\".header]\nx-of = \"y\"\n",
        registry.address(),
        mirror.address(),
        liar.address(),
        liar.address(),
    );
    let root = hosts("reg.example", &text)?;
    let repository = repository(config(Some(root.path())), "reg.example", user())?;
    assert!(soon(repository.manifest(&Target::Digest(Digest::sha256(manifest)))).await?.is_ok());
    for place in [&mirror, &liar] {
        assert!(place.authorizations().iter().all(Option::is_none));
        assert_eq!(place.asked()[0].parameters("ns"), ["reg.example"]);
    }
    assert_eq!(liar.asked()[0].header("x-of"), Some("y"));
    assert_eq!(mirror.asked()[0].header("x-of"), None);
    assert_eq!(registry.authorizations().last(), Some(&Some(BASIC.into())));
    Ok(())
}

#[tokio::test]
async fn a_mirror_that_is_down_is_left_alone_for_a_while() -> Result<()> {
    let registry = Place::new(|_, stream| answer(stream, 200, &[], b"{\"tags\":[\"a\"]}"))?;
    let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    drop(socket);
    let text = format!("server = \"http://{}\"\n[host.\"http://{address}\"]\n", registry.address());
    let root = hosts("reg.example", &text)?;
    let repository = repository(config(Some(root.path())), "reg.example", user())?;
    assert_eq!(soon(repository.tags()).await??, ["a"]);
    // were it asked, it would answer by now
    let socket = std::net::TcpListener::bind(address)?;
    assert_eq!(soon(repository.tags()).await??, ["a"]);
    socket.set_nonblocking(true)?;
    assert!(socket.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    Ok(())
}

#[tokio::test]
async fn a_server_in_clear_that_waits_for_the_end_of_a_line_is_found_out_once() -> Result<()> {
    let ended = Arc::new(Ended::default());
    let serving = Arc::clone(&ended);
    let listener = Listener::start(None, ended, move |mut stream| {
        use std::io::{Read as _, Write as _};
        let mut first = [0; 1];
        let _ = stream.read_exact(&mut first);
        if first == *b"G" {
            let body = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"tags\":[]}\n";
            let _ = stream.write_all(body.as_bytes());
        } else {
            serving.wait(crate::PATIENCE);
        }
    })?;
    let mut config = config(None);
    config.time.handshake = std::time::Duration::from_millis(300);
    let repository = repository(config, &listener.address().to_string(), Credentials::Anonymous)?;
    let begin = std::time::Instant::now();
    for _ in 0..3 {
        assert!(soon(repository.tags()).await??.is_empty());
    }
    assert!(begin.elapsed() < std::time::Duration::from_millis(900), "{:?}", begin.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_file_says_whom_to_trust_and_tls_does_not_lead_into_the_clear() -> Result<()> {
    let authority = Authority::new()?;
    let pair = authority.issue("server", "IP:127.0.0.1", 2)?;
    let elsewhere = Place::new(|_, stream| answer(stream, 200, &[], b"{\"tags\":[\"b\"]}"))?;
    let away = format!("http://{}/", elsewhere.address());
    let answers = guarded(move |request: &Request, stream: &mut dyn Stream| {
        if request.target.contains("/blobs/") {
            return answer(stream, 307, &[("Location", away.as_str())], b"");
        }
        answer(stream, 200, &[], b"{\"tags\":[\"a\"]}")
    });
    let registry = Place::with(Some(serving(&pair)?), Box::new(answers))?;
    let server = format!("server = \"https://{}\"\n", registry.address());
    let root = hosts("reg.example", &server)?;
    let doubting = repository(config(Some(root.path())), "reg.example", user())?;
    let Err(error) = soon(doubting.tags()).await? else { bail!("an unknown authority is trusted") };
    assert!(error.to_string().contains("certificate signed by unknown authority"), "{error}");
    let trusting = format!("{server}ca = \"{}\"\n", authority.certificate().display());
    std::fs::write(root.path().join("reg.example/hosts.toml"), trusting)?;
    assert_eq!(soon(doubting.tags()).await??, ["a"]);
    let result = soon(doubting.blob(&blob(b"x"), &Memory::new(1).sink())).await?;
    assert!(result.is_err_and(|error| error.to_string().contains("leads from TLS to")));
    assert_eq!(elsewhere.asked().len(), 0);
    let anyone = format!("{server}skip_verify = true\n");
    std::fs::write(root.path().join("reg.example/hosts.toml"), anyone)?;
    assert_eq!(soon(doubting.tags()).await??, ["a"]);
    Ok(())
}

#[tokio::test]
async fn a_registry_over_tls_gets_no_password_told_in_clear() -> Result<()> {
    let authority = Authority::new()?;
    let pair = authority.issue("server", "IP:127.0.0.1", 2)?;
    let issuer = Place::new(|_, stream| answer(stream, 200, &[], b"{\"token\":\"x\"}"))?;
    let challenge = format!("Bearer realm=\"http://{}/token\"", issuer.address());
    let answers = move |_: &Request, stream: &mut dyn Stream| {
        answer(stream, 401, &[("WWW-Authenticate", challenge.as_str())], b"")
    };
    let registry = Place::with(Some(serving(&pair)?), Box::new(answers))?;
    let text = format!(
        "server = \"https://{}\"\nca = \"{}\"\n",
        registry.address(),
        authority.certificate().display()
    );
    let root = hosts("reg.example", &text)?;
    let repository = repository(config(Some(root.path())), "reg.example", user())?;
    let Err(error) = soon(repository.tags()).await? else { bail!("it was told") };
    assert!(error.to_string().contains("gets no credentials"), "{error}");
    assert_eq!(issuer.asked().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_proxy_leads_there() -> Result<()> {
    let proxy = Place::new(|request, stream| {
        if request.header("proxy-authorization").is_none() {
            return answer(stream, 407, &[], b"");
        }
        match request.method.as_str() {
            "CONNECT" => answer(stream, 403, &[], b""),
            _ => answer(stream, 200, &[], b"{\"tags\":[\"a\"]}"),
        }
    })?;
    let address = proxy.address();
    let root = hosts("clear.example", "server = \"http://clear.example\"\n")?;
    let proxies = |user: &str| {
        let value = format!("http://{user}{address}");
        Proxies::from_values(|name| {
            name.ends_with("_PROXY").then(|| value.clone()).filter(|_| name != "NO_PROXY")
        })
    };
    let through = |user: &str, domain: &str| -> Result<Repository> {
        repository(
            Config { proxies: proxies(user)?, ..config(Some(root.path())) },
            domain,
            Credentials::Anonymous,
        )
    };
    assert_eq!(soon(through("u:p@", "clear.example")?.tags()).await??, ["a"]);
    assert!(proxy.asked()[0].target.starts_with("http://clear.example/v2/some/image/tags/list"));
    assert_eq!(proxy.asked()[0].header("host"), Some("clear.example"));
    assert_eq!(proxy.asked()[0].header("proxy-authorization"), Some("Basic dTpw"));
    let result = soon(through("", "clear.example")?.tags()).await?;
    assert!(result.is_err_and(|error| error.status() == Some(407)));
    let Err(error) = soon(through("u:p@", "tls.example")?.tags()).await? else { bail!("let through") };
    assert!(error.to_string().contains(&format!("proxy http://{address}: 403")), "{error}");
    assert_eq!(proxy.asked().last().context("nothing")?.target, "tls.example:443");
    Ok(())
}

#[tokio::test]
async fn lists_have_pages_and_an_end() -> Result<()> {
    let registry = Place::new(|request, stream| {
        let last = request.parameter("last").unwrap_or_default();
        let (body, link) = match (request.target.contains("/endless/"), last.as_str()) {
            (true, _) => ("{\"tags\":[\"a\"]}", "<?last=a>; rel=next"),
            (_, "") => ("{\"tags\":[\"a\",\"b\"]}", "</v2/some/image/tags/list?last=b>; rel=\"next\""),
            (_, "b") => {
                ("{\"tags\":[\"c\"]}", "<http://inside/v2/some/image/tags/list?last=c>; rel=\"next\"")
            }
            _ => ("{\"tags\":null}", ""),
        };
        answer(stream, 200, &[("Link", link)], body.as_bytes())
    })?;
    let repository = repository(config(None), &registry.address(), Credentials::Anonymous)?;
    assert_eq!(soon(repository.tags()).await??, ["a", "b", "c"]);
    let reference = oci::Reference::parse(&format!("{}/endless/x", registry.address()))?;
    let endless = Client::new(config(None))?.repository(&reference, Credentials::Anonymous);
    assert_eq!(soon(endless.tags()).await??, ["a", "a"]);
    Ok(())
}

#[tokio::test]
async fn a_search_is_read_and_cleaned() -> Result<()> {
    let registry = Place::new(|_, stream| {
        let body = "{\"num_results\":2,\"results\":[{\"name\":\"a/b\",\"description\":\"x\\u001b[1m\",\"star_count\":5,\
                    \"is_official\":true},{\"name\":\"c\",\"description\":null}]}";
        answer(stream, 200, &[], body.as_bytes())
    })?;
    let client = Client::new(config(None))?;
    let found = soon(client.registry(&registry.address(), Credentials::Anonymous).search("w o", 1)).await??;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].description.as_str()), ("a/b", "x [1m"));
    assert!(found[0].official && found[0].stars == 5);
    assert_eq!(registry.asked()[0].target, "/v1/search?q=w%20o&n=1");
    Ok(())
}
