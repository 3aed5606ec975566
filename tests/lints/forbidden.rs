//! Lints that the user forbids to allow: what is generated neither allows them nor breaks them.

#![forbid(
    unsafe_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations,
    dead_code,
    unused,
    unused_qualifications,
    unused_results,
    unused_lifetimes,
    single_use_lifetimes,
    redundant_lifetimes,
    explicit_outlives_requirements,
    elided_lifetimes_in_paths,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_code,
    nonstandard_style,
    private_bounds,
    private_interfaces,
    let_underscore_drop,
    variant_size_differences,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::partial_pub_fields,
    clippy::unreachable
)]

use procession::{Process, Transfer, process};
use std::{fs::File, path::Path};

/// A function with a pattern.
#[must_use]
#[process(name = "task", daemon, nice = 1)]
pub fn task(name: &str, path: &Path, _: u8) -> usize {
    name.len() + path.as_os_str().len()
}

/// A bound that a struct could infer.
#[must_use]
#[process(struct = Outliving)]
pub fn outlives<'left, 'right: 'left, T: Transfer + PartialEq + 'left>(
    left: &'left T,
    right: &'right T,
    again: &'right T,
) -> bool {
    let both: [&'left T; 2] = [left, right];
    both[0] == both[1] && left != again
}

/// Never returns.
#[process]
pub fn never() -> ! {
    std::process::exit(1)
}

/// A struct that never returns.
#[derive(Debug, Process)]
pub struct Never(File, #[process(skip)] u8);

impl Never {
    /// Ends the process.
    pub fn run(self) -> ! {
        drop((self.0, self.1));
        std::process::exit(1)
    }
}

/// Uses all of it. Nobody calls this: it ends the process.
pub fn use_all() {
    let built = (
        task::new("a", Path::new("b"), 1),
        outlives(&1, &2, &3),
        Outliving::new(&1, &2, &3),
        never::new(),
        File::open("/dev/null").map(|file| Never(file, 1)),
    );
    drop(format!("{built:?}"));
    if built.1 {
        built.3.run();
    }
    if let Ok(never) = built.4 {
        never.run();
    }
}
