//! `#[derive(Process)]`.

use super::{Definition, inherited, parts::Field};
use crate::ast::Structure;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Data, Fields, GenericParam, Member, ext::IdentExt};

/// Returns the impl of `Process`.
pub(crate) fn expand(structure: &Structure) -> TokenStream {
    let attrs = inherited(&structure.original.attrs);
    let definition = definition(structure, &attrs);
    // The bound that is missing may be that of the impl that has `run`.
    let call = if structure.lacks_a_bound() {
        quote!(::core::unreachable!())
    } else {
        call(structure, &definition)
    };
    let (krate, impls) = (structure.args.krate(), definition.expand(&call));
    // If the path of the crate leads nowhere, this is the only error about that.
    quote!(#krate::__items! { #impls })
}

/// Returns the parts of the impl of `Process`.
pub(crate) fn definition<'a>(structure: &'a Structure, attrs: &'a [Attribute]) -> Definition<'a> {
    let fields = structure.fields.iter().map(|part| Field {
        member: part.member.clone(),
        ty: &part.original.ty,
        what: match &part.member {
            Member::Named(ident) => format!("field `{}`", ident.unraw()),
            Member::Unnamed(index) => format!("field {}", index.index),
        },
        is_skipped: part.is_skipped,
    });
    Definition {
        args: structure.args,
        ident: structure.ident,
        name: structure.ident.unraw().to_string(),
        attrs,
        generics: &structure.generics,
        output: &structure.output,
        output_span: structure.output_span(),
        end: structure.end(),
        fields: fields.collect(),
    }
}

// #[process(output = usize)]
// struct Mine<'a, T> { text: &'a str, t: T }
//
// {
//     use ::procession::__private::{AsyncOutput as _, HasRun as _, OtherOutput as _, run as __run};
//     let mut __this = ::core::option::Option::Some(Mine::<'_, T> { text: .., t: __1 });
//     let mut __returned = __run::<usize, _, _, _>(&mut __this, Mine::<'_, T>::run);
//     ::core::result::Result::Ok(__returned.__output())
// }
/// Returns the expression that builds the struct and calls the user's `run`. The lifetimes of the
/// struct are those of the values that the child keeps.
///
/// The runtime makes the call. So a `run` of another form is an error with a text of the runtime.
///
/// The compiler reports an error about `run` at the name of the struct, and an error about the
/// returned value at the output.
fn call(structure: &Structure, definition: &Definition) -> TokenStream {
    let krate = structure.args.krate();
    let (ident, output) = (structure.ident, &structure.output);
    let (at, output_at) = (ident.span(), structure.output_span());
    let ours = Span::call_site().located_at(at);
    let args = structure.generics.params.iter().map(|param| match param {
        GenericParam::Lifetime(_) => quote!('_),
        GenericParam::Type(syn::TypeParam { ident, .. })
        | GenericParam::Const(syn::ConstParam { ident, .. }) => quote!(#ident),
    });
    let this = quote_spanned!(at=> #ident::<#(#args),*>);
    let received = definition.received();
    let fields = if let Data::Struct(data) = &structure.original.data
        && let Fields::Unnamed(_) = &data.fields
    {
        quote_spanned!(at=> (#(#received),*))
    } else {
        let members = structure.fields.iter().map(|part| &part.member);
        quote_spanned!(at=> { #(#members: #received),* })
    };
    let returned = Ident::new("__returned", at);
    let mut answered = returned.clone();
    answered.set_span(output_at.resolved_at(at));
    let process =
        quote_spanned!(ours=> let mut __this = ::core::option::Option::Some(#this #fields););
    let run = quote_spanned!(ours=> __run::<#output, _, _, _>(&mut __this, #this::run));
    let answer = quote_spanned!(output_at=> #answered.__output());
    quote! {
        {
            use #krate::__private::{AsyncOutput as _, HasRun as _, OtherOutput as _, run as __run};
            #process
            let mut #returned = #run;
            ::core::result::Result::Ok(#answer)
        }
    }
}
