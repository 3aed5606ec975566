//! The expansion of each macro: parse, check, generate, in this order.

pub(crate) mod function;
mod init;
mod main;
mod parts;
pub(crate) mod structure;

pub(crate) use parts::{Definition, inherited, sent};

use crate::{
    args::{Args, Form},
    ast::{Function, Source, Structure},
    attrs,
    errors::Errors,
    fallback, valid,
};
use proc_macro2::TokenStream;
use syn::DeriveInput;

/// Expands `#[process]` on a function.
pub(crate) fn process(args: TokenStream, item: &TokenStream) -> TokenStream {
    if let Some(impls) = function::handed_on(&args) {
        return fallback::without_crate(&impls, item);
    }
    let source = match Source::from_tokens("#[process]", item) {
        Ok(source) => source,
        Err(error) => return fallback::no_function(error, args, item),
    };
    let mut errors = Errors::default();
    let args = Args::parse(args, Form::Function, &mut errors);
    let attrs = attrs::all(&source.attrs);
    let function = Function::from_syn(&args, &source, &attrs);
    function.validate(&mut errors);
    match errors.finish() {
        Ok(()) => function::expand(&function, item),
        Err(error) => fallback::function(error, &function, item),
    }
}

/// Expands `#[derive(Process)]`.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input = match syn::parse2::<DeriveInput>(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    if let Some(impls) = function::impls(&input.attrs) {
        return impls;
    }
    let mut errors = Errors::default();
    let args = Args::from_attributes(&input.attrs, Form::Struct, &mut errors);
    let structure = Structure::from_syn(&args, &input, &mut errors);
    structure.validate(&mut errors);
    match errors.finish() {
        Ok(()) if structure.is_reported() => fallback::impls(&structure),
        Ok(()) => structure::expand(&structure),
        Err(error) => fallback::structure(error, &structure),
    }
}

/// Expands `#[procession::main]`.
pub(crate) fn main(args: TokenStream, item: &TokenStream) -> TokenStream {
    let source = match Source::from_tokens("#[procession::main]", item) {
        Ok(source) => source,
        Err(error) => return fallback::unread(error, item),
    };
    let mut errors = Errors::default();
    let args = Args::parse(args, Form::Bare, &mut errors);
    valid::check_main(&source, &mut errors);
    match errors.finish() {
        Ok(()) => main::expand(&args, &source),
        Err(error) => fallback::main(error, &source),
    }
}

/// Expands `#[procession::init]`.
pub(crate) fn init(args: TokenStream, item: &TokenStream) -> TokenStream {
    let source = match Source::from_tokens("#[procession::init]", item) {
        Ok(source) => source,
        Err(error) => return fallback::unread(error, item),
    };
    let mut errors = Errors::default();
    let args = Args::parse(args, Form::Bare, &mut errors);
    valid::check_init(&source, &mut errors);
    match errors.finish() {
        Ok(()) => init::expand(&args, &source, item),
        Err(error) => fallback::unread(error, item),
    }
}
