use super::*;
use crate::ast::{CommandLine, Healthcheck, MountKind, Network, Script, Security, Sharing, Source};

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{}", error.report()))
}

fn error(text: &str) -> String {
    Dockerfile::parse(text.as_bytes()).unwrap_err().to_string()
}

/// The one instruction after `FROM scratch`.
fn one(text: &str) -> Instruction {
    let parsed = parse(&format!("FROM scratch\n{text}"));
    let instructions = &parsed.stages[0].instructions;
    assert_eq!(instructions.len(), 1, "{instructions:?}");
    instructions[0].node.clone()
}

fn one_error(text: &str) -> String {
    error(&format!("FROM scratch\n{text}"))
        .replace("dockerfile parse error line 2: ", "2: ")
        .replace("failed to parse Dockerfile: ", "parse: ")
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| &*word.text).collect()
}

#[test]
fn stages_arguments_and_directives() {
    let parsed = parse(
        "# syntax=docker/dockerfile:1\n# escape=`\nARG A=1 B\nFROM --platform=$BUILDPLATFORM img:$A AS Base\n\
         RUN a `\n  b\nfrom base\n# last\ncmd x",
    );
    assert_eq!(parsed.directives.escape, '`');
    assert_eq!(parsed.args[0].node.len(), 2);
    assert_eq!(parsed.args[0].node[0].default.as_deref(), Some("1"));
    assert_eq!(parsed.stages.len(), 2);
    assert_eq!(parsed.stages[0].name.as_deref(), Some("base"));
    assert_eq!(&*parsed.stages[0].base.text, "img:$A");
    assert_eq!(parsed.stages[0].platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!(parsed.stages[0].instructions[0].at.original, "RUN a   b");
    assert_eq!(parsed.stage("BASE"), Some(0));
    let last = &parsed.stages[1].instructions[0];
    assert_eq!((last.at.first_line, &*last.at.keyword.text), (9, "cmd"));
    assert_eq!(last.at.comments, ["last"]);
    assert_eq!(&parsed.source[parsed.stages[0].base.span.start..parsed.stages[0].base.span.end], "img:$A");
}

#[test]
fn commands_in_both_forms() {
    let shell = |text| match one(text) {
        Instruction::Cmd(CommandLine::Shell(word)) => word.text,
        other => panic!("{other:?}"),
    };
    assert_eq!(shell("CMD echo \"a b\"  c"), "echo \"a b\"  c");
    assert_eq!(shell("CMD [\"a\", b]"), "[\"a\", b]");
    assert_eq!(shell("CMD ['a']"), "['a']");
    assert_eq!(shell("CMD"), "");
    match one("ENTRYPOINT  [\"a\", \"b c\"]  ") {
        Instruction::Entrypoint(CommandLine::Exec(words)) => assert_eq!(texts(&words), ["a", "b c"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(one("CMD []"), Instruction::Cmd(CommandLine::Exec(vec![])));
    assert_eq!(
        one_error("CMD [1]"),
        "parse: when using JSON array syntax, arrays must be comprised of strings only"
    );
    let words = CommandLine::Shell(Word::default()).words(&["sh".into(), "-c".into()]);
    assert_eq!(words, ["sh", "-c"]);
}

#[test]
fn pairs_in_both_forms() {
    let pairs = |text| match one(text) {
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.into_iter().map(|pair| (pair.name.text, pair.value.text, pair.legacy)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        pairs("ENV a=1 b=\"x y\" c=d\\ e f="),
        [
            ("a".to_owned(), "1".to_owned(), false),
            ("b".into(), "\"x y\"".into(), false),
            ("c".into(), "d\\ e".into(), false),
            ("f".into(), String::new(), false)
        ]
    );
    assert_eq!(pairs("ENV a  some value = x"), [("a".to_owned(), "some value = x".to_owned(), true)]);
    assert_eq!(pairs("LABEL \"a b\"=c"), [("\"a b\"".to_owned(), "c".to_owned(), false)]);
    assert_eq!(one_error("ENV a"), "parse: ENV must have two arguments");
    assert_eq!(one_error("ENV"), "2: ENV requires at least one argument");
    assert_eq!(one_error("ENV =x"), "2: ENV names can not be blank");
    assert_eq!(
        one_error("LABEL a=b c"),
        "parse: Syntax error - can't find = in \"c\". Must be of the form: name=value"
    );
    assert_eq!(one_error("ARG"), "2: ARG requires at least one argument");
    assert_eq!(one_error("ARG =x"), "2: ARG names can not be blank");
}

#[test]
fn copy_and_add() {
    let Instruction::Copy(copy) = one(
        "COPY --from=base --chown=$U:g --chmod=755 --link --parents --exclude=*.o --exclude='a b' x y /z/",
    ) else {
        panic!()
    };
    assert_eq!(copy.from.as_deref(), Some("base"));
    assert!(copy.parents && copy.transfer.link);
    assert_eq!(copy.transfer.chown.as_deref(), Some("$U:g"));
    assert_eq!(copy.transfer.chmod.as_deref(), Some("755"));
    assert_eq!(texts(&copy.transfer.exclude), ["*.o", "a b"]);
    assert_eq!(copy.transfer.sources.len(), 2);
    assert_eq!(&*copy.transfer.destination, "/z/");
    let Instruction::Add(add) =
        one("ADD --checksum=sha256:ab --keep-git-dir=true --unpack=false [\"a b\", \"/\"]")
    else {
        panic!()
    };
    assert_eq!((add.keep_git_dir, add.unpack), (true, Some(false)));
    assert_eq!(add.transfer.sources, [Source::Path(Word { text: "a b".into(), span: Span::default() })]);
    assert_eq!(
        one_error("COPY a"),
        "2: COPY requires at least two arguments, but only one was provided. Destination could not be determined"
    );
    assert_eq!(one_error("COPY --form=x a b"), "2: Unknown flag: form");
    assert_eq!(one_error("COPY --from a b"), "2: Missing a value on flag: from");
    assert_eq!(one_error("COPY --from=a --from=b a b"), "2: Duplicate flag specified: from");
    assert_eq!(one_error("COPY --link=x a b"), "2: Expecting boolean value for flag link, not: x");
    assert_eq!(one_error("COPY --link= a b"), "2: Missing a value on flag: link");
    let report = Dockerfile::parse(b"FROM x\nCOPY --form=x a b").unwrap_err().report();
    assert!(report.ends_with(" 2 | COPY --form=x a b\n   |      ^^^^^^^^ did you mean --from?"), "{report}");
}

#[test]
fn heredocs() {
    let Instruction::Copy(copy) = one("COPY <<A <<-\"B\" c /d/\n$x\nA\n\tin\n\tB\n") else { panic!() };
    let [Source::Heredoc(a), Source::Heredoc(b), Source::Path(c)] = copy.transfer.sources.as_slice() else {
        panic!("{:?}", copy.transfer.sources)
    };
    assert_eq!((a.name.as_str(), a.expand, a.content().as_str()), ("A", true, "$x\n"));
    assert_eq!((b.name.as_str(), b.expand, b.content().as_str()), ("B", false, "in\n"));
    assert_eq!(&**c, "c");
    let script = |text| match one(text) {
        Instruction::Run(run) => run.script(),
        other => panic!("{other:?}"),
    };
    assert_eq!(script("RUN <<EOF\na\n  b\nEOF"), Script::Shell("a\n  b\n".into()));
    assert_eq!(
        script("RUN <<EOF\n#!/bin/x\nEOF"),
        Script::File { name: "EOF".into(), content: "#!/bin/x\n".into() }
    );
    assert_eq!(
        script("RUN cat <<E >f 3<<F\na\nE\nb\nF"),
        Script::Shell("cat <<E >f 3<<F\na\nE\nb\nF".into())
    );
    assert_eq!(script("RUN echo '<<EOF'"), Script::Shell("echo '<<EOF'".into()));
    assert_eq!(script("RUN cat <<< x"), Script::Shell("cat <<< x".into()));
    assert_eq!(script("RUN [\"<<EOF\"]"), Script::Exec(vec!["<<EOF".into()]));
    assert_eq!(one_error("RUN <<EOF\nx"), "parse: unterminated heredoc");
    assert_eq!(one_error("COPY a <<EOF\nEOF"), "2: COPY cannot accept a heredoc as a destination");
    let Instruction::Onbuild(trigger) = one("ONBUILD RUN <<EOF\nx\nEOF") else { panic!() };
    assert_eq!(trigger.expression, "RUN <<EOF\nx\nEOF");
    let parsed = parse("FROM a\nRUN <<EOF\n# no comment\n\\\nEOF\nUSER <<x");
    assert_eq!(parsed.stages[0].instructions.len(), 2);
    assert_eq!(parsed.stages[0].instructions[0].at.last_line, 5);
}

#[test]
fn run_and_its_mounts() {
    let Instruction::Run(run) =
        one("RUN --mount=type=cache,target=/c,sharing=locked,id=x,uid=1,mode=0700 --network=none \
         --security=insecure --mount=type=secret,id=s,env=TOKEN,required --mount=target=/src,rw ls")
    else {
        panic!()
    };
    assert_eq!((run.network, run.security), (Network::None, Security::Insecure));
    let mounts: Vec<_> =
        run.mounts.iter().map(|spec| spec.resolve(&mut |value| Ok(value.to_owned())).unwrap()).collect();
    let MountKind::Cache { id, sharing, owner, .. } = &mounts[0].kind else { panic!() };
    assert_eq!(
        (id.as_deref(), *sharing, owner.uid, owner.mode),
        (Some("x"), Sharing::Locked, Some(1), Some(0o700))
    );
    assert!(!mounts[0].read_only && mounts[1].read_only && !mounts[2].read_only);
    assert!(matches!(&mounts[1].kind, MountKind::Secret { env: Some(_), required: true, .. }));
    assert_eq!(mounts[2].kind, MountKind::Bind { from: None, source: "/".into() });
    for (mount, message) in [
        ("type=bnd,target=/x", "unsupported mount type \"bnd\""),
        ("type=cache,target=/x,sharing=all", "unsupported sharing value \"all\""),
        ("target=/x,foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("target=/x,foo", "invalid field 'foo' must be a key=value pair"),
        ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/x,mode=7", "mode not allowed for \"bind\" type mounts"),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/x,uid=-1", "invalid value -1 for uid"),
        ("type=cache,target=/x,ro=maybe", "invalid value for ro: maybe"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,from=x", "secret mount should not have a from"),
        ("type=secret,id=a,src=b", "both source and id can't be set"),
        ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
        ("target=/x,from=$a", "'from' doesn't support variable expansion, define alias stage instead"),
    ] {
        assert_eq!(one_error(&format!("RUN --mount={mount} x")), format!("2: {message}"), "{mount}");
    }
    one("RUN --mount=type=$T,target=/x x");
    assert_eq!(one_error("RUN --network=foo x"), "2: unsupported network mode \"foo\"");
}

#[test]
fn other_instructions() {
    assert!(matches!(one("EXPOSE 80 $P/udp 1-3"), Instruction::Expose(ports) if ports.len() == 3));
    assert!(matches!(one("VOLUME [\"/a\", \"/b c\"]"), Instruction::Volume(all) if all.len() == 2));
    assert!(matches!(one("WORKDIR /a b"), Instruction::Workdir(path) if &*path == "/a b"));
    assert!(matches!(one("SHELL [\"/bin/bash\", \"-c\"]"), Instruction::Shell(words) if words.len() == 2));
    assert!(matches!(one("MAINTAINER me <a@b>"), Instruction::Maintainer(name) if &*name == "me <a@b>"));
    let Instruction::Healthcheck(check) = one("HEALTHCHECK --interval=5s --retries=3 cmd [\"a\"]") else {
        panic!()
    };
    assert_eq!(check.test(), ["CMD", "a"]);
    assert!(matches!(check, Healthcheck::Probe { interval: 5_000_000_000, retries: 3, timeout: 0, .. }));
    assert_eq!(one("HEALTHCHECK none"), Instruction::Healthcheck(Healthcheck::None));
    for (text, message) in [
        ("SHELL bash", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME [\" \"]", "VOLUME specified can not be an empty string"),
        ("USER", "USER requires exactly one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD maintainer x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        (
            "ONBUILD COPY a",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK FOO x", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
        ("FROM a b", "FROM requires either one or three arguments"),
        (
            "FROM a AS 1",
            "invalid name for build stage: \"1\", name can't start with a number or contain symbols",
        ),
        ("CPOY a b", "unknown instruction: CPOY"),
    ] {
        assert_eq!(one_error(text), format!("2: {message}"), "{text}");
    }
}

#[test]
fn whole_files_that_are_none() {
    assert_eq!(error(""), "failed to parse Dockerfile: file with no instructions");
    assert_eq!(error("# only a comment\n\n"), "failed to parse Dockerfile: file with no instructions");
    assert_eq!(error("RUN x"), "no build stage in current context");
    assert_eq!(error("ARG x"), "dockerfile contains no stages to build");
    assert_eq!(
        error("# escape=x\nFROM a"),
        "failed to parse Dockerfile: invalid escape token 'x' does not match ` or \\"
    );
    assert!(error(&"FROM a\n".repeat(limits::STAGES + 1)).contains("stages"));
    assert!(
        error(&("FROM a\n".to_owned() + &"CMD a\n".repeat(limits::INSTRUCTIONS))).contains("instructions")
    );
    let many = format!("FROM a\nCOPY {} /x", "<<A ".repeat(limits::HEREDOCS + 1));
    assert!(error(&many).contains("here-documents"));
}

#[test]
fn triggers() {
    assert_eq!(trigger("RUN x").unwrap().node.name(), "RUN");
    assert!(trigger("COPY <<EOF /x\na\nEOF").is_ok());
    for wrong in ["", "FROM x", "ONBUILD RUN x", "RUN a\nRUN b", "FOO"] {
        assert!(trigger(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_long_file_is_read_at_once() {
    let text = "FROM a\n".to_owned()
        + &"RUN apt-get update && \\\n  apt-get install -y \"x\" <<EOF\nEOF\n".repeat(10_000);
    assert_eq!(parse(&text).stages[0].instructions.len(), 10_000);
}
