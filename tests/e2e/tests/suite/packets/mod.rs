//! Networks judged by packets, from hosts of the tests' own: what arrives where, and from which address.
//! The same steps are taken by Berth and by Debian's Docker.

mod again;
mod churn;
mod fire;
mod flush;
mod host;
mod isolation;
mod lan;
mod many;
mod modes;
mod names;
mod options;
pub(crate) mod ports;

use anyhow::Result;
use e2e::lab::{Kind, Lab};

/// Takes steps with a new engine on a new site.
pub(crate) fn take(kind: Kind, options: &[&str], steps: fn(&Lab) -> Result<()>) -> Result<()> {
    let lab = Lab::start(kind, options)?;
    steps(&lab)?;
    lab.finish()
}

/// Steps, as one test for each engine.
macro_rules! on_both {
    ($($steps:ident $options:expr;)*) => {$(
        mod $steps {
            #[test]
            fn berth() -> anyhow::Result<()> {
                crate::packets::take(e2e::lab::Kind::Berth, &$options, super::$steps)
            }

            #[test]
            fn docker() -> anyhow::Result<()> {
                crate::packets::take(e2e::lab::Kind::Docker, &$options, super::$steps)
            }
        }
    )*};
}
pub(crate) use on_both;
