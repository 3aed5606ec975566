//! `#[procession::init]`.

use crate::{args::Args, ast::Source, attrs, types};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ReturnType;

// fn setup() -> io::Result<()> { .. }
//
// fn setup() -> io::Result<()> { .. }
// ::procession::__init!(setup, setup(), __init_setup);
/// Returns the function as it is, and what makes it known. An error about what the function returns
/// is reported at that type.
pub(crate) fn expand(args: &Args, source: &Source, item: &TokenStream) -> TokenStream {
    let krate = args.krate();
    let cfgs = attrs::cfgs(&source.attrs);
    let ident = &source.sig.ident;
    let call = match &source.sig.output {
        ReturnType::Default => quote!(#ident()),
        ReturnType::Type(_, ty) => {
            let span = types::span(ty);
            let mut ident = ident.clone();
            ident.set_span(ident.span().located_at(span));
            quote_spanned!(span=> #ident())
        }
    };
    // In an impl, a constant without a name would be an error besides the one about `call`.
    let name = format_ident!("__init_{}", ident, span = Span::call_site());
    quote! {
        #item
        #(#cfgs)*
        #krate::__init!(#ident, #call, #name);
    }
}
