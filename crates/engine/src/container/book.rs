//! What is one container's alone and stands in no record: of containers that are only being made, and of records that
//! can't be read. All else is in the records: what these say is taken, what they don't is free.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is somebody's and stands in no record, by the container's id.
pub(crate) struct Book<T>(Mutex<HashMap<String, T>>);

impl<T> Default for Book<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Book<T> {
    /// The entries, and nobody else's hand on them.
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what belongs to a container whose record is left alone for as long as the daemon lives.
    pub(crate) fn keep(&self, id: &str, what: T) {
        self.lock().insert(id.to_owned(), what);
    }

    /// The holder of what has been entered for a container.
    pub(crate) fn taken(self: &Arc<Self>, id: &str) -> Taken<T> {
        Taken { book: Arc::clone(self), id: id.to_owned() }
    }
}

/// Keeps what is a container's from others until all know whose it is.
pub(crate) struct Taken<T> {
    book: Arc<Book<T>>,
    id: String,
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        self.book.lock().remove(&self.id);
    }
}
