//! What is generated stays quiet under the strictest lints, and works where everything it names means something else.

#![deny(
    warnings,
    future_incompatible,
    let_underscore,
    nonstandard_style,
    rust_2018_idioms,
    unused,
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_code,
    unused_extern_crates,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    clippy::all,
    clippy::nursery,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::field_scoped_visibility_modifiers,
    clippy::impl_trait_in_params,
    clippy::missing_docs_in_private_items,
    clippy::module_name_repetitions,
    clippy::multiple_inherent_impl,
    clippy::partial_pub_fields,
    clippy::pub_use,
    clippy::question_mark_used,
    clippy::same_name_method,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::single_char_lifetime_names,
    clippy::undocumented_unsafe_blocks,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![allow(
    clippy::missing_const_for_fn,
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "a process cannot be `const`, and its arguments move"
)]

/// Forms with all that a lint could find.
pub mod forms {
    use procession::{Process, Transfer, process};
    use std::{fs::File, io, marker::PhantomData, path::Path};

    /// Has settings, references, a pattern, and a result to be used.
    #[must_use]
    #[process(name = "task", daemon, nice = 1)]
    pub fn task(name: &str, path: &Path, key: &[u8; 64], seconds: u64, _: u8) -> usize {
        let length = name.len() + path.as_os_str().len() + key.len();
        length + usize::from(seconds > 1)
    }

    /// Has many parameters.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "there are many")]
    #[process]
    pub fn many(aa: u8, bb: u8, cc: u8, dd: u8, ee: u8, ff: u8, gg: u8, hh: u8) -> u8 {
        [aa, bb, cc, dd, ee, ff, gg, hh]
            .into_iter()
            .fold(0, u8::wrapping_add)
    }

    /// Has generic parameters of every kind.
    #[must_use]
    #[process]
    pub fn generic<'left, T, U, const N: usize>(
        left: &'left T,
        right: &'left T,
        array: [u8; N],
    ) -> T
    where
        T: Transfer + Clone + PartialOrd,
        U: Default + PartialEq,
    {
        if left < right && U::default() == U::default() && N == array.len() {
            left.clone()
        } else {
            right.clone()
        }
    }

    /// Is only ever a process.
    #[process]
    fn only_a_process(file: File) -> File {
        file
    }

    /// Is only ever a function.
    #[process]
    fn only_a_function(number: u8) -> u8 {
        number
    }

    /// Is deprecated, and so is its process.
    #[must_use]
    #[deprecated = "there is another"]
    #[process]
    pub fn deprecated(number: u8) -> u8 {
        number
    }

    /// Never returns.
    #[process]
    pub fn never(code: i32) -> ! {
        std::process::exit(code)
    }

    /// Has names that are not in fashion.
    #[must_use]
    #[expect(non_snake_case, reason = "they are not")]
    #[process]
    pub fn Unfashionable(Number: u8) -> u8 {
        Number
    }

    /// Says that it depends on the target.
    #[must_use]
    #[cfg(unix)]
    #[doc(hidden)]
    #[process]
    pub fn hidden(number: u8) -> u8 {
        number
    }

    /// Has another name, and nobody uses it yet.
    #[expect(dead_code, reason = "it comes later")]
    #[process(struct = Later)]
    fn later(number: u8) -> u8 {
        number
    }

    /// Uses a type that is deprecated.
    #[must_use]
    #[expect(deprecated, reason = "and so is this")]
    #[process]
    pub fn uses_the_deprecated(old: Old) -> Old {
        old
    }

    /// A type that is deprecated.
    #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
    #[deprecated = "there is a new one"]
    pub struct Old;

    /// A struct, with its own `run`.
    #[derive(Clone, Debug, Process)]
    #[process(output = usize, timeout = std::time::Duration::from_secs(1))]
    #[process(env("A" = "1"), env_remove("B"), env_clear, affinity = [0], subreaper)]
    pub struct Structure<'text, T: Transfer> {
        text: &'text str,
        value: T,
        marker: PhantomData<&'text T>,
    }

    impl<'text, T: Transfer> Structure<'text, T> {
        /// Builds it.
        #[must_use]
        pub const fn new(text: &'text str, value: T) -> Self {
            Self {
                text,
                value,
                marker: PhantomData,
            }
        }

        const fn run(&self) -> usize {
            _ = &self.value;
            _ = &self.marker;
            self.text.len()
        }
    }

    /// A tuple struct.
    #[derive(Debug, Process)]
    pub struct Tuple(File);

    impl Tuple {
        fn run(self) {
            drop(self.0);
        }
    }

    /// A trait that has the only `run` of a struct.
    trait Job {
        /// Runs.
        fn run(&mut self) -> u8;
    }

    /// A struct whose `run` is that of a trait.
    #[derive(Debug, Process)]
    #[process(output = u8)]
    pub struct OfATrait<T: Transfer + Clone + Into<u8>>(T);

    impl<T: Transfer + Clone + Into<u8>> Job for OfATrait<T> {
        fn run(&mut self) -> u8 {
            self.0.clone().into()
        }
    }

    /// Has arrays of numbers, and a result.
    ///
    /// # Errors
    ///
    /// Fails if there is nothing.
    #[process]
    pub fn arrays(deep: [[[u8; 40]; 3]; 2], rows: &[[u16; 64]]) -> io::Result<[[[u8; 40]; 3]; 2]> {
        if rows.is_empty() {
            return Err(io::Error::other("nothing"));
        }
        Ok(deep)
    }

    /// Sets a child up.
    #[procession::init]
    pub fn setup() {}

    /// Sets a child up, or fails.
    ///
    /// # Errors
    ///
    /// Fails if there is no file.
    #[procession::init]
    pub(crate) fn open() -> io::Result<()> {
        File::open("/dev/null").map(drop)
    }

    /// Uses all of it, in a program too.
    ///
    /// # Panics
    ///
    /// If something has not the value that it should have.
    #[cfg_attr(test, test)]
    pub fn run() {
        assert_eq!(task("a", Path::new("b"), &[0; 64], 2, 3), 67);
        assert_eq!(many(1, 1, 1, 1, 1, 1, 1, 1), 8);
        assert_eq!(generic::<_, u8, 1>(&1, &2, [0]), 1);
        assert_eq!(Unfashionable(1) + hidden(1) + only_a_function(1), 3);
        let open = || File::open("/dev/null").expect("it is there");
        drop(only_a_process::new(open()).run());
        assert_eq!(Structure::new("text", 1).run(), 4);
        Tuple(open()).run();
        assert_eq!(OfATrait(3_u8).run(), 3);
        assert!(arrays([[[1; 40]; 3]; 2], &[[1; 64]]).is_ok());
        #[expect(deprecated, reason = "the function is")]
        let called = deprecated(1);
        #[expect(deprecated, reason = "and so is the struct")]
        let built = deprecated { number: 1 };
        #[expect(deprecated, reason = "and its method is named through it")]
        let again = deprecated::new(built.number);
        assert_eq!(called, again.run());
        let never_returns: fn(never) -> ! = never::run;
        assert_eq!(size_of_val(&never_returns), size_of::<usize>());
    }
}

/// A place where every name that generated code could use means something else.
pub mod shadows {
    #![expect(dead_code, reason = "names alone can do harm")]
    #![expect(
        clippy::upper_case_acronyms,
        reason = "generated code has a static of that name"
    )]

    use ::procession::{Process, process};

    mod std {}
    mod core {}
    mod alloc {}
    mod procession {}

    macro_rules! shadowed {
        ($($name:ident)*) => { $(
            macro_rules! $name {
                () => {
                    compile_error!("a macro of the caller was used");
                };
            }
        )* };
    }

    #[macro_use]
    #[expect(unused_macros, reason = "nobody may call them")]
    mod macros {
        shadowed!(unreachable panic vec format assert write);
    }

    #[derive(Debug)]
    struct Box;
    #[derive(Debug)]
    struct Builder;
    #[derive(Debug)]
    struct Child;
    #[derive(Debug)]
    struct Err;
    #[derive(Debug)]
    struct META;
    #[derive(Debug)]
    struct Meta;
    #[derive(Debug)]
    struct None;
    #[derive(Debug)]
    struct Ok;
    #[derive(Debug)]
    struct Option;
    #[derive(Debug)]
    struct PhantomData;
    #[derive(Debug)]
    struct Result;
    #[derive(Debug)]
    struct Some;
    #[derive(Debug)]
    struct String;
    #[derive(Debug)]
    struct Vec;

    /// A type called like the one that generated code asks.
    #[derive(Clone, Copy, Debug, ::serde::Serialize, ::serde::Deserialize)]
    pub struct Shape;

    trait Sized {}
    trait Send {}
    trait Sync {}
    trait From {}
    trait Into {}
    trait Default {}
    trait ByRef {}
    trait ByValue {}
    trait HasRun {}

    /// A trait whose methods every value has.
    trait Methods {
        fn send(&self) {}
        fn own(&self) {}
        fn take(&self) {}
        fn lend(&self) {}
        fn ready(&self) {}
        fn spawn(&self) {}
        fn call(&self) {}
        fn output() {}
        fn codec(&self) {}
        fn field(&self) {}
        fn refuse(&self) {}
    }

    impl<T: ?::core::marker::Sized> Methods for T {}

    /// A trait whose methods take every value.
    trait Owned: ::core::marker::Sized {
        fn codec(self) {}
        fn field(self) {}
        fn finish(self) {}
        fn name(self) {}
        fn daemon(self) {}
        fn env(self) {}
        fn clone(self) {}
        fn fmt(self) {}
    }

    impl<T> Owned for T {}

    /// A function whose parameters have telling names.
    #[process(name = "task", daemon, start_method = "spawn", env("A" = "1"), affinity = [0])]
    pub fn task<T, U>(
        shape: Shape,
        text: &str,
        value: T,
        file: ::std::fs::File,
        _: [u8; 2],
    ) -> (Shape, usize)
    where
        T: ::serde::Serialize + ::serde::de::DeserializeOwned,
    {
        let size = ::core::mem::size_of_val(&value) + ::core::mem::size_of::<U>();
        ::core::mem::drop(file);
        (shape, text.len() + size)
    }

    /// A struct whose fields have telling names.
    #[derive(Debug, Process)]
    #[process(output = Shape)]
    pub struct Structure<'shape> {
        shape: &'shape Shape,
        text: ::std::string::String,
        run: u8,
    }

    impl Structure<'_> {
        fn run(&mut self) -> Shape {
            self.run += 1;
            self.text.clear();
            *self.shape
        }
    }

    #[test]
    fn shadows_run() {
        let file = || ::std::fs::File::open("/dev/null").expect("it is there");
        let (_, size) = task::<u8, u16>::new(Shape, "ab", 1, file(), [1, 2]).run();
        ::core::assert_eq!(size, 5);
        let _: Shape = Structure {
            shape: &Shape,
            text: ::std::string::String::new(),
            run: 1,
        }
        .run();
    }
}

pub mod forbidden;

// For `ui.rs`, which compiles this file as a program: some lints are off under test.
fn main() {}
