//! Addresses of listeners.

use crate::sys::endpoint;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    ffi::OsString,
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::unix::{ffi::OsStringExt, net},
    path::{Path, PathBuf},
};

/// The address where a [`Listener`](super::Listener) listens, and to which a
/// [`Client`](super::Client) connects.
///
/// A [`SocketAddr`], an IP address with a port, and a [`Path`] convert into an address. An address
/// can be sent to other processes. The text of an address has one of these forms:
///
/// - An IP address and a port: `127.0.0.1:6000`, `[::1]:6000`.
/// - `@` and a name in the kernel's table of abstract names: `@name`. Parsing accepts a NUL instead
///   of the `@`.
/// - A path that contains a `/`: `/run/name.sock`, `./name.sock`.
///
/// Host names are not looked up, because that can block for a long time. Use
/// [`ToSocketAddrs`](std::net::ToSocketAddrs) for this.
///
/// # Examples
///
/// ```
/// use procession::net::Address;
/// use std::{net::Ipv4Addr, path::Path};
///
/// assert_eq!("127.0.0.1:6000".parse::<Address>()?, (Ipv4Addr::LOCALHOST, 6000).into());
/// assert_eq!("./name.sock".parse::<Address>()?, Path::new("./name.sock").into());
/// assert_eq!("@name".parse::<Address>()?, Address::from_abstract_name("name"));
/// assert_eq!(Address::from_abstract_name("name").to_string(), "@name");
/// assert!("name".parse::<Address>().is_err());
/// # Ok::<(), procession::net::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port. Python's `AF_INET`.
    #[doc(alias = "AF_INET")]
    Tcp(SocketAddr),
    /// A path in the file system. Python's `AF_UNIX`. File permissions protect it, as they protect
    /// a file.
    #[doc(alias = "AF_UNIX")]
    Unix(PathBuf),
    /// A name in the kernel's table of abstract names
    /// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)). It leaves no file behind. No
    /// permissions protect it: every process in the network namespace can take it.
    Abstract(Vec<u8>),
}

impl Address {
    /// Makes the address of an abstract name. The name is given without the leading NUL or `@`.
    pub fn from_abstract_name(name: impl Into<Vec<u8>>) -> Self {
        Self::Abstract(name.into())
    }

    /// Returns the address of a Unix socket, or `None` if it has no name.
    pub(super) fn from_unix(address: &net::SocketAddr) -> Option<Self> {
        let path = address.as_pathname().map(Self::from);
        path.or_else(|| endpoint::abstract_name(address).map(Self::from_abstract_name))
    }
}

/// An address of a Unix socket, which converts into std's type.
pub(super) enum Unix<'a> {
    Path(&'a Path),
    Abstract(&'a [u8]),
}

impl Unix<'_> {
    pub(super) fn to_std(&self) -> io::Result<net::SocketAddr> {
        match self {
            // std makes an unnamed address of an empty path. It would fail later, with another
            // error.
            Self::Path(path) if path.as_os_str().is_empty() => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            Self::Path(path) => net::SocketAddr::from_pathname(path),
            Self::Abstract(name) => endpoint::from_abstract_name(name),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(address: (I, u16)) -> Self {
        Self::Tcp(address.into())
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => {
                let bytes = path.as_os_str().as_encoded_bytes();
                // The `/` distinguishes a path from the other two forms.
                if !bytes.contains(&b'/') || bytes.starts_with(b"@") {
                    f.write_str("./")?;
                }
                path.display().fmt(f)
            }
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

// Paths are sent as bytes, because a path need not be UTF-8.

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (tcp, unix, name) = match self {
            Self::Tcp(address) => (Some(address), None, None),
            Self::Unix(path) => (None, Some(path.as_os_str().as_encoded_bytes()), None),
            Self::Abstract(name) => (None, None, Some(name)),
        };
        (tcp, unix, name).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Deserialize::deserialize(deserializer)? {
            (Some(address), None, None) => Ok(Self::Tcp(address)),
            (None, Some(path), None) => Ok(Self::Unix(OsString::from_vec(path).into())),
            (None, None, Some(name)) => Ok(Self::Abstract(name)),
            _ => Err(de::Error::custom("an address is of one kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::net::ErrorKind;
    use std::{
        ffi::OsString,
        net::{Ipv4Addr, Ipv6Addr},
        os::unix::ffi::OsStringExt,
        path::{Path, PathBuf},
    };

    #[test]
    fn text_leads_back_to_the_address() {
        for address in [
            Address::from((Ipv4Addr::LOCALHOST, 6000)),
            Address::from((Ipv6Addr::LOCALHOST, 6000)),
            Address::from(Path::new("/tmp/a b")),
            Address::from(Path::new("./a")),
            Address::from_abstract_name("a/b:1"),
        ] {
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
        for (path, text) in [
            ("a", "./a"),
            ("@a/b", "./@a/b"),
            ("1.2.3.4:5", "./1.2.3.4:5"),
        ] {
            assert_eq!(Address::from(Path::new(path)).to_string(), text);
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in [
            "",
            "name",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.1:66000",
            "::1:80:",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Address, "{text}");
        }
    }

    #[test]
    fn any_path_and_name_travels() {
        let odd = vec![b'/', 0xff, 0xfe];
        for address in [
            Address::Unix(PathBuf::from(OsString::from_vec(odd.clone()))),
            Address::Abstract(odd),
        ] {
            let bytes = crate::wire::encode(&address).unwrap();
            assert_eq!(crate::wire::decode::<Address>(&bytes).unwrap(), address);
        }
    }
}
