//! `berth cp`

use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;

use api::Action;
use api::container::PathStat;
use rustix::fs::OFlags;
use tarball::{Extract, Owner, Packer, Through, Xattrs, extract};

use super::progress::{Counted, Progress};
use super::rules::{self, End};
use super::{local, paths};
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};

/// Bits of Go's file mode.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_DEVICE: u32 = 1 << 26;
/// Bytes of an archive that are read at once.
const STEP: usize = 128 << 10;

pub(crate) static COMMAND: Command = Command::new(
    "cp",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tberth cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files between a container and this machine",
    Arity::Exactly(2),
    run,
)
.paths(&["container cp", "cp"])
.flags(&[&[
    Flag::bool("archive", "Keep the owners of the files, as numbers").short('a'),
    Flag::bool("follow-link", "Copy what a symbolic link at the source leads to").short('L'),
    Flag::bool("quiet", "Show no progress, which is shown on terminals only").short('q'),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let (source, target) = (matches.arg(0), matches.arg(1));
    if source.is_empty() {
        return Err(Error::said("source can not be empty"));
    }
    if target.is_empty() {
        return Err(Error::said("destination can not be empty"));
    }
    let quiet = if matches.has("quiet") { matches.bool("quiet") } else { !context.out.is_terminal() };
    let copy = |container| Copy {
        context,
        container,
        quiet,
        follow: matches.bool("follow-link"),
        owners: matches.bool("archive"),
    };
    match (rules::split(source), rules::split(target)) {
        ((Some(container), from), (None, to)) => copy(container).fetch(from, to),
        ((None, from), (Some(container), to)) => copy(container).send_in(from, to),
        ((Some(_), _), (Some(_), _)) => Err(Error::said("copying between containers is not supported")),
        _ => Err(Error::said("must specify at least one container source")),
    }
}

struct Copy<'a> {
    context: &'a Context<'a>,
    container: &'a str,
    quiet: bool,
    follow: bool,
    owners: bool,
}

impl Copy<'_> {
    /// What is at a path in the container; none when the daemon says that nothing is.
    fn look(&self, path: &str) -> Result<Option<PathStat>> {
        let call = self.context.client()?.call(Action::ContainerArchiveInfo, self.container);
        match call.query("path", path).open() {
            Ok((head, _)) => head.path_stat().map(Some),
            Err(Error::Daemon { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fetch(&self, from: &str, to: &str) -> Result<()> {
        let to = if to == "-" { to.to_owned() } else { local::absolute(to)? };
        local::check(&to)?;
        let mut source = End { path: from.to_owned(), ..End::default() };
        if self.follow
            && let Some(stat) = self.look(from)?.filter(|stat| stat.mode & GO_SYMLINK != 0)
        {
            (source.path, source.renamed) = paths::followed(from, stat.link_target);
        }
        let call = self.context.client()?.call(Action::ContainerArchive, self.container);
        let (head, mut incoming) = call.query("path", &source.path).open()?;
        if to == "-" {
            return pass_on(self.context, &mut incoming);
        }
        source.is_dir = head.path_stat()?.mode & GO_DIRECTORY != 0;
        let mut progress = Progress::begin(self.context.out, "Copying from container - ", self.quiet);
        let unpacked = unpack(Counted(&mut progress, incoming), &source, &to);
        progress.end(unpacked.is_ok().then_some(to.as_str()));
        unpacked
    }

    fn send_in(&self, from: &str, to: &str) -> Result<()> {
        let mut target = End { path: to.to_owned(), ..End::default() };
        let mut stat = self.look(to)?;
        if let Some(link) = stat.as_ref().filter(|stat| stat.mode & GO_SYMLINK != 0) {
            target.path.clone_from(&link.link_target);
            stat = self.look(&target.path)?;
        }
        if let Some(stat) = &stat {
            if stat.mode & GO_DEVICE != 0 {
                let place = format!("{}:{to}", self.container);
                return Err(Error::said(format!(
                    "destination {place:?} must be a directory or a regular file: got a device"
                )));
            }
            (target.exists, target.is_dir) = (true, stat.mode & GO_DIRECTORY != 0);
        }
        if from == "-" {
            return self.send_archive(to, &target);
        }
        let source = local::source(&local::absolute(from)?, self.follow)?;
        let plan = rules::plan(&source, &target)?;
        self.send(&source, &plan.name.unwrap_or_else(|| source.name()), &plan.dir, &target.path)
    }

    fn put(&self, dir: &str) -> Result<crate::client::Request<'_>> {
        let call = self.context.client()?.call(Action::ContainerArchivePut, self.container);
        let call = call.query("path", dir).query("noOverwriteDirNonDir", "true");
        Ok(if self.owners { call.query("copyUIDGID", "true") } else { call })
    }

    fn send_archive(&self, to: &str, target: &End) -> Result<()> {
        if !target.is_dir {
            let place = format!("{}:{to}", self.container);
            return Err(Error::said(format!("destination {place:?} must be a directory")));
        }
        let mut input = io::stdin().lock();
        let mut progress = Progress::begin(self.context.out, "Copying to container - ", self.quiet);
        let mut input = Counted(&mut progress, &mut input);
        let sent = self.put(&target.path)?.stream(&mut input, "application/x-tar").done();
        progress.end(sent.is_ok().then(|| format!("{}:{}", self.container, target.path)).as_deref());
        sent
    }

    fn send(&self, source: &End, name: &str, dir: &str, shown: &str) -> Result<()> {
        let handle = local::handle(&source.path, OFlags::NOFOLLOW)
            .map_err(|error| Error::said(format!("lstat {}: {}", source.path, reason(&error))))?;
        let mut progress = Progress::begin(self.context.out, "Copying to container - ", self.quiet);
        let mut failure = None;
        // of the root, names begin with its slash
        let name = if name == "/" { "" } else { name };
        let mut pack = |output: &mut dyn Write| {
            let mut packer = Packer::new(Counted(&mut progress, output), Xattrs::Capability);
            let packed = packer.handle(handle.as_fd(), name.as_bytes());
            packed.and_then(|()| packer.finish().map(drop)).map_err(|error| {
                failure = Some(Error::said(error.to_string()));
                io::ErrorKind::Other.into()
            })
        };
        let sent = self.put(dir)?.produce(&mut pack, "application/x-tar").done();
        let sent = match (sent, failure) {
            (Err(Error::Transport(_)), Some(failure)) => Err(failure),
            (sent, _) => sent,
        };
        progress.end(sent.is_ok().then(|| format!("{}:{shown}", self.container)).as_deref());
        sent
    }
}

/// The archive as it is to standard output.
fn pass_on(context: &Context<'_>, incoming: &mut impl Read) -> Result<()> {
    let mut buffer = vec![0; STEP];
    loop {
        let count = incoming
            .read(&mut buffer)
            .map_err(|error| Error::Transport(format!("the archive broke off: {}", reason(&error))))?;
        if count == 0 {
            return Ok(());
        }
        context.out.now(&buffer[..count])?;
    }
}

/// The daemon's archive is a container's, and a container is not to be trusted: nothing leaves the destination.
fn unpack(archive: impl Read, source: &End, to: &str) -> Result<()> {
    let plan = rules::plan(source, &local::destination(to)?)?;
    let dir = local::handle(&plan.dir, OFlags::DIRECTORY)
        .map_err(|error| Error::said(format!("open {}: {}", plan.dir, reason(&error))))?;
    let mut renames = Vec::new();
    let bytes = |name: String| if name == "/" { Vec::new() } else { name.into_bytes() };
    if let Some(name) = &source.renamed {
        renames.push((bytes(paths::split(&source.path).1), name.clone().into_bytes()));
    }
    if let Some(name) = plan.name {
        renames.push((bytes(source.name()), name.into_bytes()));
    }
    let how = Extract {
        shown: &plan.dir,
        through: Through::Refused,
        owner: Owner::Caller,
        keep_kinds: true,
        ids: None,
        renames: &renames,
    };
    extract(dir, BufReader::with_capacity(STEP, archive), &how)
        .map_err(|error| Error::said(error.to_string()))
}
