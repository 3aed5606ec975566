//! Who this process is: what it was told at birth, or what the first process of a program is by default.

use super::StartMethod;
use crate::{
    error::{Error, Result},
    sys::{random, sentinel},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, hint,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::parent_id,
    },
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

/// What a process knows about itself.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) daemon: bool,
    pub(crate) start_method: Option<StartMethod>,
    pub(crate) parent: Option<Parent>,
    /// Who this process was before, if it was another. Somebody may still borrow from it, so it is kept.
    pub(super) before: Option<&'static Identity>,
}

/// What a child knows about its parent.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Opened when it is first asked for. None if there was none to be had then.
    pidfd: OnceLock<Option<OwnedFd>>,
}

impl Parent {
    pub(super) fn new(name: String) -> Self {
        Self {
            id: parent_id(),
            name,
            pidfd: OnceLock::new(),
        }
    }

    /// Returns a pidfd of the parent; none if it was gone before one was asked for.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        let open = || {
            // A parent that is gone by now has no pidfd to be opened, and its id may be another's.
            let pidfd = sentinel::open_pidfd(self.id).ok();
            pidfd.filter(|_| parent_id() == self.id)
        };
        self.pidfd.get_or_init(open).as_ref().map(AsFd::as_fd)
    }
}

/// None in a process that is no child, until it is asked who it is.
static IDENTITY: Mutex<Option<&'static Identity>> = Mutex::new(None);
static AUTHKEY: Mutex<Option<AuthKey>> = Mutex::new(None);

/// Returns who this process is.
pub(crate) fn current() -> &'static Identity {
    identity().get_or_insert_with(|| {
        Box::leak(Box::new(Identity {
            name: "main".into(),
            daemon: false,
            start_method: None,
            parent: None,
            before: None,
        }))
    })
}

/// Makes this process a child, from its birth on.
pub(super) fn assume(mut identity: Identity, authkey: AuthKey) {
    *AUTHKEY.lock().unwrap_or_else(PoisonError::into_inner) = Some(authkey);
    let mut current = self::identity();
    identity.before = *current;
    *current = Some(Box::leak(Box::new(identity)));
}

fn identity() -> MutexGuard<'static, Option<&'static Identity>> {
    IDENTITY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A secret that this process and its descendants share, by which they can prove to each other that they belong together.
///
/// It is made at random in the first process that asks for it and inherited by the children. It is never in an argument list,
/// an environment or a log, and its [`Debug`](fmt::Debug) form does not show it. Comparison takes the same time whatever it
/// finds.
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
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthKey(#[serde(with = "serde_bytes")] Vec<u8>);

impl AuthKey {
    /// Makes a key of bytes that both sides know.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Makes a key of 32 random bytes.
    ///
    /// # Errors
    ///
    /// When the kernel has no randomness to give.
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

/// Returns the authentication key of this process: 32 random bytes in the first one, and what it was given in a child.
///
/// # Errors
///
/// When the kernel has no randomness to give.
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
