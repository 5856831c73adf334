//! Go templates with the functions that Docker adds, over what the daemon answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ::template::{Bounds, Template, TemplateError, Unparsed, Value, json};

use super::json::Json;
use super::list::Row;
use crate::error::{Error, Result};

/// Docker's name of what `ps` lists: it alone looks at its template before it asks for anything, and has other words
/// for what is wrong with it.
pub(crate) const PS: &str = "*formatter.ContainerContext";

/// JSON texts by the address of the template value made from them: the template engine sorts the
/// members of an object, and `{{json .State}}` must not.
type Texts = HashMap<usize, String>;

/// What one template may take for one object.
const BOUNDS: Bounds = Bounds { output: 64 << 20, given: 64 << 20, turns: 1_000_000, spaces: 1 << 16 };

/// A parsed template.
pub(crate) struct Format {
    template: Template,
    source: String,
    kind: &'static str,
    /// Functions are bound when a template is parsed, and two of them depend on what it is filled in with.
    beside: Arc<Mutex<Beside>>,
}

/// Data for a template.
pub(crate) struct Data {
    value: Value,
    beside: Beside,
}

/// What functions look at.
#[derive(Default)]
struct Beside {
    texts: Texts,
    labels: BTreeMap<String, String>,
}

impl Beside {
    /// What the daemon said, of a value made from it. Empty lists share an address.
    fn text(&self, value: &Value) -> Option<&str> {
        let address = match value {
            Value::List(items) if !items.is_empty() => items.as_ptr().addr(),
            Value::Map(members) => Arc::as_ptr(members).addr(),
            _ => return None,
        };
        self.texts.get(&address).map(String::as_str)
    }
}

impl Data {
    /// From JSON whose order counts.
    /// Names that Go's templates know and the JSON spells otherwise may be asked for, too.
    pub(crate) fn from_json(json: &Json) -> Self {
        let mut texts = Texts::new();
        let value = to_value(json, &mut texts);
        Self { value, beside: Beside { texts, ..Beside::default() } }
    }

    /// Members that may be absent: the path of the object, the name, and what is found there then. `{{json …}}`
    /// stays what the daemon said.
    pub(crate) fn with(mut self, optional: &[(&[&str], &str, Json)]) -> Self {
        let texts = &mut self.beside.texts;
        for (path, name, absent) in optional {
            let absent = to_value(absent, texts);
            self.value = completed(&self.value, path, name, absent, texts);
        }
        self
    }

    /// Members of the JSON under further names; those that are absent are empty there.
    pub(crate) fn named(mut self, names: &[(&str, &str)]) -> Self {
        let Value::Map(members) = &self.value else { return self };
        let mut all = BTreeMap::clone(members);
        for (json, go) in names {
            let value = members.get(*json).cloned().unwrap_or_else(|| Value::String("".into()));
            all.insert(Arc::from(*go), value);
        }
        // `{{json .}}` stays what the daemon said.
        let text = self.beside.texts.remove(&Arc::as_ptr(members).addr());
        let all = Arc::new(all);
        self.beside.texts.extend(text.map(|text| (Arc::as_ptr(&all).addr(), text)));
        self.value = Value::Map(all);
        self
    }

    /// From the fields of one row of a list, and its labels. `{{json .}}` of a row is written as Go
    /// writes it there: with `<`, `>` and `&` escaped.
    pub(crate) fn from_row(row: &Row) -> Self {
        let mut fields: BTreeMap<Arc<str>, Value> = row
            .fields
            .iter()
            .map(|(name, text)| (Arc::from(*name), Value::String(text.as_str().into())))
            .collect();
        let mut json = BTreeMap::new();
        for (name, text) in &row.fields {
            let mut quoted = String::new();
            json::quote(&mut quoted, text);
            json.insert(*name, quoted);
        }
        for (name, on) in &row.switches {
            fields.insert(Arc::from(*name), Value::Bool(*on));
            json.insert(*name, on.to_string());
        }
        if let Some((name, known)) = &row.object {
            let (value, text) = match known {
                Some((text, json)) => (Value::String(text.as_str().into()), json.as_str()),
                None => (Value::Nil, "null"),
            };
            fields.insert(Arc::from(*name), value);
            json.insert(name, text.to_owned());
        }
        let members: Vec<String> = json.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
        let text = format!("{{{}}}", members.join(","));
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        let fields = Arc::new(fields);
        let texts = Texts::from([(Arc::as_ptr(&fields).addr(), text)]);
        Self { value: Value::Map(fields), beside: Beside { texts, labels: row.labels.clone() } }
    }
}

/// `value` with a member more in the object at `path`, if there is one that lacks it.
fn completed(value: &Value, path: &[&str], name: &str, absent: Value, texts: &mut Texts) -> Value {
    let Value::Map(members) = value else { return value.clone() };
    let mut all = BTreeMap::clone(members);
    match path.split_first() {
        Some((key, rest)) => {
            let Some(inner) = members.get(*key) else { return value.clone() };
            all.insert(Arc::from(*key), completed(inner, rest, name, absent, texts));
        }
        None if members.contains_key(name) => return value.clone(),
        None => drop(all.insert(Arc::from(name), absent)),
    }
    let all = Arc::new(all);
    // the address may soon be another value's
    if let Some(text) = texts.remove(&Arc::as_ptr(members).addr()) {
        texts.insert(Arc::as_ptr(&all).addr(), text);
    }
    Value::Map(all)
}

fn row_value<'a>(fields: impl Iterator<Item = (&'static str, &'a str)>) -> Value {
    let map: BTreeMap<Arc<str>, Value> =
        fields.map(|(name, text)| (Arc::from(name), Value::String(text.into()))).collect();
    Value::Map(Arc::new(map))
}

/// Members whose Go field is spelled otherwise.
const GO_NAMES: [(&str, &str); 12] = [
    ("Id", "ID"),
    ("ApiVersion", "APIVersion"),
    ("NanoCpus", "NanoCPUs"),
    ("CpuShares", "CPUShares"),
    ("CpuPeriod", "CPUPeriod"),
    ("CpuQuota", "CPUQuota"),
    ("CpuRealtimePeriod", "CPURealtimePeriod"),
    ("CpuRealtimeRuntime", "CPURealtimeRuntime"),
    ("Dns", "DNS"),
    ("DnsOptions", "DNSOptions"),
    ("DnsSearch", "DNSSearch"),
    ("HostIp", "HostIP"),
];

fn to_value(json: &Json, texts: &mut Texts) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or_else(
            || number.as_u64().map_or(Value::Float(number.as_f64().unwrap_or(0.0)), Value::Uint),
            Value::Int,
        ),
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => {
            let list: Arc<[Value]> = items.iter().map(|item| to_value(item, texts)).collect();
            if !list.is_empty() {
                texts.insert(list.as_ptr().addr(), json.compact());
            }
            Value::List(list)
        }
        Json::Object(members) => {
            let mut map: BTreeMap<Arc<str>, Value> = members
                .iter()
                .map(|(name, value)| (Arc::from(name.as_str()), to_value(value, texts)))
                .collect();
            // A struct of Docker's, not a map of the user's: its names begin with capitals.
            if members.len() > 1
                && members.iter().all(|(name, _)| name.starts_with(|c: char| c.is_uppercase()))
            {
                for (json, go) in GO_NAMES {
                    if let Some(value) = map.get(json).cloned() {
                        map.entry(Arc::from(go)).or_insert(value);
                    }
                }
            }
            let map = Arc::new(map);
            texts.insert(Arc::as_ptr(&map).addr(), json.compact());
            Value::Map(map)
        }
    }
}

impl Format {
    /// Parses a template; `\t` and `\n` stand for what they mean. `{{.Label "key"}}`, a method in
    /// Docker, becomes the function that it is here.
    pub(crate) fn parse(source: &str) -> Result<Self> {
        let source = labels(&source.replace("\\t", "\t").replace("\\n", "\n"));
        let beside = Arc::new(Mutex::new(Beside::default()));
        let template = with_functions(&beside).parse(&source).map_err(|error| unparsed(&place(&error)))?;
        Ok(Self { template, source, kind: "", beside })
    }

    /// The same, speaking of fields of that Docker type in errors.
    pub(crate) fn of_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Fills the template in.
    pub(crate) fn render(&self, data: Data) -> Result<String> {
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = data.beside;
        self.finish(self.template.fill(&data.value))
    }

    /// Fills the template in with column headers: fields are their headers, functions pass on.
    pub(crate) fn render_headers(&self, headers: &[(&'static str, &'static str)]) -> Result<String> {
        let mut template = Unparsed::new("", BOUNDS).missing_is_nothing();
        for name in ["json", "split", "join", "title", "lower", "upper", "pad", "truncate"] {
            template = template.with(name, |args| Ok(args.first().cloned().unwrap_or(Value::Nil)));
        }
        template = template.with("__label", |args| {
            let key = text(args);
            let last = key.rsplit('.').next().unwrap_or("").replace(['-', '_'], " ");
            Ok(Value::String(last.into()))
        });
        let template = template.parse(&self.source).map_err(|error| Error::said(error.to_string()))?;
        self.finish(template.fill(&row_value(headers.iter().copied())))
    }

    fn finish(&self, result: std::result::Result<String, TemplateError>) -> Result<String> {
        let prefix = match self.kind {
            PS => "failed to execute template: ",
            _ => "template parsing error: ",
        };
        result.map_err(|error| {
            Error::said(match &error {
                TemplateError::MissingKey { key } => format!("{prefix}{}", self.missing(key)),
                other => format!("{prefix}template: :{}", place(other)),
            })
        })
    }

    /// Go's sentence for a field that isn't there.
    fn missing(&self, key: &str) -> String {
        let (line, column, chain) = locate(&self.source, key);
        if !self.kind.is_empty() {
            return format!(
                "template: :{line}:{column}: executing \"\" at <{chain}>: can't evaluate field {key} in type {}",
                self.kind
            );
        }
        format!("template: :{line}:{column}: executing \"\" at <{chain}>: map has no entry for key \"{key}\"")
    }
}

/// `.Label ` as the function that it is here, in actions; text around them stays.
fn labels(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for (index, piece) in source.split("{{").enumerate() {
        if index == 0 {
            out.push_str(piece);
            continue;
        }
        let (action, text) = piece.split_at(piece.find("}}").unwrap_or(piece.len()));
        out.push_str("{{");
        out.push_str(&action.replace(".Label ", "__label "));
        out.push_str(text);
    }
    out
}

/// Line, column and whole chain of the first use of field `key`, as Go counts them: the column of
/// a chain is that of its second field.
fn locate(source: &str, key: &str) -> (usize, usize, String) {
    let is_chain = |c: char| c.is_alphanumeric() || "._$".contains(c);
    let needle = format!(".{key}");
    for (at, _) in source.match_indices(&needle) {
        let end = at + needle.len();
        if source[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let start = source[..at].rfind(|c| !is_chain(c)).map_or(0, |before| before + 1);
        let stop = source[end..].find(|c| !is_chain(c)).map_or(source.len(), |after| end + after);
        let chain = &source[start..stop];
        let second = chain.get(1..).and_then(|rest| rest.find('.')).map_or(0, |dot| dot + 1);
        let before = &source[..start + second];
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        return (line, column, chain.to_owned());
    }
    (1, 0, format!(".{key}"))
}

/// `LINE: reason`, as Go tells of a template that can't be parsed.
fn place(error: &TemplateError) -> String {
    match error {
        TemplateError::Parse { line, message, .. } | TemplateError::Lex { line, message, .. } => {
            format!("{line}: {message}")
        }
        other => format!("1: {other}"),
    }
}

/// A template that can't be parsed; `reason` begins with the line.
fn unparsed(reason: &str) -> Error {
    Error::said(format!("template parsing error: template: :{reason}"))
}

/// A template whose functions look at what there is beside.
fn with_functions(beside: &Arc<Mutex<Beside>>) -> Unparsed {
    let (labels, texts) = (Arc::clone(beside), Arc::clone(beside));
    Unparsed::new("", BOUNDS)
        .with("__label", move |args| {
            let beside = labels.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Value::String(beside.labels.get(&text(args)).map_or("", String::as_str).into()))
        })
        .with("json", move |args| {
            let beside = texts.lock().unwrap_or_else(PoisonError::into_inner);
            let mut out = String::new();
            json::write(&mut out, args.first().unwrap_or(&Value::Nil), &|value| beside.text(value));
            Ok(Value::String(out.into()))
        })
}

/// What a function is given first, as text.
fn text(args: &[Value]) -> String {
    args.first().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, json: &str) -> String {
        let json: Json = serde_json::from_str(json).unwrap();
        match Format::parse(template).and_then(|format| format.render(Data::from_json(&json))) {
            Ok(text) => text,
            Err(error) => format!("! {error}"),
        }
    }

    const DATA: &str = r#"{"Name":"/x y","State":{"Pid":7,"Err":""},"L":["b","a"],"N":null}"#;

    #[test]
    fn json_keeps_the_daemons_order() {
        assert_eq!(
            render("{{json .State}} {{json .L}} {{json .N}}", DATA),
            r#"{"Pid":7,"Err":""} ["b","a"] null"#
        );
    }

    #[test]
    fn text_is_no_label() {
        assert_eq!(render("a.Label b {{.A}} c.Label d", r#"{"A":1}"#), "a.Label b 1 c.Label d");
    }

    #[test]
    fn dockers_functions() {
        assert_eq!(render("{{join .L \", \"}}|{{upper .Name}}|{{title .Name}}", DATA), "b, a|/X Y|/X Y");
        assert_eq!(
            render("{{index (split .Name \" \") 1}}{{pad .Name 1 2}}{{truncate .Name 2}}", DATA),
            "y /x y  /x"
        );
        assert_eq!(render("{{.State.Pid}}\\t{{println .Name}}", DATA), "7\t/x y\n");
    }

    #[test]
    fn a_missing_field_is_named_with_its_place() {
        assert_eq!(
            render("{{.State.Foo}}", DATA),
            "! template parsing error: template: :1:8: executing \"\" at <.State.Foo>: map has no entry for key \"Foo\""
        );
        assert!(render("{{.Foo}}", DATA).contains(":1:2: executing \"\" at <.Foo>"));
    }
}
