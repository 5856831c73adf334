//! What a requirement is, and the macro that writes them down.

use crate::subject::Subject;

/// One sentence of the specification, in short, with the test that is named after it.
pub(crate) struct Requirement {
    /// Name of the test.
    pub(crate) name: &'static str,
    /// What is required.
    pub(crate) text: &'static [&'static str],
    /// Runtimes that are known to depart from it, and how.
    pub(crate) departs: &'static [(&'static str, &'static str)],
}

/// `/// requirement` `[departs runtime: "how"]` `name(bundle) { … }`: a function, one test of it for each runtime, and
/// its line in the table `ALL` of the module.
macro_rules! requirements {
    ($($(#[doc = $doc:literal])+ $([departs $($who:ident: $how:literal),+ $(,)?])? $name:ident($r:ident) $body:block)+) => {
        /// All requirements of this file.
        pub(crate) const ALL: &[$crate::requirement::Requirement] = &[$($crate::requirement::Requirement {
            name: stringify!($name),
            text: &[$($doc),+],
            departs: &[$($((stringify!($who), $how)),+)?],
        }),+];
        $(
            $(#[doc = $doc])+
            fn $name($r: &$crate::subject::Subject) $body

            mod $name {
                const DEPARTS: &[(&str, &str)] = &[$($((stringify!($who), $how)),+)?];

                #[test]
                fn berth() {
                    $crate::requirement::judge("berth", DEPARTS, super::$name);
                }
                #[test]
                fn runc() {
                    $crate::requirement::judge("runc", DEPARTS, super::$name);
                }
                #[test]
                fn crun() {
                    $crate::requirement::judge("crun", DEPARTS, super::$name);
                }
            }
        )+
    };
}

/// Tries a requirement on a runtime: it holds, or fails as the table says.
pub(crate) fn judge(name: &'static str, departs: &[(&str, &str)], test: fn(&Subject)) {
    let subject = Subject::new(name);
    let known = departs.iter().find(|(who, _)| *who == name).map(|(_, how)| how);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&subject)));
    match (outcome, known) {
        (Ok(()), None) => {}
        (Err(_), Some(how)) => eprintln!("{name} departs, as is known: {how}"),
        (Ok(()), Some(how)) => panic!("{name} keeps this now; strike it from the table: {how}"),
        (Err(failure), None) => std::panic::resume_unwind(failure),
    }
}
