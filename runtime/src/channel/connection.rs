//! Pipes: two connected ends that send values to each other.

use super::{
    RecvError, RecvTimeoutError, SendError, TryRecvError,
    receiving::{self, Receiving, TRAILER, kind},
};
use crate::{
    error::{Error, Result},
    sys::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        socket,
        wait::{self, Patience},
    },
    wire::{Fd, Frame, Label, Line, Outgoing, Progress, SendFailure, Transfer},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    convert::Infallible,
    fmt, io,
    marker::PhantomData,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// One end of a pipe: sends values of type `S`, and receives values of type `R`.
///
/// [`pipe`] and [`one_way`] make one. One process uses an end: send it to another process as an
/// argument, a result or in a message, and keep no copy. Threads of one process may share it: one
/// thread can send while another receives, and messages of two threads do not mix.
///
/// The pipe stores what is sent, up to about 200 KB. When it is full, [`send`](Self::send) blocks
/// until the other end receives. So if both ends send much and neither receives, both block
/// forever.
///
/// # When the other end is closed
///
/// An end is closed when it has been dropped in every process that has it. The kernel also drops it
/// when a process ends, however it ends. Then sending to it fails with
/// [`Disconnected`](SendError::Disconnected). Receiving returns what was sent before, and then
/// [`RecvError::Disconnected`]. If the other end was closed in the middle of a message, for example
/// because its process was killed, receiving returns [`RecvError::Truncated`].
///
/// A process started by [`StartMethod::Fork`](crate::StartMethod::Fork) is a copy of its parent. It
/// has copies of the parent's ends too, and keeps them open as long as it runs. A process started
/// by another method has only the ends that it was given.
///
/// # Drop
///
/// Dropping an end closes it. The other end can still receive what was sent before. A message that
/// this end has received in part is lost.
///
/// # Examples
///
/// ```
/// use procession::{
///     channel::{Connection, RecvError, pipe},
///     process,
/// };
///
/// #[process]
/// fn measure(connection: Connection<usize, String>) {
///     // Until the other end is closed.
///     while let Ok(text) = connection.recv() {
///         connection.send(text.len()).unwrap();
///     }
/// }
///
/// let (ours, theirs) = pipe::<String, usize>()?;
/// let child = measure::spawn(theirs)?;
/// ours.send("a message".to_owned())?;
/// assert_eq!(ours.recv()?, 9);
///
/// child.kill()?;
/// assert!(matches!(ours.recv(), Err(RecvError::Disconnected)));
/// ours.send("another".to_owned()).unwrap_err();
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Connection<S, R> {
    socket: OwnedFd,
    /// Held from the first byte of a message to the last.
    sending: Mutex<()>,
    /// Held for moments only: a thread that waits releases it, so that other threads can poll.
    receiving: Mutex<Receiving>,
    patience: Patience,
    messages: PhantomData<fn(S) -> R>,
}

/// Makes a pipe in which both ends send and receive, and returns its two ends.
///
/// The type that one end sends is the type that the other end receives.
///
/// # Errors
///
/// Fails with [`ErrorKind::TooManyFiles`](crate::ErrorKind::TooManyFiles) or
/// [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory) if the system has no descriptor or no
/// memory left.
///
/// # Examples
///
/// ```
/// use procession::channel::pipe;
///
/// let (left, right) = pipe::<u32, String>()?;
/// left.send(7)?;
/// right.send(format!("{} came", right.recv()?))?;
/// assert_eq!(left.recv()?, "7 came");
/// # Ok::<(), procession::Error>(())
/// ```
pub fn pipe<A, B>() -> Result<(Connection<A, B>, Connection<B, A>)> {
    let (left, right) =
        socket::pair().map_err(|source| Error::os("a pipe cannot be made", source))?;
    Ok((Connection::new(left), Connection::new(right)))
}

/// Makes a pipe in one direction. Returns the end that sends and the end that receives.
///
/// The type of the other direction is [`Infallible`], which has no values: nothing can be sent in
/// that direction, and code that receives there does not compile. For [`wait`](super::wait), the
/// sending end is ready when the receiving end is closed.
///
/// # Errors
///
/// The same as [`pipe`].
///
/// # Examples
///
/// ```
/// use procession::channel::one_way;
///
/// let (sender, receiver) = one_way::<Vec<f64>>()?;
/// sender.send(vec![0.5; 3])?;
/// drop(sender);
/// let received: Vec<Vec<f64>> = receiver.iter().collect::<Result<_, _>>()?;
/// assert_eq!(received, [[0.5; 3]]);
/// # Ok::<(), procession::Error>(())
/// ```
///
/// ```compile_fail,E0277
/// # let (sender, receiver) = procession::channel::one_way::<u8>()?;
/// let nothing = sender.recv();
/// # Ok::<(), procession::Error>(())
/// ```
pub fn one_way<T>() -> Result<(Connection<T, Infallible>, Connection<Infallible, T>)> {
    pipe()
}

impl<S, R> Connection<S, R> {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            sending: Mutex::new(()),
            receiving: Mutex::new(Receiving::new()),
            patience: Patience::default(),
            messages: PhantomData,
        }
    }

    /// Sends a value. Blocks while the pipe is full and the other end is open but does not receive.
    ///
    /// Large slices of numbers and large texts move [as raw bytes](Transfer#speed), whatever their
    /// size.
    ///
    /// # Errors
    ///
    /// Returns [`SendError::Disconnected`] if the other end is closed. A part of the value may have
    /// been sent before. Returns [`SendError::Failed`] if the value cannot be encoded or the system
    /// refuses. If this happens in the middle of the message, the other end gets
    /// [`RecvError::Truncated`], and this end can send nothing more.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::{SendError, pipe};
    ///
    /// let (left, right) = pipe::<String, ()>()?;
    /// drop(right);
    /// let error = left.send("nobody hears it".to_owned()).unwrap_err();
    /// assert!(matches!(&error, SendError::Disconnected(_)));
    /// assert_eq!(error.into_inner(), "nobody hears it");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send(&self, value: S) -> Result<(), SendError<S>>
    where
        S: Transfer,
    {
        let mut message = Outgoing::default();
        let sent = match message.put("a message", &value) {
            Ok(()) => self.transmit(|line| line.post(kind::VALUE, &message, &[])),
            Err(error) => Err(SendError::Failed((), error)),
        };
        drop(message);
        sent.map_err(|error| match error {
            SendError::Disconnected(()) => SendError::Disconnected(value),
            SendError::Failed((), error) => SendError::Failed(value, error),
        })
    }

    /// Sends bytes. The other end receives them with [`recv_bytes`](Self::recv_bytes) or
    /// [`recv_bytes_into`](Self::recv_bytes_into).
    ///
    /// Bytes are a kind of message of their own. They can be sent in both directions, whatever the
    /// types of the values are.
    ///
    /// # Errors
    ///
    /// The same as [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::pipe;
    ///
    /// let (left, right) = pipe::<(), ()>()?;
    /// left.send_bytes(b"any bytes")?;
    /// assert_eq!(right.recv_bytes()?, b"any bytes");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.transmit(|line| line.post_bytes(kind::BYTES, bytes, &TRAILER))
    }

    fn transmit(
        &self,
        send: impl FnOnce(Line<'_>) -> Result<(), SendFailure>,
    ) -> Result<(), SendError<()>> {
        let _turn = lock(&self.sending);
        let line = Line::on(self.socket.as_fd());
        send(line).map_err(|SendFailure { cause, in_part }| {
            use io::ErrorKind::{BrokenPipe, ConnectionReset};
            if matches!(cause.kind(), BrokenPipe | ConnectionReset) {
                return SendError::Disconnected(());
            }
            if in_part {
                // This fails only if the other end is closed, and then there is no receiver to
                // tell.
                let _ = socket::end_sending(self.socket.as_fd());
            }
            SendError::Failed((), Error::os("a message cannot be sent", cause))
        })
    }

    /// Receives a value. Blocks until there is one, or until the other end is closed.
    ///
    /// # Errors
    ///
    /// - Returns [`RecvError::Disconnected`] if the other end is closed and nothing is left to
    ///   receive.
    /// - Returns [`RecvError::Truncated`] if the other end was closed in the middle of a message.
    /// - Returns [`RecvError::Failed`] if the message cannot be decoded as an `R`, is a message of
    ///   bytes, or has descriptors and this process has no room for them (`EMFILE`). That message
    ///   is lost, and the next one can be received.
    /// - Returns [`RecvError::Failed`] also if the received data is not a message. Then nothing
    ///   more can be received.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::{RecvError, pipe};
    ///
    /// let (left, right) = pipe::<u8, ()>()?;
    /// left.send(7)?;
    /// drop(left);
    /// assert_eq!(right.recv()?, 7);
    /// assert!(matches!(right.recv(), Err(RecvError::Disconnected)));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv(&self) -> Result<R, RecvError>
    where
        R: Transfer,
    {
        self.receive().and_then(receiving::value)
    }

    /// Receives a value if a whole one has arrived. Does not block.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if no whole value has arrived. The other errors are those of
    /// [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::{TryRecvError, pipe};
    ///
    /// let (left, right) = pipe::<u8, ()>()?;
    /// assert!(matches!(right.try_recv(), Err(TryRecvError::Empty)));
    /// left.send(7)?;
    /// assert_eq!(right.try_recv()?, 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_recv(&self) -> Result<R, TryRecvError>
    where
        R: Transfer,
    {
        let frame = self.receive_until(Some(Instant::now()), None)?;
        Ok(receiving::value(frame.ok_or(TryRecvError::Empty)?)?)
    }

    /// Receives a value. Blocks until there is one, but no longer than `timeout`. If only a part of
    /// a value arrives before the timeout, the connection keeps this part for the next call.
    ///
    /// # Errors
    ///
    /// Returns [`RecvTimeoutError::Timeout`] if no whole value arrives before the timeout. The
    /// other errors are those of [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::{RecvTimeoutError, pipe};
    /// use std::time::Duration;
    ///
    /// let (_left, right) = pipe::<u8, ()>()?;
    /// let nothing = right.recv_timeout(Duration::from_millis(10));
    /// assert!(matches!(nothing, Err(RecvTimeoutError::Timeout)));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError>
    where
        R: Transfer,
    {
        let frame = self.receive_until(wait::deadline(timeout), None)?;
        Ok(receiving::value(frame.ok_or(RecvTimeoutError::Timeout)?)?)
    }

    /// Waits until receiving does not block: until a whole message has arrived, or the other end is
    /// closed. Returns whether this is so.
    ///
    /// Blocks without limit if there is no timeout.
    ///
    /// The last byte of the message stays in the pipe, so that the descriptor stays readable.
    ///
    /// # Errors
    ///
    /// Fails if the system refuses to wait, for example because it has no memory left.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::pipe;
    /// use std::time::Duration;
    ///
    /// let (left, right) = pipe::<u8, ()>()?;
    /// assert!(!right.poll(Some(Duration::ZERO))?);
    /// left.send(7)?;
    /// assert!(right.poll(None)?);
    /// assert_eq!(right.recv()?, 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn poll(&self, timeout: impl Into<Option<Duration>>) -> Result<bool> {
        let deadline = timeout.into().map(wait::deadline);
        loop {
            let progress = lock(&self.receiving).look(self.socket.as_fd());
            if progress == Progress::Reached {
                return Ok(true);
            }
            // `Some(None)` is a timeout that the clock cannot represent: no deadline.
            if !self.wait(progress, deadline.flatten())? {
                return Ok(false);
            }
        }
    }

    /// Receives bytes. Blocks until there are some, or until the other end is closed.
    ///
    /// # Errors
    ///
    /// The same as [`recv`](Self::recv). Also returns [`RecvError::Failed`] if a value arrives,
    /// which is lost then.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{
    ///     ErrorKind,
    ///     channel::{RecvError, pipe},
    /// };
    ///
    /// let (left, right) = pipe::<u8, ()>()?;
    /// left.send(7)?;
    /// left.send_bytes(b"")?;
    /// let failed = right.recv_bytes().unwrap_err();
    /// assert!(matches!(failed, RecvError::Failed(error) if error.kind() == ErrorKind::Decode));
    /// assert_eq!(right.recv_bytes()?, b"");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.receive().and_then(receiving::bytes)
    }

    /// Receives bytes into `buffer`, and returns how many bytes they are. Blocks until there are
    /// some, or until the other end is closed.
    ///
    /// # Errors
    ///
    /// The same as [`recv_bytes`](Self::recv_bytes). If the message is longer than the buffer,
    /// returns [`RecvError::Failed`] with
    /// [`ErrorKind::BufferTooShort`](crate::ErrorKind::BufferTooShort). The message is not lost:
    /// receive it with a longer buffer, or with [`recv_bytes`](Self::recv_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{
    ///     ErrorKind,
    ///     channel::{RecvError, pipe},
    /// };
    ///
    /// let (left, right) = pipe::<(), ()>()?;
    /// left.send_bytes(b"four")?;
    /// let mut buffer = [0; 8];
    /// let failed = right.recv_bytes_into(&mut buffer[..3]).unwrap_err();
    /// assert!(matches!(
    ///     failed,
    ///     RecvError::Failed(error) if error.kind() == ErrorKind::BufferTooShort,
    /// ));
    /// assert_eq!(right.recv_bytes_into(&mut buffer)?, 4);
    /// assert_eq!(&buffer[..4], b"four");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        let bytes = loop {
            if let Some(frame) = self.receive_until(None, Some(buffer.len()))? {
                break receiving::bytes(frame)?;
            }
        };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn receive(&self) -> Result<Frame, RecvError> {
        loop {
            // Without a deadline this returns a message or an error.
            if let Some(frame) = self.receive_until(None, None)? {
                return Ok(frame);
            }
        }
    }

    /// Receives a message. Returns `None` if there is none before the deadline. Leaves a message of
    /// bytes that is longer than `most` in the pipe, and fails.
    fn receive_until(
        &self,
        deadline: Option<Instant>,
        most: Option<usize>,
    ) -> Result<Option<Frame>, RecvError> {
        loop {
            let progress = {
                let mut receiving = lock(&self.receiving);
                let progress = receiving.take_in(self.socket.as_fd(), most)?;
                match progress {
                    Progress::Reached => return receiving.hand_over().map(Some),
                    Progress::Ended => return Err(RecvError::Disconnected),
                    Progress::Waiting | Progress::Paused => progress,
                }
            };
            if !self.wait(progress, deadline).map_err(RecvError::Failed)? {
                return Ok(None);
            }
        }
    }

    /// Waits for more data. Returns false if nothing arrives before the deadline.
    fn wait(&self, progress: Progress, deadline: Option<Instant>) -> Result<bool> {
        let is_up = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        if is_up() {
            return Ok(false);
        }
        let socket = self.socket.as_fd();
        if progress != Progress::Waiting || self.patience.spin(socket) {
            return Ok(true);
        }
        if deadline.is_none() && socket::wait_for_something(socket).is_ok() {
            return Ok(true);
        }
        wait::readable(socket, deadline)
            .map_err(|source| Error::os("a connection cannot be waited for", source))
    }
}

/// Ignores poisoning: no code that holds these locks panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lends the descriptor to [`wait`](super::wait), or to epoll together with other descriptors. The
/// descriptor is readable if a part of a message has arrived, or if the other end is closed. Do not
/// read from it or write to it: that damages the messages.
impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

crate::sys::raw::as_raw_fd!([S, R] Connection<S, R>);

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

const NAME: &str = "Connection";

impl<S, R> Serialize for Connection<S, R> {
    /// # Errors
    ///
    /// Fails if a message was received in part, or if another thread is sending one: the rest would
    /// be lost.
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let sending = self.sending.try_lock();
        let receiving = self.receiving.try_lock();
        if !receiving.is_ok_and(|receiving| receiving.is_empty()) || sending.is_err() {
            return Err(ser::Error::custom(
                "a connection cannot be sent in the middle of a message",
            ));
        }
        (Label::of::<()>(NAME), Fd(self.as_fd())).serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (label, Fd(fd)) = <(Label<'_>, Fd<OwnedFd>)>::deserialize(deserializer)?;
        label.check::<(), _>(NAME)?;
        if matches!(socket::creator(fd.as_fd()), Ok(None)) {
            return Err(de::Error::custom("what came is no end of a pipe"));
        }
        Ok(Self::new(fd))
    }
}
