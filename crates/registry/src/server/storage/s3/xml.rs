//! Answers of object stores: small XML documents, read into a tree whatever their name spaces are called.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// How deep elements may lie.
const DEEPEST: usize = 16;

/// An element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Without the name space's prefix.
    pub(super) name: String,
    /// The text that stands directly in it.
    pub(super) text: String,
    children: Vec<Self>,
}

impl Element {
    /// Reads a whole document. None: it is broken, or not there to its end.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_str(std::str::from_utf8(bytes).ok()?);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let done = match reader.read_event().ok()? {
                Event::Start(start) => {
                    open.push(named(start.local_name().as_ref())?);
                    if open.len() > DEEPEST {
                        return None;
                    }
                    None
                }
                Event::Empty(start) => Some(named(start.local_name().as_ref())?),
                Event::End(_) => Some(open.pop()?),
                Event::Text(text) => {
                    if let Some(last) = open.last_mut() {
                        last.text.push_str(&text.decode().ok()?);
                    }
                    None
                }
                Event::CData(text) => {
                    open.last_mut()?.text.push_str(&text.decode().ok()?);
                    None
                }
                Event::GeneralRef(reference) => {
                    let text = &mut open.last_mut()?.text;
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => text.push_str(resolve_predefined_entity(&reference.decode().ok()?)?),
                    }
                    None
                }
                Event::Eof => return None,
                _ => None,
            };
            let Some(done) = done else { continue };
            match open.last_mut() {
                Some(parent) => parent.children.push(done),
                None => return Some(done),
            }
        }
    }

    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

fn named(name: &[u8]) -> Option<Element> {
    Some(Element { name: std::str::from_utf8(name).ok()?.to_owned(), ..Element::default() })
}

/// A text as it stands in a document.
pub(super) fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let text = "<?xml version=\"1.0\"?>\n<s:List xmlns:s=\"x\"><Key>a&amp;b&#33;</Key><Key/>\
                    <Deep><ETag>&quot;1&quot;</ETag></Deep></s:List>";
        let list = Element::parse(text.as_bytes()).unwrap();
        assert_eq!(list.name, "List");
        assert_eq!(list.children("Key").map(|key| key.text.as_str()).collect::<Vec<_>>(), ["a&b!", ""]);
        assert_eq!(list.child("Deep").unwrap().value("ETag"), Some("\"1\""));
    }

    #[test]
    fn half_a_document_is_none() {
        let text = "<List><Key>a</Key><Key>b</Key></List>";
        for cut in 0..text.len() {
            assert_eq!(Element::parse(&text.as_bytes()[..cut]), None, "{cut}");
        }
        assert_eq!(Element::parse("<a>".repeat(20).as_bytes()), None);
        assert_eq!(Element::parse(b"<a>&unknown;</a>"), None);
        assert_eq!(Element::parse(b"<a></b>"), None);
    }
}
