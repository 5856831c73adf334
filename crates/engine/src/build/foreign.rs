//! Steps for other processors than this machine's: the kernel runs them by an emulator, if one is registered.

use std::collections::HashMap;
use std::path::Path;

use ::build::graph::{Graph, Op, VertexId};
use ::build::{Error, Result};
use oci::Platform;

/// Where the kernel lists the formats that it was taught.
const FORMATS: &str = "/proc/sys/fs/binfmt_misc";
/// Where ELF says for which processor a program is, as hexadecimal digits of a format's magic.
const MACHINE: std::ops::Range<usize> = 36..40;

/// The steps that this machine does not run by itself.
pub(super) fn vertices(graph: &Graph) -> HashMap<VertexId, Platform> {
    let host = Platform::host();
    let foreign = |platform: &&Platform| host.rank(platform).is_none();
    let steps = graph.vertices().filter(|(_, vertex)| matches!(vertex.op, Op::Exec(_)));
    steps.filter_map(|(id, vertex)| Some((id, vertex.platform.as_ref().filter(foreign)?.clone()))).collect()
}

/// Whether such a step can be run.
///
/// # Errors
/// It can't; what is missing.
pub(super) fn check(platform: &Platform) -> Result<()> {
    check_in(Path::new(FORMATS), platform)
}

fn check_in(formats: &Path, platform: &Platform) -> Result<()> {
    let missing = |why: &str| {
        let host = Platform::host();
        Err(Error::Invalid(format!(
            "a step for {platform} cannot run on {host}: {why} (register one with the flag F, by qemu-user-static \
             for instance)"
        )))
    };
    if platform.os != "linux" {
        return Err(Error::Invalid(format!("a step for {platform} cannot run on Linux")));
    }
    let Some(machine) = machine(&platform.architecture) else {
        return missing("no emulator for it is known");
    };
    let Ok(entries) = std::fs::read_dir(formats) else {
        return missing("the kernel's binfmt_misc is not there");
    };
    let runs = entries.flatten().any(|entry| {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let magic = text.lines().find_map(|line| line.strip_prefix("magic ")).unwrap_or_default();
        text.starts_with("enabled") && magic.get(MACHINE) == Some(machine)
    });
    if runs { Ok(()) } else { missing("binfmt_misc has no emulator for it") }
}

/// `e_machine`, as it stands in a file of that processor's byte order.
fn machine(architecture: &str) -> Option<&'static str> {
    Some(match architecture {
        "amd64" => "3e00",
        "386" => "0300",
        "arm64" => "b700",
        "arm" => "2800",
        "riscv64" => "f300",
        "ppc64le" => "1500",
        "s390x" => "0016",
        "loong64" => "0201",
        "mips64le" | "mipsle" => "0800",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_must_be_registered_and_enabled() {
        let dir = tempfile::tempdir().unwrap();
        let arm = Platform::parse("linux/arm64").unwrap();
        let said = |platform: &Platform| check_in(dir.path(), platform).map_err(|error| error.to_string());
        assert!(said(&arm).unwrap_err().contains("linux/arm64"));
        let entry = "interpreter /usr/bin/qemu-aarch64-static\nflags: F\noffset 0\n\
                     magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        std::fs::write(dir.path().join("qemu-aarch64"), format!("disabled\n{entry}")).unwrap();
        assert!(said(&arm).is_err());
        std::fs::write(dir.path().join("qemu-aarch64"), format!("enabled\n{entry}")).unwrap();
        assert!(said(&arm).is_ok());
        assert!(said(&Platform::parse("linux/riscv64").unwrap()).is_err());
        assert!(said(&Platform::parse("windows/amd64").unwrap()).unwrap_err().contains("windows"));
        let nowhere = check_in(&dir.path().join("nowhere"), &arm);
        assert!(nowhere.unwrap_err().to_string().contains("binfmt_misc is not there"));
    }
}
