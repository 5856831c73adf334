//! What `--security-opt` says.

use super::apparmor::{self, AppArmor};
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
    /// The AppArmor profile; `None` where the host has none.
    pub(crate) apparmor: Option<String>,
    /// What is said of SELinux's labels, without `label=`. Judged where containers have labels, and like Docker taken
    /// for nothing elsewhere.
    pub(crate) labels: Vec<String>,
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
        apparmor: AppArmor,
    ) -> Result<Self> {
        let seccomp = if host.privileged { Seccomp::Unconfined } else { default_seccomp.clone() };
        let mut options = Self { no_new_privileges, seccomp, ..Self::default() };
        for text in &host.security_opt {
            options.add(text)?;
        }
        let default = if host.privileged { apparmor::UNCONFINED } else { apparmor::DEFAULT };
        options.apparmor = match options.apparmor {
            asked if apparmor.is_enabled() => asked.or_else(|| Some(default.to_owned())),
            Some(profile) if profile != apparmor::UNCONFINED => {
                return Err(Error::bad_parameter(format!(
                    "AppArmor is not enabled on this host: profile {profile} cannot be applied"
                )));
            }
            _ => None,
        };
        Ok(options)
    }

    fn add(&mut self, text: &str) -> Result<()> {
        let wrong = || Error::bad_parameter(format!("invalid --security-opt 1: \"{text}\""));
        match text {
            "no-new-privileges" => {
                self.no_new_privileges = true;
                return Ok(());
            }
            "disable" => {
                self.labels.push(text.to_owned());
                return Ok(());
            }
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
            "apparmor" => self.apparmor = Some(value.to_owned()).filter(|profile| !profile.is_empty()),
            "label" => self.labels.push(value.to_owned()),
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
        let host = HostConfig { security_opt, ..HostConfig::default() };
        Options::parse(&host, false, &Seccomp::Default, AppArmor::ABSENT)
    }

    fn profile(options: &[&str], privileged: bool) -> Option<String> {
        let security_opt = options.iter().map(|text| (*text).to_owned()).collect();
        let host = HostConfig { security_opt, privileged, ..HostConfig::default() };
        Options::parse(&host, false, &Seccomp::Default, AppArmor::PRESENT).unwrap().apparmor
    }

    #[test]
    fn the_last_profile_counts_and_privileges_need_none() {
        assert_eq!(profile(&[], false).unwrap(), "docker-default");
        assert_eq!(profile(&["apparmor="], false).unwrap(), "docker-default");
        assert_eq!(profile(&[], true).unwrap(), "unconfined");
        assert_eq!(profile(&["apparmor=mine"], true).unwrap(), "mine");
        assert_eq!(profile(&["apparmor=mine", "apparmor:unconfined"], false).unwrap(), "unconfined");
        assert_eq!(parse(&["apparmor=unconfined"]).unwrap().apparmor, None);
    }

    #[test]
    fn options_are_parsed_or_refused() {
        let options = parse(&["no-new-privileges", "seccomp=unconfined", "systempaths=unconfined"]).unwrap();
        assert!(options.no_new_privileges && options.unconfined_paths);
        assert_eq!(options.seccomp, Seccomp::Unconfined);
        let labels = parse(&["label=type:x", "label:level:s0:c1,c2", "disable"]).unwrap().labels;
        assert_eq!(labels, ["type:x", "level:s0:c1,c2", "disable"]);
        assert!(!parse(&["no-new-privileges=false"]).unwrap().no_new_privileges);
        for wrong in ["apparmor=docker-default", "nope", "nope=1"] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
    }
}
