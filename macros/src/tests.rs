//! Tests of the expansion of each macro, and that no item makes a macro panic.

use crate::expand;
use proc_macro2::TokenStream;
use quote::quote;
use std::str::FromStr;

#[track_caller]
fn assert_tokens(actual: &TokenStream, expected: &TokenStream) {
    assert_eq!(actual.to_string(), expected.to_string());
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is the whole expansion")]
fn process_keeps_the_function_and_adds_a_struct() {
    let function = quote! {
        /// Counts.
        #[deprecated]
        #[cfg(unix)]
        pub fn task<T: Transfer>(name: &str, mut value: T, _: u8) -> usize {
            name.len()
        }
    };
    let expected = quote! {
        #function

        #[doc = "The process that calls [`task`](fn@task): its fields are the arguments."]
        #[deprecated]
        #[cfg(unix)]
        #[must_use = "a process does nothing until it is spawned"]
        #[derive(::procession::Process)]
        #[process(__impls {
            #[allow(deprecated)]
            impl<'__name, T: Transfer> task<'__name, T> {
                #[doc = "Builds the process that calls [`task`](fn@task) with these arguments, without starting it."]
                pub fn new(name: &'__name str, value: T, __2: u8) -> Self {
                    Self { name, value, __2, }
                }
                #[doc = "Starts a process that calls [`task`](fn@task) with these arguments."]
                #[allow(clippy::same_name_method)]
                pub fn spawn(
                    name: &'__name str,
                    value: T,
                    __2: u8
                ) -> ::procession::Result<::procession::Child<usize>> {
                    ::procession::Process::spawn(Self::new(name, value, __2))
                }
                #[doc = "Calls [`task`](fn@task) with the arguments here, in this process."]
                pub fn run(self) -> usize {
                    task::<T>(self.name, self.value, self.__2)
                }
            }
            #[allow(deprecated)]
            #[automatically_derived]
            impl<'__name, T: Transfer> ::procession::Process for task<'__name, T> {
                type Output = usize;
                fn spawn(self) -> ::procession::Result<::procession::Child<usize>> {
                    ::procession::Builder::new().spawn(self)
                }
                fn __defaults() -> ::procession::__private::Settings {
                    ::procession::Builder::new().daemon(true).timeout(LIMIT).__settings()
                }
            }
            #[allow(deprecated)]
            #[automatically_derived]
            impl<'__name, T: Transfer> ::procession::__private::Call for task<'__name, T> {
                type Value = usize;
                fn __meta() -> &'static ::procession::__private::Meta {
                    static META: ::procession::__private::Meta = ::procession::__private::Meta::new("task");
                    &META
                }
                fn __send<'___sent>(&'___sent self, __to: &mut ::procession::__private::Outgoing<'___sent>) -> ::procession::Result<()> {
                    use ::procession::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                    __Shape::<&'__name str>::NEW.__codec().send(&self.name, "argument `name`", __to)?;
                    __Shape::<T>::NEW.__codec().send(&self.value, "argument `value`", __to)?;
                    __Shape::<u8>::NEW.__codec().send(&self.__2, "argument 3", __to)?;
                    ::core::result::Result::Ok(())
                }
                fn __run(__from: &mut ::procession::__private::Incoming) -> ::procession::Result<usize> {
                    use ::procession::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                    let mut __0 = __Shape::<&'__name str>::NEW.__codec().take(__from)?;
                    let __1 = __Shape::<T>::NEW.__codec().own(__from)?;
                    let __2 = __Shape::<u8>::NEW.__codec().own(__from)?;
                    __from.ready()?;
                    ::core::result::Result::Ok(task::<T>(
                        __Shape::<&'__name str>::NEW.__codec().lend(&mut __0),
                        __1,
                        __2
                    ))
                }
                fn __reply<'___sent>(
                    __output: &'___sent usize,
                    __to: &mut ::procession::__private::Outgoing<'___sent>
                ) -> ::procession::Result<()> {
                    use ::procession::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                    use ::procession::__private::{ByDynErr as _, ByErr as _, ByErrValue as _, ByOk as _, ByWhole as _};
                    __Shape::<usize>::NEW.__halves().__join(__Shape::<usize>::NEW.__halves().__ok().__codec(), __Shape::<usize>::NEW.__halves().__err().__err_codec()).send(__output, "the output", __to)
                }
                fn __receive(__from: &mut ::procession::__private::Incoming) -> ::procession::Result<usize> {
                    use ::procession::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                    use ::procession::__private::{ByDynErr as _, ByErr as _, ByErrValue as _, ByOk as _, ByWhole as _};
                    __Shape::<usize>::NEW.__halves().__join(__Shape::<usize>::NEW.__halves().__ok().__codec(), __Shape::<usize>::NEW.__halves().__err().__err_codec()).own(__from)
                }
            }
            #[allow(deprecated)]
            #[automatically_derived]
            impl<'__name, T: Transfer> ::core::clone::Clone for task<'__name, T>
            where
                for<'___any0> &'___any0 str: ::core::clone::Clone,
                for<'___any> T: ::core::clone::Clone,
                for<'___any> u8: ::core::clone::Clone
            {
                fn clone(&self) -> Self {
                    Self {
                        name: ::core::clone::Clone::clone(&self.name),
                        value: ::core::clone::Clone::clone(&self.value),
                        __2: ::core::clone::Clone::clone(&self.__2),
                    }
                }
            }
            #[allow(deprecated)]
            #[automatically_derived]
            impl<'__name, T: Transfer> ::core::fmt::Debug for task<'__name, T>
            where
                for<'___any0> &'___any0 str: ::core::fmt::Debug,
                for<'___any> T: ::core::fmt::Debug,
                for<'___any> u8: ::core::fmt::Debug
            {
                fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::procession::__private::debug(
                        __f,
                        "task",
                        &[("name", &self.name), ("value", &self.value), ("_", &self.__2)]
                    )
                }
            }
        })]
        pub struct task<'__name, T: Transfer> {
            #[doc = "The argument `name`."]
            pub name: &'__name str,
            #[doc = "The argument `value`."]
            pub value: T,
            #[doc(hidden)]
            pub __2: u8,
        }
    };
    let actual = expand::process(quote!(daemon, timeout = LIMIT), &function);
    assert_tokens(&actual, &expected);
}

#[test]
fn derive_hands_on_the_impls_of_a_function() {
    let structure = quote! {
        #[derive(::procession::Process)]
        #[process(__impls { impl task {} })]
        struct task {}
    };
    assert_tokens(&expand::derive(structure), &quote!(impl task {}));
}

#[test]
fn derive_builds_the_struct_and_calls_its_run() {
    let structure = quote! {
        #[process(name = "m", start_method = "spawn", output = usize, crate = crate::p)]
        #[process(env("A" = "1", B = two()), env_clear, env_remove("C"), affinity = [0, 1])]
        #[allow(some::lint)]
        #[expect(dead_code, another, reason = "there is one")]
        struct Mine<'a, T: Transfer = u8>(&'a str, T, #[process(skip)] Option<T>) where T: Copy;
    };
    let levels = quote! {
        #[allow(some::lint)]
        #[allow(another)]
    };
    let expected = quote! {
        crate::p::__items! {
        #levels
        #[automatically_derived]
        impl<'a, T: Transfer> crate::p::Process for Mine<'a, T> where T: Copy {
            type Output = usize;
            fn spawn(self) -> crate::p::Result<crate::p::Child<usize>> {
                crate::p::Builder::new().spawn(self)
            }
            fn __defaults() -> crate::p::__private::Settings {
                crate::p::Builder::new()
                    .env_clear()
                    .name("m")
                    .start_method(crate::p::StartMethod::Spawn)
                    .env("A", "1")
                    .env(B, two())
                    .env_remove("C")
                    .affinity([0, 1])
                    .__settings()
            }
        }
        #levels
        #[automatically_derived]
        impl<'a, T: Transfer> crate::p::__private::Call for Mine<'a, T> where T: Copy {
            type Value = usize;
            fn __meta() -> &'static crate::p::__private::Meta {
                static META: crate::p::__private::Meta = crate::p::__private::Meta::new("Mine");
                &META
            }
            fn __send<'___sent>(&'___sent self, __to: &mut crate::p::__private::Outgoing<'___sent>) -> crate::p::Result<()> {
                use crate::p::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                __Shape::<&'a str>::NEW.__codec().send(&self.0, "field 0", __to)?;
                __Shape::<T>::NEW.__codec().send(&self.1, "field 1", __to)?;
                ::core::result::Result::Ok(())
            }
            fn __run(__from: &mut crate::p::__private::Incoming) -> crate::p::Result<usize> {
                use crate::p::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                use crate::p::__private::skipped as __skipped;
                let mut __0 = __Shape::<&'a str>::NEW.__codec().take(__from)?;
                let __1 = __Shape::<T>::NEW.__codec().own(__from)?;
                let __2 = __skipped::<Option<T> >();
                __from.ready()?;
                {
                    use crate::p::__private::{AsyncOutput as _, HasRun as _, OtherOutput as _, run as __run};
                    let mut __this = ::core::option::Option::Some(Mine::<'_, T>(
                        __Shape::<&'a str>::NEW.__codec().lend(&mut __0),
                        __1,
                        __2
                    ));
                    let mut __returned = __run::<usize, _, _, _>(&mut __this, Mine::<'_, T>::run);
                    ::core::result::Result::Ok(__returned.__output())
                }
            }
            fn __reply<'___sent>(__output: &'___sent usize, __to: &mut crate::p::__private::Outgoing<'___sent>) -> crate::p::Result<()> {
                use crate::p::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                    use crate::p::__private::{ByDynErr as _, ByErr as _, ByErrValue as _, ByOk as _, ByWhole as _};
                __Shape::<usize>::NEW.__halves().__join(__Shape::<usize>::NEW.__halves().__ok().__codec(), __Shape::<usize>::NEW.__halves().__err().__err_codec()).send(__output, "the output", __to)
            }
            fn __receive(__from: &mut crate::p::__private::Incoming) -> crate::p::Result<usize> {
                use crate::p::__private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
                    use crate::p::__private::{ByDynErr as _, ByErr as _, ByErrValue as _, ByOk as _, ByWhole as _};
                __Shape::<usize>::NEW.__halves().__join(__Shape::<usize>::NEW.__halves().__ok().__codec(), __Shape::<usize>::NEW.__halves().__err().__err_codec()).own(__from)
            }
        }
        }
    };
    assert_tokens(&expand::derive(structure), &expected);
}

#[test]
fn main_gets_one_more_statement() {
    let function = quote! {
        /// Runs.
        #[inline]
        fn main() -> ExitCode {
            #![allow(unused)]
            run()
        }
    };
    let expected = quote! {
        /// Runs.
        #[inline]
        fn main() -> ExitCode {
            #![allow(unused)]
            ::procession::__deferred!();
            run()
        }
    };
    assert_tokens(&expand::main(TokenStream::new(), &function), &expected);
}

#[test]
fn init_makes_the_function_known() {
    let function = quote! {
        #[cfg(unix)]
        fn r#type() -> io::Result<()> {
            Ok(())
        }
    };
    let expected = quote! {
        #function
        #[cfg(unix)]
        ::procession::__init!(r#type, r#type(), __init_type);
    };
    assert_tokens(&expand::init(TokenStream::new(), &function), &expected);
}

#[test]
fn refused_function_keeps_its_conditions() {
    let function = quote! {
        #[cfg_attr(test, inline, cfg(unix))]
        fn task(&mut self) {}
    };
    let message = "a method cannot be a process: put `#[derive(Process)]` on the struct and call the method `run`";
    let expected = quote! {
        #[cfg_attr(test, cfg(unix))]
        ::core::compile_error! { #message }
        #function
    };
    assert_tokens(&expand::process(TokenStream::new(), &function), &expected);
}

#[test]
fn all_mistakes_are_reported() {
    let function = quote!(
        async unsafe fn task(a: &mut u8, b: Vec<&u8>, c: impl Fn(), d: &dyn Fn()) -> &u8 {}
    );
    let actual = expand::process(quote!(deamon, name = 1, name = "a", nice), &function);
    let errors = actual.to_string().matches("compile_error").count();
    assert_eq!(errors, 11, "{actual}");
}

/// Odd items, each for another reason. Some of them the compiler's own parser would refuse.
const ITEMS: &[&str] = &[
    "",
    ";",
    "fn",
    "fn f",
    "fn f()",
    "fn f();",
    "fn f() {}",
    "fn f() [ ]",
    "fn f() {} fn g() {}",
    "fn r#fn(r#type: r#struct) -> r#enum {}",
    "fn f(...) {}",
    "unsafe extern \"C\" fn f(a: u8, ...) {}",
    "unsafe extern fn f(a: u8, mut b: ...) {}",
    "fn f(self) {}",
    "fn f(&'a mut self, a: u8) {}",
    "fn f(self: Box<Self>) {}",
    "fn f(mut self: &Self, self) {}",
    "fn f(a: u8, self) {}",
    "fn f(u8) {}",
    "fn f(&str, mut x) {}",
    "fn f(_: u8, __0: u8, __1: u8) {}",
    "fn f(a: u8, a: u8, a: &str, a: &str) {}",
    "fn f(a: &str, a_: &str, _a: &str, __a: &str) {}",
    "fn f<'__a>(a: &str, b: &'__a str) {}",
    "fn f((a, b): (u8, u8), [c, ..]: [u8; 3], S { d, .. }: S, &e: &u8, T(g): T) {}",
    "fn f(1: u8, 1..=2: u8, A::B: u8, <A as B>::C: u8, (a | b): u8, a | b: u8) {}",
    "fn f(m!(): u8, const { 1 }: u8, box a: u8, ref mut a: u8, a @ b @ _: u8) {}",
    "fn f(#[cfg(a)] a: u8, #[b] #[cfg_attr(a, cfg(b))] c: u8) {}",
    "fn f(a: (), b: !, c: _, d: m!(), e: (((u8))), f: fn(&u8) -> &u8, g: *const u8) -> ! {}",
    "fn f(a: impl, b: dyn, c: ?Sized, d: A + B, e: impl A + B + 'a, f: dyn for<'a> A<'a>) {}",
    "fn f(a: &&&mut &u8, b: [&u8; { &1; 2 }], c: Vec<Vec<Vec<&'_ u8>>>, d: A<'_, '_, '_>) {}",
    "fn f(a: for<'a> fn(&'a u8), b: Box<dyn Fn(&u8) -> &u8>, c: PhantomData<&u8>) {}",
    "fn f(a: <&u8 as A>::B, b: ::std::vec::Vec<T>, c: T::U, d: typeof(a), e: Self) {}",
    "fn f(a: f) -> f {}",
    "fn f(a: Vec<f<f>>, b: &f) -> (f,) {}",
    "fn f<f>(a: f) {}",
    "fn f<T>() {}",
    "fn f<'a, 'b: 'a, T: 'a + ?Sized, const N: usize>() where 'a: 'b, T: A<'b> {}",
    "fn f<T = u8, const N: usize = 3, 'a = 'b>(a: T) {}",
    "fn f<#[cfg(a)] 'a, #[b] T, #[c] const N: [u8; 1]>(a: [T; N]) {}",
    "fn f<const N: T, const M: _>() -> impl Fn() -> &'static dyn A {}",
    "fn f<>() -> () where {}",
    "fn f<'_, 'static>() {}",
    "fn f() -> impl Sized {}",
    "fn f() -> Option<&u8> {}",
    "fn f(a: str, b: [u8], c: dyn A, d: [u8]) -> str {}",
    "const fn f() {}",
    "async fn f() {}",
    "async gen fn f() {}",
    "gen fn f() {}",
    "safe fn f() {}",
    "default fn f() {}",
    "const async unsafe extern \"C\" fn f(a: &mut u8) -> &u8 {}",
    "pub(in a::b) fn f() {}",
    "pub(crate) pub fn f() {}",
    "crate fn f() {}",
    "#![inner] fn f() {}",
    "fn f() { #![inner] }",
    "#[process] fn f() {}",
    "#[procession::process(a)] #[process] #[a::b::process] #[::process] fn f() {}",
    "#[cfg] #[cfg()] #[cfg(a, b)] #[cfg = \"a\"] #[cfg_attr] #[cfg_attr()] #[cfg_attr(a)] fn f() {}",
    "#[cfg_attr(a,)] #[cfg_attr(,)] #[cfg_attr(a, unsafe(b), cfg(c))] #[cfg_attr = 1] fn f() {}",
    "#[cfg_attr(a, cfg_attr(b, cfg(c)), deprecated)] #[doc] #[doc(hidden, a)] #[doc = 1] fn f() {}",
    "#[target_feature] #[test] #[a::test(b)] #[expect] #[allow()] #[deny(a::b, reason = \"c\")] fn f() {}",
    "#[cfg_attr(a, expect(dead_code, unused), cfg_attr(b, deprecated))] fn f() {}",
    "fn f(#[process] a: u8, #[process(skip)] b: u8, #[cfg_attr(a, cfg_attr(b, cfg(c)))] c: _) -> _ {}",
    "fn f<T: ?Sized, F: Fn(u8) + ?Sized, G>(a: &T, b: F, c: &F, d: Cow<str>, e: Self) where G: FnOnce() {}",
    "fn usize() -> usize {}",
    "#[deprecated(since)] #[unsafe(no_mangle)] fn f() {}",
    "fn main() {}",
    "async fn main(a: u8) {}",
    "fn main(&self) -> ! { ! }",
    "struct S;",
    "struct S",
    "struct S {}",
    "struct S();",
    "struct S { a: &mut u8, b: dyn A, c: Vec<&u8>, r#type: _ }",
    "struct S(pub u8, #[cfg(a)] (), m!(), !, [str; 2], str);",
    "struct S<'a, T: 'a = &'a u8, const N: usize = { 1 + 1 }>(&'a T) where T: ?Sized;",
    "#[repr(packed)] #[repr(C, packed(2))] #[repr] #[repr(,)] struct S;",
    "struct S { #[process] a: u8, #[process(skip)] b: &mut u8, #[process(skip, skip, a = 1)] c: dyn A }",
    "#[process] struct S;",
    "#[process()] struct S;",
    "#[process[]] struct S;",
    "#[process = 1] struct S;",
    "#[process(__impls)] struct S;",
    "#[process(__impls {})] struct S;",
    "#[process(__impls { fn } a)] struct S;",
    "#[process(output = &u8, output, output = , output = u8 u8)] struct S;",
    "#[process(output = impl A)] #[process(output = dyn A)] struct S(&'a &'b u8);",
    "#[process(output = m!())] #[a::process(b)] struct S<T,>(T,);",
    "enum E {}",
    "enum E { A(&mut u8), B { c: u8 } = 1 }",
    "union U { a: &mut u8 }",
    "trait A { fn f(); }",
    "impl A for B {}",
    "impl A {}",
    "mod m { fn f() {} }",
    "mod m;",
    "use a::b;",
    "extern crate a;",
    "extern \"C\" { fn f(); }",
    "static A: u8 = 1;",
    "const A: u8 = 1;",
    "type A = u8;",
    "macro_rules! m { () => {} }",
    "m! {}",
    "let a = 1;",
    "1 + 1",
    "'a",
    "\"fn\"",
    "{}",
    "# # #",
    "#[a]",
    "pub",
    "é(ñ: ß) -> 日本",
    "fn é(ñ: ß, 日本: &ß) -> ß {}",
];

const ARGUMENTS: &[&str] = &[
    "",
    ",",
    ",,",
    "daemon",
    "daemon,",
    "daemon, daemon",
    "daemon daemon",
    "daemon =",
    "daemon = =",
    "daemon == true",
    "daemon = true true",
    "daemon = (false)",
    "daemon(true)",
    "daemon[], name{}",
    "deamon",
    "name",
    "name = \"\"",
    "name = \"\\0\"",
    "name = b\"a\", nice = 'a'",
    "name = concat!(\"a\", \"b\")",
    "name = 1.5.6",
    "r#name = \"a\"",
    "start_method = spawn",
    "start_method = \"fork\"",
    "start_method = \"\"",
    "timeout = Duration::from_secs::<A, B>(1, 2), nice = -(-(1))",
    "timeout = |a, b| a, nice = - \"a\"",
    "timeout = {",
    "memory_limit = 1 << 20, open_files_limit = -1",
    "env",
    "env()",
    "env(,)",
    "env(a)",
    "env(a = b = c, d == e)",
    "env(\"a\" = \"b\" \"c\")",
    "env(\"a\" = ), daemon",
    "env[a = b], env{}",
    "env = a, env(a = b) c",
    "env_remove(a, \"b\", 'c')",
    "env_remove(a = b)",
    "env_clear, env_clear()",
    "env_clear = true",
    "affinity = [0, 1], affinity = 0",
    "stdin = Stdio::null(), stdout = \"a\"",
    "authkey, authkey = b\"a\"",
    "nice = 340282366920938463463374607431768211456",
    "crate",
    "crate = a::b",
    "crate = ::a",
    "crate = crate",
    "crate = self, crate = super",
    "crate = a<b>",
    "crate = \"a\"",
    "output = u8",
    "output = HashMap<u8, u8>",
    "output = ..",
    "struct",
    "struct = Worker",
    "struct = struct",
    "struct = \"a\"",
    "struct = a::b, skip",
    "skip = true",
    "env(\"\" = \"\", \"=\" = \"\\0\"), env_remove(\"\"), current_dir = \"\"",
    "unknown = a, b = <c, d>",
    "self",
    "_",
    "_ = 1",
    "é = ñ",
    "\"name\"",
    "1",
    "'a",
    "(daemon)",
    "#[daemon]",
    "a::b = 1",
    "!",
    "=",
    "= 1",
    "fn f() {}",
];

/// Parses a text, which may have no tokens.
fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).unwrap_or_default()
}

fn expand_all(args: &TokenStream, item: &TokenStream) {
    for output in [
        expand::process(args.clone(), item),
        expand::main(args.clone(), item),
        expand::derive(quote!(#[process(#args)] #item)),
        expand::derive(item.clone()),
    ] {
        // Converted to text, so that all of the output is built.
        assert!(output.is_empty() || !output.to_string().is_empty());
    }
}

#[test]
fn nothing_panics_on_odd_items_and_arguments() {
    for item in ITEMS {
        for args in ARGUMENTS {
            expand_all(&tokens(args), &tokens(item));
        }
    }
}

/// Tries every item with one token left out, and with one token doubled.
#[test]
fn nothing_panics_on_mutilated_items() {
    for item in ITEMS {
        let trees = tokens(item).into_iter().collect::<Vec<_>>();
        for index in 0..trees.len() {
            let (before, after) = trees.split_at(index);
            let without = before.iter().chain(&after[1..]).cloned().collect();
            let doubled = before
                .iter()
                .chain(&after[..1])
                .chain(after)
                .cloned()
                .collect();
            expand_all(&TokenStream::new(), &without);
            expand_all(&TokenStream::new(), &doubled);
        }
    }
}

/// Tries every item inside the invisible groups that `macro_rules!` makes.
#[test]
fn nothing_panics_on_invisible_groups() {
    use proc_macro2::{Delimiter, Group, TokenTree};

    fn grouped(tokens: TokenStream) -> TokenStream {
        let group = |token| {
            let token = match token {
                TokenTree::Group(group) => {
                    Group::new(group.delimiter(), grouped(group.stream())).into()
                }
                token => token,
            };
            TokenTree::Group(Group::new(Delimiter::None, TokenStream::from(token)))
        };
        tokens.into_iter().map(group).collect()
    }

    for item in ITEMS {
        expand_all(&TokenStream::new(), &grouped(tokens(item)));
    }
    for args in ARGUMENTS {
        expand_all(&grouped(tokens(args)), &tokens("fn f() {}"));
    }
}
