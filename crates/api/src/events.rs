//! What `GET /events` streams.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

wire! {
    /// One event.
    pub struct EventMessage {
        /// Deprecated copy of the action, written to clients before API 1.52.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub status: String,
        /// Deprecated copy of the actor's id, written to clients before API 1.52.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub id: String,
        /// Deprecated copy of the actor's image, written to clients before API 1.52.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub from: String,
        #[serde(rename = "Type")]
        pub kind: String,
        #[serde(rename = "Action")]
        pub action: String,
        #[serde(rename = "Actor")]
        pub actor: EventActor,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub scope: String,
        /// Seconds since the epoch.
        #[serde(skip_serializing_if = "crate::wire::is_default")]
        pub time: i64,
        /// Nanoseconds since the epoch.
        #[serde(rename = "timeNano", skip_serializing_if = "crate::wire::is_default")]
        pub time_nano: i64,
    }

    /// Whom an event is about.
    pub struct EventActor {
        #[serde(rename = "ID")]
        pub id: String,
        #[serde(rename = "Attributes")]
        pub attributes: BTreeMap<String, String>,
    }
}
