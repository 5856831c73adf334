//! This program's file must not be writable from a container (CVE-2019-5736): before anything of a container is touched
//! the program runs itself again from a sealed file (0.4 ms).

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;

use anyhow::{Context as _, Result, bail};

/// Runs the program again unless it runs from a file that can't be written already.
pub(crate) fn ensure() -> Result<()> {
    if sys::program::is_sealed().context("sealing the program")? {
        return Ok(());
    }
    let file = sys::program::sealed("/proc/self/exe").context("sealing the program")?;
    let c_string = |s: OsString| CString::new(s.into_vec());
    let args = std::env::args_os().map(c_string).collect::<Result<Vec<_>, _>>()?;
    let env = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        c_string(name)
    });
    let errno = sys::process::exec_fd(&file, &args, &env.collect::<Result<Vec<_>, _>>()?);
    bail!("running the sealed program: {}", io::Error::from(errno))
}
