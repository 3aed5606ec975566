//! An iterator over the values that arrive at a connection.

use super::{Connection, RecvError};
use crate::wire::Transfer;
use std::{fmt, iter::FusedIterator};

/// An iterator over the values that arrive at a [`Connection`]. [`Connection::iter`] returns it.
///
/// It blocks until the next value arrives, and ends when the other end is closed.
///
/// # Examples
///
/// ```
/// use procession::channel::pipe;
///
/// let (left, right) = pipe::<char, ()>()?;
/// left.send('a')?;
/// let mut values = right.iter();
/// assert_eq!(values.next().transpose()?, Some('a'));
/// drop(left);
/// assert!(values.next().is_none());
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Iter<'a, S, R> {
    connection: &'a Connection<S, R>,
    is_over: bool,
}

impl<S, R> Connection<S, R> {
    /// Returns an iterator over the values that arrive. It blocks until the next value, and ends
    /// when the other end is closed. Any other error is an item.
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
}

impl<'a, S, R> Iter<'a, S, R> {
    pub(super) fn new(connection: &'a Connection<S, R>) -> Self {
        Self {
            connection,
            is_over: false,
        }
    }
}

impl<S, R: Transfer> Iterator for Iter<'_, S, R> {
    type Item = Result<R, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let received = self.connection.recv();
        self.is_over = matches!(
            received,
            Err(RecvError::Disconnected | RecvError::Truncated)
        );
        match received {
            Err(RecvError::Disconnected) => None,
            received => Some(received),
        }
    }
}

impl<S, R: Transfer> FusedIterator for Iter<'_, S, R> {}

impl<S, R> fmt::Debug for Iter<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(self.connection).finish()
    }
}

impl<'a, S, R: Transfer> IntoIterator for &'a Connection<S, R> {
    type Item = Result<R, RecvError>;
    type IntoIter = Iter<'a, S, R>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
