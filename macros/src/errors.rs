//! Collects the errors of one item, so that all are reported at once.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::fmt::Display;
use syn::{Attribute, Error, Result};

/// The errors collected so far.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// Adds an error.
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Adds an error at `node`.
    pub(crate) fn add(&mut self, node: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(node, message));
    }

    /// Returns all errors, if there are any.
    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Returns the errors as tokens. They have the `cfg` attributes of the item, so they disappear
/// together with it.
pub(crate) fn report(error: Error, cfgs: &[Attribute]) -> TokenStream {
    let errors = error.into_iter().map(|error| {
        let error = error.to_compile_error();
        quote!(#(#cfgs)* #error)
    });
    errors.collect()
}
