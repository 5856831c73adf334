//! The engine's one error: a kind (which the rim turns into a status) and Docker's sentence.

use std::error::Error as StdError;
use std::fmt::Display;

/// Result of every engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; the HTTP status and the exit code follow from this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The named thing does not exist.
    NotFound,
    /// The request contradicts the present state, or a name is taken.
    Conflict,
    /// The request itself is wrong.
    BadParameter,
    /// Nothing to do: the thing already is as asked.
    NotModified,
    /// It may not be done.
    Forbidden,
    /// Needed credentials are missing or wrong.
    Unauthorized,
    /// It can't be done now.
    Unavailable,
    /// Berth can't do this (yet).
    NotImplemented,
    /// The kernel, the disk or a program failed.
    System,
}

/// An engine failure: kind, sentence, and the cause if there is one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self { kind: Kind::$kind, message: message.into(), source: None }
            })*
        }
    };
}

constructors! {
    /// [`Kind::NotFound`] with this sentence.
    not_found => NotFound,
    /// [`Kind::Conflict`] with this sentence.
    conflict => Conflict,
    /// [`Kind::BadParameter`] with this sentence.
    bad_parameter => BadParameter,
    /// [`Kind::NotModified`] with this sentence.
    not_modified => NotModified,
    /// [`Kind::Forbidden`] with this sentence.
    forbidden => Forbidden,
    /// [`Kind::Unavailable`] with this sentence.
    unavailable => Unavailable,
    /// [`Kind::NotImplemented`] with this sentence.
    not_implemented => NotImplemented,
    /// [`Kind::System`] with this sentence.
    system => System,
}

impl Error {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same failure, with its cause kept; the cause's text is part of the sentence already or is added by [`Error::because`].
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// A [`Kind::System`] failure: `what: cause`, with every deeper cause appended.
    pub fn because(what: impl Display, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::system(format!("{what}: {}", chain(&cause))).with_source(cause)
    }

    /// The same sentence under another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same failure with `what: ` in front.
    #[must_use]
    pub fn context(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Docker's answer for a container that does not exist.
    #[must_use]
    pub fn no_such_container(name: &str) -> Self {
        Self::not_found(format!("No such container: {name}"))
    }

    /// Docker's answer for an image that does not exist.
    #[must_use]
    pub fn no_such_image(reference: &str) -> Self {
        Self::not_found(format!("No such image: {reference}"))
    }

    /// Docker's answer for an exec session that does not exist.
    #[must_use]
    pub fn no_such_exec(id: &str) -> Self {
        Self::not_found(format!("No such exec instance: {id}"))
    }

    /// Docker's answer for a container name that another container holds.
    #[must_use]
    pub fn name_in_use(name: &str, holder: &str) -> Self {
        Self::conflict(format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". \
             You have to remove (or rename) that container to be able to reuse that name."
        ))
    }

    /// Docker's answer for a verb that needs a running container.
    #[must_use]
    pub fn not_running(id: &str) -> Self {
        Self::conflict(format!("container {id} is not running"))
    }

    /// Docker's answer for a verb that a paused container refuses.
    #[must_use]
    pub fn paused(id: &str) -> Self {
        Self::conflict(format!("container {id} is paused, unpause the container before exec"))
    }
}

/// `a: b: c`, leaving out a cause whose text the sentence before already ends with.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn because_appends_every_cause_once() {
        let inner = std::io::Error::other("disk full");
        let error = Error::because("write record", inner);
        assert_eq!(error.to_string(), "write record: disk full");
        assert_eq!(error.kind(), Kind::System);
    }
}
