//! All that the child needs, put together by its maker before the clone; the child has a copy of the maker's memory.

use std::os::fd::OwnedFd;

use oci_spec::runtime::{Hook, LinuxDevice, Spec};
use rustix::fs::{Mode, OFlags};
use sys::mount::{Change, Propagation};
use sys::process::Namespaces;

use crate::CreateOptions;
use crate::error::{Context, Error, Result};
use crate::init::stage;
use crate::plan::{mounts, namespaces, process, root, sysctl};

/// A container to be.
pub(crate) struct Job<'a> {
    pub(crate) options: &'a CreateOptions<'a>,
    pub(crate) namespaces: namespaces::Plan,
    /// Whether a process in between makes the first one.
    pub(crate) staged: bool,
    pub(crate) process: process::Plan<'a>,
    pub(crate) root: root::Plan,
    pub(crate) mounts: Vec<mounts::Planned<'a>>,
    /// SELinux's, of the file systems that are made.
    pub(crate) label: Option<&'a str>,
    /// The host's null device, checked: what masked files are covered with.
    pub(crate) null: OwnedFd,
    pub(crate) hooks: Hooks<'a>,
}

/// The hooks by their places.
#[derive(Default)]
pub(crate) struct Hooks<'a> {
    /// `prestart` and `createRuntime`: by the maker, in its namespaces.
    pub(crate) runtime: Vec<&'a Hook>,
    /// `createContainer`: by the child, before the root changes.
    pub(crate) container: Vec<&'a Hook>,
    /// `startContainer`: by the child, before the program.
    pub(crate) start: Vec<&'a Hook>,
}

impl<'a> Hooks<'a> {
    fn of(spec: &'a Spec) -> Self {
        fn list(hooks: &Option<Vec<Hook>>) -> impl Iterator<Item = &Hook> {
            hooks.iter().flatten()
        }
        let Some(hooks) = spec.hooks() else { return Self::default() };
        #[allow(deprecated, reason = "prestart is deprecated in the specification and still used by Docker")]
        let prestart = hooks.prestart();
        Self {
            runtime: list(prestart).chain(list(hooks.create_runtime())).collect(),
            container: list(hooks.create_container()).collect(),
            start: list(hooks.start_container()).collect(),
        }
    }
}

impl<'a> Job<'a> {
    /// Works everything out.
    pub(crate) fn new(options: &'a CreateOptions<'a>) -> Result<Self> {
        let spec = options.spec;
        let process = spec.process().as_ref().ok_or_else(|| Error::invalid("process", "there is none"))?;
        refuse_unsupported(spec)?;
        check_hooks(spec)?;
        check_annotations(spec)?;
        let namespaces = namespaces::plan(spec, options.netns)?;
        check_namespaces(spec, &namespaces)?;
        sysctl::check(spec, &namespaces)?;
        let mounted = namespaces.new.contains(Namespaces::MOUNT);
        let root = root::plan(options, mounted)?;
        let mounts = if mounted { mounts::plan(options, root.propagation)? } else { Vec::new() };
        let process = process::plan(process)?;
        Ok(Self {
            options,
            staged: stage::needed(spec, &namespaces)?,
            namespaces,
            process,
            root,
            mounts,
            label: mounts::label(options)?,
            null: null_device(mounted)?,
            hooks: Hooks::of(spec),
        })
    }

    /// Whether the child has to wait until its maker has done something for it.
    pub(crate) fn waits_for_go(&self) -> bool {
        self.namespaces.new.contains(Namespaces::USER)
            || !self.hooks.container.is_empty()
            || !self.hooks.start.is_empty()
    }

    /// Whether the container has a user namespace other than the maker's.
    pub(crate) fn in_user_namespace(&self) -> bool {
        self.namespaces.has(Namespaces::USER)
    }

    /// The devices of the specification.
    pub(crate) fn devices(&self) -> &'a [LinuxDevice] {
        self.options.spec.linux().as_ref().and_then(|l| l.devices().as_deref()).unwrap_or(&[])
    }
}

/// A detached copy of the host's null device, which is known by its number and not by its name alone.
fn null_device(mounted: bool) -> Result<OwnedFd> {
    let fd = if mounted {
        sys::mount::clone_path("/dev/null", false)
    } else {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open("/dev/null", flags, Mode::empty())
    };
    let fd = fd.step("open", "/dev/null")?;
    let stat = rustix::fs::fstat(&fd).step("open", "/dev/null")?;
    let device = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device();
    if !device || stat.st_rdev != rustix::fs::makedev(1, 3) {
        return Err(Error::text("open", "/dev/null: isn't the null device"));
    }
    if mounted {
        let private = Change { propagation: Some(Propagation::Private), ..Change::default() };
        sys::mount::change(&fd, &private).step("open", "/dev/null")?;
    }
    Ok(fd)
}

/// What needs hardware or kernel parts that this runtime does not drive is an error, not a silence.
fn refuse_unsupported(spec: &Spec) -> Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    if linux.intel_rdt().is_some() {
        return Err(Error::invalid("intelRdt", "is not supported"));
    }
    if linux.memory_policy().is_some() {
        return Err(Error::invalid("memoryPolicy", "is not supported"));
    }
    if linux.net_devices().as_ref().is_some_and(|d| !d.is_empty()) {
        return Err(Error::invalid("netDevices", "is not supported"));
    }
    Ok(())
}

/// The specification's own rules for hooks: a path that does not depend on where the runtime stands, and time to run.
fn check_hooks(spec: &Spec) -> Result<()> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    let late = hooks.poststart().iter().chain(hooks.poststop()).flatten();
    let Hooks { runtime, container, start } = Hooks::of(spec);
    for hook in runtime.into_iter().chain(container).chain(start).chain(late) {
        let what = hook.path().display();
        if !hook.path().is_absolute() {
            return Err(Error::invalid("hooks", format!("{what}: must be an absolute path")));
        }
        if hook.timeout().is_some_and(|seconds| seconds <= 0) {
            return Err(Error::invalid("hooks", format!("{what}: the timeout must be greater than zero")));
        }
    }
    Ok(())
}

fn check_annotations(spec: &Spec) -> Result<()> {
    match spec.annotations().as_ref().is_some_and(|map| map.contains_key("")) {
        true => Err(Error::invalid("annotations", "a key is empty")),
        false => Ok(()),
    }
}

/// What only makes sense with a namespace of its own.
fn check_namespaces(spec: &Spec, namespaces: &namespaces::Plan) -> Result<()> {
    let fail = |what: &str| Err(Error::invalid("namespaces", what));
    let named = |name: &Option<String>| name.as_deref().is_some_and(|n| !n.is_empty());
    if named(spec.hostname()) && !namespaces.has(Namespaces::UTS) {
        return fail("unable to set hostname without a private UTS namespace");
    }
    if named(spec.domainname()) && !namespaces.has(Namespaces::UTS) {
        return fail("unable to set domainname without a private UTS namespace");
    }
    let apart = namespaces.new.contains(Namespaces::MOUNT);
    if !apart && spec.mounts().as_ref().is_some_and(|mounts| !mounts.is_empty()) {
        return fail("mounts need a new mount namespace");
    }
    if !apart && spec.root().as_ref().is_some_and(|root| root.readonly() == Some(true)) {
        return fail("a read-only root needs a new mount namespace");
    }
    let Some(linux) = spec.linux() else { return Ok(()) };
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
    let restricted = linux.masked_paths().iter().chain(linux.readonly_paths()).flatten();
    if let Some(path) = restricted.into_iter().find(|path| !path.starts_with('/')) {
        return Err(Error::invalid("restricted paths", format!("{path}: must be an absolute path")));
    }
    if !namespaces.new.contains(Namespaces::MOUNT)
        && (some(linux.masked_paths()) || some(linux.readonly_paths()))
    {
        return fail("unable to restrict paths without a private mount namespace");
    }
    if linux.time_offsets().as_ref().is_some_and(|o| !o.is_empty())
        && !namespaces.new.contains(Namespaces::TIME)
    {
        return fail("time offsets need a new time namespace");
    }
    Ok(())
}
