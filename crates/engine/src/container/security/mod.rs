//! `--security-opt`, and the system-call policy.

mod apparmor;
mod options;
mod seccomp;
pub(crate) mod selinux;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use oci_spec::runtime::LinuxSeccomp;

use crate::error::{Error, Result};

pub(crate) use apparmor::AppArmor;
pub(crate) use options::{Options, Seccomp};
pub(crate) use seccomp::load_profile;
pub(crate) use selinux::Selinux;

/// The system-call filter of a container with these capabilities (without `CAP_`); `None` = unconfined.
///
/// # Errors
/// The profile is no profile, or this processor's system calls are not known.
pub(crate) fn filter(choice: &Seccomp, capabilities: &BTreeSet<String>) -> Result<Option<LinuxSeccomp>> {
    if *choice == Seccomp::Unconfined {
        return Ok(None);
    }
    let capabilities = capabilities.iter().map(|name| format!("CAP_{name}")).collect();
    let (machine, kernel) = (seccomp::machine()?, seccomp::running_kernel());
    match choice {
        Seccomp::Profile(json) => load_profile(json, &capabilities, machine, kernel).map(Some),
        _ => seccomp::default_profile(&capabilities, machine, kernel).map(Some),
    }
}

/// Compiled filters that are kept.
const MOST_COMPILED: usize = 64;

/// Docker's default policy, compiled once for each set of capabilities: most containers have the same.
#[derive(Default)]
pub(crate) struct Compiled(Mutex<HashMap<BTreeSet<String>, Arc<Vec<u64>>>>);

impl Compiled {
    /// The instructions, one `u64` each as in `struct sock_filter` (`code | jt << 16 | jf << 24 | k << 32`).
    ///
    /// # Errors
    /// As [`filter`].
    pub(crate) fn default_for(&self, capabilities: &BTreeSet<String>) -> Result<Arc<Vec<u64>>> {
        if let Some(known) = self.lock().get(capabilities) {
            return Ok(Arc::clone(known));
        }
        let Some(policy) = filter(&Seccomp::Default, capabilities)? else { return Ok(Arc::default()) };
        let compiled = runtime::seccomp::compile(&policy)
            .map_err(|error| Error::because("compile the seccomp policy", error))?;
        let word = |one: &sys::seccomp::SockFilter| {
            u64::from(one.code) | u64::from(one.jt) << 16 | u64::from(one.jf) << 24 | u64::from(one.k) << 32
        };
        let words = Arc::new(compiled.program.iter().map(word).collect::<Vec<_>>());
        let mut all = self.lock();
        if all.len() >= MOST_COMPILED {
            all.clear();
        }
        all.insert(capabilities.clone(), Arc::clone(&words));
        Ok(words)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<BTreeSet<String>, Arc<Vec<u64>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
