//! `berth images --tree`: each image with the platforms of its index, drawn as Docker's client draws it.

use api::Action;
use api::image::{ManifestSummary, Summary};

use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;
use crate::format::list::{ellipsis, short_id};
use crate::format::units::short_size;

/// Columns between two columns of the table.
const SPACING: usize = 3;
/// The narrowest first column; what does not fit beside it is left out.
const NARROWEST: usize = 12;
/// Screen widths: of what is no screen, and the narrowest.
const WIDTHS: (usize, usize) = (80, 20);
/// Titles and widths of what stands beside the names.
const DETAILS: [(&str, usize); 4] = [("ID", 12), ("DISK USAGE", 10), ("CONTENT SIZE", 12), ("EXTRA", 5)];

const NAME: &str = "\x1b[34m\x1b[1m";
const NORMAL: &str = "\x1b[39m";
const ABSENT: &str = "\x1b[39m\x1b[2m";
const CHIP: &str = "\x1b[38;5;0m\x1b[48;5;14m";
const END: &str = "\x1b[0m";

const WARNING: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";

/// Lists images as trees.
pub(super) fn run(context: &Context<'_>, matches: &Matches, filters: &str) -> Result<()> {
    let unfit = [("no-trunc", "--no-trunc"), ("quiet", "--quiet"), ("digests", "--show-digest")];
    if let Some((_, name)) = unfit.into_iter().find(|(flag, _)| matches.bool(flag)) {
        return Err(Error::said(format!("{name} is not yet supported with --tree")));
    }
    if !matches.get("format").is_empty() {
        return Err(Error::said("--format is not yet supported with --tree"));
    }
    let all = matches.bool("all");
    let mut images: Vec<Summary> = context
        .client()?
        .call(Action::ImageList, "")
        .switch("all", all)
        .switch("manifests", true)
        .given("filters", filters)
        .fetch()?;
    images.retain(|image| all || names(image).next().is_some());
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    let terminal = context.out.is_terminal();
    let width = crate::out::columns().filter(|_| terminal).unwrap_or(WIDTHS.0);
    context.out.text(&Tree::new(&images, width.max(WIDTHS.1), terminal).draw(&images))
}

fn names(image: &Summary) -> impl Iterator<Item = &str> {
    image.repo_tags.iter().map(String::as_str).filter(|name| *name != "<none>:<none>")
}

/// The platforms of an image.
fn platforms(image: &Summary) -> impl Iterator<Item = (String, &ManifestSummary)> {
    image.manifests.iter().filter_map(|one| {
        let platform = &one.image_data.as_ref()?.platform;
        let variant = if platform.variant.is_empty() { "" } else { "/" };
        Some((format!("{}/{}{variant}{}", platform.os, platform.architecture, platform.variant), one))
    })
}

/// How wide everything is, and whether it has colours.
struct Tree {
    screen: usize,
    first: usize,
    /// Columns beside the names that fit.
    details: usize,
    terminal: bool,
}

impl Tree {
    fn new(images: &[Summary], screen: usize, terminal: bool) -> Self {
        let (mut first, mut details) = (screen, 0);
        for (_, width) in DETAILS {
            if first < width + SPACING + NARROWEST {
                break;
            }
            first -= width + SPACING;
            details += 1;
        }
        let widest = images.iter().flat_map(|image| {
            let below = platforms(image).map(|(platform, _)| platform.chars().count() + 3);
            names(image).map(|name| name.chars().count()).chain(below).chain(["<untagged>".len()])
        });
        let first = first.min(widest.max().unwrap_or("IMAGE".len()));
        Self { screen, first, details, terminal }
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.terminal { format!("{color}{text}{END}") } else { text.to_owned() }
    }

    /// A cell of so many columns, its text on the left or on the right.
    fn cell(text: &str, width: usize, right: bool, paint: impl Fn(&str) -> String) -> String {
        let text = ellipsis(text, width);
        let fill = " ".repeat(width.saturating_sub(text.chars().count()));
        if right { fill + &paint(&text) } else { paint(&text) + &fill }
    }

    fn draw(&self, images: &[Summary]) -> String {
        let title = |text: &str| format!("{NORMAL}\x1b[1m{text}{END}");
        let mut text = format!("{}\n{}\n\n", self.paint("\x1b[93m", WARNING), self.legend());
        text += &Self::cell("IMAGE", self.first, false, title);
        for (name, width) in DETAILS.into_iter().take(self.details) {
            text += &" ".repeat(SPACING);
            text += &Self::cell(name, width, false, title);
        }
        // "EXTRA" is as wide as its column
        text.push('\n');
        let spaced = images.iter().any(|image| platforms(image).next().is_some());
        for image in images {
            text += &self.image(image);
            if spaced {
                text.push('\n');
            }
        }
        text
    }

    fn legend(&self) -> String {
        let (plain, drawn) = if self.terminal {
            let info = format!("\x1b[1m\x1b[106m\x1b[30mi{END}{END} \x1b[96mInfo → {END}{END}");
            ("i Info →   U  In Use ", format!("{info} {CHIP} U {END} In Use "))
        } else {
            ("Info ->  U In Use ", "Info ->  U In Use ".to_owned())
        };
        " ".repeat(self.screen.saturating_sub(plain.chars().count())) + &drawn
    }

    fn image(&self, image: &Summary) -> String {
        let below: Vec<_> = platforms(image).collect();
        let used =
            |one: &ManifestSummary| one.image_data.as_ref().is_some_and(|data| !data.containers.is_empty());
        let content: i64 = below.iter().map(|(_, one)| one.size.content).sum();
        let mut text = String::new();
        let mut all: Vec<&str> = names(image).collect();
        let color = if all.is_empty() { ABSENT } else { NAME };
        if all.is_empty() {
            all.push("<untagged>");
        }
        // The longest stand by themselves; the shortest shares its line.
        all.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let last = all.pop().unwrap_or_default();
        for name in all {
            text += &(self.paint(color, name) + "\n");
        }
        text += &Self::cell(last, self.first, false, |text| self.paint(color, text));
        let in_use = image.containers > 0 || below.iter().any(|(_, one)| used(one));
        text += &self.row(&image.id, image.size, content, in_use, NORMAL);
        for (at, (platform, one)) in below.iter().enumerate() {
            let branch = if at + 1 == below.len() { "└─" } else { "├─" };
            let color = if one.available { NORMAL } else { ABSENT };
            let name = format!("{branch} {platform}");
            text += &Self::cell(&name, self.first, false, |text| self.paint(color, text));
            text += &self.row(&one.id, one.size.total, one.size.content, used(one), color);
        }
        text
    }

    /// What stands beside a name, to the end of the line.
    fn row(&self, id: &str, disk: i64, content: i64, used: bool, color: &str) -> String {
        let cells = [short_id(id).to_owned(), short_size(disk), short_size(content)];
        let mut text = String::new();
        for (at, (cell, (_, width))) in cells.iter().zip(DETAILS).take(self.details).enumerate() {
            text += &" ".repeat(SPACING);
            text += &Self::cell(cell, width, at > 0, |text| self.paint(color, text));
        }
        if self.details == DETAILS.len() {
            let chip = match (used, self.terminal) {
                (true, true) => self.paint(CHIP, " U ") + "  ",
                (true, false) => "U    ".to_owned(),
                (false, _) => " ".repeat(5),
            };
            text += &(" ".repeat(SPACING) + &chip);
        }
        text + "\n"
    }
}
