//! A lock in shared memory that a dead holder gives back: a robust mutex of the C library's,
//! [pthread_mutexattr_setrobust(3)](https://man7.org/linux/man-pages/man3/pthread_mutexattr_setrobust.3.html).
//!
//! Each thread keeps a list of those it holds, which the kernel walks when the thread ends, however it does. Locking and unlocking
//! one that nobody else wants is no system call. The list runs through the mutexes themselves, that is through shared memory: a
//! process that writes over a mutex while another holds it can make that one write where it should not. Who shares a lock trusts
//! each other that far, as threads do.
//!
//! # Pid namespaces
//!
//! The word of a mutex holds the id of the thread that has it, and both the C library and the kernel
//! compare it with an id in the namespace of the thread that asks, or ends. Two threads of two
//! namespaces can have the same id: one of them would be told that it holds what the other holds, and
//! its death would free it. So a mutex belongs to the namespace where it was made, and says which one
//! that is; processes of others are refused.

use super::{futex, mapping::Mapping, own, weak::symbol};
use nix::time::ClockId;
use std::{
    cell::Cell,
    fmt, io,
    marker::PhantomData,
    mem::MaybeUninit,
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
    /// The pid namespace it belongs to. It is read once: others can write to the memory.
    namespace: u64,
}

// SAFETY: it is a mutex in memory that stays, made to be used by several threads.
unsafe impl Send for Robust {}
// SAFETY: as above.
unsafe impl Sync for Robust {}

/// How many bytes one takes, and what it is aligned to: more than any C library needs.
pub(crate) const SIZE: usize = 64;

/// Where the number of the namespace lies, after the mutex.
const NAMESPACE: usize = SIZE - size_of::<u64>();

const _: () = assert!(size_of::<libc::pthread_mutex_t>() <= NAMESPACE);

/// How long one sleeps for a lock at a time.
///
/// There is one wake-up that a death, or a stop, can take along. Unlocking forgets that there are
/// waiters and wakes one of them. If that one is stopped, it does not take the lock; if it is killed
/// after another thread took the lock, it cannot say again that somebody waits. Either way the rest
/// sleep on while nobody knows of them. So each of those who wait looks again from time to time, which
/// also says again that it waits.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// Which C library's mutexes these are: those of another are of another form.
pub(crate) const LIBRARY: &str = if cfg!(target_env = "musl") {
    "musl"
} else {
    "gnu"
};

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody held it until the deadline, or at the moment.
    Busy,
    /// This thread holds it.
    Held,
    /// The memory does not hold a mutex, or one of another pid namespace.
    Invalid(io::Error),
}

/// The lock, held by this thread until it is dropped.
pub(crate) struct Guard<'a> {
    robust: &'a Robust,
    /// The process that holds it: a forked copy of it does not.
    process: u64,
    /// Whether the one before died with it, and what it guards may not be whole.
    died: Cell<bool>,
    /// Only the thread that has locked can unlock.
    not_send: PhantomData<*const ()>,
}

// SAFETY: a reference to it can do nothing but ask.
unsafe impl Sync for Guard<'_> {}

impl Robust {
    /// Makes one, unlocked, in memory that nobody else has yet.
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
        // SAFETY: the place is aligned, large enough, and nobody uses it yet.
        check(unsafe { libc::pthread_mutex_init(robust.as_ptr(), attributes) })?;
        // SAFETY: as above. It owns nothing that would be lost if it were not called.
        check(unsafe { libc::pthread_mutexattr_destroy(attributes) })?;
        Ok(robust)
    }

    /// Uses one that was made there, by a process of the same pid namespace.
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

    /// Makes sure that it belongs to the namespace of this process, which may be a forked copy of the
    /// one that has opened it.
    fn check_namespace(&self) -> io::Result<()> {
        if own::are_apart(self.namespace, own::namespace()) {
            let what = "locks and queues are for processes of one pid namespace, and this process is in another";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        Ok(())
    }

    /// Takes the lock, and waits for it until the deadline; none is for ever.
    pub(crate) fn lock(&self, deadline: Option<Instant>) -> Result<Guard<'_>, Refused> {
        // What nobody holds is had without a look at the clock.
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
            // musl tells who holds it only whom it lets wait.
            Err(Refused::Busy) if LIBRARY == "musl" => self.lock_until(Instant::now()),
            result => result,
        }
    }

    fn attempt(&self) -> Result<Guard<'_>, Refused> {
        self.check_namespace().map_err(Refused::Invalid)?;
        // SAFETY: a mutex lies there, for as long as the mapping is borrowed.
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
            // The other call knows the clock that can be set only. If it was, it may have returned too early.
            let at = futex::moment(ClockId::CLOCK_REALTIME, deadline).map_err(Refused::Invalid)?;
            // SAFETY: as above.
            let result = unsafe { libc::pthread_mutex_timedlock(self.as_ptr(), &raw const at) };
            if result != libc::ETIMEDOUT || Instant::now() >= deadline {
                return self.judge(result);
            }
        }
    }

    /// The guard of a lock that this thread holds, and whose guard was forgotten; none if it does not hold it.
    pub(crate) fn held(&self) -> Option<Guard<'_>> {
        // The mutex knows, and tells by refusing.
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
            died: Cell::new(died),
            not_send: PhantomData,
        }
    }

    fn as_ptr(&self) -> *mut libc::pthread_mutex_t {
        self.place.as_ptr()
    }
}

impl Guard<'_> {
    /// Whether this process holds it, and not the one that it is a forked copy of.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == own::number()
    }

    /// Whether the one who held the lock before died with it. What the lock guards is to be looked after then, before
    /// [`recovered`](Self::recovered).
    pub(crate) fn owner_died(&self) -> bool {
        self.died.get()
    }

    /// Says that what the lock guards is whole again. If this process dies before, the next holder is told of a death again.
    pub(crate) fn recovered(&self) {
        if self.died.replace(false) {
            // SAFETY: this thread holds the mutex, and got it from one that had died. It cannot fail then.
            unsafe { libc::pthread_mutex_consistent(self.robust.as_ptr()) };
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        // A mutex that is unlocked before it is declared whole could never be locked again.
        self.recovered();
        // SAFETY: a mutex lies there, for as long as the mapping is borrowed. A thread that does not
        // hold it is told so, and nothing is done.
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
        // Those that are open do not look there again.
        assert!(matches!(other.try_lock(), Err(Refused::Held)));
        drop(guard);
    }

    #[test]
    fn thread_that_ends_with_it_gives_it_back() {
        let (one, other) = pair();
        thread::spawn(move || {
            mem::forget(one.lock(None).unwrap());
            // The memory stays where the thread's list leads.
            drop(one);
        })
        .join()
        .unwrap();
        let guard = other.lock(None).unwrap();
        assert!(guard.owner_died());
        guard.recovered();
        drop(guard);
        assert!(!other.lock(None).unwrap().owner_died());
    }
}
