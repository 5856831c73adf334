//! What `--security-opt` says.

use crate::container::HostConfig;
use crate::error::{Error, Result};

/// Which system-call filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Seccomp {
    /// Docker's default.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile, as JSON.
    Profile(String),
}

/// The options, parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    /// `systempaths=unconfined`: nothing is masked or read-only.
    pub(crate) unconfined_paths: bool,
}

impl Options {
    /// Parses the request's options over the daemon's defaults.
    ///
    /// # Errors
    /// An unknown option, or a security module that this kernel lacks.
    pub(crate) fn parse(
        host: &HostConfig,
        no_new_privileges: bool,
        default_seccomp: &Seccomp,
    ) -> Result<Self> {
        let seccomp = if host.privileged { Seccomp::Unconfined } else { default_seccomp.clone() };
        let mut options = Self { no_new_privileges, seccomp, unconfined_paths: false };
        for text in &host.security_opt {
            options.add(text)?;
        }
        Ok(options)
    }

    fn add(&mut self, text: &str) -> Result<()> {
        let wrong = || Error::bad_parameter(format!("invalid --security-opt 1: \"{text}\""));
        match text {
            "no-new-privileges" => {
                self.no_new_privileges = true;
                return Ok(());
            }
            "disable" => return Ok(()),
            _ => {}
        }
        let (name, value) = text.split_once(['=', ':']).ok_or_else(wrong)?;
        match name {
            "no-new-privileges" => self.no_new_privileges = value.parse().map_err(|_error| wrong())?,
            "seccomp" => {
                self.seccomp = match value {
                    "unconfined" => Seccomp::Unconfined,
                    "builtin" => Seccomp::Default,
                    json => Seccomp::Profile(json.to_owned()),
                }
            }
            "systempaths" if value == "unconfined" => self.unconfined_paths = true,
            "apparmor" if value == "unconfined" || value.is_empty() => {}
            "apparmor" => {
                return Err(Error::bad_parameter(format!(
                    "AppArmor is not enabled on this host: profile {value} cannot be applied"
                )));
            }
            "label" if value == "disable" => {}
            "label" => {
                return Err(Error::bad_parameter(format!(
                    "SELinux is not enabled on this host: label {value} cannot be applied"
                )));
            }
            "writable-cgroups" if value == "false" => {}
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Options> {
        let security_opt = options.iter().map(|text| (*text).to_owned()).collect();
        Options::parse(&HostConfig { security_opt, ..HostConfig::default() }, false, &Seccomp::Default)
    }

    #[test]
    fn options_are_parsed_or_refused() {
        let options = parse(&["no-new-privileges", "seccomp=unconfined", "systempaths=unconfined"]).unwrap();
        assert!(options.no_new_privileges && options.unconfined_paths);
        assert_eq!(options.seccomp, Seccomp::Unconfined);
        assert!(!parse(&["no-new-privileges=false"]).unwrap().no_new_privileges);
        for wrong in ["apparmor=docker-default", "label=type:x", "nope", "nope=1"] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
    }
}
