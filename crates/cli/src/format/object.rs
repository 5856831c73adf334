//! `inspect`: whole objects, as JSON or by template.

use super::json::Json;
use super::template::{Data, Format};
use crate::error::{Error, Result, TEMPLATE_FAULT};
use crate::out::Out;

/// Prints the objects that were found.
pub(crate) fn print(out: &Out, format: &str, objects: &[Json]) -> Result<()> {
    match format {
        "" => out.line(&Json::Array(objects.to_vec()).pretty()),
        "json" => out.line(&Json::Array(objects.to_vec()).compact()),
        template => {
            let wrong = |error: Error| Error::Plain { code: TEMPLATE_FAULT, text: error.to_string() };
            let format = Format::parse(template).map_err(wrong)?;
            let mut text = String::new();
            let mut result = Ok(());
            for object in objects {
                match format.render(Data::from_json(object).with(&OPTIONAL)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_members_can_be_asked_for_and_are_not_shown() {
        let json: Json = serde_json::from_str(r#"{"State":{"Pid":1}}"#).unwrap();
        let render = |template: &str| {
            Format::parse(template).unwrap().render(Data::from_json(&json).with(&OPTIONAL)).unwrap()
        };
        assert_eq!(render("{{if .State.Health}}checked{{else}}unchecked{{end}}"), "unchecked");
        assert_eq!(render("{{json .State}} {{json .}}"), r#"{"Pid":1} {"State":{"Pid":1}}"#);
    }
}
