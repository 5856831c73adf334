//! `rdma.max` (`admin-guide/cgroup-v1/rdma.rst`); the same file on v2.

use std::collections::BTreeMap;

use super::super::dir::Dir;
use super::super::{Controller, Error, Rdma, Result};

pub(crate) fn apply(dir: Option<&Dir>, limits: &BTreeMap<String, Rdma>) -> Result<()> {
    for (device, limit) in limits {
        let missing =
            Error::NoController { controller: Controller::Rdma, setting: "a limit of RDMA objects" };
        dir.ok_or(missing)?.write("rdma.max", line(device, limit))?;
    }
    Ok(())
}

fn line(device: &str, limit: &Rdma) -> String {
    let mut line = device.to_owned();
    for (key, value) in [("hca_handle", limit.handles), ("hca_object", limit.objects)] {
        if let Some(value) = value {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_limited_is_named() {
        assert_eq!(line("mlx5_1", &Rdma { handles: Some(3), objects: None }), "mlx5_1 hca_handle=3");
        let both = Rdma { handles: Some(3), objects: Some(10) };
        assert_eq!(line("mlx5_1", &both), "mlx5_1 hca_handle=3 hca_object=10");
    }
}
