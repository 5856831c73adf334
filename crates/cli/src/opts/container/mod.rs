//! The options of `run` and `create`. Each theme has its list of flags and, beneath it, what they
//! put into the request.

pub(crate) mod change;
pub(crate) mod health;
pub(crate) mod logging;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod resources;
pub(crate) mod security;
pub(crate) mod storage;

use api::container::CreateRequest;

use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};

/// All lists, for `create`; `run` has a few more.
pub(crate) const FLAGS: [&[Flag]; 7] = [
    process::FLAGS,
    resources::FLAGS,
    network::FLAGS,
    storage::FLAGS,
    security::FLAGS,
    health::FLAGS,
    logging::FLAGS,
];

/// The request that a command line asks for.
pub(crate) fn request(matches: &Matches) -> Result<CreateRequest> {
    let mut request = CreateRequest::default();
    process::apply(matches, &mut request)?;
    resources::apply(matches, &mut request.host_config.resources)?;
    resources::apply_host(matches, &mut request.host_config);
    network::apply(matches, &mut request)?;
    storage::apply(matches, &mut request)?;
    security::apply(matches, &mut request)?;
    health::apply(matches, &mut request)?;
    logging::apply(matches, &mut request)?;
    Ok(request)
}

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::said(text))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::flag::parse;

    /// The request of a command line, or the sentence that refuses it.
    pub(crate) fn plan(words: &[&str]) -> Result<CreateRequest, String> {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.push("image".to_owned());
        let matches = parse(&FLAGS.concat(), &words, false)?;
        request(&matches).map_err(|error| error.to_string())
    }
}
