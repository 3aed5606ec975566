//! The main executable in memory: where its code is, and which build it is.
//!
//! Both are read from the program headers
//! ([elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html)). The kernel told the process where
//! these are ([getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)). The loader
//! is not asked. So the answer is right for static and dynamic executables alike, and before
//! `main`. The file is used for two things only: to name a build that has no build-id, and to check
//! that it still is the program in memory.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fs::{self, File},
    io,
    marker::PhantomData,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

type Header = libc::Elf64_Phdr;

/// The main executable.
struct Image {
    /// The difference between the addresses in memory and those in the file.
    base: usize,
    code: Vec<Range<usize>>,
    build: Build,
}

/// Which build of which program. Two processes of one build have every function at the same offset.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Build {
    /// The linker's build-id.
    Id(Vec<u8>),
    /// The file itself, if there is no build-id.
    File { device: u64, inode: u64 },
}

/// The place of a function of type `F` in the main executable. Another process of the same build
/// finds the function by it.
#[derive(Clone, Debug)]
pub(crate) struct Place<F> {
    build: Build,
    offset: usize,
    kind: PhantomData<fn() -> F>,
}

impl<F> Serialize for Place<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (id, file) = match &self.build {
            Build::Id(id) => (Some(id), None),
            Build::File { device, inode } => (None, Some((device, inode))),
        };
        (id, file, self.offset).serialize(serializer)
    }
}

impl<'de, F> Deserialize<'de> for Place<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, file, offset) = Deserialize::deserialize(deserializer)?;
        let build = match (id, file) {
            (Some(id), None) => Build::Id(id),
            (None, Some((device, inode))) => Build::File { device, inode },
            _ => return Err(de::Error::custom("a place is of one build")),
        };
        Ok(Self {
            build,
            offset,
            kind: PhantomData,
        })
    }
}

impl<F: Copy> Place<F> {
    /// Returns the place of a function. Returns `None` if the function is not in the main
    /// executable, or if another run would not start the program in memory.
    pub(crate) fn of(function: F) -> io::Result<Option<Self>> {
        let image = Image::main()?;
        let address = address_of(function);
        if !image.has_code_at(address) || !is_executable_in_memory() {
            return Ok(None);
        }
        Ok(Some(Self {
            build: image.build.clone(),
            offset: address - image.base,
            kind: PhantomData,
        }))
    }

    /// Returns the function at this place. Returns `None` if the place is of another build, or not
    /// in the code.
    pub(crate) fn resolve(&self) -> io::Result<Option<F>> {
        let image = Image::main()?;
        let address = image.base.wrapping_add(self.offset);
        if self.build != image.build || !image.has_code_at(address) {
            return Ok(None);
        }
        // SAFETY: the place was made of an `F` by a process of this very build, where that function
        // has the same offset. Nobody else can have made it: the caller takes places only from its
        // parent, and the kernel vouches for the parent.
        Ok(Some(unsafe { std::mem::transmute_copy(&address) }))
    }
}

/// Returns the offset of a function in the main executable. Returns `None` where
/// [`Place::of`] does.
#[cfg(feature = "pool")]
pub(crate) fn offset_of<F: Copy>(function: F) -> io::Result<Option<u64>> {
    let image = Image::main()?;
    let address = address_of(function);
    let is_there = image.has_code_at(address) && is_executable_in_memory();
    Ok(is_there.then(|| (address - image.base) as u64))
}

/// Returns the function at an offset that [`offset_of`] has returned in a process of this build,
/// for a function of type `F`. Returns `None` if there is no code.
#[cfg(feature = "pool")]
pub(crate) fn at<F: Copy>(offset: u64) -> io::Result<Option<F>> {
    const { assert!(size_of::<F>() == size_of::<usize>(), "a function pointer") };
    let image = Image::main()?;
    let address = image.base.wrapping_add(address(offset));
    if !image.has_code_at(address) {
        return Ok(None);
    }
    // SAFETY: the offset was made of an `F` by a process of this very build, where that function
    // has the same offset. It comes from the parent of this process, whose build was compared
    // before.
    Ok(Some(unsafe { std::mem::transmute_copy(&address) }))
}

fn address_of<F: Copy>(function: F) -> usize {
    const { assert!(size_of::<F>() == size_of::<usize>(), "a function pointer") };
    // SAFETY: `F` is as large as an address, as checked above, and every function pointer is an
    // address.
    unsafe { std::mem::transmute_copy(&function) }
}

impl Image {
    fn main() -> io::Result<&'static Self> {
        static MAIN: OnceLock<Image> = OnceLock::new();
        if let Some(image) = MAIN.get() {
            return Ok(image);
        }
        let image = Self::read()?;
        Ok(MAIN.get_or_init(|| image))
    }

    fn read() -> io::Result<Self> {
        let headers = headers().ok_or(io::ErrorKind::Unsupported)?;
        let base = base(headers).ok_or(io::ErrorKind::Unsupported)?;
        let range = |header: &Header| {
            let start = base.wrapping_add(address(header.p_vaddr));
            start..start.wrapping_add(address(header.p_memsz))
        };
        let code = headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)
            .map(range)
            .collect();
        let notes = headers
            .iter()
            .filter(|header| header.p_type == libc::PT_NOTE);
        let id = notes.map(range).find_map(|notes| build_id(mapped(notes)));
        let build = if let Some(id) = id {
            Build::Id(id.to_vec())
        } else {
            let file = fs::metadata(executable())?;
            Build::File {
                device: file.dev(),
                inode: file.ino(),
            }
        };
        Ok(Self { base, code, build })
    }

    fn has_code_at(&self, address: usize) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }
}

/// Returns the path by which the running executable can be run again.
///
/// It is a link that is right even if the file was deleted or replaced
/// ([proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_exe.5.html)), and if the main thread
/// has ended. There is one exception: a program that runs others by itself, as valgrind does. It
/// answers for `/proc/self/exe` when the link is read, but not when it is run. In that case this
/// returns the path that was read from the link. Such a program does not answer for the link of the
/// thread, so the two links differ.
pub(crate) fn executable() -> &'static Path {
    const LINK: &str = "/proc/thread-self/exe";
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(
        || match (fs::read_link("/proc/self/exe"), fs::read_link(LINK)) {
            (Ok(answered), Ok(real)) if answered != real => answered,
            _ => LINK.into(),
        },
    )
}

/// Returns why there may be no file at the path of the executable, if that can be seen.
pub(crate) fn why_not_found() -> Option<&'static str> {
    if fs::symlink_metadata("/proc/thread-self").is_err() {
        Some("the executable cannot be found, since /proc is not mounted")
    } else if fs::metadata("/proc/thread-self/").is_err() {
        Some("the executable cannot be found, since /proc is that of another PID namespace")
    } else {
        None
    }
}

/// Returns whether a function is part of the main executable, rather than of a library.
pub(crate) fn contains(function: fn()) -> io::Result<bool> {
    Ok(Image::main()?.has_code_at(function as usize))
}

/// Returns whether another run would start the program in memory. A dynamic loader that is run by
/// name loads another program than itself.
fn is_executable_in_memory() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    // A file that may be run but not read cannot be compared. It counts as the same.
    *IS.get_or_init(|| {
        headers_in_file()
            .is_none_or(|in_file| headers().is_some_and(|headers| in_file == bytes_of(headers)))
    })
}

/// Reads the program headers from the executable, to compare them with those in memory.
fn headers_in_file() -> Option<Vec<u8>> {
    let file = File::open(executable()).ok()?;
    let mut start = [0; size_of::<libc::Elf64_Ehdr>()];
    file.read_exact_at(&mut start, 0).ok()?;
    // The fields of the ELF header that tell where the program headers are, and how many.
    let offset = u64::from_ne_bytes(start[32..40].try_into().ok()?);
    let count = u16::from_ne_bytes(start[56..58].try_into().ok()?);
    let mut table = vec![0; usize::from(count) * size_of::<Header>()];
    file.read_exact_at(&mut table, offset).ok()?;
    Some(table)
}

fn bytes_of(headers: &[Header]) -> &[u8] {
    // SAFETY: a program header is a C struct of integers without padding, and the slice has the
    // size of the headers.
    unsafe { std::slice::from_raw_parts(headers.as_ptr().cast(), size_of_val(headers)) }
}

fn address(offset: u64) -> usize {
    usize::try_from(offset).expect("every supported target has addresses of 64 bits")
}

fn headers() -> Option<&'static [Header]> {
    // SAFETY: the call takes an integer and reads what the kernel gave this process.
    let table = unsafe { libc::getauxval(libc::AT_PHDR) } as *const Header;
    // SAFETY: as above.
    let count = unsafe { libc::getauxval(libc::AT_PHNUM) };
    if table.is_null() {
        return None;
    }
    // SAFETY: the kernel says that this many headers are mapped there, read-only, for as long as
    // the program runs.
    Some(unsafe { std::slice::from_raw_parts(table, address(count)) })
}

/// Returns the difference between the addresses in memory and those in the file. The table of
/// program headers has a known address in the file. The difference between its two addresses is the
/// same for all others.
fn base(headers: &[Header]) -> Option<usize> {
    const SIZE: usize = size_of::<libc::Elf64_Ehdr>();
    let table = headers.as_ptr().addr();
    let own = headers.iter().find(|header| header.p_type == libc::PT_PHDR);
    if let Some(own) = own {
        return Some(table.wrapping_sub(address(own.p_vaddr)));
    }
    // Some static executables do not say where the table is. Then it follows the header of the
    // file.
    let first = headers
        .iter()
        .find(|header| header.p_type == libc::PT_LOAD && header.p_offset == 0)?;
    let is_in_page = table % 4096 >= SIZE;
    let start = table.checked_sub(SIZE).filter(|_| is_in_page)?;
    let magic = mapped(start..start + 4);
    (magic == b"\x7fELF").then(|| start.wrapping_sub(address(first.p_vaddr)))
}

fn mapped(range: Range<usize>) -> &'static [u8] {
    // SAFETY: the range is that of a segment of the main executable, or in the page of its program
    // headers. The loader has mapped both readable for as long as the program runs, and neither
    // notes nor headers are ever written to.
    unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) }
}

/// Finds the build-id in a segment of notes. A note has the size of its name, the size of its
/// content and its type, then the name and the content, each padded to four bytes.
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    while let Some((head, rest)) = notes.split_first_chunk::<12>() {
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name_size, size, kind) = (word(0) as usize, word(4) as usize, word(8));
        let name = rest.get(..name_size)?;
        let rest = rest.get(name_size.next_multiple_of(4)..)?;
        let content = rest.get(..size)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" && !content.is_empty() {
            return Some(content);
        }
        notes = rest.get(size.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Place, build_id};

    fn here() -> u32 {
        7
    }

    #[test]
    fn function_is_found_again_at_its_place() {
        let place = Place::of(here as fn() -> u32).unwrap().unwrap();
        let found = place.resolve().unwrap().unwrap();
        assert_eq!(found(), 7);
    }

    #[test]
    fn function_of_a_library_has_no_place() {
        let library = libc::atoi as unsafe extern "C" fn(_) -> _;
        // In a static build the library is part of the executable.
        if cfg!(not(target_feature = "crt-static")) {
            assert!(Place::of(library).unwrap().is_none());
        }
    }

    #[test]
    fn place_outside_of_the_code_is_refused() {
        let mut place = Place::of(here as fn() -> u32).unwrap().unwrap();
        place.offset = usize::MAX / 2;
        assert!(place.resolve().unwrap().is_none());
    }

    #[test]
    fn build_id_is_found_behind_other_notes() {
        let mut notes = Vec::new();
        for (kind, content) in [(1_u32, &[9_u8; 6][..]), (3, &[1, 2, 3, 4, 5])] {
            for word in [4, u32::try_from(content.len()).unwrap(), kind] {
                notes.extend_from_slice(&word.to_ne_bytes());
            }
            notes.extend_from_slice(b"GNU\0");
            notes.extend_from_slice(content);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id(&notes), Some(&[1, 2, 3, 4, 5][..]));
        for cut in 0..notes.len() - 4 {
            let _ = build_id(&notes[..cut]);
        }
    }
}
