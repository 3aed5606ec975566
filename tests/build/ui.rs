//! Misuse, one mistake a file: each is one error, under what is wrong, with the way out.
//!
//! `ui/ours` has the errors in the words of this crate. `ui/rustc` has those that only the compiler
//! can find: for example, a path that leads nowhere (as the default path does if the dependency has
//! another name), or an item where none is allowed.

use std::process::Command;

/// The compiler whose words `ui/rustc` pins.
const RUSTC: &str = "rustc 1.95.";

#[test]
fn misuse_is_one_error() {
    let cases = trybuild::TestCases::new();
    cases.pass("lints/main.rs");
    cases.compile_fail("ui/ours/*.rs");

    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let version = output.expect("the compiler runs").stdout;
    let version = String::from_utf8_lossy(&version);
    if version.starts_with(RUSTC) {
        cases.compile_fail("ui/rustc/*.rs");
    } else {
        eprintln!("note: ui/rustc pins the words of {RUSTC}x and is skipped with {version}");
    }
}
