//! Files that survive a crash whole or not at all, and directories on their way in and out.

mod dirs;
mod durable;
mod trash;

pub(crate) use dirs::{TmpDir, random_name};
pub(crate) use durable::{
    Umask, encode, read_json, sync_dir, sync_file_system, write_durable, write_over, write_plain,
};
pub(crate) use trash::{GiveWay, Trash};
