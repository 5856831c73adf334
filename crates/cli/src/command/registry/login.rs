//! `berth login`

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use api::Action;
use api::auth::{AuthConfig, AuthResponse};

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::login::{DOCKER_HUB, Logins, host_of};
use crate::session::terminal;

/// The longest name or password.
const LIMIT: u64 = 64 << 10;

pub(crate) static COMMAND: Command =
    Command::new("login", "[OPTIONS] [SERVER]", "Log in to a registry", Arity::AtMost(1), run).flags(&[&[
        Flag::string("password", "Password or access token").short('p'),
        Flag::bool("password-stdin", "Read the password or access token from standard input"),
        Flag::string("username", "Who to log in as").short('u'),
    ]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let given = given(context, matches)?;
    let server = server(matches.arg(0));
    let mut logins = Logins::open(&context.choice.config_dir)?;
    let stored =
        if given.0.is_empty() && given.1.is_empty() { logins.get(server)? } else { AuthConfig::default() };
    if !stored.username.is_empty() && (!stored.password.is_empty() || !stored.identitytoken.is_empty()) {
        let auth = AuthConfig { serveraddress: server.to_owned(), ..stored.clone() };
        context.out.error_line(&format!(
            "Authenticating with existing credentials... [Username: {}]\n\n \
             Info -> To login with a different account, run 'docker logout' followed by 'docker login'\n\n",
            auth.username
        ));
        match login(context, &auth) {
            Ok(answer) => return keep(context, &mut logins, server, auth, answer),
            Err(Error::Daemon { status: 401, .. }) => {
                context.out.error_line("Stored credentials invalid or expired");
            }
            Err(error) => context.out.error_line(&format!("Login did not succeed, error: {error}")),
        }
    }
    let auth = ask(context, server, given, &stored.username)?;
    let answer = login(context, &auth)?;
    keep(context, &mut logins, server, auth, answer)
}

/// The name that a registry's login goes by.
fn server(given: &str) -> &str {
    match given {
        "" | "docker.io" | "index.docker.io" => DOCKER_HUB,
        // the old form of other registries' names stays what it is
        other if other.contains("://") && host_of(other) != "index.docker.io" => host_of(other),
        other => other,
    }
}

/// User and password from the command line and standard input.
fn given(context: &Context<'_>, matches: &Matches) -> Result<(String, String)> {
    let (user, mut password) = (matches.get("username").to_owned(), matches.get("password").to_owned());
    let from_stdin = matches.bool("password-stdin");
    if matches.has("password") && from_stdin {
        return Err(Error::said("conflicting options: cannot specify both --password and --password-stdin"));
    }
    if !password.is_empty() {
        context.out.error_line("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if from_stdin {
        if user.is_empty() {
            return Err(Error::said("the --password-stdin option requires --username to be set"));
        }
        let mut text = String::new();
        let mut stdin = io::stdin().lock().take(LIMIT);
        stdin.read_to_string(&mut text).map_err(Error::io("read standard input"))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.strip_suffix('\r').unwrap_or(line).clone_into(&mut password);
        if password.is_empty() {
            return Err(Error::said("password is empty"));
        }
    }
    Ok((user.trim().to_owned(), password))
}

/// Asks at the terminal for what was not given.
fn ask(context: &Context<'_>, server: &str, given: (String, String), before: &str) -> Result<AuthConfig> {
    let (mut username, mut password) = given;
    if (username.is_empty() || password.is_empty()) && !io::stdin().is_terminal() {
        return Err(Error::said("Error: Cannot perform an interactive login from a non TTY device"));
    }
    if username.is_empty() {
        let prompt =
            if before.is_empty() { "Username: ".to_owned() } else { format!("Username ({before}): ") };
        username = read_line(context, &prompt)?.trim().to_owned();
        if username.is_empty() {
            before.clone_into(&mut username);
        }
        if username.is_empty() {
            return Err(Error::said("Error: Non-null Username Required"));
        }
    }
    if password.is_empty() {
        context.out.text("Password: ")?;
        context.out.flush()?;
        password = terminal::secret(LIMIT)?;
        context.out.text("\n")?;
        if password.is_empty() {
            return Err(Error::said("Error: Password Required"));
        }
    }
    Ok(AuthConfig { username, password, serveraddress: server.to_owned(), ..AuthConfig::default() })
}

fn read_line(context: &Context<'_>, prompt: &str) -> Result<String> {
    context.out.text(prompt)?;
    context.out.flush()?;
    let mut line = String::new();
    io::stdin().lock().take(LIMIT).read_line(&mut line).map_err(Error::io("read standard input"))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks the daemon whether the registry lets us in.
fn login(context: &Context<'_>, auth: &AuthConfig) -> Result<AuthResponse> {
    context.client()?.call(Action::SystemAuth, "").json(auth)?.fetch()
}

fn keep(
    context: &Context<'_>,
    logins: &mut Logins,
    server: &str,
    mut auth: AuthConfig,
    answer: AuthResponse,
) -> Result<()> {
    if !answer.identity_token.is_empty() {
        auth.password.clear();
        auth.identitytoken = answer.identity_token;
    }
    if let Some(place) = logins.store(server, &auth)? {
        context.out.error_line(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{place}'.\n\
             Configure a credential helper to remove this warning. See\n\
             https://docs.docker.com/go/credential-store/\n"
        ));
    }
    if answer.status.is_empty() { Ok(()) } else { context.out.line(&answer.status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_registries() {
        assert_eq!(server(""), DOCKER_HUB);
        assert_eq!(server("docker.io"), DOCKER_HUB);
        assert_eq!(server(DOCKER_HUB), DOCKER_HUB);
        assert_eq!(server("https://r.example/v2/"), "r.example");
        assert_eq!(server("localhost:5000"), "localhost:5000");
    }
}
