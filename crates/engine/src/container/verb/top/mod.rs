//! `top`: a container's processes, as `ps` would print them, read from `/proc` by ourselves.

mod columns;
mod layout;
mod options;
mod process;

use crate::Engine;
use crate::container::task::{blocking, event, shim_error};
use crate::error::{Error, Result};

/// A table of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row a process.
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// Lists a container's processes; `ps_args` as of `ps` (empty = `-ef`).
    ///
    /// # Errors
    /// No such container; it does not run; an option of `ps` that is not known.
    pub async fn container_top(&self, name: &str, ps_args: &str) -> Result<Top> {
        let options = options::parse(ps_args)?;
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        if container.state.is_restarting() {
            return Err(Error::conflict(format!(
                "Container {} is restarting, wait until the container is running",
                container.id
            )));
        }
        let shim = match (container.state.running(), entry.shim()) {
            (Some(_), Some(shim)) => shim,
            _ => return Err(Error::not_running(&container.id)),
        };
        let what = || format!("list processes of container {}", container.id);
        let pids = shim.ps().await.map_err(|error| shim_error(what(), error))?;
        let top = blocking(move || {
            let system = process::System::read();
            let mut processes: Vec<_> = match options.threads {
                true => pids.iter().flat_map(|pid| process::Process::threads(*pid)).collect(),
                false => pids.iter().filter_map(|pid| process::Process::read(*pid)).collect(),
            };
            processes.retain(|process| options.wants(process, &system));
            options.order(&mut processes, &system);
            let row = |process: &process::Process| {
                options.columns.iter().map(|column| column.value(process, &system)).collect()
            };
            Ok(Top {
                titles: options.columns.iter().map(|column| column.title().to_owned()).collect(),
                processes: processes.iter().map(row).collect(),
            })
        })
        .await?;
        self.0.events.publish(event(&container, "top", &[]));
        Ok(top)
    }
}
