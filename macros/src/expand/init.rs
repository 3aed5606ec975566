//! `#[procession::init]`.

use crate::{args::Args, ast::Source, attrs};
use proc_macro2::TokenStream;
use quote::quote;

// fn setup() -> io::Result<()> { .. }
//
// fn setup() -> io::Result<()> { .. }
// ::procession::__init!(setup);
/// Returns the function as it is, and what makes it known.
pub(crate) fn expand(args: &Args, source: &Source, item: &TokenStream) -> TokenStream {
    let krate = args.krate();
    let cfgs = attrs::cfgs(&source.attrs);
    let ident = &source.sig.ident;
    quote! {
        #item
        #(#cfgs)*
        #krate::__init!(#ident);
    }
}
