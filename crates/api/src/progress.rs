//! One line of the JSON streams that load, import, pull, push and build answer with.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use crate::units::human_size;

wire! {
    /// One message; only the fields that have something to say are written.
    pub struct Message {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub stream: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub status: String,
        #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
        pub progress_detail: Option<Progress>,
        /// The bar as text, before API 1.52; clients since 1.10 draw their own.
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

/// Half of the bar's columns are worth one percent each.
const WIDTH: usize = 50;
/// Narrower screens get numbers alone.
const BAR_FROM: usize = 110;
/// The screen that a daemon draws for.
const COLUMNS: usize = 200;

impl Progress {
    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current <= 0 && self.total <= 0
    }

    /// Columns of the bar that are full.
    #[must_use]
    pub fn done(&self) -> usize {
        let done = i128::from(self.current).saturating_mul(100) / i128::from(self.total.max(1)) / 2;
        usize::try_from(done.clamp(0, WIDTH as i128)).unwrap_or(WIDTH)
    }

    /// Whether the bar is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.done() == WIDTH
    }

    /// `[====>      ]  1.5MB/3MB`, by the byte as Docker draws it, for a screen of so many columns.
    #[must_use]
    pub fn bar(&self, columns: usize) -> String {
        if self.is_empty() {
            return String::new();
        }
        let Self { current, total, units, .. } = self;
        if *total <= 0 {
            return if units.is_empty() {
                format!("{:>8}", human_size(*current))
            } else {
                format!("{current} {units}")
            };
        }
        let done = self.done();
        let bar = if columns > BAR_FROM {
            format!("[{}>{}] ", "=".repeat(done), " ".repeat(WIDTH - done))
        } else {
            String::new()
        };
        let numbers = match (self.hide_counts, units.is_empty(), current > total) {
            (true, ..) => String::new(),
            (_, true, true) => format!("{:>8}", human_size(*current)),
            (_, true, false) => format!("{:>8}/{}", human_size(*current), human_size(*total)),
            (_, false, true) => format!("{current} {units}"),
            (_, false, false) => format!("{current}/{total} {units}"),
        };
        bar + &numbers
    }
}

impl Message {
    /// With the bar as text, which clients before API 1.52 may read.
    #[must_use]
    pub fn drawn(mut self) -> Self {
        self.progress = self.progress_detail.as_ref().map(|detail| detail.bar(COLUMNS)).unwrap_or_default();
        self
    }

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
