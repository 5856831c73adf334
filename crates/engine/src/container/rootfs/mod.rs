//! Questions to a root file system before a process runs in it: who is the user, is the working directory there.
//! All paths are resolved beneath a descriptor; files are read bounded.

mod newcomer;

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use oci::Digest;
use sys::idmap::Map;
use sys::path::Root;

use self::newcomer::Newcomer;
use super::spec::Identity;
use crate::container::Container;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::userns::{Holder, IdMap};

/// Resolves `user[:group]` and additional groups in a root.
///
/// # Errors
/// Docker's `unable to find user x: no matching entries in passwd file`.
pub(crate) fn identity(root: &Root, user: &str, groups: &[String]) -> Result<Identity> {
    if user.is_empty() && groups.is_empty() {
        return Ok(root_identity(root));
    }
    let (passwd, group) = (read(root, "/etc/passwd")?, read(root, "/etc/group")?);
    let found =
        sys::users::resolve(user, &passwd, &group).map_err(|error| Error::system(error.to_string()))?;
    let mut all = vec![found.gid];
    let more =
        sys::users::resolve_groups(groups, &group).map_err(|error| Error::system(error.to_string()))?;
    for gid in found.groups.into_iter().chain(more) {
        if !all.contains(&gid) {
            all.push(gid);
        }
    }
    Ok(Identity { uid: found.uid, gid: found.gid, groups: all, home: found.home })
}

fn root_identity(root: &Root) -> Identity {
    // a damaged file, or one that a container has blown up, is no reason not to be root
    let (passwd, group) =
        (read(root, "/etc/passwd").unwrap_or_default(), read(root, "/etc/group").unwrap_or_default());
    let found = sys::users::resolve("", &passwd, &group).ok();
    let (mut all, home) = match found {
        Some(found) => (found.groups, found.home),
        None => (Vec::new(), "/root".to_owned()),
    };
    if !all.contains(&0) {
        all.insert(0, 0);
    }
    Identity { uid: 0, gid: 0, groups: all, home }
}

fn read(root: &Root, path: &str) -> Result<Vec<u8>> {
    match root.read_bounded(path, sys::users::MAX_FILE) {
        Ok(bytes) => Ok(bytes),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(Error::because(format!("read {path} of the container"), error)),
    }
}

/// Ids that a new container's image and its own settings name: of users and groups in the image's tables, and of the one
/// that it runs as. A user that there is none of is told at the start. Blocks.
///
/// # Errors
/// The root can't be mounted; a table can't be read.
pub(crate) fn image_ids(engine: &Inner, container: &Container) -> Result<Vec<u32>> {
    let root = Root::in_root(engine.store.snapshot(&container.id)?.mount()?);
    let mut ids = Vec::new();
    for table in ["/etc/passwd", "/etc/group"] {
        let bytes = read(&root, table)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // name:password:id, and in passwd the group's id next
        let numbers = |line: &str| -> Vec<u32> {
            line.split(':').skip(2).take(2).filter_map(|field| field.parse().ok()).collect()
        };
        ids.extend(text.lines().flat_map(numbers));
    }
    if let Ok(own) = identity(&root, &container.config.user, &container.host.group_add) {
        ids.extend([own.uid, own.gid].into_iter().chain(own.groups));
    }
    Ok(ids)
}

/// Makes a new container's root, and makes known in it whoever has the same ids as outside. Blocks.
///
/// # Errors
/// The image has gone; the disk is full.
pub(crate) fn create(engine: &Inner, container: &Container, image: &Digest) -> Result<()> {
    engine.store.create_snapshot(&container.id, image, owners(engine, container).as_ref())?;
    let kept = container.ids.as_ref().and_then(|ids| crate::userns::user(&container.host, ids));
    let Some((uid, gid)) = kept else { return Ok(()) };
    let home = Some(container.config.working_dir.as_str()).filter(|dir| !dir.is_empty()).unwrap_or("/");
    let root = Root::in_root(mount(engine, container, None)?);
    newcomer::introduce(&root, &Newcomer::of_host(uid, gid, home))
}

/// What files in a container's root have for owners, where they can't be shown with others than they have.
pub(crate) fn owners(engine: &Inner, container: &Container) -> Option<Map> {
    container.ids.as_ref().filter(|_| engine.config.rootless).map(IdMap::ids)
}

/// Makes the working directory if it is missing.
///
/// # Errors
/// Something else is in its place.
pub(crate) fn working_directory(root: &Root, path: &str) -> Result<()> {
    if path.is_empty() || path == "/" {
        return Ok(());
    }
    match root.stat(path) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => return Ok(()),
        Ok(_) => {
            return Err(Error::bad_parameter(format!("Cannot mkdir: {path} is not a directory")));
        }
        Err(sys::Errno::NOENT) => {}
        // magic links and the like are the runtime's to refuse, with its own words
        Err(_) => return Ok(()),
    }
    let made = root.mkdir_all(path, 0o755).map_err(|error| Error::because(format!("mkdir {path}"), error))?;
    drop(made);
    Ok(())
}

/// Puts `/.dockerenv` there, by which programs know that they are in a container.
///
/// # Errors
/// The root takes no file.
pub(crate) fn mark(root: &Root) -> Result<()> {
    match root.create_file("/.dockerenv", 0o755) {
        // The image has one, or this is not the first start.
        Ok(_) | Err(sys::Errno::EXIST) => Ok(()),
        Err(error) => Err(Error::because("create /.dockerenv", error)),
    }
}

/// Mounts a container's root, with the ids of its user namespace if it has one. `user` is such a namespace, if there is
/// one already. Blocks.
///
/// # Errors
/// The storage driver's refusal.
pub(crate) fn mount(engine: &Inner, container: &Container, user: Option<&Holder>) -> Result<OwnedFd> {
    let failed = |error| Error::because("mount the root file system", error);
    let label = engine.selinux.mount_label(container);
    let snapshot = engine.store.snapshot(&container.id).map_err(failed)?.labelled(label);
    match (&container.ids, user) {
        (Some(_), Some(user)) => snapshot.mount_mapped(user.shown()),
        (Some(ids), None) => snapshot.mount_mapped(ids.holder()?.shown()),
        (None, _) => snapshot.mount(),
    }
    .map_err(failed)
}

/// Does something on this thread whose new files are the container's root's.
///
/// # Errors
/// What `work` says.
pub(crate) fn as_root_of<T>(container: &Container, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some((uid, gid)) = container.ids.as_ref().and_then(IdMap::root) else { return work() };
    sys::owner::as_owner(uid, gid, work)
        .map_err(|errno| Error::because("act for the container's root", errno))?
}

/// A root for questions, beside the mount itself.
///
/// # Errors
/// Out of descriptors.
pub(crate) fn root_of(mount: &OwnedFd) -> Result<Root> {
    let fd = mount
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Error::because("duplicate the root's descriptor", error))?;
    Ok(Root::in_root(fd))
}

/// The mount namespace of a container's first process. Its number may be another process's by now: a process that
/// is not in the container's cgroup is none of it, where containers have one.
///
/// # Errors
/// It has ended.
pub(crate) fn mount_namespace(engine: &Inner, pid: u32, id: &str) -> Result<OwnedFd> {
    const MOST: usize = 64 << 10;
    let failed = |error| Error::because("open the container's mount namespace", error);
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/mnt")).map_err(failed)?;
    if !engine.host.cgroups {
        return Ok(namespace.into());
    }
    let cgroups = sys::file::read_bounded(format!("/proc/{pid}/cgroup"), MOST).map_err(failed)?;
    if !String::from_utf8_lossy(&cgroups).contains(id) {
        return Err(Error::not_running(id));
    }
    Ok(namespace.into())
}

/// The root of a running process.
///
/// # Errors
/// It is gone.
pub(crate) fn root_of_process(pid: u32) -> Result<Root> {
    Root::open_in_root(format!("/proc/{pid}/root"))
        .map_err(|error| Error::because("open the container's root", error))
}
