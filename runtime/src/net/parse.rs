//! Addresses as text.

use super::{Address, Error, ErrorKind, Result};
use std::str::FromStr;

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix(['@', '\0']) {
            return Ok(Self::from_abstract_name(name));
        }
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|source| {
            let what = format!(
                "`{text}` is no address: expected an IP address and a port, a path with a `/`, or `@` and a name"
            );
            Error::new(ErrorKind::Address, what).because(source)
        })
    }
}
