//! `--secret` and `--ssh`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::services::Secret;
use crate::error::{Error, Result};
use crate::opts::kv;

/// Secrets, by their ids.
pub(super) fn secrets(flags: &[&str]) -> Result<BTreeMap<String, Secret>> {
    flags.iter().map(|flag| secret(flag)).collect()
}

fn secret(flag: &str) -> Result<(String, Secret)> {
    let wrong = |why: &str| Error::said(format!("invalid secret {flag}: {why}"));
    let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
    for field in kv::csv(flag).map_err(|error| wrong(&error))? {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| wrong(&format!("invalid field '{field}' must be a key=value pair")))?;
        match key.to_ascii_lowercase().as_str() {
            "id" => id = Some(value.to_owned()),
            "src" | "source" => source = Some(value.to_owned()),
            "env" => variable = Some(value.to_owned()),
            "type" if matches!(value, "file" | "env") => kind = Some(value.to_owned()),
            "type" => return Err(wrong(&format!("unsupported secret type \"{value}\""))),
            other => return Err(wrong(&format!("unexpected key '{other}'"))),
        }
    }
    // `type=env,src=VARIABLE`, as well as `env=VARIABLE`
    if kind.as_deref() == Some("env") && variable.is_none() {
        variable = source.take();
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| wrong("id is missing"))?;
    let secret = match (source, variable) {
        (Some(_), Some(_)) => return Err(wrong("it can't be both in a file and in a variable")),
        (Some(path), None) => Secret::File(PathBuf::from(path)),
        (None, Some(variable)) => Secret::Variable(variable),
        // a variable of that name, else a file, as Docker looks for it
        (None, None) if std::env::var_os(&id).is_some() => Secret::Variable(id.clone()),
        (None, None) => Secret::File(PathBuf::from(&id)),
    };
    if let Secret::File(path) = &secret
        && !path.is_file()
    {
        return Err(wrong(&format!("{} is no file", path.display())));
    }
    Ok((id, secret))
}

/// Sockets of agents, by their ids.
pub(super) fn agents(flags: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut agents = BTreeMap::new();
    for flag in flags {
        let wrong = |why: String| Error::said(format!("invalid ssh agent {flag}: {why}"));
        let (id, path) = flag.split_once('=').unwrap_or((flag, ""));
        let path = match path {
            "" => std::env::var_os("SSH_AUTH_SOCK")
                .map(PathBuf::from)
                .ok_or_else(|| wrong("SSH_AUTH_SOCK is not set: no agent runs".to_owned()))?,
            path => PathBuf::from(path),
        };
        let found = std::fs::metadata(&path).map_err(|error| wrong(crate::error::reason(&error)))?;
        if !found.file_type().is_socket() {
            return Err(wrong(format!(
                "{} is no socket: private keys are not supported by this version of Berth, add them to an agent",
                path.display()
            )));
        }
        agents.insert(if id.is_empty() { "default" } else { id }.to_owned(), path);
    }
    Ok(agents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let read = |flag: &str| secrets(&[flag]).map_err(|error| error.to_string());
        assert_eq!(read(&format!("id=a,src={path}")).unwrap()["a"], Secret::File(path.into()));
        assert_eq!(read("id=a,env=PATH").unwrap()["a"], Secret::Variable("PATH".into()));
        assert_eq!(read("type=env,id=a,src=X").unwrap()["a"], Secret::Variable("X".into()));
        assert_eq!(read("id=PATH").unwrap()["PATH"], Secret::Variable("PATH".into()));
        assert!(read("src=x").unwrap_err().contains("id is missing"));
        assert!(read("id=a,colour=x").unwrap_err().contains("unexpected key 'colour'"));
        assert!(read("id=a,src=/nonexistent").unwrap_err().contains("is no file"));
    }
}
