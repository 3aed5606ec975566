//! The environment of this process: read, replaced or wiped while no other thread can read it.

use super::alone::Alone;
use std::{
    env,
    ffi::{CStr, OsStr, c_char},
    hint,
    os::unix::ffi::OsStrExt,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// The first string of the environment that the exec brought. It is set once [`take`]
/// has found it.
static FIRST: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// The environment that was set last. It keeps the earlier ones: C code may hold pointers into any
/// of them, and a leak checker must find them.
static SET: AtomicPtr<Set> = AtomicPtr::new(ptr::null_mut());

/// An environment that was set. It is never freed, and its fields are never read: C code reads, and
/// may change, what they point to.
struct Set {
    _block: *const c_char,
    _entries: *const *const c_char,
    _before: *mut Set,
}

/// Returns the value of a variable, or `None` if it is not set.
///
/// Only for the time before `main`, when no other thread of this process exists.
pub(crate) fn get_at_load(name: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the name ends with a NUL, and nobody changes the environment meanwhile: there is one
    // thread.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: the environment consists of strings that end with a NUL.
    Some(unsafe { CStr::from_ptr(value) }.to_bytes().to_vec())
}

/// Removes a variable that came first in the environment when this process was started, and wipes
/// it. Nothing shows the variable any more.
pub(crate) fn take(name: &CStr, _: &Alone) {
    // SAFETY: the name ends with a NUL, and there is one thread.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    let mut found = None;
    if !value.is_null() {
        let entry = value.wrapping_sub(name.count_bytes() + 1);
        if came_by_exec(entry) {
            FIRST.store(entry, Ordering::Relaxed);
            found = Some(entry);
        }
    }
    // SAFETY: there is one thread, so nobody reads the environment meanwhile.
    unsafe { env::remove_var(OsStr::from_bytes(name.to_bytes())) };
    if let Some(entry) = found {
        // SAFETY: the entry ends with a NUL and is in this process's own memory, see
        // `came_by_exec`. Nobody refers to it now.
        unsafe { wipe(entry) };
    }
}

/// Gives up the environment that the exec brought. Afterwards this process has none, and neither
/// its memory nor `/proc/PID/environ` shows the old one. Only what the dynamic loader reads again
/// when it loads a library stays in memory.
///
/// Only for a process that runs no code but ours.
pub(crate) fn give_up(_: &Alone) {
    static NONE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());
    for entry in entries() {
        if came_by_exec(entry) {
            // SAFETY: the entry is in this process's own memory, see `came_by_exec`, and ends with
            // a NUL.
            unsafe { wipe_unless_kept(entry) };
        }
    }
    // Variables that a constructor has removed or replaced are still in the area.
    let (mut place, end) = (FIRST.load(Ordering::Relaxed), end_of_area());
    while !place.is_null() && place.cast_const() < end {
        // SAFETY: from the first entry to the end of the area the kernel has put strings that end
        // with a NUL, one after another.
        let length = unsafe { CStr::from_ptr(place) }.count_bytes();
        // SAFETY: as above. It is the memory of this process alone, and not read-only.
        unsafe { wipe_unless_kept(place) };
        place = place.wrapping_add(length + 1);
    }
    // SAFETY: nobody reads the environment meanwhile. An array of one null pointer is an empty
    // environment. The C library only reads it: before it adds a variable, it copies an array that
    // it did not make.
    unsafe { environ = NONE.as_ptr().cast_const().cast() };
}

/// Replaces the environment of this process. The block has entries such as `NAME=value`, each with
/// a NUL behind it.
pub(crate) fn replace(block: Vec<u8>, _: &Alone) {
    let (block, entries) = split(block);
    let set = Set {
        _block: block,
        _entries: entries,
        _before: SET.load(Ordering::Relaxed),
    };
    SET.store(Box::into_raw(Box::new(set)), Ordering::Relaxed);
    // SAFETY: nobody else reads the environment meanwhile. The array ends with a null pointer, and
    // every entry ends with a NUL. None of them is ever freed.
    unsafe { environ = entries };
}

/// Leaks entries that have a NUL behind each. Returns them, and the array of pointers that C wants.
fn split(block: Vec<u8>) -> (*const c_char, *const *const c_char) {
    let block: &'static mut [u8] = block.leak();
    let start: *mut c_char = block.as_mut_ptr().cast();
    let mut entries = Vec::new();
    let mut length = 0;
    for entry in block.split_inclusive(|byte| *byte == 0) {
        if entry.ends_with(&[0]) {
            entries.push(start.cast_const().wrapping_add(length));
        }
        length += entry.len();
    }
    entries.push(ptr::null());
    (start, entries.leak().as_mut_ptr())
}

/// Returns the pointers in the array of the environment.
fn entries() -> Vec<*mut c_char> {
    let mut found = Vec::new();
    // SAFETY: there is one thread, so nobody changes the variable meanwhile.
    let mut place = unsafe { environ };
    while !place.is_null() {
        // SAFETY: the array ends with a null pointer, which is the last that is read.
        let entry = unsafe { *place };
        if entry.is_null() {
            break;
        }
        found.push(entry.cast_mut());
        place = place.wrapping_add(1);
    }
    found
}

/// Whether an address is in the area that the exec has put on the stack of the main thread. A
/// variable that a library has set is somewhere else. The area can be written to, and lives as long
/// as the process.
fn came_by_exec(entry: *const c_char) -> bool {
    let frame = 0_u8;
    let frame: *const u8 = hint::black_box(&raw const frame);
    frame < entry.cast() && entry < end_of_area()
}

/// Returns the end of the environment. The kernel puts the name of the executable there
/// ([getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)).
fn end_of_area() -> *const c_char {
    // SAFETY: the call takes an integer and reads what the kernel gave this process.
    (unsafe { libc::getauxval(libc::AT_EXECFN) }) as *const c_char
}

/// Wipes a variable, unless it is one of the dynamic loader's: the loader keeps pointers to those.
///
/// # Safety
///
/// The entry ends with a NUL, and its memory may be written to.
unsafe fn wipe_unless_kept(entry: *mut c_char) {
    // SAFETY: the caller promises that the entry ends with a NUL.
    let bytes = unsafe { CStr::from_ptr(entry) }.to_bytes();
    let is_loaders = bytes.starts_with(b"LD_") || bytes.starts_with(b"GLIBC_TUNABLES=");
    if bytes.contains(&b'=') && !is_loaders {
        // SAFETY: the caller promises both.
        unsafe { wipe(entry) };
    }
}

/// Overwrites a string with zeros.
///
/// # Safety
///
/// The string ends with a NUL, and its memory may be written to.
unsafe fn wipe(string: *mut c_char) {
    // SAFETY: the caller promises that the string ends with a NUL.
    let length = unsafe { CStr::from_ptr(string) }.count_bytes();
    // SAFETY: the caller promises that the memory may be written to, and the string has this
    // length.
    unsafe { ptr::write_bytes(string, 0, length) };
}
