//! The analysis as plain text, for pipes and files.

use explore::Image;

use crate::command::Context;
use crate::error::Result;
use crate::format::{table, units};

/// Wasted places that are listed.
const LISTED: usize = 20;

pub(super) fn print(context: &Context<'_>, image: &Image) -> Result<()> {
    context.out.text(&text(image))
}

pub(super) fn size(bytes: u64) -> String {
    units::short_size(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn text(image: &Image) -> String {
    let mut facts = String::new();
    if !image.names.is_empty() {
        facts.push_str(&format!("Image:\t{}\n", image.names.join(", ")));
    }
    facts.push_str(&format!("ID:\t{}\nPlatform:\t{}\n", image.id, image.platform));
    facts.push_str(&format!("Size:\t{}\n", size(image.size())));
    facts.push_str(&format!(
        "Wasted:\t{} ({:.2}% of the upper layers)\n",
        size(image.wasted_bytes()),
        100.0 * image.user_wasted()
    ));
    facts.push_str(&format!("Efficiency:\t{:.2}%\n", 100.0 * image.efficiency()));
    let mut layers = "LAYER\tDIGEST\tSIZE\tADDED\tMODIFIED\tREMOVED\tWASTED\tCOMMAND\n".to_owned();
    for (index, layer) in image.layers.iter().enumerate() {
        let digest = layer.digest.split_once(':').map_or(layer.digest.as_str(), |(_, hex)| hex);
        layers.push_str(&format!(
            "{index}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            digest.get(..12).unwrap_or(digest),
            size(layer.size),
            layer.added,
            layer.modified,
            layer.removed,
            size(layer.wasted),
            printable(&layer.command),
        ));
    }
    let mut text = table::align(&facts, table::LIST);
    text.push('\n');
    text.push_str(&table::align(&layers, table::LIST));
    if image.wasted.is_empty() {
        return text;
    }
    let mut wasted = "WASTED\tTIMES\tPATH\n".to_owned();
    for place in image.wasted.iter().take(LISTED) {
        let path = printable(&image.tree.path(place.id));
        wasted.push_str(&format!("{}\t{}\t{path}\n", size(place.bytes), place.count));
    }
    text.push('\n');
    text.push_str(&table::align(&wasted, table::LIST));
    if let more @ 1.. = image.wasted.len().saturating_sub(LISTED) {
        text.push_str(&format!("… and {more} more (--json lists them all)\n"));
    }
    text
}

/// What an image says must not move a terminal's cursor, nor add columns.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
