//! Filters over the history as BuildKit's clients write them: `status==error,duration>30s`; all parts of one must hold,
//! and one of several.

use buildkit::proto::control::BuildHistoryRecord;
use buildkit::{Code, Status};
use engine::filters::{Filters, duration};
use jiff::{SignedDuration, Timestamp};
use regex_lite::Regex;

/// Longest filter, in bytes; most filters of one request, and most parts of a filter.
const MAX_FILTER: usize = 4096;
const MAX_PARTS: usize = 64;
/// What is between a field and a value; longer ones first.
const OPERATORS: [&str; 7] = ["==", "!=", "~=", ">=", "<=", ">", "<"];

/// What builds must be like; without any filter every build is.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    any: Vec<Vec<Part>>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Text, Test),
    Moment(Moment, Order, Timestamp),
    Duration(Order, SignedDuration),
}

#[derive(Clone, Copy, Debug)]
enum Text {
    Ref,
    Status,
    Repository,
}

#[derive(Clone, Debug)]
enum Test {
    Present,
    Is(String),
    IsNot(String),
    Like(Regex),
}

#[derive(Clone, Copy, Debug)]
enum Moment {
    Started,
    Completed,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Less,
    AtMost,
    AtLeast,
    More,
}

impl Order {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">=" => Self::AtLeast,
            ">" => Self::More,
            _ => return None,
        })
    }

    fn holds<T: Ord>(self, have: &T, wanted: &T) -> bool {
        match self {
            Self::Less => have < wanted,
            Self::AtMost => have <= wanted,
            Self::AtLeast => have >= wanted,
            Self::More => have > wanted,
        }
    }
}

fn wrong(text: &str, why: &str) -> Status {
    Status::invalid_argument(format!("invalid filter {text:?} of the build history: {why}"))
}

impl Filter {
    /// Reads filters, of which one must hold.
    ///
    /// # Errors
    /// One of them is malformed, names an unknown field, or is too long.
    pub(super) fn parse(filters: &[String]) -> Result<Self, Status> {
        let mut any = Vec::new();
        for filter in filters.iter().filter(|filter| !filter.is_empty()) {
            if filter.len() > MAX_FILTER || any.len() == MAX_PARTS {
                return Err(Status::invalid_argument("the filters of the build history are too long"));
            }
            let parts = split(filter)?;
            if parts.len() > MAX_PARTS {
                return Err(wrong(filter, "it has too many parts"));
            }
            any.push(parts.iter().map(|part| parse(part)).collect::<Result<_, _>>()?);
        }
        Ok(Self { any })
    }

    /// Whether a build is meant.
    pub(super) fn matches(&self, record: &BuildHistoryRecord) -> bool {
        self.any.is_empty() || self.any.iter().any(|all| all.iter().all(|part| part.holds(record)))
    }
}

/// The parts between commas that are in no quotes.
fn split(filter: &str) -> Result<Vec<String>, Status> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for letter in filter.chars() {
        if letter == ',' && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= letter == '"' && !escaped;
        escaped = letter == '\\' && quoted && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    if quoted { Err(wrong(filter, "a quote is not closed")) } else { Ok(parts) }
}

fn parse(part: &str) -> Result<Part, Status> {
    let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
    let (field, rest) = part.split_at(end);
    let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
    let value = unquoted(&rest[operator.map_or(0, str::len)..]);
    if operator.is_none() && !rest.is_empty() {
        return Err(wrong(part, "an operator (==, !=, ~=, <, <=, >, >=) is missing"));
    }
    let operator = operator.unwrap_or_default();
    let order = || Order::of(operator).ok_or_else(|| wrong(part, "it is compared with <, <=, > and >= only"));
    let text = |field| {
        let test = match operator {
            "" => Test::Present,
            "==" => Test::Is(value.clone()),
            "!=" => Test::IsNot(value.clone()),
            "~=" => Test::Like(Regex::new(&value).map_err(|error| wrong(part, &error.to_string()))?),
            _ => return Err(wrong(part, "it is compared with ==, != and ~= only")),
        };
        Ok(Part::Text(field, test))
    };
    let moment = |field| Ok(Part::Moment(field, order()?, at(part, &value)?));
    match field {
        "ref" => text(Text::Ref),
        "status" => text(Text::Status),
        "repository" => text(Text::Repository),
        "startedAt" => moment(Moment::Started),
        "completedAt" => moment(Moment::Completed),
        "duration" => {
            let wanted = duration(&value).ok_or_else(|| wrong(part, "that is no duration"))?;
            Ok(Part::Duration(order()?, wanted))
        }
        _ => Err(wrong(
            part,
            "there is no such field: ref, status, repository, startedAt, completedAt, duration",
        )),
    }
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let (mut value, mut letters) = (String::new(), inner.chars());
    while let Some(letter) = letters.next() {
        value.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    value
}

/// A moment, or a duration before now.
fn at(part: &str, value: &str) -> Result<Timestamp, Status> {
    let mut one = Filters::default();
    one.add("at", value);
    let moment = one.moment("at").map_err(|error| wrong(part, &error.to_string()))?;
    moment.ok_or_else(|| wrong(part, "that is no moment"))
}

fn timestamp(at: Option<&buildkit::proto::Timestamp>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

/// A build's state in BuildKit's words.
fn status(record: &BuildHistoryRecord) -> &'static str {
    match (&record.completed_at, &record.error) {
        (None, _) => "running",
        (_, None) => "completed",
        (_, Some(error)) if error.code == i32::from(Code::Cancelled) => "canceled",
        _ => "error",
    }
}

/// Where a build's sources come from, if that is known.
fn repository(record: &BuildHistoryRecord) -> &str {
    let attr = |name: &str| record.frontend_attrs.get(name).map(String::as_str);
    let remote = |text: &&str| text.contains("://") || text.contains('@');
    attr("vcs:source")
        .or_else(|| attr("context").filter(remote))
        .map_or("", |text| text.split('#').next().unwrap_or_default())
}

impl Part {
    fn holds(&self, record: &BuildHistoryRecord) -> bool {
        let (started, completed) =
            (timestamp(record.created_at.as_ref()), timestamp(record.completed_at.as_ref()));
        match self {
            Self::Text(field, test) => {
                let have = match field {
                    Text::Ref => &record.r#ref,
                    Text::Status => status(record),
                    Text::Repository => repository(record),
                };
                match test {
                    Test::Present => !have.is_empty(),
                    Test::Is(wanted) => have == wanted,
                    Test::IsNot(wanted) => have != wanted,
                    Test::Like(wanted) => wanted.is_match(have),
                }
            }
            Self::Moment(field, order, wanted) => {
                let have = match field {
                    Moment::Started => started,
                    Moment::Completed => completed,
                };
                have.is_some_and(|have| order.holds(&have, wanted))
            }
            Self::Duration(order, wanted) => match (started, completed) {
                (Some(from), Some(to)) => order.holds(&to.duration_since(from), wanted),
                // one that runs has taken so long until now
                (Some(from), None) => order.holds(&Timestamp::now().duration_since(from), wanted),
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use buildkit::proto::rpc;

    use super::*;

    fn record(name: &str, took: i64, code: Option<Code>) -> BuildHistoryRecord {
        let at = |seconds| Some(buildkit::proto::Timestamp { seconds, nanos: 0 });
        BuildHistoryRecord {
            r#ref: name.into(),
            created_at: at(1_000_000),
            completed_at: at(1_000_000 + took),
            error: code.map(|code| rpc::Status { code: code.into(), ..Default::default() }),
            ..Default::default()
        }
    }

    fn matches(filters: &[&str], record: &BuildHistoryRecord) -> bool {
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Filter::parse(&filters).unwrap().matches(record)
    }

    #[test]
    fn all_parts_of_one_hold_and_one_of_several() {
        let bad = record("a,b", 40, Some(Code::Unknown));
        for holds in [
            &[][..],
            &["status==error"],
            &["status!=completed,duration>30s"],
            &["status==running", "duration>=40s,duration<=40s"],
            &[r#"ref=="a,b""#],
            &["ref~=^a"],
            &["startedAt<24h,completedAt>1970-01-02T00:00:00Z"],
            &["!repository".trim_start_matches('!'), "status==error"],
        ] {
            assert!(matches(holds, &bad), "{holds:?}");
        }
        for fails in [&["status==error,duration<30s"][..], &["repository"], &["ref==a"], &["startedAt>24h"]] {
            assert!(!matches(fails, &bad), "{fails:?}");
        }
        let running = BuildHistoryRecord { completed_at: None, ..record("r", 0, None) };
        assert!(matches(&["status==running"], &running) && !matches(&["completedAt<1h"], &running));
        assert!(matches(&["status==canceled"], &record("c", 1, Some(Code::Cancelled))));
        let mut far = record("f", 1, None);
        far.frontend_attrs.insert("context".into(), "https://h/x.git#main".into());
        assert!(matches(&["repository==https://h/x.git"], &far));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for wrong in [
            "state==error",
            "status",
            "status=error",
            "status>error",
            "duration==1s",
            "duration>long",
            "startedAt<yesterday",
            "ref==\"a",
            "ref~=(",
            "status==a,",
        ] {
            let parsed = Filter::parse(&[wrong.to_owned()]);
            // a name alone asks whether there is one
            assert!(parsed.is_err() != (wrong == "status"), "{wrong}: {parsed:?}");
        }
        assert!(Filter::parse(&["x".repeat(MAX_FILTER + 1)]).is_err());
        assert!(Filter::parse(&[["ref"; MAX_PARTS + 1].join(",")]).is_err());
    }
}
