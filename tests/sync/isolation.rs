//! Locks of processes that see little of each other: other roots, hidden processes, odd names, and
//! other pid namespaces.

use nix::{
    libc::{EACCES, ENOENT},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::prctl,
    unistd::{Uid, chdir, chroot, setuid},
};
use procession::{
    Child, ErrorKind, StartMethod, Transfer,
    channel::queue,
    process,
    shm::Shared,
    sync::{
        Barrier, BarrierError, Event, LockTimeoutError, Mutex, ReentrantMutex, RwLock, Semaphore,
    },
};
use procession_tests::{
    DEADLINE, Directory, alone_within, by, chain, eventually, forever, kill, spawn, start,
    under_each_method, within,
};
use std::{
    error,
    ffi::CString,
    fs,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    sync::{
        TryLockError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

const MOMENT: Duration = Duration::from_millis(30);

/// Whether this machine lets the tests do that. If not, it says why.
fn allowed(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    let succeeded = output.as_ref().is_ok_and(|output| output.status.success());
    if !succeeded {
        eprintln!("skipped: `{program} {arguments:?}` is refused: {output:?}");
    }
    succeeded
}

/// A way not to see other processes in `/proc`.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Blind {
    /// There is no `/proc`.
    Chroot,
    /// Those of other users are not there.
    Hidden,
    /// Those of other users are there, and may not be read.
    Unreadable,
}

impl Blind {
    fn enter(self) {
        let options = match self {
            Self::Chroot => {
                let root = Directory::new();
                chdir(&root.0).unwrap();
                drop(root);
                chroot(".").unwrap();
                return;
            }
            Self::Hidden => "hidepid=2",
            Self::Unreadable => "hidepid=1",
        };
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        mount(
            Some("proc"),
            "/proc",
            Some("proc"),
            MsFlags::empty(),
            Some(options),
        )
        .unwrap();
        setuid(Uid::from_raw(65534)).unwrap();
    }
}

/// What one that cannot see the holder gets of each lock: it has used them before.
#[process]
fn look(
    blind: Blind,
    lock: &RwLock<u64>,
    semaphore: &Semaphore,
    barrier: &Barrier,
    ready: &Event,
    held: &Event,
) -> [bool; 5] {
    drop((lock.read().unwrap(), semaphore.acquire().unwrap()));
    blind.enter();
    ready.set();
    held.wait().unwrap();
    [
        matches!(lock.read_timeout(MOMENT), Err(LockTimeoutError::TimedOut)),
        matches!(lock.write_timeout(MOMENT), Err(LockTimeoutError::TimedOut)),
        matches!(lock.try_write(), Err(TryLockError::WouldBlock)),
        matches!(semaphore.acquire_timeout(MOMENT), Ok(None)),
        // One that is taken for dead would break it.
        matches!(barrier.wait_timeout(MOMENT), Err(BarrierError::TimedOut)),
    ]
}

#[process]
fn come(barrier: &Barrier) -> bool {
    barrier.wait().is_err()
}

#[test]
fn holder_that_cannot_be_seen_lives() {
    if !allowed(
        "unshare",
        &[
            "--mount", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc",
        ],
    ) {
        return;
    }
    under_each_method(|method| {
        for blind in [Blind::Chroot, Blind::Hidden, Blind::Unreadable] {
            let (lock, semaphore) = (RwLock::new(0_u64).unwrap(), Semaphore::new(1).unwrap());
            let barrier = Barrier::new(3).unwrap();
            let (ready, held) = (Event::new().unwrap(), Event::new().unwrap());
            let observer = look::new(blind, &lock, &semaphore, &barrier, &ready, &held);
            let observer = start(method, observer);
            let waiter = start(method, come::new(&barrier));
            assert!(ready.wait_timeout(DEADLINE).unwrap());
            eventually("one waits at the barrier", || barrier.n_waiting() == 1);
            let guards = (lock.write().unwrap(), semaphore.acquire().unwrap());
            held.set();
            assert_eq!(observer.join().unwrap(), [true; 5], "{blind:?}");
            assert!(waiter.join().unwrap());
            drop(guards);
        }
    });
}

/// Takes all of them and never gives them back.
#[process]
fn hold(lock: &RwLock<u64>, semaphore: &Semaphore, held: &Event, name: Vec<u8>) {
    prctl::set_name(&CString::new(name).unwrap()).unwrap();
    let _guards = (lock.write().unwrap(), semaphore.acquire().unwrap());
    held.set();
    forever()
}

#[test]
fn name_of_a_holder_may_be_any_bytes() {
    under_each_method(|method| {
        for name in [
            &b"\xd0\xbe\xd0\xb1\xd1\x80\xd0\xb0\xd0\xb1\xd0\xbe\xd1\x82\xd1"[..],
            b"\xff) R 1 (\xfe",
        ] {
            let (lock, semaphore) = (RwLock::new(0_u64).unwrap(), Semaphore::new(1).unwrap());
            let held = Event::new().unwrap();
            let holder = start(method, hold::new(&lock, &semaphore, &held, name.to_vec()));
            assert!(held.wait_timeout(DEADLINE).unwrap());
            let timed_out = lock.read_timeout(MOMENT);
            assert!(matches!(timed_out, Err(LockTimeoutError::TimedOut)));
            drop(timed_out);
            assert!(semaphore.acquire_timeout(MOMENT).unwrap().is_none());
            kill(holder);
            assert!(lock.read().is_err());
            assert!(semaphore.acquire().is_ok());
        }
    });
}

/// All that an error says.
fn text(error: &dyn error::Error) -> String {
    chain(error).join(": ")
}

/// Receives something in another pid namespace, where it is process 1; returns why that was
/// refused.
#[process]
fn receive_elsewhere<T: Transfer + 'static>(value: T) -> Option<String> {
    #[process]
    fn take<T: Transfer>(value: T) {
        drop(value);
    }
    unshare(CloneFlags::CLONE_NEWPID).unwrap();
    let spawned = by(StartMethod::Spawn).spawn(take::new(value));
    match spawned {
        Ok(child) => {
            child.join().unwrap();
            None
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Decode, "{}", text(&error));
            Some(text(&error))
        }
    }
}

fn apart<P: procession::Process>(process: P) -> Child<P::Output> {
    by(StartMethod::Spawn)
        .timeout(DEADLINE)
        .spawn(process)
        .unwrap()
}

#[test]
fn lock_of_another_pid_namespace_is_refused() {
    fn assert_refused<T: Transfer + 'static>(value: T) {
        let refused = apart(receive_elsewhere::new(value)).join().unwrap();
        let refused = refused.expect("it is refused");
        assert!(refused.contains("one pid namespace"), "{refused}");
    }
    if !allowed("unshare", &["--pid", "--fork", "true"]) {
        return;
    }
    within(DEADLINE, || {
        assert_refused(Mutex::new(0_u8).unwrap());
        assert_refused(ReentrantMutex::new(0_u8).unwrap());
        assert_refused(RwLock::new(0_u8).unwrap());
        assert_refused(Semaphore::new(1).unwrap());
        assert_refused(Barrier::new(1).unwrap());
        // A queue has locks in it.
        let (sender, receiver) = queue::<u8>(1).unwrap();
        assert_refused(sender);
        assert_refused(receiver);
        // A flag and memory have no holder.
        assert_eq!(
            apart(receive_elsewhere::new(Event::new().unwrap()))
                .join()
                .unwrap(),
            None
        );
    });
}

#[test]
fn locks_work_within_another_pid_namespace() {
    /// Process 1 of its namespace, and its child.
    #[process]
    fn work() -> u64 {
        #[process]
        fn count(lock: &RwLock<u64>, mutex: &ReentrantMutex<u64>, permits: &Semaphore) {
            for _ in 0..100 {
                let _guards = (mutex.lock().unwrap(), permits.acquire().unwrap());
                *lock.write().unwrap() += 1;
            }
        }
        let lock = RwLock::new(0).unwrap();
        let (mutex, permits) = (ReentrantMutex::new(0).unwrap(), Semaphore::new(1).unwrap());
        let children =
            [(); 2].map(|()| spawn(StartMethod::Spawn, count::new(&lock, &mutex, &permits)));
        for child in children {
            child.join().unwrap();
        }
        *lock.read().unwrap()
    }
    #[process]
    fn enter() -> u64 {
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        apart(work::new()).join().unwrap()
    }
    if !allowed("unshare", &["--pid", "--fork", "true"]) {
        return;
    }
    within(DEADLINE, || {
        assert_eq!(apart(enter::new()).join().unwrap(), 200);
    });
}

#[test]
fn forked_copy_takes_what_its_parent_has_given_back() {
    // Where the copy finds them.
    thread_local! {
        static MUTEX: Mutex<u64> = Mutex::new(0).unwrap();
        static LOCK: RwLock<u64> = RwLock::new(0).unwrap();
        static REENTRANT: ReentrantMutex<u64> = ReentrantMutex::new(0).unwrap();
    }
    #[process]
    fn take(begun: &Event) -> [bool; 2] {
        MUTEX.with(|mutex| {
            LOCK.with(|lock| {
                let held = mutex.try_lock().is_err() && lock.try_read().is_err();
                begun.set();
                *mutex.lock().unwrap() += 1;
                *lock.write().unwrap() += 1;
                REENTRANT.with(|mutex| drop(mutex.lock().unwrap()));
                [held, mutex.lock().is_ok()]
            })
        })
    }
    #[process]
    fn fork() -> [bool; 2] {
        MUTEX.with(|mutex| {
            LOCK.with(|lock| {
                REENTRANT.with(|reentrant| {
                    let begun = Event::new().unwrap();
                    let guards = (
                        mutex.lock().unwrap(),
                        lock.write().unwrap(),
                        reentrant.lock().unwrap(),
                    );
                    let copy = start(StartMethod::Fork, take::new(&begun));
                    begun.wait().unwrap();
                    drop(guards);
                    let result = copy.join().unwrap();
                    assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (1, 1));
                    result
                })
            })
        })
    }
    within(DEADLINE, || {
        assert_eq!(apart(fork::new()).join().unwrap(), [true; 2]);
    });
}

#[test]
fn forked_copy_cannot_use_its_parents_guard() {
    thread_local! {
        static MUTEX: &'static Mutex<u64> = Box::leak(Box::new(Mutex::new(0).unwrap()));
        static GUARD: std::cell::RefCell<Option<procession::sync::MutexGuard<'static, u64>>> =
            const { std::cell::RefCell::new(None) };
    }
    #[process]
    fn use_guard() -> bool {
        GUARD.with(|guard| {
            let mut guard = guard.borrow_mut();
            let value = guard.as_mut().unwrap();
            catch_unwind(AssertUnwindSafe(|| **value += 1)).is_err()
        })
    }
    #[process]
    fn fork() -> (bool, bool) {
        let mutex = MUTEX.with(|mutex| *mutex);
        GUARD.set(Some(mutex.lock().unwrap()));
        let is_refused = start(StartMethod::Fork, use_guard::new()).join().unwrap();
        let (done, result) = mpsc::channel();
        GUARD.with(|guard| done.send(guard.borrow().as_deref() == Some(&0)).unwrap());
        (is_refused, result.recv().unwrap() && !mutex.is_poisoned())
    }
    within(DEADLINE, || {
        assert_eq!(apart(fork::new()).join().unwrap(), (true, true));
    });
}

#[test]
fn forked_copy_leaves_the_death_of_the_holder_to_the_next() {
    thread_local! {
        static GUARD: std::cell::RefCell<Option<procession::sync::ReentrantMutexGuard<'static, u64>>> =
            const { std::cell::RefCell::new(None) };
    }
    /// Drops its copy of the guard when it is told to.
    #[process]
    fn drop_guard(go: &Event, dropped: &Event) {
        go.wait().unwrap();
        GUARD.take();
        dropped.set();
    }
    #[process]
    fn hold(mutex: &ReentrantMutex<u64>, begun: &Event, go: &Event, dropped: &Event) {
        let mutex = Box::leak(Box::new(mutex.clone()));
        GUARD.set(Some(mutex.lock().unwrap()));
        let _copy = spawn(StartMethod::Fork, drop_guard::new(go, dropped));
        begun.set();
        forever()
    }
    within(DEADLINE, || {
        let mutex = ReentrantMutex::new(0_u64).unwrap();
        let [begun, go, dropped] = [(); 3].map(|()| Event::new().unwrap());
        let holder = apart(hold::new(&mutex, &begun, &go, &dropped));
        begun.wait().unwrap();
        holder.kill().unwrap();
        drop(holder.join());
        go.set();
        dropped.wait().unwrap();
        assert!(mutex.lock().is_err(), "the death of the holder is not told");
    });
}

#[test]
fn name_leads_to_no_other_memory_and_says_why() {
    /// Looks for the name in another pid namespace, and without a `/proc`; returns the errno and
    /// the text.
    #[process]
    fn find(name: &str, blind: bool) -> (Option<i32>, String) {
        if blind {
            Blind::Chroot.enter();
        }
        match Shared::<AtomicU64>::open(name) {
            Ok(memory) => (None, memory.load(Relaxed).to_string()),
            Err(error) => (error.raw_os_error(), text(&error)),
        }
    }
    #[process]
    fn find_elsewhere(name: &str) -> (Option<i32>, String) {
        unshare(CloneFlags::CLONE_NEWPID).unwrap();
        apart(find::new(name, false)).join().unwrap()
    }
    if !allowed("unshare", &["--pid", "--fork", "true"]) {
        return;
    }
    // A copy of the sockets that bear the names would keep them.
    alone_within(DEADLINE, || {
        let memory = Shared::new(AtomicU64::new(7)).unwrap();
        let name = format!("isolated-{}", std::process::id());
        let published = memory.publish(&name).unwrap();
        let found = apart(find::new(&name, false)).join().unwrap();
        assert_eq!(found, (None, "7".to_owned()));
        let (errno, _) = apart(find_elsewhere::new(&name)).join().unwrap();
        assert_eq!(errno, Some(EACCES));
        let (errno, why) = apart(find::new(&name, true)).join().unwrap();
        assert_eq!(errno, None);
        assert!(why.contains("cannot be looked up in `/proc`"), "{why}");
        drop(published);

        // Somebody else takes a name, and says of it what was said of another.
        let published = memory.publish(&name).unwrap();
        let list = fs::read_to_string("/proc/net/unix").unwrap();
        let place = list.lines().find_map(|line| {
            let (_, address) = line.split_once(" @")?;
            address.contains(&format!("/{name}/")).then_some(address)
        });
        let forged = place.unwrap().replacen(&name, "forged", 1);
        let address = SocketAddr::from_abstract_name(forged).unwrap();
        let impostor = UnixDatagram::bind_addr(&address).unwrap();
        let error = Shared::<AtomicU64>::open("forged").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(EACCES), "{error}");
        drop((impostor, published));
        let error = Shared::<AtomicU64>::open("forged").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ENOENT), "{error}");
    });
}
