//! placeholder
use anyhow::Result;
pub(crate) fn main() -> Result<()> {
    Ok(())
}
