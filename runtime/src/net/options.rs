//! Options of listeners and clients.

use crate::start::AuthKey;
use std::time::Duration;

/// Options of listeners and clients, like [`std::fs::OpenOptions`] for files. They can be used any
/// number of times.
///
/// # Examples
///
/// ```
/// use procession::{authkey, net::{Address, ErrorKind, Options}, process};
///
/// #[process]
/// fn client(address: &Address) -> String {
///     // A child has the key of its parent.
///     let options = Options::new().authkey(authkey().unwrap());
///     options.connect(address).unwrap().recv().unwrap()
/// }
///
/// let options = Options::new().authkey(authkey()?).max_message(1 << 20);
/// let listener = options.bind(Address::from_abstract_name("Options"))?;
/// let child = client::spawn(listener.local_address())?;
/// listener.accept()?.send("one of us")?;
/// assert_eq!(child.join()?, "one of us");
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until they are used to `bind` or to `connect`"]
pub struct Options {
    authkey: Option<AuthKey>,
    allow_md5: bool,
    backlog: Option<u32>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    max_message: usize,
}

crate::wire::as_tuple!(Options {
    authkey,
    allow_md5,
    backlog,
    connect_timeout,
    handshake_timeout,
    max_message,
});

impl Default for Options {
    fn default() -> Self {
        Self {
            authkey: None,
            allow_md5: false,
            backlog: None,
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            max_message: 64 << 20,
        }
    }
}

impl Options {
    /// Returns options with the defaults that each method describes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key. Each side has to prove to the other that it knows this key. By default there
    /// is no key, and every peer that reaches the address is served.
    ///
    /// The key itself is not sent. Later messages are neither encrypted nor protected against
    /// changes on the way, so use a tunnel in a network that others use. The handshake also does
    /// not protect against an attacker between the two sides that forwards it, and then sends
    /// messages in the name of one side.
    pub fn authkey(mut self, key: AuthKey) -> Self {
        self.authkey = Some(key);
        self
    }

    /// Sets whether the key may be proven by HMAC-MD5. The default is false. This side always asks
    /// for SHA-256, and also accepts SHA-384 and SHA-3.
    ///
    /// Python 3.11 and earlier need MD5. Python 3.12 and later and this crate use SHA-256 with each
    /// other even if MD5 is allowed, unless an attacker between them prevents it.
    pub fn allow_md5(mut self, allow: bool) -> Self {
        self.allow_md5 = allow;
        self
    }

    /// Sets how many connections may wait to be accepted. The default is that of std. The kernel
    /// also has a limit, `net.core.somaxconn`.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Sets the timeout of connecting, without the handshake. The default is 10 seconds.
    /// [`Duration::MAX`] means no timeout of this crate: only those of the system apply.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the timeout of the whole handshake. The default is 10 seconds. [`Duration::MAX`] means
    /// no timeout. A listener continues the handshakes of its clients only while a thread accepts.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets the most bytes that a received message may have. The default is 64 MiB.
    ///
    /// Memory is allocated as bytes arrive, not when they are announced. During the handshake the
    /// limit is 256 bytes.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    pub(super) fn connections(&self) -> Option<u32> {
        self.backlog
    }

    pub(super) fn time_to_connect(&self) -> Duration {
        self.connect_timeout
    }

    pub(super) fn key(&self) -> Option<&AuthKey> {
        self.authkey.as_ref()
    }

    pub(super) fn allows_md5(&self) -> bool {
        self.allow_md5
    }

    pub(super) fn time_of_handshake(&self) -> Duration {
        self.handshake_timeout
    }

    pub(super) fn longest_message(&self) -> usize {
        self.max_message
    }
}
