//! Errors on the wire: what an error and each of its causes says.
//!
//! The type of an error cannot travel, because the receiver knows it as `dyn Error` only. So each
//! error of the chain arrives as a [`Carried`] error, which displays as the original. An
//! [`io::Error`] is an exception: it arrives as an `io::Error`, wherever in the chain it is.

use std::{
    error::Error,
    fmt::{self, Write},
    io,
};

pub(super) type Boxed = Box<dyn Error + Send + Sync>;

/// The most errors of one chain that travel. A `source` that leads in a circle has no end.
const MOST_LINKS: usize = 64;

/// The most bytes of one text that travel.
const MOST_TEXT: usize = 64 << 10;

/// Stands for the rest of a text that is too long.
const CUT: &str = " [..]";

/// Stands for the rest of a chain that is too long.
const MORE: &str = "[the further causes are left out]";

/// An error and its causes, from the outermost to the innermost.
#[derive(Debug)]
pub(super) struct Chain {
    first: Link,
    causes: Vec<Link>,
}

/// One error of a chain.
#[derive(Debug)]
struct Link {
    message: String,
    /// What `Debug` prints, if that differs from the message.
    debug: Option<String>,
    io: Option<Io>,
}

/// What an [`io::Error`] has besides its message.
#[derive(Debug)]
struct Io {
    /// The name of its kind.
    kind: String,
    code: Option<i32>,
    /// Whether the next link is the error inside of this one.
    wraps: bool,
}

super::as_tuple!(Chain { first, causes });
super::as_tuple!(Link { message, debug, io });
super::as_tuple!(Io { kind, code, wraps });

impl Chain {
    /// Returns what an error and its causes say.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let first = Link::of(error);
        let mut causes = Vec::new();
        let mut next = cause(error);
        while let Some(error) = next {
            next = cause(error);
            if next.is_some() && causes.len() + 2 == MOST_LINKS {
                causes.push(Link {
                    message: MORE.to_owned(),
                    debug: None,
                    io: None,
                });
                break;
            }
            causes.push(Link::of(error));
        }
        Self { first, causes }
    }

    /// Makes an error of a chain that has arrived, unless that is longer than a chain can be.
    pub(super) fn arrived(self) -> Result<Boxed, &'static str> {
        let is_short = self.causes.len() < MOST_LINKS
            && self.first.is_short()
            && self.causes.iter().all(Link::is_short);
        if is_short {
            Ok(self.into_error())
        } else {
            Err("an error is too long")
        }
    }

    /// Makes an error of the chain: a [`Carried`] or an [`io::Error`].
    pub(super) fn into_error(self) -> Boxed {
        let causes = self.causes.into_iter();
        let cause = causes.rfold(None, |next, link| Some(link.into_error(next)));
        self.first.into_error(cause)
    }
}

/// Returns the error behind an error: the one inside of an [`io::Error`], or the source.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let inner = error.downcast_ref().and_then(io::Error::get_ref);
    inner
        .map(|inner| -> &'a (dyn Error + 'static) { inner })
        .or_else(|| error.source())
}

impl Link {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let message = text(format_args!("{error}"));
        let debug = Some(text(format_args!("{error:?}"))).filter(|debug| *debug != message);
        let io = error.downcast_ref().map(|error: &io::Error| Io {
            kind: format!("{:?}", error.kind()),
            code: error.raw_os_error(),
            wraps: error.get_ref().is_some(),
        });
        Self { message, debug, io }
    }

    fn is_short(&self) -> bool {
        let is_short = |text: &String| text.len() <= MOST_TEXT + CUT.len();
        is_short(&self.message) && self.debug.iter().all(is_short)
    }

    fn into_error(self, next: Option<Boxed>) -> Boxed {
        let Self { message, debug, io } = self;
        let carried = |source| Carried {
            message,
            debug,
            source,
        };
        let Some(Io { kind, code, wraps }) = io else {
            return Box::new(carried(next));
        };
        if let Some(code) = code {
            return Box::new(io::Error::from_raw_os_error(code));
        }
        let kind = kind_named(&kind);
        Box::new(match next {
            Some(inner) if wraps => io::Error::new(kind, inner),
            next => {
                let carried = carried(next);
                // An error that is a kind and nothing else displays as the kind does.
                if carried.message == kind.to_string() {
                    io::Error::from(kind)
                } else {
                    io::Error::new(kind, carried)
                }
            }
        })
    }
}

/// Returns the kind whose `Debug` is this name.
///
/// Std has kinds that no program can name yet, and later versions will have more. Nearly all of
/// them belong to an errno, so they are found among the kinds of all errnos.
fn kind_named(name: &str) -> io::ErrorKind {
    const WITHOUT_CODE: [io::ErrorKind; 4] = [
        io::ErrorKind::InvalidData,
        io::ErrorKind::Other,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::WriteZero,
    ];
    const MOST_CODES: i32 = 200;
    let by_code = (1..=MOST_CODES).map(|code| io::Error::from_raw_os_error(code).kind());
    let mut kinds = WITHOUT_CODE.into_iter().chain(by_code);
    kinds
        .find(|kind| format!("{kind:?}") == name)
        .unwrap_or(io::ErrorKind::Other)
}

/// Formats a text, and cuts it if it is too long.
fn text(arguments: fmt::Arguments<'_>) -> String {
    struct Cut(String);

    impl Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = MOST_TEXT - self.0.len();
            let fits = text.len() <= room;
            let end = if fits {
                text.len()
            } else {
                let is_boundary = |index: &usize| text.is_char_boundary(*index);
                (0..=room).rev().find(is_boundary).unwrap_or(0)
            };
            self.0.push_str(&text[..end]);
            if fits { Ok(()) } else { Err(fmt::Error) }
        }
    }

    let mut cut = Cut(String::new());
    // It fails if the text is too long. If the error's own code fails, its text ends there.
    if cut.write_fmt(arguments).is_err() {
        cut.0.push_str(CUT);
    }
    cut.0
}

/// An error that has come from another process. It displays as the original does, and so does its
/// `Debug`.
pub struct Carried {
    message: String,
    debug: Option<String>,
    source: Option<Boxed>,
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debug.as_ref().unwrap_or(&self.message))
    }
}

impl Error for Carried {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| -> &(dyn Error + 'static) { source })
    }
}
