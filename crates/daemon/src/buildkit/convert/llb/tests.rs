use build::graph::{MountKind, Source};

use super::*;

/// A definition whose vertices stand in the order given, the last one being the result.
fn definition(ops: Vec<pb::Op>) -> pb::Definition {
    let mut def: Vec<Vec<u8>> = ops.iter().map(pb::Op::encode_to_vec).collect();
    let digest = Digest::sha256(def.last().unwrap()).as_str().to_owned();
    let end = pb::Op { inputs: vec![pb::Input { digest, index: 0 }], ..Default::default() };
    def.push(end.encode_to_vec());
    pb::Definition { def, ..Default::default() }
}

fn source(identifier: &str, attrs: &[(&str, &str)]) -> pb::Op {
    let attrs = attrs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let source = pb::SourceOp { identifier: identifier.into(), attrs };
    pb::Op { op: Some(pb::op::Op::Source(source)), ..Default::default() }
}

fn on(input: &pb::Op, op: pb::op::Op) -> pb::Op {
    let digest = Digest::sha256(&input.encode_to_vec()).as_str().to_owned();
    pb::Op { inputs: vec![pb::Input { digest, index: 0 }], op: Some(op), ..Default::default() }
}

fn run() -> pb::op::Op {
    let mounts = vec![
        pb::Mount { dest: "/".into(), ..Default::default() },
        pb::Mount {
            input: -1,
            output: -1,
            dest: "/run/secrets/s".into(),
            mount_type: pb::MountType::Secret.into(),
            secret_opt: Some(pb::SecretOpt { id: "s".into(), mode: 0o400, ..Default::default() }),
            ..Default::default()
        },
    ];
    let meta = pb::Meta { args: vec!["true".into()], ..Default::default() };
    pb::op::Op::Exec(pb::ExecOp { meta: Some(meta), mounts, ..Default::default() })
}

#[test]
fn a_definition_becomes_a_graph_whatever_the_order_of_its_vertices() {
    let image = source("docker-image://docker.io/library/busybox", &[("image.resolvemode", "pull")]);
    let run = on(&image, run());
    let mut definition = definition(vec![image, run]);
    definition.def.swap(0, 1);
    let (graph, output) = graph(&definition).unwrap();
    assert_eq!(graph.len(), 2);
    let vertex = graph.get(output.unwrap().vertex).unwrap();
    let Op::Exec(exec) = &vertex.op else { panic!("{vertex:?}") };
    assert!(matches!(&exec.mounts[1].kind, MountKind::Secret(secret) if secret.id == "s" && secret.required));
    assert_eq!((exec.mounts[1].input, exec.mounts[1].output), (None, None));
    let first = graph.get(vertex.inputs[0].vertex).unwrap();
    assert!(matches!(&first.op, Op::Source(Source::Image(image)) if image.reference.tag() == Some("latest")));
}

#[test]
fn what_is_not_done_is_named() {
    for (op, why) in [
        (source("ftp://x", &[]), "sources of the kind \"ftp\""),
        (source("local://context", &[("local.new", "1")]), "attribute local.new of source local://context"),
        (source("local://context", &[("local.followpaths", "x")]), "attribute local.followpaths"),
        (source("context", &[]), "has no scheme"),
        (source("docker-image://UPPER", &[]), "UPPER"),
        (pb::Op { op: Some(pb::op::Op::Build(pb::BuildOp::default())), ..Default::default() }, "BuildOp"),
        (pb::Op { platform: Some(pb::Platform::default()), ..Default::default() }, "no operation"),
    ] {
        let error = graph(&definition(vec![op])).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}

#[test]
fn a_definition_that_lacks_something_is_refused() {
    let image = source("docker-image://busybox", &[]);
    let run = on(&image, run());
    let error = graph(&definition(vec![run])).unwrap_err();
    assert!(error.message().contains("which it does not have"), "{error}");
    let garbage = pb::Definition { def: vec![vec![0xff; 9]], ..Default::default() };
    assert!(graph(&garbage).unwrap_err().message().contains("can't be read"));
    let (graph, output) = graph(&pb::Definition::default()).unwrap();
    assert!(graph.is_empty() && output.is_none());
}
