use super::*;

fn source() -> Vertex {
    let local = LocalSource { name: "context".into(), ..LocalSource::default() };
    vertex(Op::Source(Source::Local(local)), vec![])
}

fn vertex(op: Op, inputs: Vec<Output>) -> Vertex {
    Vertex { op, inputs, name: "v".into(), progress_group: None, platform: None, no_cache: false }
}

fn run(output: u32) -> Op {
    let root = Mount {
        target: "/".into(),
        input: Some(0),
        selector: String::new(),
        readonly: false,
        output: Some(output),
        kind: MountKind::Bind,
    };
    Op::Exec(Box::new(Exec { args: vec!["true".into()], mounts: vec![root], ..Exec::default() }))
}

#[test]
fn only_what_a_target_needs_is_needed() {
    let mut graph = Graph::new();
    let base = graph.add(source()).unwrap();
    let unused = graph.add(source()).unwrap();
    let step = graph.add(vertex(run(0), vec![Output { vertex: base, index: 0 }])).unwrap();
    let needed = graph.needed(&[Output { vertex: step, index: 0 }]);
    assert_eq!(needed, [true, false, true]);
    assert!(!needed[unused.index()]);
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let mut graph = Graph::new();
    let missing = Output { vertex: VertexId(7), index: 0 };
    let error = graph.add(vertex(run(0), vec![missing])).unwrap_err();
    assert_eq!(error, GraphError::NoSuchInput { name: "v".into(), input: 0 });
    let base = graph.add(source()).unwrap();
    let error = graph.add(vertex(run(0), vec![Output { vertex: base, index: 3 }])).unwrap_err();
    assert!(matches!(error, GraphError::NoSuchOutput { index: 3, .. }), "{error}");
    let error = graph.add(vertex(run(0), vec![])).unwrap_err();
    assert!(error.to_string().contains("uses input 0 of 0"), "{error}");
    assert_eq!(graph.len(), 1);
}

#[test]
fn an_execution_needs_a_root_and_an_action_only_what_was_before() {
    let mut graph = Graph::new();
    let exec = Exec { args: vec!["true".into()], ..Exec::default() };
    let error = graph.add(vertex(Op::Exec(Box::new(exec)), vec![])).unwrap_err();
    assert!(error.to_string().contains("no root file system"), "{error}");
    let action = FileAction {
        input: Some(FileInput::Action(0)),
        secondary: None,
        output: Some(0),
        action: Action::Remove(Remove::default()),
    };
    let error = graph.add(vertex(Op::File(FileOp { actions: vec![action] }), vec![])).unwrap_err();
    assert!(error.to_string().contains("uses the result of action 0"), "{error}");
}
