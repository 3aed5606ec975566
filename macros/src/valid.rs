//! The rules: which items are refused, and what to do instead.

use crate::{
    ast::{Function, Part, Source, Structure},
    errors::Errors,
    types::{self, Mentions, Obstacle},
};
use quote::ToTokens;
use syn::{Attribute, Data, GenericParam, ReturnType, Safety, Type};

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
        if let Some(asyncness) = &sig.asyncness {
            errors.add(
                asyncness,
                "an `async` function cannot be a process yet: make it an ordinary one, and start the async runtime in its body",
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
        if let Some(receiver) = self.receiver {
            errors.add(
                receiver,
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
    }

    fn check_params(&self, errors: &mut Errors) {
        for param in &self.params {
            check_conditions(&param.original.attrs, "parameter", errors);
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
        if let Some(ident) = self.mention_of_itself() {
            errors.add(
                &ident,
                format!(
                    "`{ident}` is also the name of the struct that makes this function a process: rename one of the two"
                ),
            );
        }
    }
}

impl Structure<'_> {
    /// Adds an error for each rule that the struct breaks.
    pub(crate) fn validate(&self, errors: &mut Errors) {
        self.check_kind(errors);
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

    fn check_fields(&self, errors: &mut Errors) {
        for Part { original, .. } in &self.fields {
            check_type(&original.ty, "field", errors);
        }
    }
}

/// Checks the function under `#[procession::main]`.
pub(crate) fn check_main(source: &Source, errors: &mut Errors) {
    let sig = &source.sig;
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

fn check_conditions(attrs: &[Attribute], what: &str, errors: &mut Errors) {
    for attr in attrs {
        if attr.path().is_ident("cfg") {
            errors.add(
                attr,
                format!("a {what} of a process cannot depend on `cfg`: write two functions, each with its `#[cfg(..)]`"),
            );
        }
    }
}

fn check_type(ty: &Type, what: &str, errors: &mut Errors) {
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
