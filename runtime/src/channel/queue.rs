//! Queues: many senders and many receivers, in any processes.

use super::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    carrier::Carrier,
    end::{End, Parts, Receiving, Sending, Unreceived, Unsent},
    ring::{self, Ring},
};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{
        fd::{AsFd, BorrowedFd},
        wait,
    },
    wire::{self, Label, Transfer},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

/// Makes a queue that holds up to `capacity` messages, and returns its two ends.
///
/// Both ends can be cloned, and sent to other processes as arguments, results or messages. Messages
/// of one sender are received in the order in which it sent them. Each message is received once.
///
/// The messages are in memory that the processes share. Sending and receiving need no system call,
/// except to wake a waiter, to wait, to move descriptors, and to check from time to time whether a
/// receiver is left. The memory has 256 bytes for each message of the capacity, but at least 64 KiB
/// and at most 16 MiB, rounded up to a power of two. A message of more than a quarter of this
/// memory goes through a memory of its own. The queue is also full when its memory is full, even if
/// it holds fewer messages than its capacity.
///
/// A message can have more descriptors than one socket message can carry (253).
///
/// If a process is killed, the message that it was sending or receiving may be lost, and no other.
/// Nobody waits for the killed process, and nobody else gets an error.
///
/// If a process is stopped in the middle of an operation, the others wait until it continues. With
/// a timeout, they wait a fraction of a second longer than the timeout at most.
/// [`try_send`](Sender::try_send) and [`try_recv`](Receiver::try_recv) wait a fraction of a second
/// at most.
///
/// Processes that share a queue trust each other with its memory. A process can write wrong data
/// there. This causes wrong messages, errors and delays, but nothing worse.
///
/// # Errors
///
/// Fails with [`ErrorKind::Setting`] if `capacity` is zero or more than 2²⁴, and with
/// [`ErrorKind::TooManyFiles`] or [`ErrorKind::OutOfMemory`] if the system has no descriptor or no
/// memory left.
///
/// # Examples
///
/// ```
/// use procession::{channel::{Receiver, Sender, queue}, process};
///
/// #[process]
/// fn square(jobs: Receiver<u64>, results: &Sender<u64>) {
///     for job in jobs {
///         let job = job.expect("it can be decoded");
///         results.send(job * job).expect("somebody wants it");
///     }
/// }
///
/// let (jobs, jobs_there) = queue(16)?;
/// let (results_there, results) = queue(16)?;
/// let workers = [
///     square::spawn(jobs_there.clone(), &results_there)?,
///     square::spawn(jobs_there, &results_there)?,
/// ];
/// drop(results_there); // as long as we hold a sender, `results` does not end
/// for n in 1..=10 {
///     jobs.send(n)?;
/// }
/// drop(jobs); // ends the work
/// assert_eq!(results.iter().sum::<Result<u64, _>>()?, 385);
/// for worker in workers {
///     worker.join()?;
/// }
/// # Ok::<(), procession::Error>(())
/// ```
#[doc(alias = "Queue")]
#[doc(alias = "channel")]
pub fn queue<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>)> {
    if !(1..=ring::MOST).contains(&capacity) {
        return Err(Error::new(
            ErrorKind::Setting,
            format!(
                "a queue cannot have a capacity of {capacity}: it is 1 to {}",
                ring::MOST
            ),
        ));
    }
    let unmade = |source| Error::os("a queue cannot be made", source);
    let ring = Arc::new(Ring::create(capacity).map_err(unmade)?);
    let (senders, receivers) = Carrier::pair().map_err(unmade)?;
    let sender = End::new(Arc::clone(&ring), senders).map_err(unmade)?;
    let receiver = End::new(ring, receivers).map_err(unmade)?;
    Ok((
        Sender(Arc::new(sender), PhantomData),
        Receiver(Arc::new(receiver), PhantomData),
    ))
}

/// The sending end of a [`queue`].
///
/// A clone is another handle to the same end. When no process holds a sender any more, receivers
/// get the remaining messages and then [`Disconnected`](RecvError::Disconnected). A process that
/// ends drops its handles, however it ends.
///
/// # Examples
///
/// ```
/// use procession::channel::{SendTimeoutError, queue};
/// use std::time::Duration;
///
/// let (sender, receiver) = queue(1)?;
/// sender.send("first".to_owned())?;
/// let full = sender.send_timeout("second".to_owned(), Duration::from_millis(10)).unwrap_err();
/// assert!(matches!(full, SendTimeoutError::Timeout(second) if second == "second"));
/// assert_eq!(receiver.recv()?, "first");
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Sender<T>(Arc<End<Sending>>, PhantomData<fn(T)>);

/// The receiving end of a [`queue`].
///
/// A clone is another handle to the same end: each message goes to one of the receivers. When no
/// process holds a receiver any more, senders get [`Disconnected`](SendError::Disconnected), and
/// the messages in the queue are lost. A process that ends drops its handles, however it ends.
///
/// Its [`AsFd`] is readable while the queue has a message or has no sender left, so it can be
/// waited for together with other descriptors: see [`wait`](super::wait). The first use of `as_fd`
/// makes sending a little slower from then on. The descriptor can be readable although the queue is
/// empty: another receiver was faster, or a process was killed while it sent or received. So
/// receive with [`try_recv`](Self::try_recv) then. If `try_recv` finds no message, the descriptor
/// is no longer readable.
///
/// # Examples
///
/// ```
/// use procession::channel::{RecvError, TryRecvError, queue};
///
/// let (sender, receiver) = queue(8)?;
/// assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
/// sender.send(1)?;
/// sender.send(2)?;
/// drop(sender);
/// assert_eq!(receiver.iter().collect::<Result<Vec<i32>, _>>()?, [1, 2]);
/// assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Receiver<T>(Arc<End<Receiving>>, PhantomData<fn() -> T>);

#[cfg(test)]
impl<T> Sender<T> {
    /// Whether a receiver waits for a message, and whether a sender waits for room.
    pub(super) fn is_waited_for(&self) -> (bool, bool) {
        self.0.ring.is_waited_for()
    }
}

impl<T> Sender<T> {
    /// Sends a message. Blocks until the queue has room for it.
    ///
    /// # Errors
    ///
    /// Returns [`SendError::Disconnected`] if no receiver is left, and [`SendError::Failed`] if the
    /// message cannot be encoded or the system refuses. Both return the message.
    #[doc(alias = "put")]
    pub fn send(&self, message: T) -> Result<(), SendError<T>>
    where
        T: Transfer,
    {
        self.0.send(&message, None).map_err(|unsent| match unsent {
            Unsent::Failed(error) => SendError::Failed(message, error),
            // `Full` cannot happen without a deadline.
            Unsent::Full | Unsent::Disconnected => SendError::Disconnected(message),
        })
    }

    /// Sends a message if the queue has room for it. Does not block.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError::Full`] if the queue has no room, [`TrySendError::Disconnected`] if
    /// no receiver is left, and [`TrySendError::Failed`] if the message cannot be encoded or the
    /// system refuses. All return the message.
    #[doc(alias = "put_nowait")]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>>
    where
        T: Transfer,
    {
        self.0
            .send(&message, Some(Instant::now()))
            .map_err(|unsent| match unsent {
                Unsent::Full => TrySendError::Full(message),
                Unsent::Disconnected => TrySendError::Disconnected(message),
                Unsent::Failed(error) => TrySendError::Failed(message, error),
            })
    }

    /// Sends a message. Blocks until the queue has room for it, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Returns [`SendTimeoutError::Timeout`] if the queue has no room before the timeout,
    /// [`SendTimeoutError::Disconnected`] if no receiver is left, and [`SendTimeoutError::Failed`]
    /// if the message cannot be encoded or the system refuses. All return the message.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>>
    where
        T: Transfer,
    {
        self.0
            .send(&message, wait::deadline(timeout))
            .map_err(|unsent| match unsent {
                Unsent::Full => SendTimeoutError::Timeout(message),
                Unsent::Disconnected => SendTimeoutError::Disconnected(message),
                Unsent::Failed(error) => SendTimeoutError::Failed(message, error),
            })
    }
}

impl<T> Receiver<T> {
    /// Receives the next message. Blocks until there is one.
    ///
    /// # Errors
    ///
    /// Returns [`RecvError::Disconnected`] if the queue is empty and no sender is left, and
    /// [`RecvError::Failed`] if the message cannot be decoded or the system refuses. A message that
    /// cannot be decoded is lost.
    #[doc(alias = "get")]
    pub fn recv(&self) -> Result<T, RecvError>
    where
        T: Transfer,
    {
        self.receive(None).map_err(|unreceived| match unreceived {
            Unreceived::Failed(error) => RecvError::Failed(error),
            Unreceived::Empty | Unreceived::Disconnected => RecvError::Disconnected,
        })
    }

    /// Receives the next message if there is one. Does not block.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if there is no message, [`TryRecvError::Disconnected`] if
    /// there is also no sender left, and [`TryRecvError::Failed`] if the message cannot be decoded
    /// or the system refuses. A message that cannot be decoded is lost.
    #[doc(alias = "get_nowait")]
    pub fn try_recv(&self) -> Result<T, TryRecvError>
    where
        T: Transfer,
    {
        let now = Some(Instant::now());
        self.receive(now).map_err(|unreceived| match unreceived {
            Unreceived::Empty => TryRecvError::Empty,
            Unreceived::Disconnected => TryRecvError::Disconnected,
            Unreceived::Failed(error) => TryRecvError::Failed(error),
        })
    }

    /// Receives the next message. Blocks until there is one, but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Returns [`RecvTimeoutError::Timeout`] if no message arrives before the timeout,
    /// [`RecvTimeoutError::Disconnected`] if the queue is empty and no sender is left, and
    /// [`RecvTimeoutError::Failed`] if the message cannot be decoded or the system refuses. A
    /// message that cannot be decoded is lost.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError>
    where
        T: Transfer,
    {
        let deadline = wait::deadline(timeout);
        self.receive(deadline)
            .map_err(|unreceived| match unreceived {
                Unreceived::Empty => RecvTimeoutError::Timeout,
                Unreceived::Disconnected => RecvTimeoutError::Disconnected,
                Unreceived::Failed(error) => RecvTimeoutError::Failed(error),
            })
    }

    /// Returns an iterator over the messages. It blocks until the next message, and ends when the
    /// queue is empty and no sender is left.
    ///
    /// Any other error is an item. The iterator continues after it, for example with the message
    /// after one that cannot be decoded.
    #[must_use]
    pub fn iter(&self) -> ReceiverIter<'_, T>
    where
        T: Transfer,
    {
        ReceiverIter(self)
    }

    /// Returns an iterator over the messages that are in the queue now. It does not block. Errors
    /// are items, as for [`iter`](Self::iter).
    pub fn try_iter(&self) -> impl Iterator<Item = Result<T, RecvError>>
    where
        T: Transfer,
    {
        std::iter::from_fn(|| {
            item(self.try_recv().map_err(|error| match error {
                TryRecvError::Empty | TryRecvError::Disconnected => RecvError::Disconnected,
                TryRecvError::Truncated => RecvError::Truncated,
                TryRecvError::Failed(error) => RecvError::Failed(error),
            }))
        })
    }

    fn receive(&self, deadline: Option<Instant>) -> Result<T, Unreceived>
    where
        T: Transfer,
    {
        let parcel = self.0.receive(deadline)?;
        let mut message = parcel.open().map_err(Unreceived::Failed)?;
        message.take::<T>().map_err(Unreceived::Failed)
    }
}

impl<T> AsFd for Receiver<T> {
    /// Returns a descriptor that is readable while the queue has a message or has no sender left.
    ///
    /// The descriptor exists from the beginning, so this cannot fail.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.readiness()
    }
}

crate::sys::raw::as_raw_fd!([T] Receiver<T>);

/// An iterator over the messages of a [`Receiver`], which stays usable. [`Receiver::iter`] returns
/// it.
///
/// It blocks until the next message, and ends when the queue is empty and no sender is left. Any
/// other error is an item.
#[derive(Debug)]
pub struct ReceiverIter<'a, T>(&'a Receiver<T>);

impl<T: Transfer> Iterator for ReceiverIter<'_, T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        item(self.0.recv())
    }
}

impl<'a, T: Transfer> IntoIterator for &'a Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = ReceiverIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An iterator over the messages of a [`Receiver`]. It blocks until the next message, and ends when
/// the queue is empty and no sender is left.
///
/// Any other error is an item.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T: Transfer> Iterator for IntoIter<T> {
    type Item = Result<T, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        item(self.0.recv())
    }
}

impl<T: Transfer> IntoIterator for Receiver<T> {
    type Item = Result<T, RecvError>;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

/// Makes an iterator's item from the result of receiving.
fn item<T>(received: Result<T, RecvError>) -> Option<Result<T, RecvError>> {
    match received {
        Err(RecvError::Disconnected) => None,
        received => Some(received),
    }
}

/// Implements what both ends have in common.
macro_rules! handle {
    ($handle:ident, $name:literal) => {
        impl<T> $handle<T> {
            /// Returns how many messages are in the queue at this moment.
            #[must_use]
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Returns whether the queue is empty at this moment.
            #[must_use]
            #[doc(alias = "empty")]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Returns how many messages the queue can hold at most.
            #[must_use]
            pub fn capacity(&self) -> usize {
                self.0.ring.capacity()
            }
        }

        impl<T> Clone for $handle<T> {
            fn clone(&self) -> Self {
                Self(Arc::clone(&self.0), PhantomData)
            }
        }

        impl<T> fmt::Debug for $handle<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($handle))
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .finish_non_exhaustive()
            }
        }

        impl<T> Serialize for $handle<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                (Label::of::<T>($name), self.0.parts()).serialize(serializer)
            }
        }

        impl<'de, T> Deserialize<'de> for $handle<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let (label, parts) = <(Label<'_>, Parts)>::deserialize(deserializer)?;
                label.check::<T, _>($name)?;
                let end = End::open(parts).map_err(wire::unopened)?;
                Ok(Self(Arc::new(end), PhantomData))
            }
        }
    };
}

handle!(Sender, "channel::Sender");
handle!(Receiver, "channel::Receiver");
