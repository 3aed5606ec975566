//! The rules: which items are refused, and what to do instead.

use crate::{
    ast::{Function, Source, Structure},
    attrs,
    errors::Errors,
    types::{self, Mentions, Obstacle},
};
use quote::ToTokens;
use syn::{
    Attribute, Data, Error, GenericParam, Ident, Meta, Path, ReturnType, Safety, Token, Type,
    TypeParamBound, ext::IdentExt, parse::Parser, punctuated::Punctuated,
};

/// The types that have a name without being declared.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
    "u32", "u64", "u128", "usize",
];

impl Function<'_> {
    /// Adds an error for each rule that the function breaks.
    pub(crate) fn validate(&self, errors: &mut Errors) {
        self.check_attributes(errors);
        self.check_qualifiers(errors);
        self.check_receiver(errors);
        self.check_generics(errors);
        self.check_params(errors);
        self.check_output(errors);
        self.check_own_name(errors);
    }

    fn check_attributes(&self, errors: &mut Errors) {
        if let Some(path) = self.repeated() {
            errors.add(path, "a second `#[process]`: give all arguments to one");
        }
        for attr in self.attrs {
            let path = attr.meta.path();
            if path.is_ident("target_feature") {
                errors.add(
                    path,
                    "a function with `#[target_feature]` cannot be a process, since calling it would be unsafe: call it from an \
                     ordinary function and make that one the process",
                );
            } else if is_test(path) {
                errors.add(
                    path,
                    "a test runs its function here: write the test as another function, which spawns this one",
                );
            }
        }
    }

    fn check_qualifiers(&self, errors: &mut Errors) {
        let sig = &self.original.sig;
        if let Some(constness) = &sig.constness {
            errors.add(
                constness,
                "a `const` function cannot be a process: remove `const`, or call it from an ordinary function and make that one \
                 the process",
            );
        }
        if let Some(asyncness) = &sig.asyncness
            && !self.attrs.iter().any(|attr| is_test(attr.meta.path()))
        {
            errors.add(
                asyncness,
                "an `async` function cannot be a process yet: make it an ordinary one, and start the async runtime in its body, \
                 or by an attribute such as `#[tokio::main]` above `#[process]`",
            );
        }
        if let Safety::Unsafe(unsafety) = &sig.safety {
            errors.add(
                unsafety,
                "an `unsafe` function cannot be a process, since starting it would be safe: call it from a safe function and \
                 make that one the process",
            );
        }
        if let Some(abi) = &sig.abi {
            errors.add(
                abi,
                "an `extern` function cannot be a process: call it from an ordinary function and make that one the process",
            );
        }
        if let Some(variadic) = &sig.variadic {
            errors.add(
                variadic.dots,
                "a variadic function cannot be a process: take a slice, such as `&[T]`",
            );
        }
    }

    fn check_receiver(&self, errors: &mut Errors) {
        if let Some(node) = self.sign_of_a_method() {
            errors.add(
                node,
                "a method cannot be a process: put `#[derive(Process)]` on the struct and call the method `run`",
            );
        }
    }

    fn check_generics(&self, errors: &mut Errors) {
        for param in &self.generics.params {
            let attrs = match param {
                GenericParam::Lifetime(param) => &param.attrs,
                GenericParam::Type(param) => &param.attrs,
                GenericParam::Const(param) => &param.attrs,
            };
            check_conditions(attrs, "generic parameter", errors);
        }
        for param in self.generics.type_params() {
            let of = |bound: fn(&TypeParamBound) -> bool| {
                self.bounds(&param.ident).find(|one| bound(one))
            };
            if let Some(closure) = of(is_closure)
                && self.is_sent(&param.ident)
            {
                errors.add(
                    closure,
                    "a function or a closure cannot be sent to another process, which could not tell what it calls: take a value that \
                     says what to do, such as an enum",
                );
            } else if let Some(relaxed) = of(is_relaxed)
                && self
                    .params
                    .iter()
                    .any(|field| types::is_reference_to(&field.ty, &param.ident))
            {
                errors.add(
                    relaxed,
                    "what is behind a reference needs a type that the child can own: remove `?Sized`, or take `&str`, `&[T]` or `&Path`",
                );
            }
        }
    }

    fn check_params(&self, errors: &mut Errors) {
        for param in &self.params {
            check_conditions(&param.original.attrs, "parameter", errors);
            for attr in &param.original.attrs {
                if attr.path().is_ident("process") {
                    errors.add(
                        attr,
                        "a parameter takes no `#[process(..)]`: the caller gives every parameter, and every one is sent",
                    );
                }
            }
            let ty = &param.original.ty;
            if types::is_unsized(ty) && !matches!(types::bare(ty), Type::TraitObject(_)) {
                errors.add(ty, "a parameter needs a size: put a `&` before its type");
            } else {
                check_type(ty, "parameter", errors);
            }
        }
    }

    fn check_output(&self, errors: &mut Errors) {
        if let ReturnType::Type(_, ty) = &self.original.sig.output {
            check_output(ty, errors);
        }
    }

    /// If a type has the name of the function, the compiler would take it for the struct of the
    /// function.
    fn check_own_name(&self, errors: &mut Errors) {
        let name = self.args.structure.as_ref().unwrap_or(self.ident);
        if self.hides_a_primitive() {
            errors.add(
                name,
                format!(
                    "the struct that makes this function a process would hide the type `{name}`: give it another name, as in \
                     `#[process(struct = {})]`",
                    camel_case(name)
                ),
            );
        } else if let Some(ident) = self.mention_of_itself() {
            errors.add(
                &ident,
                format!(
                    "`{ident}` is also the name of the struct that makes this function a process: give the struct another name, as \
                     in `#[process(struct = {})]`",
                    other_name(&ident)
                ),
            );
        }
    }

    /// Whether the struct has the name of a primitive type.
    pub(crate) fn hides_a_primitive(&self) -> bool {
        PRIMITIVES.iter().any(|primitive| self.name == primitive)
    }

    /// Returns the bounds of a type parameter.
    fn bounds(&self, name: &Ident) -> impl Iterator<Item = &TypeParamBound> {
        let own = self
            .generics
            .type_params()
            .filter(move |param| param.ident == *name);
        let own = own.flat_map(|param| &param.bounds);
        let clause = self.generics.where_clause.iter();
        let predicates = clause.flat_map(|clause| &clause.predicates);
        let further = predicates.filter_map(move |predicate| match predicate {
            syn::WherePredicate::Type(predicate)
                if types::is_ident(&predicate.bounded_ty, name) =>
            {
                Some(&predicate.bounds)
            }
            _ => None,
        });
        own.chain(further.flatten())
    }

    /// Whether a value of a type parameter is sent.
    fn is_sent(&self, name: &Ident) -> bool {
        self.params.iter().any(|param| {
            types::is_ident(&param.ty, name) || types::is_reference_to(&param.ty, name)
        })
    }
}

/// `F: Fn()`.
fn is_closure(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else {
        return false;
    };
    let last = bound.path.segments.last();
    last.is_some_and(|last| {
        matches!(last.arguments, syn::PathArguments::Parenthesized(_))
            && ["Fn", "FnMut", "FnOnce"]
                .iter()
                .any(|name| last.ident == name)
    })
}

/// `T: ?Sized`.
fn is_relaxed(bound: &TypeParamBound) -> bool {
    matches!(bound, TypeParamBound::Trait(bound) if bound.maybe.is_some())
}

/// Whether an attribute makes a function a test or a benchmark.
fn is_test(path: &Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| last.ident == "test" || last.ident == "bench")
}

fn camel_case(name: &Ident) -> String {
    let name = name.unraw().to_string();
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        first.unwrap_or_default() + letters.as_str()
    });
    words.collect()
}

/// Returns a name for a struct, other than this one.
fn other_name(name: &Ident) -> String {
    let other = camel_case(name);
    if *name == other {
        other + "Process"
    } else {
        other
    }
}

impl Structure<'_> {
    /// Adds an error for each rule that the struct breaks.
    pub(crate) fn validate(&self, errors: &mut Errors) {
        self.check_kind(errors);
        self.check_layout(errors);
        self.check_fields(errors);
        if let Some(output) = &self.args.output {
            check_output(output, errors);
        }
    }

    fn check_kind(&self, errors: &mut Errors) {
        match &self.original.data {
            Data::Enum(data) => errors.add(
                data.enum_token,
                "an enum cannot be a process: put it into a struct that has a method `run`",
            ),
            Data::Union(data) => errors.add(
                data.union_token,
                "a union cannot be a process: make it a struct",
            ),
            Data::Struct(_) => {}
        }
    }

    /// What is sent is behind a reference, and none may point to a field of a packed struct.
    fn check_layout(&self, errors: &mut Errors) {
        for attr in attrs::all(&self.original.attrs) {
            let Meta::List(list) = &attr.meta else {
                continue;
            };
            if !list.path.is_ident("repr") {
                continue;
            }
            let hints = Punctuated::<Meta, Token![,]>::parse_terminated;
            // The compiler reports what cannot be parsed.
            for hint in hints.parse2(list.tokens.clone()).unwrap_or_default() {
                if hint.path().is_ident("packed") {
                    errors.add(
                        hint,
                        "the fields of a packed struct cannot be sent in place: remove `packed`, or make the struct a field of the \
                         process",
                    );
                }
            }
        }
    }

    fn check_fields(&self, errors: &mut Errors) {
        // A field that is not sent may have any type.
        for part in self.fields.iter().filter(|part| !part.is_skipped) {
            let ty = &part.original.ty;
            if types::placeholder(ty).is_some() {
                // The compiler reports it, in the struct itself.
                continue;
            }
            if types::is_unsized(ty) && !matches!(types::bare(ty), Type::TraitObject(_)) {
                errors.add(
                    ty,
                    "a field of a process needs a size: put a `&` before its type",
                );
            } else {
                check_type(ty, "field", errors);
            }
        }
    }
}

/// Checks the function under `#[procession::main]`.
pub(crate) fn check_main(source: &Source, errors: &mut Errors) {
    let sig = &source.sig;
    if let Some(receiver) = sig.receiver() {
        errors.add(
            receiver,
            "`#[procession::main]` goes on the function `main` of a program, and this is a method",
        );
        return;
    }
    if sig.ident != "main" {
        errors.add(
            &sig.ident,
            "`#[procession::main]` goes on the function `main` of a program",
        );
    }
    if let Some(asyncness) = &sig.asyncness {
        errors.add(
            asyncness,
            "`#[procession::main]` needs an ordinary `main`: put it below the attribute of the async runtime, which makes it one",
        );
    }
    if !sig.inputs.is_empty() {
        errors.add(
            &sig.inputs,
            "`main` takes no parameters: `std::env::args` has the arguments of the program",
        );
    }
}

/// Checks the function under `#[procession::init]`.
pub(crate) fn check_init(source: &Source, errors: &mut Errors) {
    let sig = &source.sig;
    if sig.ident == "main" {
        errors.add(
            &sig.ident,
            "`main` would run in every child: put `#[procession::init]` on a function that sets up a child, and call that in `main`",
        );
    }
    let attrs = attrs::all(&source.attrs);
    if let Some(again) = attrs.iter().find(|attr| {
        let path = attr.meta.path();
        path.is_ident("init")
            || path.segments.len() == 2
                && path.segments[0].ident == "procession"
                && path.segments[1].ident == "init"
    }) {
        errors.add(
            again.meta.path(),
            "`#[procession::init]` is there twice: the function would run twice",
        );
    }
    let features = |attr: &&attrs::Conditional| attr.meta.path().is_ident("target_feature");
    if let Some(attr) = attrs.iter().find(features) {
        errors.add(
            attr.meta.path(),
            "`#[procession::init]` needs a safe function, and calling one with `#[target_feature]` is unsafe",
        );
    }
    if let Some(asyncness) = &sig.asyncness {
        errors.add(
            asyncness,
            "`#[procession::init]` needs an ordinary function: no executor runs in a child before its function",
        );
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        errors.add(
            unsafety,
            "`#[procession::init]` needs a safe function: every child calls it",
        );
    }
    if !sig.generics.params.is_empty() {
        errors.add(
            &sig.generics,
            "`#[procession::init]` needs a function without generic parameters: nothing says which types they are",
        );
    }
    if let Some(receiver) = sig.receiver() {
        errors.add(
            receiver,
            "`#[procession::init]` goes on a function, and this is a method",
        );
    } else if !sig.inputs.is_empty() {
        errors.add(
            &sig.inputs,
            "a function under `#[procession::init]` takes no parameters: every child calls it alike",
        );
    }
}

fn check_conditions(attrs: &[Attribute], what: &str, errors: &mut Errors) {
    for attr in attrs {
        let is_condition = |attr: &attrs::Conditional| attr.meta.path().is_ident("cfg");
        if attrs::all(std::slice::from_ref(attr))
            .iter()
            .any(is_condition)
        {
            errors.add(
                attr,
                format!("a {what} of a process cannot depend on `cfg`: write two functions, each with its `#[cfg(..)]`"),
            );
        }
    }
}

fn check_type(ty: &Type, what: &str, errors: &mut Errors) {
    if let Some(placeholder) = types::placeholder(ty) {
        let message = format!("`_` is not allowed in the type of a {what}: write the type out");
        return errors.push(Error::new(placeholder, message));
    }
    if let Some((obstacle, node)) = types::obstacle(ty) {
        let message = match obstacle {
            Obstacle::Exclusive => format!(
                "a `&mut` {what} would change a copy: processes share no memory, {}",
                if what == "field" {
                    "own the value and return it instead"
                } else {
                    "return the value instead"
                }
            ),
            Obstacle::Nested => {
                "a reference inside another type cannot be sent to another process: own the value, as `String` does for `&str`, \
                 or put the reference at the top, as in `&[String]`"
                    .to_owned()
            }
            Obstacle::Impl => {
                "an `impl Trait` parameter has no type that a field could have: name it, as in `fn f<T: Trait>(value: T)`"
                    .to_owned()
            }
            Obstacle::Dyn => {
                "a `dyn` value cannot be sent to another process, which could not tell what it is: use a concrete type, an enum \
                 or a generic parameter"
                    .to_owned()
            }
        };
        errors.add(node, message);
    }
}

fn check_output(ty: &Type, errors: &mut Errors) {
    if let Some(placeholder) = types::placeholder(ty) {
        let message = "`_` is not allowed in the type of an output: write the type out";
        return errors.push(Error::new(placeholder, message));
    }
    // A boxed error may be the `Err` of a `Result`. Whether it is an error, its type decides.
    let halves = types::halves(ty);
    if let (Some(ok), Some(err)) = (halves.ok, halves.err)
        && types::is_boxed_dyn(err)
    {
        return check_output(ok, errors);
    }
    let (node, message) = match types::nested_obstacle(ty) {
        Some((Obstacle::Impl, node)) => (
            node,
            "an `impl Trait` output has no type that a `Child` could name: return a concrete type, such as `Vec<T>` for an \
             iterator",
        ),
        Some((Obstacle::Dyn, node)) => (
            node,
            "a `dyn` output cannot be received from another process, which alone knows what it is: return a concrete type; \
             only the `Err` of a `Result` may be a `Box<dyn Error>`",
        ),
        Some((Obstacle::Nested | Obstacle::Exclusive, node)) => (
            node,
            "a returned reference would point into the memory of another process: return an owned value, such as `String` for \
             `&str`",
        ),
        None if Mentions::of([ty]).borrows() => (
            ty.to_token_stream(),
            "an output cannot borrow from the memory of another process: return an owned value",
        ),
        None => return,
    };
    errors.add(node, message);
}
