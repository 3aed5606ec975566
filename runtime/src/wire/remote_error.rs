//! An error of any type that can be sent.

use super::chain::{Boxed, Chain};
use crate::error::ErrorKind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{any, borrow::Cow, error::Error, fmt, io, iter};

/// An error of any type, in a form that can be sent to another process.
///
/// Every error converts into it by `?`: each [`Error`] that is `Send` and `Sync`, boxed ones, text,
/// and the errors of `anyhow` and `eyre`. It displays as that error does and has the same sources.
///
/// # When to use it
///
/// A function that is a process may return these errors as they are:
///
/// - an error that serde can carry
/// - [`io::Error`]
/// - `Box<dyn Error>`, `Box<dyn Error + Send + Sync>`, `anyhow::Error`, `eyre::Report`, and every
///   other type that dereferences to `dyn Error` and can be made of any error
///
/// The last ones arrive as the same type with the same texts. A backtrace or a place that `anyhow`
/// or `eyre` adds to an error is that of the join.
///
/// An error that serde does not carry is possible only as the `Err` of the [`Result`] that the
/// function returns. A `RemoteError` can be sent anywhere: in a struct, in an [`Option`], in a
/// queue.
///
/// # What arrives
///
/// Until it is sent, it holds the error itself. What arrives is what the error and each of its
/// sources says by [`Display`](fmt::Display) and [`Debug`], and the [name of the
/// type](Self::type_name). So an error that has arrived cannot be downcast. There is one exception:
/// an [`io::Error`], also as a source, arrives as an `io::Error` of the same kind and code. An
/// `io::Error` that is made of text and has no error inside arrives with an error inside.
///
/// At most 64 errors of a chain arrive, with 64 KiB of text each. The rest is left out, and the
/// text says so.
///
/// # Print
///
/// `{}` prints the error alone, `{:#}` with its sources in one line, `{:?}` with its sources in
/// lines of their own. `{:#?}` prints what `{:?}` prints for the original.
///
/// # Convert it back
///
/// It does not implement [`Error`], because otherwise not every `Error` could convert into it. In a
/// function that returns `Result<_, Box<dyn Error>>`, `procession::Result<_>` or `io::Result<_>`,
/// `?` converts it. For others, as for `anyhow` and `Box<dyn Error + Send + Sync>`, write
/// `.map_err(RemoteError::into_error)?`. In an error type of your own, keep it in a field of type
/// `Box<dyn Error + Send + Sync>`, made by [`into_boxed_error`](Self::into_boxed_error).
///
/// # Examples
///
/// ```
/// use procession::{RemoteError, process};
/// use std::{error::Error, fs, io};
///
/// #[process]
/// fn sum(path: &str) -> Result<u32, RemoteError> {
///     let text = fs::read_to_string(path)?;
///     let mut sum = 0;
///     for line in text.lines() {
///         sum += line.parse::<u32>()?;
///     }
///     if sum == 0 {
///         return Err("it is all nothing".into());
///     }
///     Ok(sum)
/// }
///
/// let error = sum::spawn("/nowhere")?.join()?.unwrap_err();
/// assert_eq!(error.to_string(), "No such file or directory (os error 2)");
/// assert_eq!(error.type_name(), "std::io::error::Error");
/// let error = error.as_ref().downcast_ref::<io::Error>().unwrap();
/// assert_eq!(error.kind(), io::ErrorKind::NotFound);
///
/// fn program() -> Result<(), Box<dyn Error>> {
///     let sum = sum::spawn("/nowhere")?.join()??; // one `?` for the process, one for the function
///     println!("{sum}");
///     Ok(())
/// }
/// assert!(program().is_err());
/// # Ok::<(), procession::Error>(())
/// ```
pub struct RemoteError {
    type_name: Cow<'static, str>,
    error: Boxed,
}

impl RemoteError {
    /// Returns what an error says, and what its sources say. Use it for an error that is borrowed,
    /// or that is not `Send` and `Sync`. For all others use `?` or `From`.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::RemoteError;
    /// use std::error::Error;
    ///
    /// let error: Box<dyn Error> = "it is late".into();
    /// assert_eq!(RemoteError::of(&*error).to_string(), "it is late");
    /// ```
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self {
            type_name: any::type_name::<dyn Error>().into(),
            error: Chain::of(error).into_error(),
        }
    }

    /// Returns the name of the type that converted into this error: see [`any::type_name`].
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Returns the source of this error: the error that caused it.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }

    /// Returns this error and its sources, from the outermost to the innermost.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::RemoteError;
    /// use std::io;
    ///
    /// let error = RemoteError::from(io::Error::from(io::ErrorKind::NotFound));
    /// let kinds = error.chain().filter_map(|error| error.downcast_ref::<io::Error>());
    /// assert!(kinds.map(io::Error::kind).eq([io::ErrorKind::NotFound]));
    /// ```
    pub fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let error: &(dyn Error + 'static) = &*self.error;
        iter::successors(Some(error), |&error| error.source())
    }

    /// Returns this error as a type that implements [`Error`], for `?` into other error types.
    ///
    /// # Examples
    ///
    /// ```
    /// use procession::{RemoteError, process};
    ///
    /// #[process]
    /// fn parse(text: &str) -> Result<u32, RemoteError> {
    ///     Ok(text.parse()?)
    /// }
    ///
    /// fn program() -> anyhow::Result<()> {
    ///     let number = parse::spawn("many")?.join()?.map_err(RemoteError::into_error)?;
    ///     println!("{number}");
    ///     Ok(())
    /// }
    /// assert_eq!(program().unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    #[must_use]
    pub fn into_error(self) -> impl Error + Send + Sync + 'static {
        Whole(self.error)
    }

    /// Returns the error itself, or what has arrived of it.
    #[must_use]
    pub fn into_boxed_error(self) -> Box<dyn Error + Send + Sync> {
        self.error
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for RemoteError {
    fn from(error: E) -> Self {
        Self {
            type_name: any::type_name::<E>().into(),
            error: error.into(),
        }
    }
}

impl From<RemoteError> for Box<dyn Error> {
    fn from(error: RemoteError) -> Self {
        error.error
    }
}

impl From<RemoteError> for crate::error::Error {
    /// Returns an error that displays as this one does, of the kind
    /// [`Returned`](crate::ErrorKind::Returned).
    fn from(error: RemoteError) -> Self {
        Self::whole(ErrorKind::Returned, error.error)
    }
}

impl From<RemoteError> for io::Error {
    /// Returns the error itself if it is an `io::Error`, or else an error of the kind
    /// [`Other`](io::ErrorKind::Other) with the error inside.
    fn from(error: RemoteError) -> Self {
        match error.error.downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => Self::other(error),
        }
    }
}

impl AsRef<dyn Error + Send + Sync> for RemoteError {
    fn as_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        if f.alternate() {
            self.chain()
                .skip(1)
                .try_for_each(|source| write!(f, ": {source}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write!(f, "{:?}", self.error);
        }
        write!(f, "{}", self.error)?;
        let several = self.chain().nth(2).is_some();
        for (index, source) in self.chain().skip(1).enumerate() {
            if index == 0 {
                f.write_str("\n\nCaused by:")?;
            }
            let said = source.to_string();
            if several {
                write!(f, "\n{index:5}: {}", said.replace('\n', "\n       "))?;
            } else {
                write!(f, "\n    {}", said.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}

/// What travels of a [`RemoteError`].
struct Form {
    type_name: String,
    chain: Chain,
}

super::as_tuple!(Form { type_name, chain });

impl Serialize for RemoteError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = Form {
            type_name: self.type_name.clone().into_owned(),
            chain: Chain::of(&*self.error),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RemoteError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Form { type_name, chain } = Form::deserialize(deserializer)?;
        Ok(Self {
            type_name: type_name.into(),
            error: chain.arrived().map_err(de::Error::custom)?,
        })
    }
}

/// An error that displays as the error in it does and has its sources. A box does not implement
/// [`Error`].
struct Whole(Boxed);

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Whole {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
