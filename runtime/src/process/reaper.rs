//! Reaps the children that nobody will join.
//!
//! A child whose [`Child`](super::Child) was dropped while it ran would stay a zombie from its end
//! to the end of this process. A thread waits for such children, and ends with the last of them. A
//! program that joins its children never has this thread.
//!
//! The cost of one end does not depend on the number of children: an epoll instance tells which
//! child has ended, and no other child is looked at.

use super::life::Life;
use crate::sys::{
    fd::AsFd,
    per_process::{Owned, PerProcess},
    signal,
    watch::Watch,
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, MutexGuard},
    thread,
};

static REAPER: PerProcess<Reaper<Arc<Life>>> = PerProcess::new(Reaper::new());

struct Reaper<O> {
    has_thread: bool,
    orphans: Orphans<O>,
}

fn reaper() -> MutexGuard<'static, Owned<Reaper<Arc<Life>>>> {
    // A copy of the process has no thread. It shares the epoll instance with its parent, so it
    // closes its descriptor and changes nothing in the instance.
    REAPER.lock(|reaper| *reaper = Reaper::new())
}

/// Forgets the parent's children, in a forked copy of the parent.
pub(super) fn disown() {
    drop(reaper());
}

/// Makes sure that the child is reaped when it ends.
///
/// If there is no thread or no descriptor for that, the child stays a zombie until later children
/// are adopted, or until the end of this process, which also waits for it.
pub(super) fn adopt(life: Arc<Life>) {
    let ended = reaper().adopt(life, |watch| in_thread(move || reap(&watch)));
    reap_all(ended);
}

fn in_thread(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name("procession-reap".into());
    thread.spawn(act).map(drop)
}

/// Reaps children until none is left.
fn reap(watch: &Watch) {
    // The program's signal handlers must not run in this thread. If blocking fails, reaping works
    // all the same.
    let _ = signal::set_mask(signal::Mask::MAX);
    loop {
        let keys = watch.wait();
        let Some(ended) = reaper().told(keys) else {
            return;
        };
        reap_all(ended);
        if reaper().rest() {
            return;
        }
    }
}

fn reap_all(ended: Vec<Arc<Life>>) {
    for life in ended.into_iter().filter(Orphan::is_alive) {
        // A debugger holds the process, and no descriptor tells when it lets go.
        let (ours, waiting) = (Arc::clone(&life), Arc::clone(&life));
        if in_thread(move || drop(waiting.wait(None))).is_err() {
            reaper().orphans.put_aside(ours);
        }
    }
}

impl<O> Reaper<O> {
    const fn new() -> Self {
        Self {
            has_thread: false,
            orphans: Orphans::new(),
        }
    }
}

impl<O: Orphan> Reaper<O> {
    /// Watches a child, by a thread if one can be started. Returns the children that have ended
    /// and that no thread will reap.
    fn adopt(&mut self, orphan: O, start: impl FnOnce(Arc<Watch>) -> io::Result<()>) -> Vec<O> {
        self.orphans.adopt(orphan);
        let Some(watch) = self.orphans.watch.clone() else {
            return Vec::new();
        };
        if !self.has_thread {
            self.has_thread = start(watch).is_ok();
        }
        if self.has_thread {
            Vec::new()
        } else {
            self.orphans.take_ready()
        }
    }

    /// Takes out the children that a wait has told of. Returns `None` if the wait failed: the
    /// thread must end, and the next adopted child starts another.
    fn told(&mut self, keys: io::Result<Vec<u64>>) -> Option<Vec<O>> {
        if let Ok(keys) = keys {
            Some(self.orphans.take(&keys))
        } else {
            self.has_thread = false;
            None
        }
    }

    /// Whether no child is left to wait for. The thread must end then.
    fn rest(&mut self) -> bool {
        self.has_thread = !self.orphans.rest();
        !self.has_thread
    }
}

/// A child to be reaped.
trait Orphan {
    /// Returns a descriptor that is readable when the child has ended.
    fn sentinel(&self) -> impl AsFd;

    /// Whether the child has not been reaped yet. If it can be reaped, this reaps it.
    fn is_alive(&self) -> bool;
}

impl Orphan for Arc<Life> {
    fn sentinel(&self) -> impl AsFd {
        (**self).as_fd()
    }

    fn is_alive(&self) -> bool {
        Life::is_alive(self)
    }
}

/// The children to be reaped, and the `Watch` that tells of their ends.
struct Orphans<O> {
    begin: fn() -> io::Result<Watch>,
    /// `None` while there is nothing to watch, or no descriptor for the watch.
    watch: Option<Arc<Watch>>,
    watched: BTreeMap<u64, O>,
    next_key: u64,
    /// Children that cannot be watched. They are looked at from time to time.
    aside: Vec<O>,
    /// The number of children in `aside` at which all of them are looked at again.
    enough: usize,
}

impl<O: Orphan> Orphans<O> {
    fn adopt(&mut self, orphan: O) {
        if let Err(orphan) = self.try_watch(orphan) {
            self.put_aside(orphan);
        }
    }

    fn try_watch(&mut self, orphan: O) -> Result<(), O> {
        if self.watch.is_none() {
            self.watch = (self.begin)().ok().map(Arc::new);
        }
        let Some(watch) = &self.watch else {
            return Err(orphan);
        };
        let key = self.next_key;
        if watch.add_once(orphan.sentinel().as_fd(), key).is_err() {
            return Err(orphan);
        }
        self.next_key += 1;
        self.watched.insert(key, orphan);
        Ok(())
    }

    /// Keeps a child that cannot be watched.
    fn put_aside(&mut self, orphan: O) {
        self.aside.push(orphan);
        if self.aside.len() >= self.enough {
            self.look_aside();
        }
    }

    /// Reaps the children in `aside` that have ended, and watches the others if that is possible by
    /// now.
    fn look_aside(&mut self) {
        for orphan in std::mem::take(&mut self.aside) {
            if orphan.is_alive()
                && let Err(orphan) = self.try_watch(orphan)
            {
                self.aside.push(orphan);
            }
        }
        // The number doubles, so each child costs two looks on average, however many there are.
        self.enough = 2 * self.aside.len() + 1;
    }

    /// Takes out the children with these keys, which have ended.
    fn take(&mut self, keys: &[u64]) -> Vec<O> {
        let Some(watch) = &self.watch else {
            return Vec::new();
        };
        let ended = keys.iter().filter_map(|key| self.watched.remove(key));
        ended
            .inspect(|orphan| watch.remove(orphan.sentinel().as_fd()))
            .collect()
    }

    /// Takes out all children that have ended by now, without blocking.
    fn take_ready(&mut self) -> Vec<O> {
        let mut ended = Vec::new();
        while let Some(watch) = &self.watch
            && let Ok(keys) = watch.ready()
            && !keys.is_empty()
        {
            ended.extend(self.take(&keys));
        }
        ended
    }

    /// Drops the watch if no child is left to wait for. Returns whether there is no watch now.
    fn rest(&mut self) -> bool {
        if self.watched.is_empty() {
            // This may begin to watch some of them.
            self.look_aside();
        }
        if self.watched.is_empty() {
            self.watch = None;
        }
        self.watch.is_none()
    }
}

impl<O> Orphans<O> {
    const fn new() -> Self {
        Self {
            begin: Watch::new,
            watch: None,
            watched: BTreeMap::new(),
            next_key: 0,
            aside: Vec::new(),
            enough: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Orphan, Orphans, Reaper};
    use crate::sys::{sentinel, watch::Watch};
    use std::{
        cell::Cell,
        io::{self, PipeReader, PipeWriter},
        os::fd::AsFd,
        rc::Rc,
        sync::Arc,
    };

    /// A child that lives as long as the other end of the pipe is open.
    struct Fake {
        sentinel: PipeReader,
        looks: Rc<Cell<usize>>,
    }

    impl Orphan for Fake {
        fn sentinel(&self) -> impl AsFd {
            &self.sentinel
        }

        fn is_alive(&self) -> bool {
            self.looks.set(self.looks.get() + 1);
            !sentinel::has_ended(self.sentinel.as_fd())
        }
    }

    fn fakes(count: usize) -> (Vec<Fake>, Vec<PipeWriter>, Rc<Cell<usize>>) {
        let looks = Rc::new(Cell::new(0));
        let pairs = (0..count).map(|_| io::pipe().unwrap());
        let (sentinels, lives): (Vec<_>, Vec<_>) = pairs.unzip();
        let fakes = sentinels.into_iter().map(|sentinel| Fake {
            sentinel,
            looks: Rc::clone(&looks),
        });
        (fakes.collect(), lives, looks)
    }

    #[test]
    fn end_of_one_costs_no_look_at_the_others() {
        let (fakes, lives, looks) = fakes(200);
        let mut orphans = Orphans::new();
        for fake in fakes {
            orphans.adopt(fake);
        }
        let count = lives.len();
        for life in lives {
            assert!(!orphans.rest());
            drop(life);
            let keys = orphans.watch.as_ref().unwrap().wait().unwrap();
            let ended = orphans.take(&keys);
            assert_eq!(ended.iter().filter(|fake| !fake.is_alive()).count(), 1);
        }
        assert_eq!(looks.get(), count);
        assert!(orphans.rest() && orphans.watched.is_empty());
    }

    #[test]
    fn those_that_have_ended_are_found_without_a_thread() {
        let (fakes, mut lives, _) = fakes(100);
        let mut orphans = Orphans::new();
        for fake in fakes {
            orphans.adopt(fake);
        }
        assert_eq!(orphans.take_ready().len(), 0);
        lives.truncate(10);
        assert_eq!(orphans.take_ready().len(), 90);
        assert_eq!(orphans.take_ready().len(), 0);
        drop(lives);
        assert_eq!(orphans.take_ready().len(), 10);
        assert!(orphans.rest());
    }

    #[test]
    fn those_that_cannot_be_watched_are_looked_at_now_and_then() {
        let (fakes, lives, looks) = fakes(100);
        let mut orphans = Orphans::new();
        orphans.begin = || Err(io::ErrorKind::OutOfMemory.into());
        for fake in fakes {
            orphans.adopt(fake);
        }
        assert_eq!(orphans.aside.len(), 100);
        assert!(looks.get() <= 200, "{} looks", looks.get());
        // From now on there is a descriptor again.
        orphans.begin = Watch::new;
        assert!(!orphans.rest());
        assert!(orphans.aside.is_empty());
        drop(lives);
        assert_eq!(orphans.take_ready().len(), 100);
    }

    fn reaper() -> Reaper<Fake> {
        Reaper::new()
    }

    fn no_thread(_: Arc<Watch>) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn thread_whose_wait_fails_is_replaced_for_the_next_child() {
        let (fakes, lives, _) = fakes(3);
        let (mut reaper, mut threads) = (reaper(), 0);
        let mut fakes = fakes.into_iter();
        let mut adopt = |reaper: &mut Reaper<Fake>| {
            let ended = reaper.adopt(fakes.next().unwrap(), |_| {
                threads += 1;
                Ok(())
            });
            assert!(ended.is_empty());
            threads
        };
        assert_eq!([adopt(&mut reaper), adopt(&mut reaper)], [1, 1]);
        assert!(
            reaper
                .told(Err(io::ErrorKind::OutOfMemory.into()))
                .is_none()
        );
        assert_eq!(adopt(&mut reaper), 2);
        // None was forgotten meanwhile.
        drop(lives);
        let keys = reaper.orphans.watch.as_ref().unwrap().wait();
        assert_eq!(reaper.told(keys).unwrap().len(), 3);
        assert!(reaper.rest());
    }

    #[test]
    fn those_that_have_ended_are_returned_where_no_thread_starts() {
        let (fakes, mut lives, _) = fakes(3);
        let mut reaper = reaper();
        let mut fakes = fakes.into_iter();
        let mut adopt =
            |reaper: &mut Reaper<Fake>| reaper.adopt(fakes.next().unwrap(), no_thread).len();
        assert_eq!(adopt(&mut reaper), 0);
        assert_eq!(adopt(&mut reaper), 0);
        lives.truncate(1);
        // The second child and the third, which has ended before it is adopted.
        assert_eq!(adopt(&mut reaper), 2);
        assert!(!reaper.rest());
    }

    #[test]
    fn thread_ends_with_the_last_child_and_not_before() {
        let (fakes, mut lives, _) = fakes(2);
        let mut reaper = reaper();
        for fake in fakes {
            assert!(reaper.adopt(fake, |_| Ok(())).is_empty());
        }
        for is_last in [false, true] {
            drop(lives.pop());
            let keys = reaper.orphans.watch.as_ref().unwrap().wait();
            assert_eq!(reaper.told(keys).unwrap().len(), 1);
            assert_eq!(reaper.rest(), is_last);
            assert_eq!(reaper.has_thread, !is_last);
        }
    }
}
