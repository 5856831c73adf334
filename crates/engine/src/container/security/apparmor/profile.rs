//! The profile that containers have by default, in AppArmor's language (apparmor.d(5)).
//!
//! It is named and means what Docker's `docker-default` does, so that either engine can use what the other has loaded.
//! It includes nothing: the host's abstractions may be missing, or say more than is meant.

/// Its name.
pub(crate) const NAME: &str = "docker-default";

/// What a container may do: anything that the other walls let it, but …
const ALLOWED: &str = "\
  network,
  capability,
  file,
  umount,
";

/// … mount, and write where the kernel keeps its own switches. Of /proc, the directories of processes stay, and the
/// limits of shared memory, which belong to the container's namespace; of /sys, the container's cgroup.
const DENIED: &str = "\
  deny mount,

  deny /proc/* w,
  deny /proc/[^0-9s]*/** w,
  deny /proc/s[^y]*/** w,
  deny /proc/sy[^s]*/** w,
  deny /proc/sys[^/]*/** w,
  deny /proc/sys/[^k]*{,/**} w,
  deny /proc/sys/k[^e]*{,/**} w,
  deny /proc/sys/kernel/[^s]*{,/**} w,
  deny /proc/sys/kernel/s[^h]*{,/**} w,
  deny /proc/sys/kernel/sh[^m]*{,/**} w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,

  deny /sys/[^f]*{,/**} wklx,
  deny /sys/f[^s]*{,/**} wklx,
  deny /sys/fs/[^c]*{,/**} wklx,
  deny /sys/fs/c[^g]*{,/**} wklx,
  deny /sys/fs/cg[^r]*{,/**} wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
";

/// The profile's text. `daemon` is the profile that confines the daemon itself, if one does: it may signal and look at
/// containers, as unconfined programs of the host and the runtimes' own profiles may.
///
/// # Errors
/// `daemon` can't be written in a profile; it is given back.
pub(crate) fn text(daemon: Option<&str>) -> Result<String, &str> {
    let mut text = format!(
        "profile {NAME} flags=(attach_disconnected,mediate_deleted) {{\n{ALLOWED}\n{DENIED}\n  \
         signal (send, receive) peer={NAME},\n  ptrace (trace, read, tracedby, readby) peer={NAME},\n"
    );
    let outside =
        ["unconfined", "runc", "crun"].into_iter().chain(daemon.filter(|name| *name != "unconfined"));
    for peer in outside {
        // AppArmor's own quoting knows escapes that a name has no need of
        if peer.is_empty() || peer.contains(|c: char| c.is_control() || "\"\\*?[]{}^@".contains(c)) {
            return Err(peer);
        }
        text.push_str(&format!("  signal (receive) peer=\"{peer}\",\n"));
        text.push_str(&format!("  ptrace (tracedby, readby) peer=\"{peer}\",\n"));
    }
    text.push_str("}\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_daemon_is_let_in_by_the_profile_that_it_has() {
        let plain = text(None).unwrap();
        assert!(plain.starts_with("profile docker-default ") && plain.ends_with("}\n"));
        assert!(plain.contains("signal (receive) peer=\"unconfined\","));
        assert_eq!(text(Some("unconfined")).unwrap(), plain);
        assert!(text(Some("/usr/sbin/berthd")).unwrap().contains("peer=\"/usr/sbin/berthd\","));
        assert_eq!(text(Some("a\"} capability,")), Err("a\"} capability,"));
    }
}
