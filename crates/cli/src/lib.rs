//! berth: words into Engine API requests, answers into text.
