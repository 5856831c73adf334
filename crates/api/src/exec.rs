//! Commands run in a running container.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use crate::wire::Words;

wire! {
    /// Body of `POST /containers/{id}/exec`.
    #[serde(rename_all = "PascalCase")]
    pub struct CreateRequest {
        pub user: String,
        pub privileged: bool,
        pub tty: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u64; 2]>,
        pub attach_stdin: bool,
        pub attach_stderr: bool,
        pub attach_stdout: bool,
        pub detach_keys: String,
        #[serde(serialize_with = "crate::wire::null_if_empty")]
        pub env: Vec<String>,
        pub working_dir: String,
        pub cmd: Words,
    }

    /// Answer of `POST /containers/{id}/exec`.
    #[serde(rename_all = "PascalCase")]
    pub struct CreateResponse {
        pub id: String,
    }

    /// Body of `POST /exec/{id}/start`.
    #[serde(rename_all = "PascalCase")]
    pub struct StartRequest {
        pub detach: bool,
        pub tty: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u64; 2]>,
    }

    /// Answer of `GET /exec/{id}/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct InspectResponse {
        #[serde(rename = "ID")]
        pub id: String,
        pub running: bool,
        /// `None` until it has ended.
        pub exit_code: Option<i64>,
        pub process_config: ProcessConfig,
        pub open_stdin: bool,
        pub open_stderr: bool,
        pub open_stdout: bool,
        pub can_remove: bool,
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        pub detach_keys: String,
        pub pid: i64,
    }

    /// What an exec runs.
    pub struct ProcessConfig {
        pub tty: bool,
        pub entrypoint: String,
        pub arguments: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub privileged: Option<bool>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub user: String,
    }
}
