//! `berth context ls`

use crate::client::host::by_environment;
use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row, ellipsis};

pub(crate) static COMMAND: Command = Command::new("ls", "[OPTIONS]", "List contexts", Arity::None, run)
    .aliases(&["list"])
    .paths(&["context ls", "context list"])
    .flags(&[&[Flag::format(), Flag::bool("quiet", "Only names").short('q')]]);

const COLUMNS: Columns = Columns {
    headers: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("DockerEndpoint", "DOCKER ENDPOINT"),
        ("Error", "ERROR"),
    ],
    default: "{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}",
    kind: "*formatter.clientContextContext",
};

/// Characters of an error in a table.
const ERROR_WIDTH: usize = 45;

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let store = Store::new(&context.choice.config_dir);
    let current = context.choice.context_name();
    let mut rows: Vec<Row> = Vec::new();
    let mut put = |name: &str, about: &str, host: String, error: String| {
        let fields = vec![
            ("Name", name.to_owned()),
            ("Description", about.to_owned()),
            ("DockerEndpoint", host),
            ("Error", ellipsis(&error, ERROR_WIDTH)),
        ];
        rows.push(Row { fields, switches: vec![("Current", name == current)], ..Row::default() });
    };
    let (host, error) = match context.choice.resolve_default() {
        Ok(endpoint) => (endpoint.host.to_string(), String::new()),
        Err(error) => (String::new(), error.to_string()),
    };
    put(contexts::DEFAULT, contexts::DEFAULT_ABOUT, host, error);
    for stored in store.list()? {
        match stored.docker() {
            Some((host, _)) => put(&stored.name, stored.about(), host.to_owned(), String::new()),
            None => put(&stored.name, stored.about(), String::new(), "no docker endpoint".to_owned()),
        }
    }
    if current != contexts::DEFAULT
        && let Some(error) = store.get(&current).err()
    {
        put(&current, "", String::new(), error.to_string());
    }
    rows.sort_by(|a, b| contexts::compare_names(&a.fields[0].1, &b.fields[0].1));
    if matches.bool("quiet") && matches.get("format").is_empty() {
        return rows.iter().try_for_each(|row| context.out.line(&row.fields[0].1));
    }
    list::print(context.out, matches.get("format"), &COLUMNS, &rows)?;
    if by_environment().is_some() {
        context.out.error_line(&format!(
            "Warning: {} environment variable overrides the active context. To use a context, either set the global --context flag, or unset {0} environment variable.",
            variable()
        ));
    }
    Ok(())
}

/// The variable that says where the daemon is.
pub(super) fn variable() -> &'static str {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("BERTH_HOST") { "BERTH_HOST" } else { "DOCKER_HOST" }
}
