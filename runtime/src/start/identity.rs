//! The identity of this process: what its birth says, or the defaults in the first process of a
//! program.

use super::{StartMethod, bond::Bond, seat::take_seat};
use crate::{
    error::{Error, Result},
    sys::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        own, random, sentinel,
    },
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{
    fmt, hint,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

/// What a process knows about itself.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) bond: Bond,
    pub(crate) start_method: Option<StartMethod>,
    pub(crate) parent: Option<Parent>,
    /// The identity before this one, if there was one. A caller may still borrow from it, so it is
    /// kept.
    pub(super) before: Option<&'static Identity>,
}

/// What a child knows about its parent.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Opened when it is first asked for. The inner value is `None` if that failed.
    pidfd: OnceLock<Option<OwnedFd>>,
}

impl Parent {
    pub(super) fn new(name: String) -> Self {
        Self {
            id: own::parent_id(),
            name,
            pidfd: OnceLock::new(),
        }
    }

    /// Returns a pidfd of the parent, or `None` if the parent was gone before the first call.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        let open = || {
            // If the parent is gone, its id may be that of another process. The parent of this
            // process has changed then.
            let pidfd = sentinel::open_pidfd(self.id).ok();
            pidfd.filter(|_| own::parent_id() == self.id)
        };
        self.pidfd.get_or_init(open).as_ref().map(AsFd::as_fd)
    }
}

/// `None` in a process that is no child, until the first call of [`current`].
static IDENTITY: Mutex<Option<&'static Identity>> = Mutex::new(None);
static AUTHKEY: Mutex<Option<AuthKey>> = Mutex::new(None);

/// Returns the identity of this process.
pub(crate) fn current() -> &'static Identity {
    identity().get_or_insert_with(|| {
        Box::leak(Box::new(Identity {
            name: "main".into(),
            bond: Bond::ORDINARY,
            start_method: None,
            parent: None,
            before: None,
        }))
    })
}

/// Sets the identity and the key that the birth brought.
pub(super) fn assume(mut identity: Identity, authkey: AuthKey) {
    *AUTHKEY.lock().unwrap_or_else(PoisonError::into_inner) = Some(authkey);
    take_seat(None);
    let mut current = self::identity();
    identity.before = *current;
    *current = Some(Box::leak(Box::new(identity)));
}

fn identity() -> MutexGuard<'static, Option<&'static Identity>> {
    IDENTITY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A secret key that a process and its descendants share. They use it to prove to each other that
/// they belong together.
///
/// The first process that asks for the key makes it at random, and its children inherit it. It is
/// never in an argument list, an environment or a log, and its [`Debug`](fmt::Debug) form does not
/// show it. The time that a comparison takes does not depend on the bytes.
///
/// # Examples
///
/// ```
/// use procession::{AuthKey, authkey, process};
///
/// #[process]
/// fn inherited() -> Vec<u8> {
///     authkey().unwrap().as_bytes().to_vec()
/// }
///
/// assert_eq!(inherited::spawn()?.join()?, authkey()?.as_bytes());
/// assert_eq!(format!("{:?}", authkey()?), "AuthKey(..)");
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone)]
pub struct AuthKey(Vec<u8>);

impl Serialize for AuthKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuthKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

impl AuthKey {
    /// Makes a key from bytes that both sides know.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Makes a key of 32 random bytes.
    ///
    /// # Errors
    ///
    /// Fails if the kernel returns no random bytes
    /// ([getrandom(2)](https://man7.org/linux/man-pages/man2/getrandom.2.html)).
    pub fn random() -> Result<Self> {
        let mut bytes = vec![0; 32];
        random::fill(&mut bytes).map_err(|source| Error::os("no random key to be had", source))?;
        Ok(Self(bytes))
    }

    /// Returns the bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for AuthKey {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| {
            hint::black_box(difference | (a ^ b))
        });
        self.0.len() == other.0.len() && difference == 0
    }
}

impl Eq for AuthKey {}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(..)")
    }
}

/// Returns the authentication key of this process.
///
/// A child has the key that its [`Builder`](crate::Builder) was given, or else the key of its
/// parent. In the first process, the first call makes a key of 32 random bytes.
///
/// # Errors
///
/// Fails if the kernel returns no random bytes for a new key.
///
/// # Examples
///
/// See [`AuthKey`].
pub fn authkey() -> Result<AuthKey> {
    let mut authkey = AUTHKEY.lock().unwrap_or_else(PoisonError::into_inner);
    match &*authkey {
        Some(key) => Ok(key.clone()),
        None => Ok(authkey.insert(AuthKey::random()?).clone()),
    }
}
