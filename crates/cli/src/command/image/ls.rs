//! `berth images`

use api::Action;
use api::image::Summary;

use crate::client::config;
use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row, short_id};
use crate::format::{time, units};
use crate::opts::filter;

pub(crate) static COMMAND: Command =
    Command::new("ls", "[OPTIONS] [REPOSITORY[:TAG]]", "List images", Arity::AtMost(1), run)
        .aliases(&["list"])
        .paths(&["image ls", "image list", "images"])
        .flags(&[&[
            Flag::bool("all", "Show intermediate images too").short('a'),
            Flag::bool("digests", "Show digests"),
            Flag::filter().short('f'),
            Flag::format(),
            Flag::bool("no-trunc", "Don't shorten what is long"),
            Flag::bool("quiet", "Only IDs").short('q'),
            Flag::bool("tree", "Show the platforms of each image as a tree"),
        ]]);

pub(crate) const COLUMNS: Columns = Columns {
    headers: &[
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
        ("VirtualSize", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
    default: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    kind: "*formatter.imageContext",
};

const WITH_DIGEST: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

const NONE: &str = "<none>";

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let quiet = matches.bool("quiet");
    let mut format = matches.get("format").to_owned();
    if format.is_empty() && !quiet {
        format = config::text(&context.choice.config_dir, "imagesFormat").unwrap_or_default();
    }
    if quiet && (format.is_empty() || format == "table") {
        "{{.ID}}".clone_into(&mut format);
    }
    let mut filters = matches.all("filter");
    let reference = format!("reference={}", matches.arg(0));
    if !matches.args.is_empty() {
        filters.push(&reference);
    }
    if matches.bool("tree") {
        return super::tree::run(context, matches, &filter::encode(&filters));
    }
    let digests = matches.bool("digests");
    let images: Vec<Summary> = context
        .client()?
        .call(Action::ImageList, "")
        .switch("all", matches.bool("all"))
        .switch("digests", digests || format.contains(".Digest"))
        .given("filters", &filter::encode(&filters))
        .fetch()?;
    let whole = matches.bool("no-trunc");
    let wants_digest = digests || format.contains(".Digest");
    let rows: Vec<Row> = images.iter().flat_map(|image| rows(image, whole, wants_digest)).collect();
    let columns = Columns { default: if digests { WITH_DIGEST } else { COLUMNS.default }, ..COLUMNS };
    list::print(context.out, &format, &columns, &rows)
}

/// One row for each name of an image; with digests, for each digest of each name.
pub(crate) fn rows(image: &Summary, whole: bool, digests: bool) -> Vec<Row> {
    names(image, digests)
        .into_iter()
        .map(|(repository, tag, digest)| row(image, whole, repository, tag, digest))
        .collect()
}

type Name = (String, String, String);

fn names(image: &Summary, digests: bool) -> Vec<Name> {
    let tags: Vec<(&str, &str)> = image
        .repo_tags
        .iter()
        .filter(|name| *name != "<none>:<none>")
        .filter_map(|name| name.rsplit_once(':'))
        .collect();
    let known: Vec<(&str, &str)> = image
        .repo_digests
        .iter()
        .filter(|name| *name != "<none>@<none>")
        .filter_map(|name| name.split_once('@'))
        .collect();
    let mut names = Vec::new();
    for (repository, tag) in &tags {
        let own: Vec<&str> =
            known.iter().filter(|(name, _)| name == repository).map(|(_, digest)| *digest).collect();
        if digests && !own.is_empty() {
            names.extend(own.iter().map(|digest| name(repository, tag, digest)));
        } else {
            names.push(name(repository, tag, NONE));
        }
    }
    for (repository, digest) in &known {
        if !tags.iter().any(|(name, _)| name == repository) {
            names.push(name(repository, NONE, if digests { digest } else { "" }));
        }
    }
    if names.is_empty() {
        names.push(name(NONE, NONE, NONE));
    }
    names
}

fn name(repository: &str, tag: &str, digest: &str) -> Name {
    (repository.to_owned(), tag.to_owned(), digest.to_owned())
}

fn row(image: &Summary, whole: bool, repository: String, tag: String, digest: String) -> Row {
    let or_unknown = |value: i64, text: String| if value == -1 { "N/A".to_owned() } else { text };
    let unique = image.size - image.shared_size;
    let id = if whole { image.id.as_str() } else { short_id(&image.id) };
    let no_shared = image.shared_size == -1 || image.size == -1;
    Row {
        fields: vec![
            ("ID", id.to_owned()),
            ("Repository", repository),
            ("Tag", tag),
            ("Digest", digest),
            ("CreatedSince", time::since(image.created)),
            ("CreatedAt", time::go_local(image.created)),
            ("Size", units::short_size(image.size)),
            ("Containers", or_unknown(image.containers, image.containers.to_string())),
            ("VirtualSize", units::human_size(image.size)),
            ("SharedSize", or_unknown(image.shared_size, units::human_size(image.shared_size))),
            ("UniqueSize", if no_shared { "N/A".to_owned() } else { units::human_size(unique) }),
        ],
        ..Row::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_a_name() {
        let image = Summary {
            repo_tags: vec!["a:1".into(), "h:5000/b:2".into()],
            repo_digests: vec!["a@sha256:x".into(), "c@sha256:y".into()],
            ..Summary::default()
        };
        let shown: Vec<_> = names(&image, true);
        assert_eq!(
            shown,
            [name("a", "1", "sha256:x"), name("h:5000/b", "2", NONE), name("c", NONE, "sha256:y")]
        );
        assert_eq!(names(&Summary::default(), false), [name(NONE, NONE, NONE)]);
    }
}
