//! Running the executable anew.

use crate::{
    error::{Error, ErrorKind, Result},
    start::{mark, message::heritage},
    sys::{
        errno,
        fd::{AsFd, OwnedFd},
        image, launch,
        privilege::{self, Gain},
        socket, standing, stdio, text,
    },
};
use std::{
    env,
    ffi::{CString, OsString},
    io,
};

/// Runs the executable with these variables. Returns the id of the new process. Of the arguments of
/// this process it has the name of the program only: the others may be secrets.
///
/// Its standard input is one end of the socket. The child replaces it by `/dev/null` later. If an
/// output is `None`, it is `/dev/null`.
pub(super) fn launch(
    variables: &[heritage::Variable],
    socket: &OwnedFd,
    output: Option<&OwnedFd>,
    error: Option<&OwnedFd>,
) -> Result<u32> {
    refuse_privileges()?;
    // The child recognises its parent in this way. If it cannot, it does not know that it is a
    // child.
    socket::creator(socket.as_fd())
        .map_err(|source| Error::os("a child could not recognise its parent", source))?;
    // Opened even if it is not used here: the child needs it too, but could not report an error
    // before it has its streams.
    let null = stdio::null().map_err(|source| Error::os("/dev/null cannot be opened", source))?;
    let (output, error) = (output.unwrap_or(&null), error.unwrap_or(&null));
    let streams = [socket.as_fd(), output.as_fd(), error.as_fd()];
    let program = image::executable().as_os_str();
    let name = env::args_os().next();
    let name = name.unwrap_or_else(|| program.to_owned());
    let strings = |strings: Vec<OsString>| -> Result<Vec<CString>> {
        let strings = strings.into_iter().map(text::into_bytes);
        let strings: Result<_, _> = strings.map(CString::new).collect();
        strings.map_err(|source| refused(source.into()))
    };
    let program = strings(vec![program.to_owned()])?;
    let (arguments, variables) = (strings(vec![name])?, strings(entries(variables)?)?);
    launch::launch(&program[0], &arguments, &variables, streams).map_err(refused)
}

/// Returns the environment as an exec takes it. The first entry is ours: the helper later wipes
/// everything from there on.
fn entries(variables: &[heritage::Variable]) -> Result<Vec<OsString>> {
    let own = mark::VARIABLE.to_bytes();
    let entry = |name: &[u8], value: &[u8]| text::from_bytes([name, b"=", value].concat());
    let mut entries = vec![entry(own, mark::mark()?.as_bytes())];
    let others = variables
        .iter()
        .filter(|(name, _)| text::bytes(name) != own)
        .map(|(name, value)| entry(text::bytes(name), text::bytes(value)));
    entries.extend(others);
    Ok(entries)
}

fn refuse_privileges() -> Result<()> {
    let gain = privilege::gain(image::executable()).map_err(refused)?;
    let why = match gain {
        None => return Ok(()),
        Some(Gain::Secure) => {
            "this process has privileges of its executable, which starting it anew would regain"
        }
        Some(Gain::Ids) => {
            "the real and the effective user or group of this process differ, which starting it anew takes for privileges"
        }
        Some(Gain::SetId) => {
            "the executable is set-user-ID or set-group-ID, and starting it anew would gain privileges"
        }
        Some(Gain::Capabilities) => {
            "the executable has file capabilities, and starting it anew would gain privileges"
        }
    };
    Err(Error::new(ErrorKind::Privileged, why))
}

/// Returns the error that the executable cannot be run anew.
pub(super) fn refused(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            let is_lost = source.kind() == io::ErrorKind::NotFound;
            let why = is_lost.then(image::why_not_found).flatten();
            let what = why.unwrap_or("the executable cannot be run anew");
            Error::new(ErrorKind::Executable, what).because(source)
        }
        _ if source.raw_os_error() == Some(errno::ENOMEM) && standing::has_children_elsewhere() => {
            let what = "the PID namespace that its children are born into has ended with its first process";
            Error::new(ErrorKind::Os, what).because(source)
        }
        _ => Error::making("the executable cannot be run anew", source),
    }
}
