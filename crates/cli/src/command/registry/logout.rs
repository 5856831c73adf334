//! `berth logout`

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::Matches;
use crate::login::{DOCKER_HUB, Logins, host_of};

pub(crate) static COMMAND: Command =
    Command::new("logout", "[SERVER]", "Log out from a registry", Arity::AtMost(1), run);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let (shown, forms) = forms(matches.arg(0));
    context.out.line(&format!("Removing login credentials for {shown}"))?;
    let mut logins = Logins::open(&context.choice.config_dir)?;
    let failures: Vec<String> = forms
        .iter()
        .filter_map(|form| logins.erase(form).err().map(|error| format!("{form}: {error}")))
        .collect();
    // One that succeeded was the one that mattered.
    if failures.len() == forms.len() {
        context.out.error_line(&format!("WARNING: could not erase credentials:\n{}", failures.join("\n")));
    }
    Ok(())
}

/// The registry for people, and every form that its login may have been stored under.
fn forms(server: &str) -> (String, Vec<String>) {
    if matches!(server, "" | "docker.io" | "index.docker.io") || server == DOCKER_HUB {
        return (DOCKER_HUB.to_owned(), vec![DOCKER_HUB.to_owned()]);
    }
    let host = host_of(server).to_owned();
    let mut forms =
        vec![server.to_owned(), host.clone(), format!("http://{host}"), format!("https://{host}")];
    forms.dedup();
    (host, forms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_forgotten() {
        assert_eq!(forms("").1, [DOCKER_HUB]);
        let (shown, forms) = forms("https://r:5000/v2/");
        assert_eq!(shown, "r:5000");
        assert_eq!(forms, ["https://r:5000/v2/", "r:5000", "http://r:5000", "https://r:5000"]);
    }
}
