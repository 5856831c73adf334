//! Who has which: no file is touched here.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{CacheMount, CacheSharing, CacheWanted, Record};
use crate::Result;

/// All of them, by name.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Mutex<BTreeMap<String, Entry>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    users: Users,
    /// It is in its place.
    made: bool,
    /// Bytes, if they were counted since it was last used.
    size: Option<u64>,
}

/// Who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Users {
    Nobody,
    /// So many, and more may come.
    Shared(usize),
    /// One, and nobody else.
    Alone,
}

/// What becomes of who wants one.
#[derive(Debug)]
pub(super) enum Turn {
    /// Has this one.
    Lent(String),
    /// Has this one as soon as it is made, and makes it.
    Make(String, Record),
    /// Wants none any more.
    Nobody,
}

/// One as it is listed.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) cache: CacheMount,
    pub(super) size: Option<u64>,
}

impl Table {
    pub(super) fn new(records: Vec<(String, Record)>) -> Self {
        let entry = |record| Entry { record, users: Users::Nobody, made: true, size: None };
        let entries = records.into_iter().map(|(id, record)| (id, entry(record))).collect();
        Self { entries: Mutex::new(entries), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is shared already comes first, then one that nobody has, and then a new one called `new`, unless there
    /// is one to wait for.
    pub(super) fn take(&self, wanted: &CacheWanted<'_>, new: &str, given_up: &dyn Fn() -> bool) -> Turn {
        let mut entries = self.lock();
        loop {
            if given_up() {
                return Turn::Nobody;
            }
            let alike = || entries.iter().filter(|(_, entry)| entry.record.key == *wanted.key);
            let of = |is: fn(Users) -> bool| alike().find(|(_, entry)| is(entry.users));
            let shared = of(|users| matches!(users, Users::Shared(_)));
            let shared = shared.filter(|_| wanted.sharing == CacheSharing::Shared);
            let chosen = shared.or_else(|| of(|users| users == Users::Nobody)).map(|(id, _)| id.clone());
            let is_any = alike().next().is_some();
            match chosen.and_then(|id| entries.get_mut(&id).map(|entry| (id, entry))) {
                Some((id, entry)) if entry.made => {
                    entry.lend(wanted.sharing);
                    return Turn::Lent(id);
                }
                // another makes it just now
                Some(_) => {}
                None if is_any && wanted.sharing == CacheSharing::Locked => {}
                None => {
                    let record = Record {
                        key: wanted.key.clone(),
                        description: wanted.description.to_owned(),
                        created: Timestamp::now(),
                        last_used: None,
                        uses: 0,
                    };
                    let users = Users::of(wanted.sharing);
                    let entry = Entry { record: record.clone(), users, made: false, size: None };
                    entries.insert(new.to_owned(), entry);
                    return Turn::Make(new.to_owned(), record);
                }
            }
            entries = self.changed.wait(entries).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One is in its place now, or will never be.
    pub(super) fn made(&self, id: &str, good: bool) {
        let mut entries = self.lock();
        match entries.get_mut(id) {
            Some(entry) if good => entry.made = true,
            _ => drop(entries.remove(id)),
        }
        drop(entries);
        self.wake();
    }

    /// One of those who have it has it no more; its record when that was the last.
    pub(super) fn give_back(&self, id: &str, at: Timestamp) -> Option<Record> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id)?;
        entry.users = match entry.users {
            Users::Shared(count) if count > 1 => Users::Shared(count - 1),
            _ => Users::Nobody,
        };
        entry.record.last_used = Some(at);
        let record = (entry.users == Users::Nobody).then(|| entry.record.clone());
        drop(entries);
        self.wake();
        record
    }

    pub(super) fn wake(&self) {
        // nobody is between looking and waiting
        drop(self.lock());
        self.changed.notify_all();
    }

    pub(super) fn all(&self) -> Vec<Listed> {
        let entries = self.lock();
        let made = entries.iter().filter(|(_, entry)| entry.made);
        let mut all: Vec<Listed> = made.map(|(id, entry)| entry.listed(id)).collect();
        all.sort_by(|a, b| (a.cache.created, &a.cache.id).cmp(&(b.cache.created, &b.cache.id)));
        all
    }

    /// Keeps what was counted, if nobody has had it meanwhile.
    pub(super) fn measured(&self, of: &Listed, size: u64) {
        if let Some(entry) = self.lock().get_mut(&of.cache.id)
            && entry.users == Users::Nobody
            && entry.record.last_used == of.cache.last_used
        {
            entry.size = Some(size);
        }
    }

    /// Takes one away by `removing` its files; `None` if somebody has it.
    pub(super) fn remove(&self, id: &str, removing: impl FnOnce() -> Result<bool>) -> Result<Option<bool>> {
        let mut entries = self.lock();
        match entries.get(id) {
            None => Ok(Some(false)),
            Some(entry) if entry.users != Users::Nobody => Ok(None),
            Some(_) => {
                let removed = removing()?;
                entries.remove(id);
                Ok(Some(removed))
            }
        }
    }
}

impl Entry {
    fn lend(&mut self, sharing: CacheSharing) {
        self.users = match self.users {
            Users::Shared(count) => Users::Shared(count + 1),
            _ => Users::of(sharing),
        };
        self.record.uses += 1;
        self.size = None;
    }

    fn listed(&self, id: &str) -> Listed {
        let Record { key, description, created, last_used, uses } = self.record.clone();
        let in_use = self.users != Users::Nobody;
        let cache =
            CacheMount { id: id.to_owned(), key, description, created, last_used, uses, size: 0, in_use };
        Listed { cache, size: self.size }
    }
}

impl Users {
    fn of(sharing: CacheSharing) -> Self {
        match sharing {
            CacheSharing::Shared => Self::Shared(1),
            CacheSharing::Private | CacheSharing::Locked => Self::Alone,
        }
    }
}
