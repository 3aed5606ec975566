//! The descriptors that a child is given.

use crate::{
    error::{Error, Result},
    start::{
        message::birth::Role,
        stdio::{Opened, Stdio, Stream},
    },
    sys::{fd::OwnedFd, pipe, sentinel},
};

/// The descriptors that a child is given, each with its role.
#[derive(Debug, Default)]
pub(super) struct Gifts {
    pub(super) roles: Vec<Role>,
    pub(super) fds: Vec<OwnedFd>,
}

impl Gifts {
    pub(super) fn give(&mut self, role: Role, fd: OwnedFd) {
        self.roles.push(role);
        self.fds.push(fd);
    }

    pub(super) fn take(&mut self, role: Role) -> Option<OwnedFd> {
        let place = self.roles.iter().position(|other| *other == role)?;
        self.roles.remove(place);
        Some(self.fds.remove(place))
    }

    /// If pidfds do not work here, gives the child the write end of a pipe, which the child keeps
    /// open until it ends. Returns our end of that pipe.
    pub(super) fn sentinel(&mut self) -> Result<Option<OwnedFd>> {
        if sentinel::has_pidfds() {
            return Ok(None);
        }
        let (reader, writer) =
            pipe::make().map_err(|source| Error::os("no pipe for its sentinel", source))?;
        self.give(Role::Sentinel, writer);
        Ok(Some(reader))
    }

    /// Opens a standard stream, and gives the child its end. Returns our end if the stream is a
    /// pipe.
    pub(super) fn open(&mut self, stdio: Stdio, stream: Stream) -> Result<Option<OwnedFd>> {
        let Opened { theirs, ours } = stdio.open(stream)?;
        if let Some(fd) = theirs {
            let role = match stream {
                Stream::Input => Role::Input,
                Stream::Output => Role::Output,
                Stream::Error => Role::Error,
            };
            self.give(role, fd);
        }
        Ok(ours)
    }
}
