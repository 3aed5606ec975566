//! The main executable, in which no function can be found here.

use super::unsupported;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    convert::Infallible,
    env, io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::OnceLock,
};

#[derive(Clone, Debug)]
pub(crate) struct Place<F>(Infallible, PhantomData<F>);

impl<F> Serialize for Place<F> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match self.0 {}
    }
}

impl<'de, F> Deserialize<'de> for Place<F> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("no function can be found here"))
    }
}

impl<F: Copy> Place<F> {
    pub(crate) fn of(_: F) -> io::Result<Option<Self>> {
        unsupported()
    }

    pub(crate) fn resolve(&self) -> io::Result<Option<F>> {
        match self.0 {}
    }
}

#[cfg(feature = "pool")]
pub(crate) fn offset_of<F: Copy>(_: F) -> io::Result<Option<u64>> {
    unsupported()
}

#[cfg(feature = "pool")]
pub(crate) fn at<F: Copy>(_: u64) -> io::Result<Option<F>> {
    unsupported()
}

pub(crate) fn executable() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| env::current_exe().unwrap_or_default())
}

pub(crate) fn why_not_found() -> Option<&'static str> {
    None
}

pub(crate) fn contains(_: fn()) -> io::Result<bool> {
    unsupported()
}
