//! What a build fetches: files of web servers and git repositories, as sources and as contexts.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::web::{Page, Repository, Web};
use e2e::{http, image, programs};
use sha2::{Digest as _, Sha256};

use super::{Context, found_below, no_places};

const MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

fn file(text: &str, etag: &str) -> Page {
    Page::File(text.into(), etag.into(), MODIFIED.into())
}

fn server(berth: &Berth) -> Result<Web> {
    let git = berth.root().join("git");
    fs::create_dir_all(&git)?;
    Web::start(&git)
}

fn statuses(web: &Web) -> Vec<u16> {
    web.asked().iter().map(|asked| asked.status).collect()
}

#[test]
fn a_file_of_a_web_server_comes_once_for_each_of_its_states() -> Result<()> {
    let mut berth = Berth::start()?;
    let web = server(&berth)?;
    web.put("/a%20b/it%2Bs.txt?x=1", file("one", "\"1\""));
    web.put("/moved", Page::Redirect(web.url("/a%20b/it%2Bs.txt?x=1")));
    let url = web.url("/a%20b/it%2Bs.txt?x=1");
    let dockerfile = format!(
        "FROM {IMAGE}\nADD --chown=app:extra --chmod=751 {url} /in/\nADD {} /moved\n\
         RUN cat /in/* /moved > /said; stat -c '%n %U:%G %a %Y' /in/* /moved >> /said\n",
        web.url("/moved")
    );
    let context = Context::new(&berth, "http", &[("Dockerfile", &dockerfile)])?;
    let wanted = "oneone/in/it+s.txt app:extra 751 1445412480\n/moved root:root 600 1445412480";
    let says = |berth: &Berth| berth.docker(["run", "--rm", "http", "cat", "/said"])?.ok();
    context.own(&["-t", "http"])?.ok()?;
    ensure!(says(&berth)? == wanted, "{}", says(&berth)?);
    ensure!(statuses(&web).iter().filter(|status| **status == 200).count() == 2);
    // the same file is asked for and does not come, for whichever client
    for builder in ["own", "buildkit", "classic"] {
        let said = match builder {
            "own" => context.own(&["-t", "http", "--progress", "plain"])?.ok()?,
            "buildkit" => programs::run(&mut context.buildkit_command(&["-t", "http"])?)?.ok()?,
            _ => context.build(&["-t", "http"])?.ok()?,
        };
        let asked = statuses(&web);
        ensure!(
            !asked.is_empty() && asked.iter().all(|status| matches!(status, 302 | 304)),
            "{builder}: {asked:?} {said}"
        );
        ensure!(says(&berth)? == wanted);
    }
    // the next daemon knows it, too, but not one whose copy was spoilt
    berth.kill()?;
    berth.spawn()?;
    let context = Context::new(&berth, "http", &[])?;
    context.own(&["-t", "http"])?.ok()?;
    ensure!(statuses(&web).iter().all(|status| matches!(status, 302 | 304)));
    let sources = berth.data_root().join("build/sources");
    let mut spoilt = 0;
    for entry in fs::read_dir(&sources)? {
        let entry = entry?.path();
        if fs::read_to_string(entry.join("label.json"))?.contains("http url ") {
            for bytes in fs::read_dir(entry.join("files"))? {
                fs::write(bytes?.path(), "spoilt")?;
                spoilt += 1;
            }
        }
    }
    // one for each of the two sources
    ensure!(spoilt == 2, "{spoilt} files are kept");
    context.own(&["-t", "http"])?.ok()?;
    ensure!(statuses(&web).contains(&200) && says(&berth)? == wanted);
    // a file that has changed makes another image
    web.put("/a%20b/it%2Bs.txt?x=1", file("two", "\"2\""));
    context.own(&["-t", "http"])?.ok()?;
    ensure!(says(&berth)?.starts_with("twotwo/in"), "{}", says(&berth)?);
    // all that is kept is shown, each under its kind, and goes with a prune
    let told =
        berth.berth(["builder", "du", "--format", "{{.Type}} {{.Reclaimable}} {{.Description}}"])?.ok()?;
    let http = format!("regular true http url {url}");
    ensure!(told.lines().any(|line| line == http), "{told}");
    let filter = format!("description=http url {url}");
    let told = berth.berth(["builder", "du", "--verbose", "--filter", &filter])?.ok()?;
    for wanted in ["Mutable:        false", "Reclaimable:    true", "Type:           regular", "Last used:"] {
        ensure!(told.contains(wanted), "{wanted}: {told}");
    }
    berth.berth(["builder", "prune", "--all", "--force"])?.ok()?;
    ensure!(fs::read_dir(&sources)?.next().is_none(), "files from outside stay");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn a_file_that_is_not_what_it_should_be() -> Result<()> {
    let berth = Berth::start()?;
    let web = server(&berth)?;
    let sum = |text: &str| format!("sha256:{}", hex::encode(Sha256::digest(text)));
    let digest = sum("one");
    web.put("/one", file("one", ""));
    web.put("/broken", Page::Broken);
    web.put("/lost", Page::Lost("one".into()));
    web.put("/loop", Page::Redirect(web.url("/loop")));
    web.put("/away", Page::Redirect("file:///etc/passwd".into()));
    let build = |name: &str, line: String| {
        let context = Context::new(&berth, name, &[("Dockerfile", &format!("FROM {IMAGE}\n{line}\n"))])?;
        context.own(&["-t", name])
    };
    build("good", format!("ADD --checksum={digest} {} /", web.url("/one")))?.ok()?;
    let other = sum("two");
    build("sum", format!("ADD --checksum={other} {} /", web.url("/one")))?.fails(1, "digest mismatch")?;
    build("none", format!("ADD {} /", web.url("/none")))?.fails(1, "404")?;
    // one that is lost in the middle comes at another time, if it ever comes
    let _before = web.asked();
    build("lost", format!("ADD --checksum={digest} {} /", web.url("/lost")))?.ok()?;
    ensure!(statuses(&web) == [200, 200]);
    build("broken", format!("ADD {} /", web.url("/broken")))?.fails(1, "/broken")?;
    ensure!(statuses(&web) == [200; 3]);
    build("loop", format!("ADD {} /", web.url("/loop")))?.fails(1, "stopped after 10 redirects")?;
    build("away", format!("ADD {} /", web.url("/away")))?.fails(1, "no http or https URL")?;
    build("name", format!("ADD {} /", web.url("/")))?.fails(1, "cannot determine filename")?;
    // credentials are for the place that they were written for, and are shown nowhere
    let secret = "s3cr3t-of-the-url";
    web.put("/elsewhere", Page::Redirect(web.url("/one").replace("127.0.0.1", "localhost")));
    let url = web.url("/elsewhere").replace("http://", &format!("http://me:{secret}@"));
    let _before = web.asked();
    let ran = build("login", format!("ADD {url} /x"))?;
    let asked = web.asked();
    ensure!(asked.len() == 2, "{asked:?} {}", ran.stderr);
    ensure!(
        asked[0].headers.contains_key("authorization") && !asked[1].headers.contains_key("authorization")
    );
    ran.ok()?;
    ensure!(!berth.log().contains(secret), "the daemon's log has it");
    ensure!(found_below(&berth.data_root().join("build"), secret.as_bytes())?.is_none(), "it was kept");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn repositories_as_sources() -> Result<()> {
    let berth = Berth::start()?;
    let web = server(&berth)?;
    let git = berth.root().join("git");
    let part = Repository::new(&git, "part")?;
    part.commit(&[("inner", "of the part")])?;
    let whole = Repository::new(&git, "whole")?;
    let first = whole.commit(&[("file", "1"), ("deep/er/one", "d")])?;
    whole.git(&["tag", "--annotate", "--message", "t", "v1"])?;
    whole.git(&["push", "--quiet", "origin", "v1"])?;
    whole.git(&["submodule", "--quiet", "add", "../part.git", "sub"])?;
    let second = whole.commit(&[("file", "2")])?;
    let url = web.url("/git/whole.git");
    let dockerfile = format!(
        "FROM {IMAGE}\nADD {url}#v1 /v1\nADD {url}#:deep /deep\nADD {url}#{first} /first\n\
         ADD --keep-git-dir=true --checksum={second} {url}#main /main\n\
         RUN cat /v1/file /first/file /main/file /main/sub/inner /deep/er/one > /said; \
         ls -A /v1 /main | tr '\\n' ' ' >> /said; ls /deep/er >> /said\n"
    );
    let context = Context::new(&berth, "git", &[("Dockerfile", &dockerfile)])?;
    let says = || berth.docker(["run", "--rm", "git", "cat", "/said"])?.ok();
    let wanted = "112of the partd/main: .git .gitmodules deep file sub  /v1: deep file one";
    context.own(&["-t", "git"])?.ok()?;
    let said = says()?;
    ensure!(said == wanted, "{said}");
    // what a commit is does not change: nothing is fetched but what branches and tags mean
    let _before = web.asked();
    for own in [true, false] {
        let said = match own {
            true => context.own(&["-t", "git", "--progress", "plain"])?,
            false => programs::run(&mut context.buildkit_command(&["-t", "git"])?)?,
        };
        ensure!(said.code == 0 && said.stderr.matches(" CACHED").count() >= 5, "{}", said.stderr);
    }
    let asked = web.asked();
    let packs = asked
        .iter()
        .filter(|asked| asked.headers.get("content-length").is_some_and(|length| length.len() > 3));
    ensure!(packs.count() == 0, "{asked:?}");
    let told = berth.berth(["builder", "du", "--format", "{{.Type}} {{.Description}}"])?.ok()?;
    let kept = format!("source.git.checkout git snapshot for {url}#{first}:");
    ensure!(told.lines().any(|line| line == kept), "{told}");
    let other = whole.commit(&[("file", "3")])?;
    context.own(&["-t", "git"])?.fails(1, &format!("got {other}"))?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn contexts_that_are_elsewhere() -> Result<()> {
    let berth = Berth::start()?;
    let web = server(&berth)?;
    let whole = Repository::new(&berth.root().join("git"), "whole")?;
    let dockerfile = format!("FROM {IMAGE}\nCOPY . /files\nRUN cat /files/name > /said\n");
    whole.commit(&[
        ("Dockerfile", &dockerfile),
        ("name", "top"),
        ("sub/Dockerfile", &dockerfile),
        ("sub/name", "sub"),
    ])?;
    let url = web.url("/git/whole.git");
    let archive =
        image::archive(&[("Dockerfile", &dockerfile), ("name", "archive"), ("other", &dockerfile)])?;
    web.put("/context.tar", Page::File(archive.clone(), String::new(), String::new()));
    let alone = format!("FROM {IMAGE}\nRUN echo -n alone > /said\n");
    web.put("/Some.Dockerfile", file(&alone, ""));
    let says = |tag: &str| berth.docker(["run", "--rm", tag, "cat", "/said"])?.ok();
    for (builder, kit) in [("own", ""), ("buildkit", "1"), ("classic", "0")] {
        let build = |args: &[&str]| {
            let mut command = match builder {
                "own" => berth.berth_command(["build"])?,
                _ => {
                    let mut command = programs::command(&programs::buildkit_client()?, ["build"]);
                    command
                        .env("DOCKER_HOST", berth.host())
                        .env("DOCKER_CONFIG", berth.root().join("client"));
                    command.env("DOCKER_BUILDKIT", kit);
                    command
                }
            };
            programs::run(command.args(args)).with_context(|| format!("{builder} {args:?}"))
        };
        for (what, wanted) in [
            // a client of the classic protocol clones by itself, and takes "master" for what nobody names
            (if builder == "classic" { format!("{url}#main") } else { url.clone() }, "top"),
            (format!("{url}#main:sub"), "sub"),
            (web.url("/context.tar"), "archive"),
            (web.url("/Some.Dockerfile"), "alone"),
        ] {
            build(&["-t", "there", &what])?.ok().with_context(|| format!("{builder} {what}"))?;
            ensure!(says("there")? == wanted, "{builder} {what}");
        }
        build(&["-t", "there", "-f", "other", &web.url("/context.tar")])?.ok()?;
        ensure!(says("there")? == "archive");
    }
    // the classic protocol's own way, as docker-py and Compose use it
    for (what, wanted) in
        [(url.clone(), "top"), (format!("{url}#main:sub"), "sub"), (web.url("/context.tar"), "archive")]
    {
        let what = what.replace('#', "%23");
        let said = http::ask(berth.root(), "POST", &format!("/build?t=asked&remote={what}"))?.text()?;
        ensure!(said.contains("Successfully tagged asked"), "{what}: {said}");
        ensure!(says("asked")? == wanted, "{what}");
    }
    berth.berth(["build", &web.url("/nowhere.tar")])?.fails(1, "404")?;
    for what in ["file:///etc", "/etc", "http://h/x.git%23-a"] {
        let said = http::ask(berth.root(), "POST", &format!("/build?remote={what}"))?;
        ensure!(said.status == 400, "{what}: {}", said.text()?);
    }
    let kept = |tag: &str| berth.docker(["run", "--rm", tag, "ls", "-A", "/files"])?.ok();
    berth.berth(["build", "-t", "kept", &url])?.ok()?;
    ensure!(kept("kept")? == "Dockerfile\nname\nsub", "{}", kept("kept")?);
    berth.berth(["build", "-t", "kept", "--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", &url])?.ok()?;
    ensure!(kept("kept")? == ".git\nDockerfile\nname\nsub", "{}", kept("kept")?);
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn contexts_on_standard_input_of_the_buildkit_client() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!("FROM {IMAGE}\nCOPY name /said\n");
    let archive =
        image::archive(&[("Dockerfile", &dockerfile), ("name", "archive"), ("other", &dockerfile)])?;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &archive)?;
    let packed = packed.finish()?;
    let alone = format!("FROM {IMAGE}\nRUN echo -n alone > /said\n");
    let build = |args: &[&str], input: &[u8]| {
        let mut command = programs::command(&programs::buildkit_client()?, ["build", "-t", "input"]);
        command.env("DOCKER_HOST", berth.host()).env("DOCKER_CONFIG", berth.root().join("client"));
        programs::run_with(command.env("DOCKER_BUILDKIT", "1").args(args), input, programs::PATIENCE)
    };
    let says = || berth.docker(["run", "--rm", "input", "cat", "/said"])?.ok();
    for (args, input, wanted) in [
        (&["-"][..], archive.as_slice(), "archive"),
        (&["-f", "other", "-"], &packed, "archive"),
        (&["-"], alone.as_bytes(), "alone"),
    ] {
        build(args, input)?.ok()?;
        ensure!(says()? == wanted, "{args:?}");
    }
    let half = build(&["-"], &archive[..archive.len() / 2 - 700])?;
    ensure!(half.code != 0, "built of half an archive");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn a_client_that_waits_for_a_word_gets_it_before_the_answer() -> Result<()> {
    use std::io::{BufRead as _, Write as _};
    let berth = Berth::start()?;
    for path in ["/images/load", "/build?t=x", "/images/create?fromSrc=-"] {
        let mut stream = std::os::unix::net::UnixStream::connect(berth.root().join("sock"))?;
        stream.set_read_timeout(Some(programs::PATIENCE))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )?;
        let mut answer = std::io::BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        answer.read_line(&mut line)?;
        ensure!(line.trim_end() == "HTTP/1.1 100 Continue", "{path}: {line}");
        stream.write_all(b"none")?;
        answer.read_line(&mut line)?;
        line.clear();
        answer.read_line(&mut line)?;
        ensure!(line.starts_with("HTTP/1.1 "), "{path}: {line}");
    }
    berth.finish()
}

#[test]
fn contexts_by_name() -> Result<()> {
    let berth = Berth::start()?;
    let web = server(&berth)?;
    let whole = Repository::new(&berth.root().join("git"), "whole")?;
    whole.commit(&[("name", "git")])?;
    web.put("/context.tar", Page::File(image::archive(&[("name", "http")])?, String::new(), String::new()));
    let other = Context::new(&berth, "other", &[("name", "directory")])?;
    let dockerfile = "FROM first\nCOPY --from=second /name /second\nRUN --mount=from=third,target=/third cat /name /second /third/name > /said\n";
    let context = Context::new(&berth, "names", &[("Dockerfile", dockerfile)])?;
    berth.docker(["tag", IMAGE, "shell"])?.ok()?;
    let base =
        Context::new(&berth, "base", &[("Dockerfile", "FROM shell\nCOPY name /\n"), ("name", "image")])?;
    base.own(&["-t", "based"])?.ok()?;
    let named = |name: &str, value: &str| format!("--build-context={name}={value}");
    let (git, http) = (format!("{}#main", web.url("/git/whole.git")), web.url("/context.tar"));
    let flags = [named("first", "docker-image://based"), named("second", &git), named("third", &http)];
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["-t", "named"]).collect();
    context.own(&flags)?.ok()?;
    ensure!(berth.docker(["run", "--rm", "named", "cat", "/said"])?.ok()? == "imagegithttp");
    // a stage that begins with files that are no image
    let from = Context::new(&berth, "from", &[("Dockerfile", "FROM files\nLABEL a=b\n")])?;
    let path = other.path().display().to_string();
    for (value, wanted) in [(path.as_str(), "directory"), (git.as_str(), "git"), (http.as_str(), "http")] {
        let out = berth.root().join("out");
        let output = format!("type=local,dest={}", out.display());
        from.own(&[&named("files", value), "-t", "from", "-o", &output])?.ok()?;
        ensure!(fs::read_to_string(out.join("name"))? == wanted, "{value}");
    }
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn a_repository_that_wants_a_login_or_something_else() -> Result<()> {
    let berth = Berth::start()?;
    let web = server(&berth)?;
    let git = berth.root().join("git");
    let whole = Repository::new(&git, "whole")?;
    whole.commit(&[("file", "private")])?;
    web.protect("basic eC1hY2Nlc3MtdG9rZW46dDBrM24tb2YtdGhlLWNsaWVudA==");
    let token = "t0k3n-of-the-client";
    let secret = tempfile::NamedTempFile::new()?;
    fs::write(secret.path(), token)?;
    let flag = format!("id=GIT_AUTH_TOKEN.127.0.0.1,src={}", secret.path().display());
    let url = web.url("/git/whole.git");
    let build = |name: &str, line: &str, more: &[&str]| {
        let context = Context::new(&berth, name, &[("Dockerfile", &format!("FROM {IMAGE}\n{line}\n"))])?;
        context.own(more)
    };
    build("none", &format!("ADD {url} /x"), &[])?.fails(1, "failed to load")?;
    build("token", &format!("ADD {url} /x\nRUN grep private /x/file"), &["--secret", &flag, "-t", "token"])?
        .ok()?;
    ensure!(!berth.log().contains(token));
    ensure!(found_below(&berth.data_root(), token.as_bytes())?.is_none(), "the token was kept");
    // led to another host, git goes nowhere, and the token with it
    let there = Web::start(&git)?;
    web.put(
        "/git/away.git/info/refs?service=git-upload-pack",
        Page::Redirect(there.url("/git/whole.git/info/refs?service=git-upload-pack")),
    );
    build("away", &format!("ADD {} /x", web.url("/git/away.git")), &["--secret", &flag])?
        .fails(1, "failed to load")?;
    ensure!(there.asked().is_empty());
    // neither options nor transports that run programs or read this machine's files
    for (line, words) in [
        ("ADD http://h/x.git#--upload-pack=touch${IFS}/x /x", "is no branch, tag or commit"),
        ("ADD ssh://-oProxyCommand=touch/x.git /x", "no valid host"),
        ("ADD http://h/x.git#:../../etc /x", "is no directory of a repository"),
    ] {
        build("odd", line, &[])?.fails(1, words)?;
    }
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn a_hostile_repository() -> Result<()> {
    let berth = Berth::start()?;
    let web = server(&berth)?;
    let git = berth.root().join("git");
    let whole = Repository::new(&git, "whole")?;
    let mark = berth.root().join("mark");
    let touch = format!("touch {}", mark.display());
    let secret = berth.root().join("secret");
    fs::create_dir(&secret)?;
    fs::write(secret.join("file"), "of the host")?;
    std::os::unix::fs::symlink(&secret, whole.path().join("link"))?;
    whole.commit(&[
        ("file", "1"),
        (".gitattributes", "file filter=evil"),
        ("hooks/post-checkout", &touch),
    ])?;
    let build = |name: &str, line: String| {
        let context = Context::new(&berth, name, &[("Dockerfile", &format!("FROM {IMAGE}\n{line}\n"))])?;
        context.own(&["-t", name])
    };
    let url = web.url("/git/whole.git");
    build("link", format!("ADD {url}#:link /x"))?.fails(1, "link")?;
    build("fine", format!("ADD {url} /x\nRUN test -L /x/link && ! ls /x/.git"))?.ok()?;
    // submodules that would read this machine or run something
    for (name, remote) in [("file", secret.display().to_string()), ("ext", format!("ext::sh -c {touch}"))] {
        let other = Repository::new(&git, name)?;
        other.commit(&[("file", "1")])?;
        let modules = format!("[submodule \"s\"]\n\tpath = s\n\turl = {remote}\n\tupdate = !{touch}\n");
        let commit = other.git(&["rev-parse", "HEAD"])?;
        other.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},s")])?;
        fs::write(other.path().join(".gitmodules"), modules)?;
        other.git(&["add", ".gitmodules"])?;
        other.git(&["commit", "--quiet", "--message", "s"])?;
        other.git(&["push", "--quiet", "--force", "origin", "HEAD"])?;
        build(name, format!("ADD {} /x", web.url(&format!("/git/{name}.git"))))?
            .fails(1, "failed to load")?;
    }
    ensure!(!mark.exists(), "a program of the repository was run");
    no_places(&berth)?;
    berth.finish()
}
