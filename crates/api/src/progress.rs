//! One line of the JSON streams that load, import, pull, push and build answer with.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

wire! {
    /// One message; only the fields that have something to say are written.
    pub struct Message {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub stream: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub status: String,
        #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
        pub progress_detail: Option<Progress>,
        /// The bar as text; clients since 1.10 draw their own.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub progress: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub id: String,
        #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
        pub error_detail: Option<ErrorDetail>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub aux: Option<serde_json::Value>,
    }

    /// How far one item is.
    pub struct Progress {
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub current: i64,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub total: i64,
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub start: i64,
        #[serde(rename = "hidecounts", skip_serializing_if = "crate::wire::is_default")]
        pub hide_counts: bool,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub units: String,
    }

    /// An error in the middle of a stream.
    pub struct ErrorDetail {
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub code: i64,
        pub message: String,
    }
}

impl Message {
    /// A message that ends a stream with an error.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        let error_detail = Some(ErrorDetail { code: 0, message: message.clone() });
        Self { error_detail, error: message, ..Self::default() }
    }

    /// Plain text for the person who waits.
    #[must_use]
    pub fn stream(text: impl Into<String>) -> Self {
        Self { stream: text.into(), ..Self::default() }
    }

    /// A status line.
    #[must_use]
    pub fn status(text: impl Into<String>) -> Self {
        Self { status: text.into(), ..Self::default() }
    }
}
