//! Changes of files.

use build::graph::{
    Action, Chown, Copy, FileAction, FileInput, FileOp, MakeDir, MakeFile, Owner, Remove, Symlink,
};
use buildkit::proto::pb;
use buildkit::proto::pb::file_action::Action as Wire;

use super::{Result, number, refused};

/// The operation, and what is shown of it.
pub(super) fn file(op: &pb::FileOp, inputs: usize) -> Result<(FileOp, String)> {
    let actions = op.actions.iter().map(|action| convert(action, inputs)).collect::<Result<Vec<_>>>()?;
    let shown = op.actions.iter().filter_map(|action| action.action.as_ref()).map(show).collect::<Vec<_>>();
    Ok((FileOp { actions }, shown.join(", ")))
}

fn show(action: &Wire) -> String {
    match action {
        Wire::Copy(copy) => format!("copy {} {}", copy.src, copy.dest),
        Wire::Mkfile(file) => format!("mkfile {}", file.path),
        Wire::Mkdir(dir) => format!("mkdir {}", dir.path),
        Wire::Rm(rm) => format!("rm {}", rm.path),
        Wire::Symlink(link) => format!("symlink {} {}", link.oldpath, link.newpath),
    }
}

fn convert(action: &pb::FileAction, inputs: usize) -> Result<FileAction> {
    let Some(wire) = &action.action else {
        return Err(refused("a change of files that this version of Berth does not know".to_owned()));
    };
    Ok(FileAction {
        input: input(action.input, inputs)?,
        secondary: input(action.secondary_input, inputs)?,
        output: number(action.output)?,
        action: match wire {
            Wire::Copy(wire) => Action::Copy(Box::new(copy(wire, inputs)?)),
            Wire::Mkfile(wire) => Action::MakeFile(MakeFile {
                path: wire.path.clone(),
                mode: mode(wire.mode)?,
                data: wire.data.clone(),
                owner: owner(wire.owner.as_ref(), inputs)?,
                timestamp: time(wire.timestamp),
            }),
            Wire::Mkdir(wire) => Action::MakeDir(MakeDir {
                path: wire.path.clone(),
                mode: mode(wire.mode)?,
                make_parents: wire.make_parents,
                owner: owner(wire.owner.as_ref(), inputs)?,
                timestamp: time(wire.timestamp),
            }),
            Wire::Rm(wire) => Action::Remove(Remove {
                path: wire.path.clone(),
                allow_not_found: wire.allow_not_found,
                wildcard: wire.allow_wildcard,
            }),
            Wire::Symlink(wire) => Action::Symlink(Symlink {
                target: wire.oldpath.clone(),
                path: wire.newpath.clone(),
                owner: owner(wire.owner.as_ref(), inputs)?,
                timestamp: time(wire.timestamp),
            }),
        },
    })
}

fn copy(wire: &pb::FileActionCopy, inputs: usize) -> Result<Copy> {
    if !wire.required_paths.is_empty() {
        return Err(refused(
            "required paths of a copy are not supported by this version of Berth".to_owned(),
        ));
    }
    let digits = (wire.mode >= 0).then(|| format!("{:o}", wire.mode));
    Ok(Copy {
        source: wire.src.clone(),
        target: wire.dest.clone(),
        owner: owner(wire.owner.as_ref(), inputs)?,
        mode: Some(wire.mode_str.clone()).filter(|mode| !mode.is_empty()).or(digits),
        follow_symlinks: wire.follow_symlink,
        contents_only: wire.dir_copy_contents,
        unpack: wire.attempt_unpack_docker_compatibility,
        make_parents: wire.create_dest_path,
        wildcard: wire.allow_wildcard,
        empty_wildcard: wire.allow_empty_wildcard,
        include: wire.include_patterns.clone(),
        exclude: wire.exclude_patterns.clone(),
        timestamp: time(wire.timestamp),
        replace: wire.always_replace_existing_dest_paths,
        ..Copy::default()
    })
}

/// -1 is nothing, then come the vertex's inputs, and behind them the results of the actions.
fn input(number: i64, inputs: usize) -> Result<Option<FileInput>> {
    Ok(super::place(number)?.map(|place| match place.checked_sub(inputs) {
        None => FileInput::Input(place),
        Some(action) => FileInput::Action(action),
    }))
}

fn mode(mode: i32) -> Result<u32> {
    u32::try_from(mode)
        .map(|mode| mode & 0o7777)
        .map_err(|_negative| refused(format!("there is no mode {mode}")))
}

fn time(nanos: i64) -> Option<i64> {
    (nanos >= 0).then_some(nanos)
}

fn owner(chown: Option<&pb::ChownOpt>, inputs: usize) -> Result<Option<Chown>> {
    let Some(chown) = chown else { return Ok(None) };
    let one = |user: Option<&pb::UserOpt>| -> Result<Option<Owner>> {
        match user.and_then(|user| user.user.as_ref()) {
            None => Ok(None),
            Some(pb::user_opt::User::ById(id)) => Ok(Some(Owner::Id(*id))),
            Some(pb::user_opt::User::ByName(named)) => {
                Ok(Some(Owner::Name { name: named.name.clone(), input: input(named.input, inputs)? }))
            }
        }
    };
    Ok(Some(Chown { user: one(chown.user.as_ref())?, group: one(chown.group.as_ref())? }))
}
