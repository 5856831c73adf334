//! `inspect`: whole objects, as JSON or by template.

use super::json::Json;
use super::template::{Data, Format};
use crate::error::Result;
use crate::out::Out;

/// Prints the objects that were found.
pub(crate) fn print(out: &Out, format: &str, objects: &[Json]) -> Result<()> {
    match format {
        "" => out.line(&Json::Array(objects.to_vec()).pretty()),
        "json" => objects.iter().try_for_each(|object| out.line(&object.compact())),
        template => {
            let format = Format::parse(template)?;
            let mut text = String::new();
            let mut result = Ok(());
            for object in objects {
                match format.render(&Data::from_json(&with_optional(object))) {
                    Ok(rendered) => text = text + &rendered + "\n",
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
            }
            // Scripts that read one line a call get one, even when there is nothing to say.
            out.text(if text.is_empty() { "\n" } else { &text })?;
            result
        }
    }
}

/// Members that the daemon leaves out when they are unset, and templates ask for all the same.
const OPTIONAL: [(&[&str], &str, Json); 6] = [
    (&["State"], "Health", Json::Null),
    (&["Config"], "Healthcheck", Json::Null),
    (&["Config"], "StopSignal", Json::String(String::new())),
    (&["Config"], "StopTimeout", Json::Null),
    (&["HostConfig"], "Init", Json::Null),
    (&["HostConfig"], "Runtime", Json::String(String::new())),
];

fn with_optional(object: &Json) -> Json {
    let mut object = object.clone();
    for (path, name, value) in &OPTIONAL {
        if let Some(Json::Object(members)) = descend(&mut object, path)
            && !members.iter().any(|(known, _)| known == name)
        {
            members.push(((*name).to_owned(), value.clone()));
        }
    }
    object
}

fn descend<'a>(object: &'a mut Json, path: &[&str]) -> Option<&'a mut Json> {
    let mut at = object;
    for key in path {
        let Json::Object(members) = at else { return None };
        at = members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_members_can_be_asked_for() {
        let json: Json = serde_json::from_str(r#"{"State":{"Pid":1}}"#).unwrap();
        assert_eq!(with_optional(&json).at(&["State", "Health"]), Some(&Json::Null));
        assert_eq!(with_optional(&json).get("Config"), None);
    }
}
