//! The names in the UTS namespace.

use oci_spec::runtime::Spec;

use crate::error::{Context, Result};

/// Sets host and domain name.
pub(super) fn set(spec: &Spec) -> Result<()> {
    if let Some(name) = spec.hostname().as_deref().filter(|n| !n.is_empty()) {
        rustix::system::sethostname(name.as_bytes()).step("sethostname", name)?;
    }
    if let Some(name) = spec.domainname().as_deref().filter(|n| !n.is_empty()) {
        rustix::system::setdomainname(name.as_bytes()).step("setdomainname", name)?;
    }
    Ok(())
}
