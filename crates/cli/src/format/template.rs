//! Go templates with the functions that Docker adds, over what the daemon answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gotmpl::{MissingKey, Template, TemplateError, Value};

use super::json::Json;
use super::list::Row;
use crate::error::{Error, Result};

/// Docker's name of what `ps` lists: it alone looks at its template before it asks for anything, and has other words
/// for what is wrong with it.
pub(crate) const PS: &str = "*formatter.ContainerContext";

/// JSON texts by the address of the template value made from them: the template engine sorts the
/// members of an object, and `{{json .State}}` must not.
type Texts = HashMap<usize, String>;

/// A parsed template.
pub(crate) struct Format {
    template: Template,
    source: String,
    kind: &'static str,
}

/// Data for a template.
pub(crate) struct Data {
    value: Value,
    texts: Texts,
    labels: Option<Labels>,
}

type Labels = Arc<BTreeMap<String, String>>;

impl Data {
    /// From JSON whose order counts.
    /// Names that Go's templates know and the JSON spells otherwise may be asked for, too.
    pub(crate) fn from_json(json: &Json) -> Self {
        let mut texts = Texts::new();
        let value = to_value(json, &mut texts);
        Self { value, texts, labels: None }
    }

    /// Members that may be absent: the path of the object, the name, and what is found there then. `{{json …}}`
    /// stays what the daemon said.
    pub(crate) fn with(mut self, optional: &[(&[&str], &str, Json)]) -> Self {
        for (path, name, absent) in optional {
            let absent = to_value(absent, &mut self.texts);
            self.value = completed(&self.value, path, name, absent, &mut self.texts);
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
        let text = self.texts.remove(&Arc::as_ptr(members).addr());
        let all = Arc::new(all);
        self.texts.extend(text.map(|text| (Arc::as_ptr(&all).addr(), text)));
        self.value = Value::Map(all);
        self
    }

    /// From the fields of one row of a list, and its labels. `{{json .}}` of a row is written as Go
    /// writes it there: with `<`, `>` and `&` escaped.
    pub(crate) fn from_row(row: &Row) -> Self {
        let labels = (!row.labels.is_empty()).then(|| Arc::new(row.labels.clone()));
        let mut fields: BTreeMap<Arc<str>, Value> = row
            .fields
            .iter()
            .map(|(name, text)| (Arc::from(*name), Value::String(text.as_str().into())))
            .collect();
        let mut json = BTreeMap::new();
        for (name, text) in &row.fields {
            let mut quoted = String::new();
            super::json::quote(&mut quoted, text);
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
        Self { value: Value::Map(fields), texts, labels }
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
    if let Some(text) = texts.get(&Arc::as_ptr(members).addr()).cloned() {
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
        let template = build(&source, &Data { value: Value::Nil, texts: Texts::new(), labels: None })?;
        if let Some(reason) = super::blocks::wrong(&source) {
            return Err(unparsed(&format!("{}: {reason}", source.matches('\n').count() + 1)));
        }
        Ok(Self { template, source, kind: "" })
    }

    /// The same, speaking of fields of that Docker type in errors.
    pub(crate) fn of_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Fills the template in.
    pub(crate) fn render(&self, data: &Data) -> Result<String> {
        let needs_texts = !data.texts.is_empty() && self.source.contains("json");
        let needs_labels = data.labels.is_some() && self.source.contains("__label ");
        if needs_texts || needs_labels {
            // Functions are bound when a template is parsed, and these two depend on the data.
            return self.finish(filled(&build(&self.source, data)?, &data.value));
        }
        self.finish(filled(&self.template, &data.value))
    }

    /// Fills the template in with column headers: fields are their headers, functions pass on.
    pub(crate) fn render_headers(&self, headers: &[(&'static str, &'static str)]) -> Result<String> {
        let mut template = Template::new("").missing_key(MissingKey::ZeroValue);
        for name in ["json", "split", "join", "title", "lower", "upper", "pad", "truncate"] {
            template = template.func(name, |args: &[Value]| Ok(args.first().cloned().unwrap_or(Value::Nil)));
        }
        template = template.func("__label", |args| {
            let key = text(args, 0);
            let last = key.rsplit('.').next().unwrap_or("").replace(['-', '_'], " ");
            Ok(Value::String(last.into()))
        });
        let template = template.parse(&self.source).map_err(|error| Error::said(error.to_string()))?;
        self.finish(filled(&template, &row_value(headers.iter().copied())))
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

/// What a template makes, which is not without end.
fn filled(template: &Template, data: &Value) -> std::result::Result<String, TemplateError> {
    let mut out = Bounded(String::new());
    template.execute_fmt(&mut out, data).map_err(|error| match error {
        TemplateError::Write => TemplateError::Exec(format!("the output is longer than {MOST} bytes")),
        other => other,
    })?;
    Ok(out.0)
}

/// The most bytes that one template makes of one object.
const MOST: usize = 64 << 20;
/// Turns of all of its `range`s.
const MOST_TURNS: u64 = 1_000_000;

/// Takes [`MOST`] bytes.
struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > MOST {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
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

fn build(source: &str, data: &Data) -> Result<Template> {
    functions(Template::new("").missing_key(MissingKey::Error).max_range_iters(MOST_TURNS), data)
        .parse(source)
        .map_err(|error| unparsed(&place(&error)))
}

/// A template that can't be parsed; `reason` begins with the line.
fn unparsed(reason: &str) -> Error {
    Error::said(format!("template parsing error: template: :{reason}"))
}

fn functions(template: Template, data: &Data) -> Template {
    let texts = Arc::new(data.texts.clone());
    let labels = data.labels.clone().unwrap_or_default();
    template
        .func("__label", move |args| {
            Ok(Value::String(labels.get(&text(args, 0)).map_or("", String::as_str).into()))
        })
        .func("json", move |args| {
            let mut out = String::new();
            if let Some(value) = args.first() {
                write_json(&mut out, value, &texts);
            }
            Ok(Value::String(out.into()))
        })
        .func("split", |args| {
            let (text, by) = (text(args, 0), text(args, 1));
            let parts: Vec<Value> = if by.is_empty() {
                text.chars().map(|c| Value::String(c.to_string().into())).collect()
            } else {
                text.split(by.as_str()).map(|part| Value::String(part.into())).collect()
            };
            Ok(Value::List(parts.into()))
        })
        .func("join", |args| {
            let by = text(args, 1);
            let parts: Vec<String> = match args.first() {
                Some(Value::List(items)) => items.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            };
            Ok(Value::String(parts.join(&by).into()))
        })
        .func("title", |args| Ok(Value::String(title(&text(args, 0)).into())))
        .func("lower", |args| Ok(Value::String(text(args, 0).to_lowercase().into())))
        .func("upper", |args| Ok(Value::String(text(args, 0).to_uppercase().into())))
        .func("pad", |args| {
            let source = text(args, 0);
            if source.is_empty() {
                return Ok(Value::String(source.into()));
            }
            let (before, after) = (" ".repeat(count(args, 1)), " ".repeat(count(args, 2)));
            Ok(Value::String(format!("{before}{source}{after}").into()))
        })
        .func("truncate", |args| {
            let source = text(args, 0);
            Ok(Value::String(source.chars().take(count(args, 1)).collect::<String>().into()))
        })
}

/// The most spaces that `pad` adds on one side.
const PAD_LIMIT: usize = 1 << 16;

fn count(args: &[Value], index: usize) -> usize {
    let number = args.get(index).and_then(Value::as_int).unwrap_or(0);
    usize::try_from(number).unwrap_or(0).min(PAD_LIMIT)
}

fn text(args: &[Value], index: usize) -> String {
    args.get(index).map(ToString::to_string).unwrap_or_default()
}

/// The first letter of every word in upper case.
fn title(text: &str) -> String {
    let mut after_letter = false;
    text.chars()
        .map(|c| {
            let changed = if after_letter { c } else { c.to_uppercase().next().unwrap_or(c) };
            after_letter = c.is_alphanumeric() || c == '_' || c == '\'';
            changed
        })
        .collect()
}

fn write_json(out: &mut String, value: &Value, texts: &Texts) {
    match value {
        Value::Nil | Value::Function(_) => out.push_str("null"),
        Value::String(text) => super::json::quote(out, text),
        Value::List(items) => {
            if let Some(known) = texts.get(&items.as_ptr().addr()).filter(|_| !items.is_empty()) {
                return out.push_str(known);
            }
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, item, texts);
            }
            out.push(']');
        }
        Value::Map(members) => {
            if let Some(known) = texts.get(&Arc::as_ptr(members).addr()) {
                return out.push_str(known);
            }
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                super::json::quote(out, name);
                out.push(':');
                write_json(out, member, texts);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, json: &str) -> String {
        let json: Json = serde_json::from_str(json).unwrap();
        match Format::parse(template).and_then(|format| format.render(&Data::from_json(&json))) {
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
