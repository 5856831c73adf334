//! The options of `journald`.

use std::collections::BTreeMap;

use super::only;
use crate::context::{Context, Options, Places};
use crate::error::Result;
use crate::settings::Journald;

pub(super) fn settings(options: &Options, context: &Context<'_>, places: &Places<'_>) -> Result<Journald> {
    only(options, "journald", &[])?;
    let tag = context.tag(options, "{{.ID}}")?;
    let own = [
        ("CONTAINER_ID", context.short_id()),
        ("CONTAINER_ID_FULL", context.id),
        ("CONTAINER_NAME", context.name),
        ("CONTAINER_TAG", &tag),
        ("IMAGE_NAME", context.image_name),
        ("SYSLOG_IDENTIFIER", &tag),
    ];
    let mut fields: BTreeMap<_, _> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.extend(context.attributes(options, field_name)?);
    // a name of underscores alone has nothing left
    fields.remove("");
    Ok(Journald { socket: places.journal.to_owned(), fields })
}

/// Upper-case letters, digits and underscores, of which none stands first.
fn field_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(allowed).skip_while(|&c| c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::check;
    use crate::settings::Settings;

    #[test]
    fn fields() {
        let request = check("journald", &[("labels", "a"), ("tag", "{{.Name}}")]).unwrap();
        let Settings::Journald(it) = serde_json::from_str(&request.forward.unwrap().settings).unwrap() else {
            panic!("another driver")
        };
        assert_eq!((it.fields["A"].as_str(), it.fields["SYSLOG_IDENTIFIER"].as_str()), ("1", "web"));
        assert_eq!(field_name("__com.example-x1é"), "COM_EXAMPLE_X1_");
        assert_eq!(
            check("journald", &[("x", "1")]).unwrap_err(),
            "unknown log opt 'x' for journald log driver"
        );
    }
}
