//! Running an executable in a new process:
//! [posix_spawn(3)](https://man7.org/linux/man-pages/man3/posix_spawn.3.html). Its cost does not
//! grow with the memory of this process.
//!
//! std's `Command` does the same, but cannot keep the new process from inheriting a descriptor that
//! some thread has opened without `CLOEXEC`. Here the C library closes these descriptors, after the
//! copy and before the exec. So none slips through, and the new program need not guess which
//! descriptors it inherited and which its own libraries have opened. (A C library without
//! `posix_spawn_file_actions_addclosefrom_np` closes only those that were open before the call.)

use super::{stdio, weak::symbol};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
};
use std::{
    ffi::{CStr, CString, c_char, c_int},
    fs, io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr,
};

type Actions = libc::posix_spawn_file_actions_t;
type CloseFrom = unsafe extern "C" fn(*mut Actions, c_int) -> c_int;

/// Runs `program` with exactly these arguments, variables and standard streams, and with no other
/// descriptor of this process. In the new process no signal is blocked, and SIGPIPE is not ignored.
/// Returns the id of the new process, which is a child of this one.
pub(crate) fn launch(
    program: &CStr,
    arguments: &[CString],
    environment: &[CString],
    streams: [BorrowedFd<'_>; 3],
) -> io::Result<u32> {
    // No stream may have the number that another stream is to get.
    let raise = |fd| stdio::duplicate_above_standard(fd);
    let [input, output, error] = streams;
    let streams = [raise(input)?, raise(output)?, raise(error)?];
    let mut actions = FileActions::new()?;
    for (number, stream) in (0..).zip(&streams) {
        actions.duplicate(stream, number)?;
    }
    actions.close_above_standard()?;
    let attributes = Attributes::new()?;
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let mut id = 0;
    // SAFETY: every string ends with a NUL, and both arrays end with a null pointer. Actions and
    // attributes have been initialised. All of them live until the call returns.
    check(unsafe {
        libc::posix_spawn(
            &raw mut id,
            program.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    Ok(id.cast_unsigned())
}

/// Checks the result of a C library function of this family: zero or an errno.
fn check(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
    pointers.chain([ptr::null_mut()]).collect()
}

/// What the new process does with its descriptors before the exec.
struct FileActions(Actions);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the place is valid to write to.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: the call has succeeded, and so has initialised the place.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn duplicate(&mut self, fd: &OwnedFd, number: RawFd) -> io::Result<()> {
        // SAFETY: the actions have been initialised, and the descriptor is open until they are
        // used.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), number)
        })
    }

    fn close_above_standard(&mut self) -> io::Result<()> {
        let first = libc::STDERR_FILENO + 1;
        if let Some(close_from) = symbol!("posix_spawn_file_actions_addclosefrom_np" as CloseFrom) {
            // SAFETY: the actions have been initialised.
            return check(unsafe { close_from(&raw mut self.0, first) });
        }
        // With this C library, a descriptor that another thread opens meanwhile slips through.
        for number in inheritable()? {
            // SAFETY: as above. It is no error if the number is closed by then.
            check(unsafe { libc::posix_spawn_file_actions_addclose(&raw mut self.0, number) })?;
        }
        Ok(())
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: the actions have been initialised, and are not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Returns the descriptors above the standard ones that an exec would leave open.
fn inheritable() -> io::Result<Vec<RawFd>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/thread-self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // SAFETY: the borrow is used once, to ask for flags. The kernel answers with an error if
        // the number is closed by now.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let flags = fcntl(fd.as_fd(), FcntlArg::F_GETFD);
        let is_inherited = |flags| !FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC);
        if number > libc::STDERR_FILENO && flags.is_ok_and(is_inherited) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// The other settings of the new process.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the place is valid to write to.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: the call has succeeded, and so has initialised the place.
        let mut attributes = Self(unsafe { attributes.assume_init() });
        // SAFETY: `sigset_t` is a plain C struct, for which all zeros are a valid value, the empty
        // set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: attributes and set have been initialised.
        check(unsafe { libc::posix_spawnattr_setsigmask(&raw mut attributes.0, &raw const set) })?;
        // SAFETY: the set has been initialised, and the signal exists.
        Errno::result(unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) })?;
        // SAFETY: attributes and set have been initialised.
        check(unsafe {
            libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, &raw const set)
        })?;
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        #[expect(clippy::cast_possible_truncation, reason = "both are small")]
        // SAFETY: the attributes have been initialised.
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut attributes.0, flags as _) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: the attributes have been initialised, and are not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
