//! `#[procession::main]`.

use crate::{args::Args, ast::Source};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute,
    parse::{ParseStream, Parser},
};

// fn main() -> ExitCode { .. }
//
// fn main() -> ExitCode { ::procession::__deferred!(); .. }
/// Returns the function with one more statement.
pub(crate) fn expand(args: &Args, source: &Source) -> TokenStream {
    let Source {
        attrs, vis, sig, ..
    } = source;
    let krate = args.krate();
    let (inner, body) = body(source);
    quote! {
        #(#attrs)*
        #vis #sig {
            #(#inner)*
            #krate::__deferred!();
            #body
        }
    }
}

/// Returns the inner attributes of the body, which must come first, and the rest of the body.
fn body(source: &Source) -> (Vec<Attribute>, TokenStream) {
    let split = |input: ParseStream| Ok((input.call(Attribute::parse_inner)?, input.parse()?));
    let body = source.body.stream();
    split.parse2(body.clone()).unwrap_or((Vec::new(), body))
}
