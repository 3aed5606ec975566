//! A lock in shared memory that is freed when its holder dies: a robust mutex of the C library,
//! [pthread_mutexattr_setrobust(3)][setrobust].
//!
//! [setrobust]: https://man7.org/linux/man-pages/man3/pthread_mutexattr_setrobust.3.html
//!
//! Each thread keeps a list of the robust mutexes that it holds. The kernel walks the list when the
//! thread ends, whatever the reason. Locking and unlocking a mutex that no other thread wants makes
//! no system call. The list runs through the mutexes themselves, and so through shared memory. A
//! process that overwrites a mutex while another process holds it can make that other process write
//! to a wrong address. Processes that share a lock must trust each other that far, as threads do.
//!
//! # PID namespaces
//!
//! The word of a mutex holds the id of the thread that has it. Both the C library and the kernel
//! compare it with an id in the namespace of the thread that asks, or ends. Two threads of two
//! namespaces can have the same id. Then one of them would be told that it holds what the other
//! holds, and its death would free it. So a mutex belongs to the namespace where it was created,
//! and says which one that is. Processes of other namespaces are refused.

use super::{futex, mapping::Mapping, own, weak::symbol};
use nix::time::ClockId;
use std::{
    fmt, io,
    marker::PhantomData,
    mem::{self, MaybeUninit},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A mutex in shared memory.
pub(crate) struct Robust {
    mapping: Arc<Mapping>,
    place: NonNull<libc::pthread_mutex_t>,
    /// The PID namespace that the mutex belongs to. It is read once, since others can write to the
    /// memory.
    namespace: u64,
}

// SAFETY: it is a mutex in memory that stays mapped, made to be used by several threads.
unsafe impl Send for Robust {}
// SAFETY: as above.
unsafe impl Sync for Robust {}

/// The size and the alignment of a mutex with the number of its namespace, in bytes. It is more
/// than any C library needs.
pub(crate) const SIZE: usize = 64;

/// The offset of the number of the namespace, which lies after the mutex.
const NAMESPACE: usize = SIZE - size_of::<u64>();

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= NAMESPACE);

/// The longest time that a waiter sleeps before it looks at the lock again.
///
/// A wake-up can be lost if its waiter is stopped or dies. Unlocking removes the mark that there
/// are waiters, and wakes one of them.
///
/// - If that waiter is stopped, it does not take the lock.
/// - If that waiter is killed after another thread took the lock, it cannot set the mark again.
///
/// In both cases the other waiters sleep on, and the next unlock does not know of them. So each
/// waiter looks again from time to time, which also sets the mark again.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// The C library whose mutexes these are. Those of another library have another layout.
pub(crate) const LIBRARY: &str = if cfg!(target_env = "musl") {
    "musl"
} else {
    "gnu"
};

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another thread held it until the deadline, or holds it at this moment.
    Busy,
    /// This thread holds it.
    Held,
    /// The memory holds no mutex, or one of another PID namespace.
    Invalid(io::Error),
}

/// The lock, held by this thread until it is dropped.
pub(crate) struct Guard<'a> {
    robust: &'a Robust,
    /// The process that holds it. A forked copy of that process does not hold it.
    process: u64,
    /// Whether the previous holder died while it held the lock. What the lock guards may then be
    /// inconsistent.
    died: bool,
    /// Only the thread that has locked a mutex can unlock it.
    not_send: PhantomData<*const ()>,
}

// SAFETY: other threads have a shared reference at most, and through one nothing can be changed.
unsafe impl Sync for Guard<'_> {}

impl Robust {
    /// Creates an unlocked mutex, in memory that no other process has yet.
    pub(crate) fn create(mapping: &Arc<Mapping>, offset: usize) -> io::Result<Self> {
        own::page()?;
        let namespace = own::namespace();
        mapping
            .get::<AtomicU64>(offset + NAMESPACE)
            .store(namespace, Ordering::Relaxed);
        let robust = Self::open(mapping, offset)?;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the result is a valid place to write to.
        check(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) })?;
        let attributes = attributes.as_mut_ptr();
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: the attributes have been initialised.
        check(unsafe { libc::pthread_mutexattr_setpshared(attributes, shared) })?;
        let kind = libc::PTHREAD_MUTEX_ROBUST;
        // SAFETY: as above.
        check(unsafe { libc::pthread_mutexattr_setrobust(attributes, kind) })?;
        let kind = libc::PTHREAD_MUTEX_ERRORCHECK;
        // SAFETY: as above.
        check(unsafe { libc::pthread_mutexattr_settype(attributes, kind) })?;
        // SAFETY: the place is aligned and large enough, and nobody uses it yet. The attributes
        // have been initialised.
        check(unsafe { libc::pthread_mutex_init(robust.as_ptr(), attributes) })?;
        // SAFETY: as above. The attributes own nothing, so nothing is lost if an error skips this
        // call.
        check(unsafe { libc::pthread_mutexattr_destroy(attributes) })?;
        Ok(robust)
    }

    /// Uses a mutex that was created there. Fails with `Unsupported` if it belongs to another PID
    /// namespace.
    pub(crate) fn open(mapping: &Arc<Mapping>, offset: usize) -> io::Result<Self> {
        own::page()?;
        let namespace = mapping.get::<AtomicU64>(offset + NAMESPACE);
        let robust = Self {
            mapping: Arc::clone(mapping),
            place: mapping.place::<Slot>(offset, 1).cast(),
            namespace: namespace.load(Ordering::Relaxed),
        };
        robust.check_namespace()?;
        Ok(robust)
    }

    /// Fails unless the mutex belongs to the namespace of this process, which may be a forked copy
    /// of the one that opened it.
    fn check_namespace(&self) -> io::Result<()> {
        if own::are_apart(self.namespace, own::namespace()) {
            let what = "locks and queues are for processes of one pid namespace, and this process is in another";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(())
    }

    /// Takes the lock. Blocks until the deadline; without one, blocks for ever.
    pub(crate) fn lock(&self, deadline: Option<Instant>) -> Result<Guard<'_>, Refused> {
        // A lock that nobody holds is taken without a look at the clock.
        let mut result = self.attempt();
        while matches!(result, Err(Refused::Busy)) {
            let again = Instant::now() + LONGEST_SLEEP;
            match deadline {
                Some(deadline) if deadline <= again => return self.lock_until(deadline),
                _ => result = self.lock_until(again),
            }
        }
        result
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_lock(&self) -> Result<Guard<'_>, Refused> {
        match self.attempt() {
            // musl tells the holder that it has the lock only in the call that may block.
            Err(Refused::Busy) if LIBRARY == "musl" => self.lock_until(Instant::now()),
            result => result,
        }
    }

    fn attempt(&self) -> Result<Guard<'_>, Refused> {
        self.check_namespace().map_err(Refused::Invalid)?;
        // SAFETY: a mutex lies there for as long as the mapping is borrowed.
        self.judge(unsafe { libc::pthread_mutex_trylock(self.as_ptr()) })
    }

    fn lock_until(&self, deadline: Instant) -> Result<Guard<'_>, Refused> {
        type Clocklock = unsafe extern "C" fn(
            *mut libc::pthread_mutex_t,
            libc::clockid_t,
            *const libc::timespec,
        ) -> libc::c_int;
        if let Some(clocklock) = symbol!("pthread_mutex_clocklock" as Clocklock) {
            let at = futex::moment(ClockId::CLOCK_MONOTONIC, deadline).map_err(Refused::Invalid)?;
            let clock = libc::CLOCK_MONOTONIC;
            // SAFETY: as for `attempt`; the time lives as long as the call.
            return self.judge(unsafe { clocklock(self.as_ptr(), clock, &raw const at) });
        }
        loop {
            // This other call uses the clock that can be set. If it was set, the call may have
            // returned too early.
            let at = futex::moment(ClockId::CLOCK_REALTIME, deadline).map_err(Refused::Invalid)?;
            // SAFETY: as above.
            let result = unsafe { libc::pthread_mutex_timedlock(self.as_ptr(), &raw const at) };
            if result != libc::ETIMEDOUT || Instant::now() >= deadline {
                return self.judge(result);
            }
        }
    }

    /// Returns the guard of a lock that this thread holds and whose guard was forgotten. Returns
    /// `None` if this thread does not hold it.
    pub(crate) fn held(&self) -> Option<Guard<'_>> {
        // The mutex knows its holder, and refuses it.
        let is_held = matches!(self.try_lock(), Err(Refused::Held));
        is_held.then(|| self.guard(false))
    }

    fn judge(&self, result: libc::c_int) -> Result<Guard<'_>, Refused> {
        match result {
            0 | libc::EOWNERDEAD => {
                self.mapping.pin();
                Ok(self.guard(result == libc::EOWNERDEAD))
            }
            libc::EBUSY | libc::ETIMEDOUT => Err(Refused::Busy),
            libc::EDEADLK => Err(Refused::Held),
            errno => Err(Refused::Invalid(io::Error::from_raw_os_error(errno))),
        }
    }

    fn guard(&self, died: bool) -> Guard<'_> {
        Guard {
            robust: self,
            process: own::number(),
            died,
            not_send: PhantomData,
        }
    }

    fn as_ptr(&self) -> *mut libc::pthread_mutex_t {
        self.place.as_ptr()
    }
}

impl Guard<'_> {
    /// Whether this process holds the lock. A forked copy of the holder does not.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == own::number()
    }

    /// Whether the previous holder died while it held the lock. What the lock guards must then be
    /// repaired before [`recovered`](Self::recovered) is called.
    pub(crate) fn owner_died(&self) -> bool {
        self.died
    }

    /// Says that what the lock guards is consistent again. If this process dies before this call,
    /// the next holder is told of a death again.
    pub(crate) fn recovered(&mut self) {
        if mem::take(&mut self.died) {
            // SAFETY: this thread holds the mutex, and took it over from a holder that died. The
            // call cannot fail then.
            unsafe { libc::pthread_mutex_consistent(self.robust.as_ptr()) };
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        // A mutex that is unlocked before it is declared consistent could never be locked again.
        self.recovered();
        // SAFETY: a mutex lies there for as long as the mapping is borrowed. A thread that does not
        // hold it is told so, and nothing is changed.
        if unsafe { libc::pthread_mutex_unlock(self.robust.as_ptr()) } == 0 {
            self.robust.mapping.unpin();
        }
    }
}

impl fmt::Debug for Robust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Robust").finish_non_exhaustive()
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

#[repr(C, align(64))]
struct Slot([u8; SIZE]);

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMESPACE, Refused, Robust, SIZE};
    use crate::sys::mapping::Mapping;
    use std::{
        mem,
        os::fd::AsFd,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        thread,
        time::{Duration, Instant},
    };

    fn pair() -> (Robust, Robust) {
        let mapping = Arc::new(Mapping::create(2 * SIZE).unwrap());
        let fd = mapping.as_fd().try_clone_to_owned().unwrap();
        let other = Arc::new(Mapping::open(fd, 2 * SIZE).unwrap());
        let robust = Robust::create(&mapping, SIZE).unwrap();
        (robust, Robust::open(&other, SIZE).unwrap())
    }

    #[test]
    fn held_is_held_through_every_mapping() {
        let (one, other) = pair();
        let guard = one.lock(None).unwrap();
        assert!(matches!(other.lock(None), Err(Refused::Held)));
        assert!(matches!(other.try_lock(), Err(Refused::Held)));
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(matches!(other.try_lock(), Err(Refused::Busy)));
                let start = Instant::now();
                let deadline = start + Duration::from_millis(20);
                assert!(matches!(other.lock(Some(deadline)), Err(Refused::Busy)));
                assert!(start.elapsed() >= Duration::from_millis(20));
            });
        });
        drop(guard);
        assert!(!other.lock(None).unwrap().owner_died());
    }

    #[test]
    fn mutex_of_another_namespace_is_refused() {
        let (one, other) = pair();
        let guard = one.lock(None).unwrap();
        let namespace = other.mapping.get::<AtomicU64>(SIZE + NAMESPACE);
        let ours = namespace.load(Ordering::Relaxed);
        namespace.store(ours ^ 1, Ordering::Relaxed);
        assert!(Robust::open(&other.mapping, SIZE).is_err());
        // Mutexes that are already open do not read that word again.
        assert!(matches!(other.try_lock(), Err(Refused::Held)));
        drop(guard);
    }

    #[test]
    fn thread_that_ends_with_it_gives_it_back() {
        let (one, other) = pair();
        thread::spawn(move || {
            mem::forget(one.lock(None).unwrap());
            // The memory must stay mapped: the list of the thread leads there.
            drop(one);
        })
        .join()
        .unwrap();
        let mut guard = other.lock(None).unwrap();
        assert!(guard.owner_died());
        guard.recovered();
        drop(guard);
        assert!(!other.lock(None).unwrap().owner_died());
    }
}
