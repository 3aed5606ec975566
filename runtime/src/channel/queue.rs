//! Queues: many senders and many receivers, in any processes.

use super::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    carrier::Carrier,
    end::{End, Parts, Receiving, Sending, Unreceived, Unsent},
    ring::{self, Ring},
};
use crate::{
    Transfer,
    error::{Error, ErrorKind, Result},
    sys::wait,
    wire::{self, Label},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

/// Makes a queue that holds up to `capacity` messages, and returns its two ends.
///
/// Both ends can be cloned, and sent to other processes as arguments, results or messages. The messages of one sender are received
/// in the order in which it sent them; each is received once.
///
/// The messages are in memory that the processes share, and sending or receiving one is no system call unless somebody sleeps or
/// descriptors go with it. A message of more than a quarter of that memory (256 bytes for each of the `capacity`, but 64 KiB to 16 MiB)
/// goes through a memory of its own. A queue in which all of it is taken is full, though it may hold fewer messages.
///
/// A message can have any number of descriptors.
///
/// A process that is killed takes along the message that it was sending or receiving, and no other; nobody waits for it, and nobody
/// else gets an error. A process that is stopped in the middle keeps the others waiting as long as it is stopped, but not longer than
/// their timeouts, and an attempt that does not wait not longer than a fraction of a second. Those who share a queue trust each other
/// with its memory: what they write there can be wrong, but does no harm beyond wrong messages, errors and waits.
///
/// # Errors
///
/// When `capacity` is zero or more than 2²⁴; when the system has no memory or no descriptors to give.
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
/// drop(results_there); // for who has a sender might send
/// for n in 1..=10 {
///     jobs.send(n)?;
/// }
/// drop(jobs); // which ends the work
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

/// The end of a [`queue`] where messages are put in.
///
/// When the last one is dropped, or the last process that has one has ended, receivers get what is left and then
/// [`Disconnected`](RecvError::Disconnected).
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

/// The end of a [`queue`] where messages are taken out.
///
/// When the last one is dropped, or the last process that has one has ended, senders get [`Disconnected`](SendError::Disconnected), and
/// what is in the queue is lost.
///
/// Its [`AsFd`] is readable while there is a message, or nobody is left to send one, so that it can be waited for together with others:
/// see [`wait`](super::wait). That makes sending a little dearer from then on. It can be readable, and nothing is there: another
/// receiver was faster, or a process that sent or received was killed in the middle. So receive by [`try_recv`](Self::try_recv) then.
/// An attempt that finds nothing makes it unreadable again.
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
    /// Whether somebody wants to be woken by a message, and by room.
    pub(super) fn is_waited_for(&self) -> (bool, bool) {
        self.0.ring.is_waited_for()
    }
}

impl<T> Sender<T> {
    /// Sends a message, and waits for room for it as long as that takes.
    ///
    /// # Errors
    ///
    /// When nobody is left to receive it, or when it cannot be encoded: with the message.
    #[doc(alias = "put")]
    pub fn send(&self, message: T) -> Result<(), SendError<T>>
    where
        T: Transfer,
    {
        self.0.send(&message, None).map_err(|unsent| match unsent {
            Unsent::Failed(error) => SendError::Failed(message, error),
            // Without a deadline there is room in the end.
            Unsent::Full | Unsent::Disconnected => SendError::Disconnected(message),
        })
    }

    /// Sends a message if there is room for it, without waiting.
    ///
    /// # Errors
    ///
    /// When there is no room, when nobody is left to receive it, or when it cannot be encoded: with the message.
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

    /// Sends a message, and waits for room for it no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// When there was no room in time, when nobody is left to receive it, or when it cannot be encoded: with the message.
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
    /// Receives the next message, and waits for it as long as that takes.
    ///
    /// # Errors
    ///
    /// When the queue is empty and nobody is left to send. When the message cannot be decoded; it is gone then.
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

    /// Receives the next message if there is one, without waiting.
    ///
    /// # Errors
    ///
    /// When there is none, when nobody is left to send one, or when it cannot be decoded; it is gone then.
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

    /// Receives the next message, and waits for it no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// When there was none in time, when nobody is left to send one, or when it cannot be decoded; it is gone then.
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

    /// Returns an iterator over the messages, which waits for each, and ends when the queue is empty and nobody is left to send.
    ///
    /// Any other error is an item: a message that cannot be decoded is told and the next one follows.
    pub fn iter(&self) -> impl Iterator<Item = Result<T, RecvError>>
    where
        T: Transfer,
    {
        std::iter::from_fn(|| item(self.recv()))
    }

    /// Returns an iterator over the messages that are there, which waits for none. Errors are items, as those of [`iter`](Self::iter).
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
    /// Returns a descriptor that is readable while there is a message, or nobody is left to send one.
    ///
    /// It is there from the beginning, so that this cannot fail.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.readiness()
    }
}

/// An iterator over the messages of a [`Receiver`], which waits for each, and ends when the queue is empty and nobody is left to send.
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

/// What was received, as an item of an iterator.
fn item<T>(received: Result<T, RecvError>) -> Option<Result<T, RecvError>> {
    match received {
        Err(RecvError::Disconnected) => None,
        received => Some(received),
    }
}

/// What is the same for both ends.
macro_rules! handle {
    ($handle:ident, $name:literal) => {
        impl<T> $handle<T> {
            /// Returns how many messages are in the queue, at the moment.
            #[must_use]
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Returns whether there is no message in the queue, at the moment.
            #[must_use]
            #[doc(alias = "empty")]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Returns how many messages there is room for.
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
