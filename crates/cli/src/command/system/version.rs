//! `berth version`

use api::Action;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;
use crate::format::template::{Data, Format};
use crate::format::time;

pub(crate) static COMMAND: Command =
    Command::new("version", "[OPTIONS]", "Show the versions of client and daemon", Arity::None, run)
        .flags(&[&[Flag::format_object()]]);

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that this was built from, when the builder says it.
const COMMIT: Option<&str> = option_env!("BERTH_COMMIT");
/// When, as seconds of the epoch, when the builder says it.
const BUILT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// `berth --version`
pub(crate) fn one_line(program: &str) -> String {
    let name = if program == "docker" { "Docker" } else { "Berth" };
    format!("{name} version {VERSION}, build {}", COMMIT.unwrap_or("unknown"))
}

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let answer = context.client().and_then(|client| client.call(Action::SystemVersion, "").fetch::<Json>());
    let (server, failure) = match answer {
        Ok(server) => (server, None),
        Err(
            error @ (Error::Unreachable { .. } | Error::Daemon { .. } | Error::Said(_) | Error::Transport(_)),
        ) => (Json::Null, Some(error)),
        Err(error) => return Err(error),
    };
    let client = own(context)?;
    match matches.get("format") {
        "" => {
            context.out.text(&client_text(&client))?;
            if server != Json::Null {
                context.out.text(&server_text(&server))?;
            }
        }
        format => {
            let format = Format::parse(if format == "json" { "{{json .}}" } else { format })?;
            let both = Json::Object(vec![("Client".into(), client), ("Server".into(), server)]);
            context.out.line(&format.render(Data::from_json(&both))?)?;
        }
    }
    failure.map_or(Ok(()), Err)
}

/// What the client says of itself.
pub(super) fn own(context: &Context<'_>) -> Result<Json> {
    let pinned = context.client()?.pinned_version().map(str::to_owned);
    let newest = api::version::MAX.to_string();
    Ok(client(pinned.as_deref().unwrap_or(&newest), &newest, context))
}

fn client(version: &str, newest: &str, context: &Context<'_>) -> Json {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let built = BUILT.and_then(|seconds| seconds.parse().ok()).map(time::ansi_c).unwrap_or_default();
    let text = |text: &str| Json::String(text.to_owned());
    let members = [
        ("Version", VERSION),
        ("ApiVersion", version),
        ("DefaultAPIVersion", newest),
        ("GitCommit", COMMIT.unwrap_or("unknown")),
        ("GoVersion", ""),
        ("Os", "linux"),
        ("Arch", architecture),
        ("BuildTime", &built),
        ("Context", &context.choice.context_name()),
    ];
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect())
}

fn field<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or("")
}

/// Lines of a block; those without a value are left out.
fn block(indent: &str, rows: &[(&str, String)]) -> String {
    let width = 21 - indent.len() - 1;
    rows.iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{indent}{:<width$}{value}\n", format!("{name}:")))
        .collect()
}

fn client_text(client: &Json) -> String {
    let api = match (field(client, "ApiVersion"), field(client, "DefaultAPIVersion")) {
        (version, newest) if version == newest => version.to_owned(),
        (version, newest) => format!("{version} (downgraded from {newest})"),
    };
    let rows = [
        ("Version", field(client, "Version").to_owned()),
        ("API version", api),
        ("Git commit", field(client, "GitCommit").to_owned()),
        ("Built", field(client, "BuildTime").to_owned()),
        ("OS/Arch", format!("{}/{}", field(client, "Os"), field(client, "Arch"))),
        ("Context", field(client, "Context").to_owned()),
    ];
    format!("Client:\n{}", block(" ", &rows))
}

fn server_text(server: &Json) -> String {
    let platform = server.at(&["Platform", "Name"]).and_then(Json::as_str).unwrap_or("");
    let mut text = format!("\nServer: {platform}").trim_end().to_owned() + "\n";
    let Some(Json::Array(components)) = server.get("Components") else {
        return text + " Engine:\n" + &block("  ", &engine(&|name| field(server, name).to_owned()));
    };
    for component in components {
        let detail =
            |name: &str| component.at(&["Details", name]).and_then(Json::as_str).unwrap_or("").to_owned();
        text.push_str(&format!(" {}:\n", field(component, "Name")));
        let version = ("Version", field(component, "Version").to_owned());
        if field(component, "Name") == "Engine" {
            let mut rows = engine(&detail);
            rows[0] = version;
            text.push_str(&block("  ", &rows));
        } else {
            text.push_str(&block("  ", &[version, ("GitCommit", detail("GitCommit"))]));
        }
    }
    text
}

fn engine(detail: &dyn Fn(&str) -> String) -> Vec<(&'static str, String)> {
    let api = match (detail("ApiVersion"), detail("MinAPIVersion")) {
        (version, least) if least.is_empty() => version,
        (version, least) => format!("{version} (minimum version {least})"),
    };
    let built = detail("BuildTime");
    vec![
        ("Version", detail("Version")),
        ("API version", api),
        ("Go version", detail("GoVersion")),
        ("Git commit", detail("GitCommit")),
        ("Built", time::parse(&built).map_or(built, time::ansi_c)),
        ("OS/Arch", format!("{}/{}", detail("Os"), detail("Arch"))),
        ("Experimental", detail("Experimental")),
    ]
}
