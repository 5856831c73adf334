use dockerfile::Dockerfile;

use super::*;
use crate::graph::{Exec, FileOp, MountKind};

/// Every image is the same.
struct Fake;

impl Images for Fake {
    fn config(&self, _: &Reference, _: Option<&Platform>) -> Result<ImageConfig> {
        let config = RunConfig {
            env: vec!["PATH=/bin".into(), "BASE=yes".into()],
            cmd: Some(vec!["sh".into()]),
            on_build: Some(vec!["ENV TRIGGERED=1".into()]),
            ..RunConfig::default()
        };
        Ok(ImageConfig { config, os: "linux".into(), ..ImageConfig::default() })
    }
}

fn options(args: &[(&str, &str)]) -> Options {
    Options {
        build_args: args.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        context: Some(Source::Local(LocalSource { name: "context".into(), ..LocalSource::default() })),
        ..Options::default()
    }
}

fn lowered(text: &str, options: &Options) -> Result<Lowered> {
    lower(&Dockerfile::parse(text.as_bytes()).unwrap(), options, &Fake)
}

fn error(text: &str) -> String {
    lowered(text, &options(&[])).unwrap_err().to_string()
}

fn executions(lowered: &Lowered) -> Vec<Exec> {
    let exec = |vertex: &Vertex| match &vertex.op {
        Op::Exec(exec) => Some((**exec).clone()),
        _ => None,
    };
    lowered.graph.vertices().filter_map(|(_, vertex)| exec(vertex)).collect()
}

#[test]
fn variables_are_those_of_the_stage() {
    let text = "ARG V=1\nFROM a:$V\nARG V\nARG W=w$V\nENV X=${W}x BASE=no\nRUN echo\n";
    let lowered = lowered(text, &options(&[("W", "given"), ("HTTP_PROXY", "p"), ("Z", "")])).unwrap();
    let exec = &executions(&lowered)[0];
    assert_eq!(exec.env, ["PATH=/bin", "BASE=no", "TRIGGERED=1", "X=givenx", "V=1", "W=given"]);
    assert_eq!(exec.proxy_env, ["HTTP_PROXY=p"]);
    assert_eq!(exec.args, ["/bin/sh", "-c", "echo"]);
    assert_eq!(lowered.unused_args, ["Z"]);
    let image = lowered.image(&Solved::default(), Vec::new(), Timestamp::UNIX_EPOCH, Flavor::Classic);
    assert_eq!(image.config.env, ["PATH=/bin", "BASE=no", "TRIGGERED=1", "X=givenx"]);
    let made: Vec<_> = image.history.iter().filter_map(|entry| entry.created_by.as_deref()).collect();
    assert_eq!(made[0], "/bin/sh -c #(nop)  ENV TRIGGERED=1");
    assert_eq!(made[4], "|2 V=1 W=given /bin/sh -c echo");
}

#[test]
fn only_needed_stages_are_lowered() {
    let text = "FROM a AS one\nRUN 1\nFROM a AS two\nRUN 2\nFROM one\nCOPY --from=0 /x /\nRUN 3\n";
    let all = lowered(text, &options(&[])).unwrap();
    let ran: Vec<_> = executions(&all).into_iter().map(|exec| exec.args[2].clone()).collect();
    assert_eq!(ran, ["1", "3"]);
    let two = lowered(text, &Options { target: "TWO".into(), ..options(&[]) }).unwrap();
    assert_eq!(executions(&two).len(), 1);
    assert_eq!(two.graph.vertices().filter(|(_, vertex)| matches!(vertex.op, Op::Source(_))).count(), 1);
    let missing = lowered(text, &Options { target: "three".into(), ..options(&[]) }).unwrap_err();
    assert_eq!(missing.to_string(), "failed to reach build target three in Dockerfile");
}

#[test]
fn commands_and_entry_points() {
    let config = |text: &str| {
        let lowered = lowered(text, &options(&[])).unwrap();
        lowered.image(&Solved::default(), Vec::new(), Timestamp::UNIX_EPOCH, Flavor::Classic).config
    };
    assert_eq!(config("FROM a\nENTRYPOINT [\"x\"]\n").cmd, None);
    assert_eq!(config("FROM a\nCMD [\"c\"]\nENTRYPOINT [\"x\"]\n").cmd, Some(vec!["c".into()]));
    assert_eq!(
        config("FROM a\nSHELL [\"bash\", \"-c\"]\nCMD x y\n").cmd,
        Some(["bash", "-c", "x y"].map(Into::into).into())
    );
    assert_eq!(config("FROM a\nWORKDIR /a\nWORKDIR b/../c\n").working_dir, "/a/c");
    let exposed = config("FROM a\nEXPOSE 1-2/udp 80\n").exposed_ports.unwrap();
    assert_eq!(exposed.into_keys().collect::<Vec<_>>(), ["1/udp", "2/udp", "80/tcp"]);
    assert_eq!(config("FROM scratch\nUSER 1:2\n").user, "1:2");
}

#[test]
fn copies_and_mounts() {
    let text = "FROM a AS s\nFROM a\nWORKDIR /w\nCOPY --chown=1:b --chmod=600 x y/ d/\nCOPY <<F G /\ntext $BASE\nF\n\
                RUN --mount=type=cache,target=/c --mount=from=s,source=/q,target=r true\n";
    let lowered = lowered(text, &options(&[])).unwrap();
    let files: Vec<&FileOp> = lowered
        .graph
        .vertices()
        .filter_map(|(_, vertex)| match &vertex.op {
            Op::File(file) => Some(file),
            _ => None,
        })
        .collect();
    let crate::graph::Action::Copy(copy) = &files[1].actions[1].action else { panic!("no copy") };
    assert_eq!(
        (copy.source.as_str(), copy.target.as_str(), copy.mode.as_deref()),
        ("y/", "/w/d/", Some("600"))
    );
    let crate::graph::Action::MakeFile(make) = &files[2].actions[0].action else { panic!("no file") };
    assert_eq!((make.path.as_str(), make.data.as_slice()), ("/F", b"text yes\n".as_slice()));
    let exec = &executions(&lowered)[0];
    let targets: Vec<_> = exec.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/", "/c", "/w/r"]);
    assert!(matches!(exec.mounts[1].kind, MountKind::Cache(_)));
    assert_eq!((exec.mounts[2].selector.as_str(), exec.mounts[2].readonly), ("q", true));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    assert!(error("FROM a\n\nCOPY a b /c\n").contains("line 3: When using COPY with more than one source"));
    assert!(error("FROM a\nSTOPSIGNAL nope\n").contains("line 2: Invalid signal: nope"));
    assert!(error("FROM a\nCOPY --from=7 a /\n").contains("index out of bounds"));
    assert!(error("FROM a AS b\nCOPY --from=b a /\n").contains("circular dependency"));
    assert!(error("FROM $NOTHING\n").contains("base name ($NOTHING) should not be blank"));
    assert!(error("FROM a\nEXPOSE x\n").contains("Invalid containerPort: x"));
}
