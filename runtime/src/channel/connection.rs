//! The pipe: two ends, over which values travel.

use super::{
    Iter, RecvError, RecvTimeoutError, SendError, TryRecvError,
    receiving::{self, Receiving, TRAILER, kind},
};
use crate::{
    Fd, Transfer,
    error::{Error, Result},
    sys::{
        socket,
        wait::{self, Patience},
    },
    wire::{Frame, Label, Line, Outgoing, Progress, Unsent},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::{
    convert::Infallible,
    fmt, io,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// One end of a pipe: sends values of type `S`, and receives values of type `R`.
///
/// Made by [`pipe`] and [`one_way`]. An end is for one process: it is sent to another as an argument, a result, or in a message, at any
/// depth. Threads of one process may share it: one can send while another receives, and what two send does not mix.
///
/// What is sent waits in the pipe, which has room for some 200 KB; then [`send`](Self::send) waits until the other side receives. So
/// two sides that both send much, and receive nothing meanwhile, wait for each other.
///
/// # When the other side is gone
///
/// An end is gone when it has been dropped in every process that has it, and it is dropped in a process that ends, however it does.
/// Then sending is [`Disconnected`](SendError::Disconnected). Receiving gives what was sent before, and then
/// [`RecvError::Disconnected`]; or [`RecvError::Truncated`] if the other side ended in the middle of a message, as a process that is
/// killed may.
///
/// A process started by [`StartMethod::Fork`](crate::StartMethod::Fork) is a copy of its parent, the parent's ends included, and keeps
/// them for as long as it runs. By other methods a process has what it was given.
///
/// # Drop
///
/// Dropping an end closes it. What has been sent can still be received. What was received in part is lost.
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
///     // Until the other side is gone.
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
    /// Held for moments only: whoever waits lets the others look.
    receiving: Mutex<Receiving>,
    patience: Patience,
    messages: PhantomData<fn(S) -> R>,
}

/// Makes a pipe, over which each side sends and receives. Returns its two ends.
///
/// What one sends the other receives, so their types are each other's turned round.
///
/// # Errors
///
/// When the system has no descriptors or no memory to give.
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
/// No value of type [`Infallible`] exists, so that nothing can be sent the other way: it does not compile. A connection with nothing to
/// receive is [ready](super::wait) when the other side is gone.
///
/// # Errors
///
/// As for [`pipe`].
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

    /// Sends a value. Waits while the pipe is full, for as long as the other side is there and does not receive.
    ///
    /// Numbers and text in bulk move [as the bytes they are](Transfer#speed), of any size.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](SendError::Disconnected) when the other side is gone; the value may have been on its way then.
    /// [`Failed`](SendError::Failed) when the value cannot be encoded, or the system refuses. If that is in the middle of the message,
    /// the other side gets [`RecvError::Truncated`], and nothing more can be sent.
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

    /// Sends bytes, which the other side receives with [`recv_bytes`](Self::recv_bytes) or
    /// [`recv_bytes_into`](Self::recv_bytes_into). They are a message of their own kind, and can be sent in either direction, whatever
    /// the types of the values are.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
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
        send: impl FnOnce(Line<'_>) -> Result<(), Unsent>,
    ) -> Result<(), SendError<()>> {
        let _turn = lock(&self.sending);
        let line = Line::on(self.socket.as_fd());
        send(line).map_err(|Unsent { cause, in_part }| {
            use io::ErrorKind::{BrokenPipe, ConnectionReset};
            if matches!(cause.kind(), BrokenPipe | ConnectionReset) {
                return SendError::Disconnected(());
            }
            if in_part {
                // It can only fail where the other side has ended, which is what it is for.
                let _ = socket::end_sending(self.socket.as_fd());
            }
            SendError::Failed((), Error::os("a message cannot be sent", cause))
        })
    }

    /// Receives a value, and waits for it for as long as the other side is there.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](RecvError::Disconnected) when the other side is gone and nothing is left to receive,
    /// [`Truncated`](RecvError::Truncated) when it ended in the middle of a message, and [`Failed`](RecvError::Failed) when a message
    /// came that cannot be decoded as an `R`, is no value but bytes, or has descriptors for which there is no room: that one is lost, and
    /// the next can be received. Where what comes is no message at all, nothing more can be received.
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

    /// Receives a value if the whole of one is there.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryRecvError::Empty) when there is none; the others as for [`recv`](Self::recv).
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

    /// Receives a value, and waits for it no longer than that. What has come of one by then is kept for the next call.
    ///
    /// # Errors
    ///
    /// [`Timeout`](RecvTimeoutError::Timeout) when there was none; the others as for [`recv`](Self::recv).
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

    /// Waits until receiving will not have to wait: until the whole of a message is there, or the other side has ended. Returns whether
    /// it is so; without a timeout it waits for as long as that takes.
    ///
    /// Of the message it leaves the last byte in the pipe, so that the descriptor stays readable.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
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
            // A time that is further than the clock reaches is none.
            if !self.wait(progress, deadline.flatten())? {
                return Ok(false);
            }
        }
    }

    /// Receives bytes, and waits for them for as long as the other side is there.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv): [`Failed`](RecvError::Failed) also when a value came, which is lost then.
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

    /// Receives bytes into `buffer`, and waits for them for as long as the other side is there. Returns how many they are.
    ///
    /// # Errors
    ///
    /// As for [`recv_bytes`](Self::recv_bytes). When they are more than the buffer has room for, [`Failed`](RecvError::Failed) with
    /// [`ErrorKind::BufferTooShort`](crate::ErrorKind::BufferTooShort): they are still there then, and can be received with a longer one, or by
    /// [`recv_bytes`](Self::recv_bytes).
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
    /// assert!(matches!(failed, RecvError::Failed(error) if error.kind() == ErrorKind::BufferTooShort));
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

    /// Iterates over the values that come, and waits for each, until the other side is gone. Any other error is an item.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::channel::pipe;
    ///
    /// let (left, right) = pipe::<u8, ()>()?;
    /// (1..=3).try_for_each(|number| left.send(number))?;
    /// drop(left);
    /// assert_eq!(right.iter().sum::<Result<u8, _>>()?, 6);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, S, R>
    where
        R: Transfer,
    {
        Iter::new(self)
    }

    fn receive(&self) -> Result<Frame, RecvError> {
        loop {
            // Without a deadline there is always one.
            if let Some(frame) = self.receive_until(None, None)? {
                return Ok(frame);
            }
        }
    }

    /// Receives a message; none when there was none by then. One of more bytes than `most` is left where it is.
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

    /// Waits for more to come; returns false if none is there by the deadline.
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

/// Nothing that panics happens under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For [`wait`](super::wait), or to be watched with others by epoll. It is readable when there is something of a message, or the other
/// side has ended. Reading or writing by it spoils the messages.
impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

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
    /// When a message was received in part, or is being sent by another thread: the rest would be lost.
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
        if socket::peer(fd.as_fd()).is_none() {
            return Err(de::Error::custom("what came is no end of a pipe"));
        }
        Ok(Self::new(fd))
    }
}
