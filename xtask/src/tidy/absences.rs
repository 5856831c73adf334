//! Promises of absence: a word that must not appear in a place, and why.

use super::{Finding, Source};

/// Words that must not appear in the code of the places named.
struct Absence {
    words: &'static [&'static str],
    /// Path prefixes in which the words are banned.
    within: &'static [&'static str],
    /// Path prefixes in which they are allowed all the same.
    except: &'static [&'static str],
    why: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        words: &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"],
        within: &["crates/", "xtask/"],
        except: &["crates/sys/src/raw/", "xtask/src/tidy/"],
        why: "sys::raw holds the only unsafe",
    },
    Absence {
        words: &["std::fs", "std::net", "std::process", "std::thread", "rustix::"],
        within: &[
            "crates/dockerfile/",
            "crates/oci/",
            "crates/trust/",
            "crates/network/src/firewall/plan",
            "crates/runtime/src/resources",
            "crates/runtime/src/seccomp/",
            "crates/engine/src/container/policy",
            "crates/engine/src/container/spec/",
        ],
        except: &[],
        why: "formats, plans and policies do no I/O",
    },
    Absence {
        words: &["std::thread", "thread::spawn", "async fn", "tokio::"],
        within: &["crates/runtime/", "crates/shim/"],
        except: &[],
        why: "runtime and shim have no threads and no async",
    },
    Absence {
        words: &["Command::new("],
        within: &[
            "crates/sys/",
            "crates/store/",
            "crates/network/",
            "crates/runtime/",
            "crates/shim/",
            "crates/logdriver/",
            "crates/engine/",
        ],
        // programs of our own, the container's, the runtime that the user has named (`--add-runtime`), criu, git, and
        // apparmor_parser
        except: &[
            "crates/shim/src/process/backend/checkpoint/dump.rs",
            "crates/engine/src/shim/spawn.rs",
            "crates/engine/src/build/source/program.rs",
            "crates/engine/src/container/security/apparmor/mod.rs",
            "crates/shim/src/init.rs",
            "crates/shim/src/log/file.rs",
            "crates/shim/src/log/forward.rs",
            "crates/shim/src/process/backend/outside.rs",
        ],
        why: "no program of the host is shelled out to",
    },
    Absence {
        words: &["todo!(", "unimplemented!(", "FIXME", "XXX"],
        within: &["crates/", "xtask/"],
        except: &["xtask/src/tidy/"],
        why: "whole, not toy",
    },
    Absence {
        words: &["dlopen", "getaddrinfo", "getpwnam", "getgrnam", "to_socket_addrs"],
        within: &["crates/"],
        except: &[],
        why: "static programs load nothing of the host or of a container (no NSS)",
    },
];

/// What no test may hold either.
const IN_TESTS: Absence = Absence {
    words: &["#[ignore"],
    within: &["crates/", "tests/", "xtask/"],
    except: &["xtask/src/tidy/"],
    why: "a test that does not run is a defect",
};

pub(super) fn check_tests(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(|source| IN_TESTS.check(source)).collect()
}

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(|source| ABSENCES.iter().flat_map(move |absence| absence.check(source))).collect()
}

impl Absence {
    fn check(&self, source: &Source) -> Vec<Finding> {
        let in_place = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
        if !in_place(self.within) || in_place(self.except) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for (number, line) in source.code() {
            if let Some(word) = self.words.iter().find(|word| line.contains(**word)) {
                let place = format!("{}:{number}", source.path);
                findings
                    .push(Finding::new(place, format!("{word:?} in {}: {}", source.crate_name(), self.why)));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_thread_in_the_shim_is_found_and_a_comment_is_not() {
        let bad = source("crates/shim/src/lib.rs", "fn a() { std::thread::spawn(|| ()); }");
        assert_eq!(check(&[bad]).len(), 1);
        let good = source("crates/shim/src/lib.rs", "// std::thread is not used\nfn a() {}");
        assert!(check(&[good]).is_empty());
    }

    #[test]
    fn unsafe_is_allowed_in_raw_only() {
        assert_eq!(check(&[source("crates/store/src/a.rs", "unsafe { x() }")]).len(), 1);
        assert!(check(&[source("crates/sys/src/raw/a.rs", "unsafe { x() }")]).is_empty());
    }
}
