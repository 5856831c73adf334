use std::sync::Mutex;

use oci::Platform;
use tempfile::TempDir;

use super::*;
use crate::graph::{Action, Copy, Exec, FileAction, FileInput, FileOp, LocalSource, Mount, MountKind, Op};
use crate::graph::{Source, Vertex};

/// Makes layers out of names, and counts what it is asked to do.
#[derive(Default)]
struct Fake {
    ran: Mutex<Vec<String>>,
    /// The contents of the client's directory.
    context: String,
    gone: Vec<Digest>,
    fail: Option<&'static str>,
}

impl Fake {
    fn ran(&self) -> Vec<String> {
        std::mem::take(&mut self.ran.lock().unwrap())
    }
}

fn above(tree: &Tree, name: &str) -> Tree {
    let Tree::Layers(below) = tree else { panic!("files have no layers") };
    Tree::Layers(below.iter().cloned().chain([Digest::sha256(name.as_bytes())]).collect())
}

impl Worker for Fake {
    fn source(&self, _: &Job<'_>, source: &Source, _: Option<&Platform>) -> Result<Tree> {
        Ok(if matches!(source, Source::Local(_)) { Tree::Files(1) } else { Tree::Layers(Vec::new()) })
    }

    fn digest(&self, _: &Tree, _: Selection<'_>) -> Result<Digest> {
        Ok(Digest::sha256(self.context.as_bytes()))
    }

    fn exec(&self, job: &Job<'_>, exec: &Exec, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>> {
        let name = exec.args.join(" ");
        self.ran.lock().unwrap().push(name.clone());
        if self.fail == Some(name.as_str()) {
            return Err(Error::Exit { args: exec.args.clone(), code: 7 });
        }
        job.log(crate::progress::Stream::Stdout, name.as_bytes());
        Ok(vec![(0, above(&inputs[0], &name))])
    }

    fn file(&self, _: &Job<'_>, _: &FileOp, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>> {
        self.ran.lock().unwrap().push("copy".into());
        Ok(vec![(0, above(&inputs[0], &self.context))])
    }

    fn merge(&self, _: &Job<'_>, inputs: &[Tree]) -> Result<Tree> {
        Ok(inputs[0].clone())
    }

    fn diff(&self, _: &Job<'_>, _: Option<&Tree>, _: Option<&Tree>) -> Result<Tree> {
        Ok(Tree::Layers(Vec::new()))
    }

    fn hold(&self, layers: &[Digest]) -> bool {
        layers.iter().all(|layer| !self.gone.contains(layer))
    }

    fn keep(&self, _: &Digest, _: &[(u32, Vec<Digest>)]) {}

    fn size(&self, layers: &[Digest]) -> u64 {
        layers.len() as u64
    }
}

fn vertex(op: Op, inputs: Vec<Output>) -> Vertex {
    Vertex { op, inputs, name: "v".into(), progress_group: None, platform: None, no_cache: false }
}

fn run(graph: &mut Graph, command: &str, input: Output) -> Output {
    let root = Mount {
        target: "/".into(),
        input: Some(0),
        selector: String::new(),
        readonly: false,
        output: Some(0),
        kind: MountKind::Bind,
    };
    let exec = Exec { args: vec![command.into()], mounts: vec![root], ..Exec::default() };
    let vertex = graph.add(vertex(Op::Exec(Box::new(exec)), vec![input])).unwrap();
    Output { vertex, index: 0 }
}

fn source(graph: &mut Graph, name: &str) -> Output {
    let op = match name {
        "context" => Source::Local(LocalSource { name: name.into(), ..LocalSource::default() }),
        name => Source::Image(crate::graph::ImageSource {
            reference: oci::Reference::parse(name).unwrap(),
            resolve: crate::graph::ResolveMode::Local,
        }),
    };
    Output { vertex: graph.add(vertex(Op::Source(op), vec![])).unwrap(), index: 0 }
}

fn copy(graph: &mut Graph, from: Output, into: Output) -> Output {
    let action = FileAction {
        input: Some(FileInput::Input(0)),
        secondary: Some(FileInput::Input(1)),
        output: Some(0),
        action: Action::Copy(Box::new(Copy { source: "a".into(), target: "/".into(), ..Copy::default() })),
    };
    let op = Op::File(FileOp { actions: vec![action] });
    Output { vertex: graph.add(vertex(op, vec![into, from])).unwrap(), index: 0 }
}

fn solver() -> (TempDir, Solver) {
    let dir = TempDir::new().unwrap();
    let solver = Solver::new(Index::open(dir.path()).unwrap());
    (dir, solver)
}

fn solve(solver: &Solver, graph: &Graph, target: Output, worker: &Fake) -> Result<Solved, Failure> {
    solver.solve(graph, &[target], worker, &|_| (), &Options::default())
}

#[test]
fn what_is_needed_runs_once_and_then_comes_from_the_cache() {
    let (_dir, solver) = solver();
    let (worker, mut graph) = (Fake::default(), Graph::new());
    let base = source(&mut graph, "debian");
    let first = run(&mut graph, "a", base);
    let second = run(&mut graph, "b", first);
    run(&mut graph, "unused", first);
    let solved = solve(&solver, &graph, second, &worker).unwrap();
    assert_eq!(worker.ran(), ["a", "b"]);
    assert_eq!(solved.tree(second), Some(&above(&above(&Tree::Layers(vec![]), "a"), "b")));
    let again = solve(&solver, &graph, second, &worker).unwrap();
    assert_eq!(worker.ran(), Vec::<String>::new());
    assert!(again.made[&second.vertex].cached);
    assert_eq!(again.made[&second.vertex].at, solved.made[&second.vertex].at);
    let options = Options { no_cache: true, ..Options::default() };
    solver.solve(&graph, &[second], &worker, &|_| (), &options).unwrap();
    assert_eq!(worker.ran(), ["a", "b"]);
    // a layer that is gone is made again, and what stands on it is known
    let worker = Fake { gone: vec![Digest::sha256(b"a")], ..Fake::default() };
    solve(&solver, &graph, first, &worker).unwrap();
    assert_eq!(worker.ran(), ["a"]);
}

#[test]
fn contents_count_and_not_what_led_to_them() {
    let (_dir, solver) = solver();
    let mut worker = Fake { context: "one".into(), ..Fake::default() };
    let mut graph = Graph::new();
    let (base, context) = (source(&mut graph, "debian"), source(&mut graph, "context"));
    let copied = copy(&mut graph, context, base);
    let last = run(&mut graph, "make", copied);
    solve(&solver, &graph, last, &worker).unwrap();
    assert_eq!(worker.ran(), ["copy", "make"]);
    worker.context = "two".into();
    solve(&solver, &graph, last, &worker).unwrap();
    assert_eq!(worker.ran(), ["copy", "make"]);
    worker.context = "one".into();
    solve(&solver, &graph, last, &worker).unwrap();
    assert_eq!(worker.ran(), Vec::<String>::new());
}

#[test]
fn a_failure_names_its_vertex_and_stops_the_rest() {
    let (_dir, solver) = solver();
    let (worker, mut graph) = (Fake { fail: Some("b"), ..Fake::default() }, Graph::new());
    let base = source(&mut graph, "debian");
    let first = run(&mut graph, "a", base);
    let second = run(&mut graph, "b", first);
    let third = run(&mut graph, "c", second);
    let events = Mutex::new(Vec::new());
    let listen = |event: Event| events.lock().unwrap().push(event);
    let failure = solver.solve(&graph, &[third], &worker, &listen, &Options::default()).unwrap_err();
    assert_eq!(failure.vertex, Some(second.vertex));
    assert_eq!(worker.ran(), ["a", "b"]);
    let events = events.into_inner().unwrap();
    let failed = |event: &Event| matches!(event, Event::Failed { vertex, .. } if *vertex == second.vertex);
    assert!(events.iter().any(failed));
    assert!(
        !events.iter().any(|event| matches!(event, Event::Started { vertex, .. } if *vertex == third.vertex))
    );
    let cancel = Cancel::new();
    cancel.cancel();
    let options = Options { cancel, ..Options::default() };
    let failure = solver.solve(&graph, &[first], &worker, &|_| (), &options).unwrap_err();
    assert!(matches!(failure.error, Error::Cancelled));
}

#[test]
fn a_panic_ends_the_build_with_an_error() {
    let mut graph = Graph::new();
    let base = source(&mut graph, "debian");
    let (first, second) = (run(&mut graph, "a", base), run(&mut graph, "b", base));
    let last = copy(&mut graph, first, second);
    let ends_at = |panics: &(dyn Fn(&Event) -> bool + Sync)| {
        let (_dir, solver) = solver();
        let listen = |event: Event| assert!(!panics(&event), "on purpose");
        let solved = solver.solve(&graph, &[last], &Fake::default(), &listen, &Options::default());
        solved.unwrap_err().vertex.unwrap()
    };
    for at in [base.vertex, first.vertex, second.vertex, last.vertex] {
        let begun = |event: &Event| matches!(event, Event::Started { vertex, .. } if *vertex == at);
        let done = |event: &Event| matches!(event, Event::Completed { vertex, .. } if *vertex == at);
        assert_eq!((ends_at(&begun), ends_at(&done)), (at, at));
    }
}
