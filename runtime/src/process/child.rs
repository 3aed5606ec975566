//! stub
use crate::error::Result;
use std::marker::PhantomData;
/// stub
#[must_use]
#[derive(Debug)]
pub struct Child<T>(PhantomData<fn() -> T>);
impl<T> Child<T> {
    /// .
    pub fn join(self) -> Result<T> {
        unimplemented!()
    }
    /// .
    #[must_use]
    pub fn name(&self) -> &str {
        ""
    }
    /// .
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        false
    }
}
