//! The driver for a directory. A key is a path below it; whatever is put is written beside, synchronised and renamed.
//!
//! Kill and power loss leave files in `tmp/` at most (swept at the start when they are old: several registries may share
//! the directory), and directories without files, which no listing shows as objects.

mod disk;
mod list;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::{Append, Entry, FORMAT, Key, Meta, Object, Prefix, Result, Storage, StorageError};
use disk::Disk;

/// Objects and uploads as files below one directory.
#[derive(Clone, Debug)]
pub struct Files(Arc<Disk>);

impl Files {
    /// Opens a directory, or makes it.
    ///
    /// # Errors
    /// Names the directory, and says when it holds something else.
    pub fn open(root: &Path) -> Result<Self> {
        let disk = Disk::open(root)?;
        let format = Key::format();
        match fs::read_to_string(disk.path(format.as_str())) {
            Ok(text) if text == FORMAT => {}
            Ok(text) => {
                return Err(StorageError::Format(format!(
                    "{} is a registry's storage of another version: its file 'format' says {:?}, not {:?}",
                    root.display(),
                    text.trim_end(),
                    FORMAT.trim_end()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && disk.is_fresh()? => {
                disk.put(format.as_str(), FORMAT.as_bytes()).map_err(failed("write", &format))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(StorageError::Format(format!(
                    "{} is not a registry's storage and not empty: name another directory",
                    root.display()
                )));
            }
            Err(error) => return Err(failed("read", &format)(error)),
        }
        disk.sweep();
        Ok(Self(Arc::new(disk)))
    }

    /// Does `work` on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        what: &'static str,
        key: &str,
        work: impl FnOnce(&Disk) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let disk = Arc::clone(&self.0);
        let outcome = tokio::task::spawn_blocking(move || work(&disk)).await;
        outcome.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|source| StorageError::Io {
            what,
            key: key.into(),
            source,
        })
    }
}

fn failed(what: &'static str, key: &Key) -> impl FnOnce(io::Error) -> StorageError {
    move |source| StorageError::Io { what, key: key.to_string(), source }
}

/// That there is no such file is an answer, not an error.
fn present<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn meta(file: &fs::Metadata) -> io::Result<Meta> {
    Ok(Meta { size: file.len(), modified: file.modified()? })
}

#[async_trait::async_trait]
impl Storage for Files {
    async fn get(&self, key: &Key, limit: u64) -> Result<Option<Bytes>> {
        let path = key.to_string();
        let found =
            self.work("read", key.as_str(), move |disk| read::small(&disk.path(&path), limit)).await?;
        match found {
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(size)) => Err(StorageError::TooLarge { key: key.to_string(), size, limit }),
            None => Ok(None),
        }
    }

    async fn put(&self, key: &Key, bytes: Bytes) -> Result<()> {
        let path = key.to_string();
        self.work("write", key.as_str(), move |disk| disk.put(&path, &bytes)).await
    }

    async fn stat(&self, key: &Key) -> Result<Option<Meta>> {
        let path = key.to_string();
        self.work("look up", key.as_str(), move |disk| {
            let found = present(fs::symlink_metadata(disk.path(&path)))?.filter(fs::Metadata::is_file);
            found.as_ref().map(meta).transpose()
        })
        .await
    }

    async fn open(&self, key: &Key) -> Result<Option<Box<dyn Object>>> {
        let path = key.to_string();
        let found = self.work("open", key.as_str(), move |disk| read::open(disk.path(&path))).await?;
        Ok(found.map(|(file, meta)| read::object(key, file, meta)))
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let path = key.to_string();
        self.work("delete", key.as_str(), move |disk| disk.remove(&path)).await
    }

    async fn touch(&self, key: &Key) -> Result<bool> {
        let path = key.to_string();
        self.work("touch", key.as_str(), move |disk| disk.touch(&path)).await
    }

    async fn delete_aged(&self, key: &Key, cutoff: SystemTime) -> Result<bool> {
        let path = key.to_string();
        self.work("delete", key.as_str(), move |disk| disk.remove_aged(&path, cutoff)).await
    }

    async fn list(&self, prefix: &Prefix, after: Option<&str>, limit: usize) -> Result<Vec<Entry>> {
        let path = prefix.as_str().to_owned();
        let after = after.map(str::to_owned);
        self.work("list", prefix.as_str(), move |disk| {
            disk.listings.list(&disk.path(&path), after.as_deref(), limit)
        })
        .await
    }

    async fn upload_begin(&self, upload: &Key) -> Result<()> {
        let path = upload.to_string();
        self.work("begin", upload.as_str(), move |disk| disk.create(&path)).await
    }

    async fn upload_stat(&self, upload: &Key) -> Result<Option<Meta>> {
        self.stat(upload).await
    }

    async fn upload_append(&self, upload: &Key, offset: u64) -> Result<Box<dyn Append>> {
        let path = upload.to_string();
        let found = self
            .work("open", upload.as_str(), move |disk| {
                let options =
                    OpenOptions::new().append(true).custom_flags(no_follow()).open(disk.path(&path));
                let Some(file) = present(options)? else { return Ok(None) };
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            })
            .await?;
        match found {
            None => Err(StorageError::NoUpload),
            Some((_, size)) if size != offset => Err(StorageError::Offset { size, offset }),
            Some((file, size)) => {
                Ok(Box::new(Tail { files: self.clone(), key: upload.clone(), file: Arc::new(file), size }))
            }
        }
    }

    async fn upload_open(&self, upload: &Key) -> Result<Option<Box<dyn Object>>> {
        self.open(upload).await
    }

    async fn upload_finish(&self, upload: &Key, key: &Key) -> Result<()> {
        let (from, to) = (upload.to_string(), key.to_string());
        let found = self.work("finish", key.as_str(), move |disk| disk.promote(&from, &to)).await?;
        if found { Ok(()) } else { Err(StorageError::NoUpload) }
    }

    async fn upload_abort(&self, upload: &Key) -> Result<bool> {
        self.delete(upload).await
    }
}

/// Nobody puts symbolic links into the tree; one that is there is not followed.
fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// The end of an upload.
struct Tail {
    files: Files,
    key: Key,
    file: Arc<File>,
    size: u64,
}

#[async_trait::async_trait]
impl Append for Tail {
    async fn write(&mut self, pieces: &[Bytes]) -> Result<()> {
        let file = Arc::clone(&self.file);
        let pieces = pieces.to_vec();
        let before = self.size;
        let written = self
            .files
            .work("write", self.key.as_str(), move |_| {
                let mut size = before;
                for piece in &pieces {
                    if let Err(error) = (&*file).write_all(piece) {
                        // a full disk takes a part: what is not answered for is not there
                        file.set_len(before)?;
                        return Err(error);
                    }
                    size += piece.len() as u64;
                }
                Ok(size)
            })
            .await?;
        self.size = written;
        Ok(())
    }

    fn settled(&self) -> u64 {
        self.size
    }

    async fn close(self: Box<Self>) -> Result<u64> {
        Ok(self.size)
    }
}

/// A path below the root.
fn below(root: &Path, key: &str) -> PathBuf {
    root.join(key)
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn a_directory_passes_the_suite() {
        let dir = tempfile::tempdir().unwrap();
        conformance::run(&Files::open(dir.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn a_directory_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("holiday.jpg"), "").unwrap();
        let error = Files::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not a registry's storage"), "{error}");
        fs::write(dir.path().join("format"), "berth-registry 7\n").unwrap();
        let error = Files::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("another version"), "{error}");
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_was_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let key = Key::raw("repositories/a+b!/tags/latest");
        files.put(&key, Bytes::from_static(b"x")).await.unwrap();
        assert!(files.delete(&key).await.unwrap());
        assert!(!dir.path().join("repositories/a+b!").exists());
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
}
