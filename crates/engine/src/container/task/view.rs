//! The view of its files: made when somebody asks for it, shared while it is in use.

use std::sync::Arc;

use super::{Task, blocking};
use crate::container::Status;
use crate::container::view::View;
use crate::error::{Error, Result};

impl Task {
    pub(super) async fn view(&mut self) -> Result<Arc<View>> {
        if matches!(self.container.state.status(), Status::Removing | Status::Dead) {
            return Err(Error::conflict(format!("container {} is marked for removal", self.container.id)));
        }
        if let Some(view) = self.view.upgrade() {
            return Ok(view);
        }
        let (engine, container) = (Arc::clone(&self.engine), self.container.clone());
        let view = Arc::new(blocking(move || View::open(&engine, &container)).await?);
        self.view = Arc::downgrade(&view);
        Ok(view)
    }
}
