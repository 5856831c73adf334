//! Users and passwords, as `htpasswd -B` writes them. A password that was right is right again without bcrypt, whose work
//! is meant to be slow.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::AuthError;
use crate::server::error::{Code, Error, Result};
use crate::server::random;

/// The most bytes of the file.
const MAX: u64 = 16 << 20;
/// Passwords that were right and are remembered.
const REMEMBERED: usize = 4096;
/// Passwords that are checked at once, and how many more may wait.
const AT_ONCE: usize = 2;
const WAITING: usize = 128;
/// The most bytes of a password that bcrypt looks at.
const BCRYPT_MAX: usize = 72;
/// Costs that a file may ask for: a hash of cost 20 takes a minute.
const MAX_COST: u32 = 16;

/// What a name that nobody has is checked against, so that it takes as long as one that somebody has.
const STRANGER: &str = "$2b$10$abcdefghijklmnopqrstuuMdlpkSzFyvMcAKAGGDGUQ3TxXNyBFKK";

/// The users.
pub(super) struct Htpasswd {
    hashes: HashMap<String, String>,
    /// Salted hashes of names and passwords that belong together.
    right: Mutex<HashSet<[u8; 32]>>,
    salt: [u8; 32],
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl std::fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Htpasswd").field("users", &self.hashes.len()).finish_non_exhaustive()
    }
}

impl Htpasswd {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, AuthError> {
        let file = |source| AuthError::Read { path: path.into(), source };
        if fs::metadata(path).map_err(file)?.len() > MAX {
            return Err(AuthError::wrong(path, format!("has more than {MAX} bytes")));
        }
        let text = fs::read_to_string(path).map_err(file)?;
        let hashes = parse(&text).map_err(|reason| AuthError::wrong(path, reason))?;
        Ok(Self {
            hashes,
            right: Mutex::default(),
            salt: random::bytes().map_err(file)?,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
        })
    }

    /// Whether name and password belong together.
    ///
    /// # Errors
    /// When too many are being checked already.
    pub(super) async fn check(&self, user: &str, password: &str) -> Result<bool> {
        let key = self.key(user, password);
        if self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return Ok(true);
        }
        let busy = || {
            Error::new(Code::TooManyRequests, "too many passwords are being checked")
                .header(hyper::header::RETRY_AFTER, "1")
        };
        let _place = self.queue.try_acquire().map_err(|_full| busy())?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_closed| busy())?;
        let hash = self.hashes.get(user).map_or(STRANGER, String::as_str).to_owned();
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let fits = password.len() <= BCRYPT_MAX && !password.contains('\0');
            bcrypt::verify(password, &hash).unwrap_or(false) && fits
        });
        let is_right = checked.await.unwrap_or(false) && self.hashes.contains_key(user);
        if is_right {
            let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            if right.len() >= REMEMBERED {
                right.clear();
            }
            right.insert(key);
        }
        Ok(is_right)
    }

    fn key(&self, user: &str, password: &str) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(self.salt);
        hasher.update((user.len() as u64).to_le_bytes());
        hasher.update(user);
        hasher.update(password);
        hasher.finalize().into()
    }
}

fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let mut hashes = HashMap::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) =
            line.split_once(':').ok_or(format!("line {number}: no ':' after a user's name"))?;
        let cost = ["$2y$", "$2b$", "$2a$"]
            .iter()
            .find_map(|prefix| hash.strip_prefix(prefix))
            .filter(|_| hash.len() == 60)
            .and_then(|rest| rest.get(..2)?.parse::<u32>().ok());
        match cost {
            Some(4..=MAX_COST) => {}
            Some(cost) => return Err(format!("line {number}: bcrypt's cost is {cost}, not 4 to {MAX_COST}")),
            None => {
                return Err(format!("line {number}: only bcrypt is supported (write it with 'htpasswd -B')"));
            }
        }
        if user.is_empty() || hashes.insert(user.to_owned(), hash.to_owned()).is_some() {
            return Err(format!("line {number}: the user {user:?} is empty or named twice"));
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_checked_by_line() {
        let hash = bcrypt::hash("x", 4).unwrap();
        assert_eq!(parse(&format!("# users\n\nann:{hash}\n")).unwrap().len(), 1);
        for (text, word) in [
            ("ann".to_owned(), "line 1"),
            ("\nann:$apr1$x$y".into(), "line 2: only bcrypt"),
            ("ann:{SHA}x".into(), "only bcrypt"),
            (format!("ann:{hash}\nann:{hash}"), "line 2"),
            (format!("ann:{}", hash.replacen("$04$", "$31$", 1)), "cost is 31"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[tokio::test]
    async fn passwords_are_checked_and_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("htpasswd");
        fs::write(&path, format!("ann:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
        let users = Htpasswd::read(&path).unwrap();
        assert!(!users.check("ann", "wrong").await.unwrap());
        assert!(!users.check("bob", "secret").await.unwrap());
        assert!(users.right.lock().unwrap().is_empty());
        assert!(users.check("ann", "secret").await.unwrap());
        assert_eq!(users.right.lock().unwrap().len(), 1);
        assert!(users.check("ann", "secret").await.unwrap());
        // the stranger's hash is one: checking against it takes its time
        assert!(bcrypt::verify("x", STRANGER).is_ok());
    }
}
