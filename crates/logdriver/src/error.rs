//! What can be wrong with the options of a log driver.

/// An option or a value that is refused; Docker's sentence, where Docker has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionError(String);

impl OptionError {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// The driver does not know the option.
    pub(crate) fn unknown(option: &str, driver: &str) -> Self {
        Self(format!("unknown log opt '{option}' for {driver} log driver"))
    }
}

pub(crate) type Result<T> = std::result::Result<T, OptionError>;

/// The system's words as Go writes them.
pub(crate) fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(_) => text.split(" (os error").next().unwrap_or_default().to_lowercase(),
        None => text,
    }
}
