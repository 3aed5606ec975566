//! The resources that a process may use, and the name of a process.

use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        stat::{Mode, umask},
    },
    unistd::Pid,
};
use std::{ffi::CString, io, time::Duration};

/// A soft and a hard limit.
pub(crate) type Limit = (u64, u64);

/// How many limits there are (`RLIM_NLIMITS`). It is the same on every architecture that this crate
/// supports.
pub(crate) const COUNT: u8 = 16;

/// The number of the limit of the stack.
pub(crate) const STACK: u8 = {
    #[allow(clippy::cast_possible_truncation, reason = "it is below the count")]
    let number = libc::RLIMIT_STACK as u8;
    assert!(number < COUNT);
    number
};

/// Returns one limit of this process, by its number.
pub(crate) fn get(number: u8) -> io::Result<Limit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the result is a valid place to write to. A number that is no limit makes the call
    // fail.
    Errno::result(unsafe { libc::getrlimit(number.into(), &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Sets one limit of this process, by its number.
pub(crate) fn set(number: u8, (soft, hard): Limit) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the limit is valid to read. A number that is no limit makes the call fail.
    Errno::result(unsafe { libc::setrlimit(number.into(), &raw const limit) })?;
    Ok(())
}

/// Returns the nice value of this thread.
pub(crate) fn nice() -> io::Result<i32> {
    Errno::clear();
    // SAFETY: the call takes two integers; a `who` of zero is this thread.
    match unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) } {
        // -1 may be the value or an error.
        -1 if Errno::last_raw() != 0 => Err(Errno::last().into()),
        nice => Ok(nice),
    }
}

/// The CPUs that a thread may run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpus(CpuSet);

impl Cpus {
    /// Returns their numbers, counted from zero.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        let is_set = |cpu: &usize| self.0.is_set(*cpu).unwrap_or(false);
        (0..CpuSet::count()).filter(is_set).collect()
    }
}

/// Returns the CPUs that this thread may run on.
pub(crate) fn affinity() -> io::Result<Cpus> {
    Ok(Cpus(sched_getaffinity(Pid::from_raw(0))?))
}

/// Whether there is only one CPU that this thread may run on.
pub(crate) fn has_one_cpu() -> bool {
    // SAFETY: `cpu_set_t` is a plain C struct, for which all zeros are a valid value, the empty
    // set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a valid place to write to, and has the size that is passed; a pid of zero
    // is this thread.
    let got = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    // SAFETY: the set has been filled in.
    got == 0 && unsafe { libc::CPU_COUNT(&set) } == 1
}

/// Sets the mask for new files.
pub(crate) fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

/// Limits the address space, in bytes (`RLIMIT_AS`).
pub(crate) fn set_memory(bytes: u64) -> io::Result<()> {
    lower(Resource::RLIMIT_AS, bytes, bytes)
}

/// Limits the CPU time (`RLIMIT_CPU`, which counts whole seconds). The kernel sends SIGXCPU when it
/// is used up, and SIGKILL a second later.
pub(crate) fn set_cpu_time(time: Duration) -> io::Result<()> {
    let seconds = whole_seconds(time).as_secs();
    lower(Resource::RLIMIT_CPU, seconds, seconds.saturating_add(1))
}

/// Returns the limit on CPU time for a duration, rounded up to whole seconds. It is at least one
/// second: zero would leave no time.
pub(crate) fn whole_seconds(time: Duration) -> Duration {
    let seconds = time
        .as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0));
    Duration::from_secs(seconds.max(1))
}

/// Limits the number of open descriptors (`RLIMIT_NOFILE`).
pub(crate) fn set_open_files(count: u64) -> io::Result<()> {
    lower(Resource::RLIMIT_NOFILE, count, count)
}

/// Sets both limits, but never above the present hard limit, which only a privileged process could
/// raise.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let (_, ceiling) = getrlimit(resource)?;
    Ok(setrlimit(resource, soft.min(ceiling), hard.min(ceiling))?)
}

/// Sets the nice value of this thread, and so of the threads that it starts later.
pub(crate) fn set_nice(nice: i32) -> io::Result<()> {
    // SAFETY: the call takes three integers; a `who` of zero is this thread.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })?;
    Ok(())
}

/// Makes this thread, and the threads that it starts later, run on these CPUs only.
pub(crate) fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Sets the name of this thread, and with it that of the process, which `ps` and `top` show. The
/// kernel keeps 15 bytes of it. No character is cut.
pub(crate) fn set_name(name: &str) -> io::Result<()> {
    prctl::set_name(&CString::new(shortened(name))?)?;
    Ok(())
}

/// Returns as many whole characters of a name as the kernel keeps. NUL characters are left out.
fn shortened(name: &str) -> String {
    let mut short = String::new();
    for character in name.chars().filter(|character| *character != '\0') {
        if short.len() + character.len_utf8() > 15 {
            break;
        }
        short.push(character);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn name_is_cut_between_characters() {
        assert_eq!(shortened("обработчик запросов"), "обработ");
        assert_eq!(shortened("a\0b"), "ab");
        assert_eq!(shortened("exactly fifteen"), "exactly fifteen");
        assert_eq!(shortened("exactly fourtee\u{e4}"), "exactly fourtee");
        assert_eq!(shortened("exactly fourte\u{e4}"), "exactly fourte");
    }
}
