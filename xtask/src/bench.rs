//! placeholder
use anyhow::Result;
pub(crate) fn main(_rows: &[String]) -> Result<()> {
    Ok(())
}
