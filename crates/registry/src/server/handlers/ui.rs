//! `/ui/`: a page for people that lists repositories, and one for each with its tags, layers and sizes. It has no scripts,
//! changes nothing, and shows what the caller may pull.

use std::fmt::Write as _;

use hyper::StatusCode;
use hyper::header::{self, HeaderName};

use super::catalog;
use crate::server::error::{Code, Error, Result};
use crate::server::http::answer::{self, Answer};
use crate::server::http::call::Call;
use crate::server::name::{Name, Tag};
use crate::server::repository::Repository;
use crate::server::repository::document::Document;

/// Rows on a page.
const ROWS: usize = 50;

/// Parts of a manifest that are listed.
const PARTS: usize = 100;

/// What the page may do in a browser: look as it does, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
color-scheme:light dark}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .75rem;\
border-bottom:1px solid #8884;vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}\
code{font-size:.85em;overflow-wrap:anywhere}";

/// The page of a repository, or the list of them.
pub(crate) async fn page(call: &Call, name: Option<&Name>) -> Result<Answer> {
    if !call.registry.config.http.page {
        return Err(Error::new(Code::NotFound, "nothing of a registry is found at this path"));
    }
    let body = match name {
        None => repositories(call).await?,
        Some(name) => repository(call, name).await?,
    };
    let title = name.map_or("Repositories", Name::as_str);
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head>\
         <body><h1>{0}</h1>{body}</body></html>\n",
        escaped(title)
    );
    let builder = answer::status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(HeaderName::from_static("content-security-policy"), POLICY)
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::CACHE_CONTROL, "no-store");
    Ok(builder.bytes(text.into()))
}

async fn repositories(call: &Call) -> Result<String> {
    let last = call.query("last").and_then(|last| last.parse::<Name>().ok());
    let mut names = catalog::names(call, last.as_ref(), ROWS + 1).await?;
    let more = names.len() > ROWS;
    names.truncate(ROWS);
    let mut text = String::from("<ul>");
    for name in &names {
        push(&mut text, format_args!("<li><a href=\"/ui/{0}\">{0}</a></li>", escaped(name.as_str())));
    }
    text.push_str("</ul>");
    if names.is_empty() {
        text.push_str("<p>There are none that you may pull from.</p>");
    }
    if let Some(last) = names.last().filter(|_| more) {
        push(&mut text, format_args!("<p><a href=\"/ui/?last={}\">More</a></p>", escaped(last.as_str())));
    }
    Ok(text)
}

async fn repository(call: &Call, name: &Name) -> Result<String> {
    let repository = Repository::new(&call.registry, name);
    let mut tags = repository.tags(call.query("last").as_deref(), ROWS + 1).await?;
    if tags.is_empty() && !repository.is_known().await? {
        return Err(Error::new(Code::NameUnknown, "repository name not known to registry"));
    }
    let more = tags.len() > ROWS;
    tags.truncate(ROWS);
    let mut text = String::from(
        "<p><a href=\"/ui/\">All repositories</a></p><table><tr><th>Tag<th>Since<th>What<th class=\"n\">Size</tr>",
    );
    for tag in &tags {
        row(&repository, tag, &mut text).await?;
    }
    text.push_str("</table>");
    if let Some(last) = tags.last().filter(|_| more) {
        let (name, last) = (escaped(name.as_str()), escaped(last.as_str()));
        push(&mut text, format_args!("<p><a href=\"/ui/{name}?last={last}\">More</a></p>"));
    }
    Ok(text)
}

/// A tag, and what its manifest is made of. One that goes meanwhile has no row.
async fn row(repository: &Repository<'_>, tag: &Tag, text: &mut String) -> Result<()> {
    let Some(record) = repository.tag(tag).await? else { return Ok(()) };
    let Some(manifest) = repository.manifest(&record.digest).await? else { return Ok(()) };
    let bytes = repository.manifest_bytes(&record.digest).await?;
    let Ok(document) = Document::parse(Some(&manifest.media_type), &bytes) else { return Ok(()) };
    let parts = || document.blobs.iter().chain(&document.manifests);
    let size = document.blobs.iter().fold(manifest.size, |sum, part| sum.saturating_add(part.size));
    let since = record.at.strftime("%Y-%m-%d %H:%M UTC");
    push(
        text,
        format_args!(
            "<tr><td>{}<td>{since}<td><code>{}</code><br>{}<details><summary>{} parts</summary><table>",
            escaped(tag.as_str()),
            escaped(record.digest.as_str()),
            escaped(document.artifact_type.as_deref().unwrap_or(&document.media_type)),
            parts().count()
        ),
    );
    for part in parts().take(PARTS) {
        push(
            text,
            format_args!(
                "<tr><td><code>{}</code><br>{}<td class=\"n\">{}</tr>",
                escaped(part.digest.as_str()),
                escaped(&part.media_type),
                size_of(part.size)
            ),
        );
    }
    let rest = parts().count().saturating_sub(PARTS);
    if rest > 0 {
        push(text, format_args!("<tr><td>and {rest} more<td></tr>"));
    }
    push(text, format_args!("</table></details><td class=\"n\">{}</tr>", size_of(size)));
    Ok(())
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // writing to a string does not fail
    let _ = text.write_fmt(what);
}

/// A text as it may stand in HTML, also between quotation marks.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// `12.3 MiB`
fn size_of(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        if bytes >> shift > 0 {
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        assert_eq!(escaped("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size_of(0), "0 B");
        assert_eq!(size_of(1023), "1023 B");
        assert_eq!(size_of(1536), "1.5 KiB");
        assert_eq!(size_of(u64::MAX), "16777215.9 TiB");
    }
}
