//! `--security-opt label=…`: which labels a container gets. Pure.

use sys::selinux::Context;

use super::contexts::Contexts;
use crate::error::{Error, Result};

/// Files of containers without separation have categories that are no container's: as Docker's.
pub(super) const UNSEPARATED: &str = "s0:c1022,c1023";

/// What a container is labelled with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    /// Empty = the policy decides by its maker.
    pub(crate) process: String,
    pub(crate) mount: String,
}

/// What one option says.
enum Word<'a> {
    Disable,
    /// The container may make use of SELinux itself: no label of its own.
    Nested,
    User(&'a str),
    Role(&'a str),
    Type(&'a str),
    Level(&'a str),
    FileType(&'a str),
}

fn read(option: &str) -> Result<Word<'_>> {
    match option {
        "disable" => return Ok(Word::Disable),
        "nested" => return Ok(Word::Nested),
        _ => {}
    }
    let Some((name, value)) = option.split_once(':') else {
        return Err(Error::bad_parameter(format!(
            "bad label option {option:?}, valid options 'disable' or \n'user, role, level, type, filetype' followed \
             by ':' and a value"
        )));
    };
    Ok(match name {
        "user" => Word::User(value),
        "role" => Word::Role(value),
        "type" => Word::Type(value),
        "level" => Word::Level(value),
        "filetype" => Word::FileType(value),
        _ => {
            return Err(Error::bad_parameter(format!(
                "bad label option {name:?}, valid options 'disable, user, role, level, type, filetype'"
            )));
        }
    })
}

/// Whether the container may see and use the kernel's SELinux.
pub(crate) fn is_nested(options: &[String]) -> bool {
    options.iter().any(|option| option == "nested")
}

/// The labels that the options ask for, over the default ones at a level of the container's own.
///
/// # Errors
/// Docker's sentence about the first that is none; what is asked for makes no context.
pub(super) fn labels(options: &[String], contexts: &Contexts, level: &str) -> Result<Labels> {
    let (mut process, mut file) = (contexts.process.at(level), contexts.file.at(level));
    for option in options {
        match read(option)? {
            Word::Disable => {
                let mount = contexts.file.at(UNSEPARATED).to_string();
                return Ok(Labels { process: String::new(), mount });
            }
            Word::Nested => {}
            Word::User(user) => {
                (process.user, file.user) = (user.to_owned(), user.to_owned());
            }
            Word::Role(role) => role.clone_into(&mut process.role),
            Word::Type(kind) => kind.clone_into(&mut process.kind),
            Word::Level(level) => {
                (process.level, file.level) = (Some(level.to_owned()), Some(level.to_owned()));
            }
            Word::FileType(kind) => kind.clone_into(&mut file.kind),
        }
    }
    let whole = |context: Context| {
        let text = context.to_string();
        // each part may have been given: together they must be what they were meant to be
        match text.parse::<Context>() {
            Ok(read) if read == context => Ok(text),
            _ => Err(Error::bad_parameter(format!("bad label options: {text:?} is no SELinux context"))),
        }
    };
    Ok(Labels { process: whole(process)?, mount: whole(file)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(options: &[&str]) -> Result<(String, String)> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let contexts = Contexts {
            process: "system_u:system_r:container_t:s0".parse().unwrap(),
            file: "system_u:object_r:container_file_t:s0".parse().unwrap(),
            layers: "system_u:object_r:container_ro_file_t:s0".parse().unwrap(),
        };
        labels(&options, &contexts, "s0:c1,c2").map(|Labels { process, mount }| (process, mount))
    }

    #[test]
    fn each_option_has_its_place() {
        let is = |options: &[&str], process: &str, mount: &str| {
            assert_eq!(ask(options).unwrap(), (process.to_owned(), mount.to_owned()), "{options:?}");
        };
        let (process, mount) =
            ("system_u:system_r:container_t:s0:c1,c2", "system_u:object_r:container_file_t:s0:c1,c2");
        is(&[], process, mount);
        is(&["nested"], process, mount);
        is(&["type:spc_t"], "system_u:system_r:spc_t:s0:c1,c2", mount);
        is(&["role:r"], "system_u:r:container_t:s0:c1,c2", mount);
        is(&["user:u"], "u:system_r:container_t:s0:c1,c2", "u:object_r:container_file_t:s0:c1,c2");
        is(&["filetype:x_t"], process, "system_u:object_r:x_t:s0:c1,c2");
        is(
            &["level:s0:c5", "level:s0:c7,c9"],
            "system_u:system_r:container_t:s0:c7,c9",
            "system_u:object_r:container_file_t:s0:c7,c9",
        );
        is(&["type:x", "disable"], "", "system_u:object_r:container_file_t:s0:c1022,c1023");
    }

    #[test]
    fn what_is_no_option_is_refused() {
        let told = |option: &str| ask(&[option]).unwrap_err().to_string();
        assert!(told("nope").starts_with("bad label option \"nope\", valid options 'disable' or"));
        assert!(told("colour:red").starts_with("bad label option \"colour\", valid options 'disable, user"));
        for wrong in ["type:", "type:a:b", "level:", "level:s0:", "user:a b", "type:a\0", "level:s0\",x=\""] {
            assert!(told(wrong).contains("is no SELinux context"), "{wrong}");
        }
    }
}
