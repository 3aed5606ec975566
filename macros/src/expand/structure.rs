//! `#[derive(Process)]`.

use super::{
    Definition,
    parts::{Field, spanned},
};
use crate::ast::{Part, Structure};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{GenericParam, Member};

/// Returns the impl of `Process`.
pub(crate) fn expand(structure: &Structure) -> TokenStream {
    let definition = definition(structure);
    let call = call(structure, &definition);
    definition.expand(&call)
}

/// Returns the parts of the impl of `Process`.
pub(crate) fn definition<'a>(structure: &'a Structure) -> Definition<'a> {
    let fields = structure
        .fields
        .iter()
        .map(|Part { original, member }| Field {
            member: member.clone(),
            ty: &original.ty,
            what: match member {
                Member::Named(ident) => format!("field `{}`", syn::ext::IdentExt::unraw(ident)),
                Member::Unnamed(index) => format!("field {}", index.index),
            },
        });
    Definition {
        args: structure.args,
        ident: structure.ident,
        generics: &structure.generics,
        output: &structure.output,
        output_span: structure.output_span(),
        fields: fields.collect(),
    }
}

// #[process(output = usize)]
// struct Mine<'a, T> { text: &'a str, t: T }
//
// {
//     use ::procession::__private::MissingRun as _;
//     let __returned = ::procession::__private::run::<Mine<'_, T>, _, _>(
//         Mine::<'_, T>::run,
//         Mine::<'_, T> { text: .., t: __1 }
//     );
//     ::procession::__private::output::<usize, _>(__returned)
// }
/// Returns the expression that builds the struct and calls the user's `run`. The lifetimes of the
/// struct are those of the values that the child keeps.
///
/// The compiler reports an error about `run` at the name of the struct, and an error about the
/// returned value at the output.
fn call(structure: &Structure, definition: &Definition) -> TokenStream {
    let krate = structure.args.krate();
    let (ident, output) = (structure.ident, &structure.output);
    let (at, output_at) = (ident.span(), structure.output_span());
    let args = structure.generics.params.iter().map(|param| match param {
        GenericParam::Lifetime(_) => quote!('_),
        GenericParam::Type(syn::TypeParam { ident, .. })
        | GenericParam::Const(syn::ConstParam { ident, .. }) => quote!(#ident),
    });
    let this = quote_spanned!(at=> #ident::<#(#args),*>);
    let members = structure.fields.iter().map(|part| &part.member);
    let received = definition.received();
    let (at_name, at_output) = (spanned(&krate, at), spanned(&krate, output_at));
    let returned = Ident::new("__returned", at);
    let mut answered = returned.clone();
    answered.set_span(output_at.resolved_at(at));
    let run = quote_spanned! {at=>
        let #returned = #at_name::__private::run::<#this, _, _>(#this::run, #this { #(#members: #received),* });
    };
    let answer = quote_spanned!(output_at=> #at_output::__private::output::<#output, _>(#answered));
    quote! {
        {
            use #krate::__private::MissingRun as _;
            #run
            #answer
        }
    }
}
