//! `#[process]` on a function.

use super::{Definition, copied, parts::Field, quiet};
use crate::ast::{Function, Param};
use proc_macro2::{Group, Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, GenericParam, Member, Meta,
    ext::IdentExt,
    parse::{ParseStream, Parser},
};

/// Returns the function as it is, the struct, and the impls of the struct.
pub(crate) fn expand(function: &Function, item: &TokenStream) -> TokenStream {
    let definition = definition(function);
    let received = definition.received();
    let path = path(function);
    let process = definition.expand(&quote!(#path(#(#received),*)));

    let fields = function.params.iter().map(|param| &param.ident);
    let inherent = inherent(function, &quote!(#path(#(self.#fields),*)));
    let structure = structure(function, &quote!(#inherent #process));
    quote!(#item #structure)
}

/// Returns the parts of the impl of `Process`.
pub(crate) fn definition<'a>(function: &'a Function) -> Definition<'a> {
    let fields = function
        .params
        .iter()
        .enumerate()
        .map(|(index, param)| Field {
            member: Member::Named(param.ident.clone()),
            ty: &param.ty,
            what: if param.is_named {
                format!("argument `{}`", param.ident.unraw())
            } else {
                format!("argument {}", index + 1)
            },
        });
    Definition {
        args: function.args,
        ident: function.ident,
        generics: &function.generics,
        output: &function.output,
        output_span: function.output_span(),
        fields: fields.collect(),
    }
}

// pub fn task<T: Transfer>(name: &str, (a, b): (i32, i32), t: T) -> usize { .. }
//
// #[derive(::procession::Process)]
// #[process(__impls { .. })]
// pub struct task<'__name, T: Transfer> { pub name: &'__name str, __1: (i32, i32), pub t: T }
/// Returns the struct whose fields are the parameters.
///
/// The struct hands its impls to the derive, which puts them below the struct. So one new item is
/// added and not three. If no item can stand there, as in an impl, the compiler reports one error.
pub(crate) fn structure(function: &Function, impls: &TokenStream) -> TokenStream {
    let Function {
        ident,
        generics,
        original,
        ..
    } = function;
    let vis = &original.vis;
    let krate = function.args.krate();
    let quiet = quiet();
    let attrs = copied(&original.attrs, |meta| {
        is_cfg(meta) || meta.path().is_ident("deprecated") || is_doc_hidden(meta)
    });
    let where_clause = &generics.where_clause;

    let mentions = mentions(function);
    let host = host(function);
    let fields = function.params.iter().enumerate().map(|(index, param)| {
        let Param { ident, ty, .. } = param;
        let ty = match &mentions {
            Some(mentions) if index == host => {
                quote!(<#ty as #krate::__private::Mention<#mentions>>::Type)
            }
            _ => ty.to_token_stream(),
        };
        if param.is_named {
            let doc = format!("The argument `{}`.", ident.unraw());
            quote!(#[doc = #doc] #vis #ident: #ty)
        } else {
            quote!(#[doc(hidden)] #ident: #ty)
        }
    });
    let mut fields = fields.collect::<Vec<_>>();
    if let (true, Some(mentions)) = (fields.is_empty(), &mentions) {
        let marker = quote!(::core::marker::PhantomData<fn() -> #mentions>);
        fields.push(quote!(#[doc(hidden)] __marker: #marker));
    }
    let doc = format!(
        "The process that calls {}: its fields are the arguments.",
        link(ident)
    );
    quote! {
        #[doc = #doc]
        #(#attrs)*
        #quiet
        #[must_use = "a process does nothing until it is spawned"]
        #[derive(#krate::Process)]
        #[process(__impls { #impls })]
        #vis struct #ident #generics #where_clause {
            #(#fields,)*
        }
    }
}

/// Returns the impls that the struct of a function hands to its derive. Returns `None` for a struct
/// of the user's.
pub(crate) fn impls(attrs: &[Attribute]) -> Option<TokenStream> {
    let impls = |input: ParseStream| {
        let name = input.parse::<Ident>()?;
        if name != "__impls" {
            return Err(input.error("the arguments of a user"));
        }
        input.parse::<Group>()
    };
    let [.., attr] = attrs else { return None };
    match &attr.meta {
        Meta::List(list) if list.path.is_ident("process") => impls
            .parse2(list.tokens.clone())
            .ok()
            .map(|group| group.stream()),
        _ => None,
    }
}

// impl<'__name, T: Transfer> task<'__name, T> {
//     pub fn new(name: &'__name str, __1: (i32, i32), t: T) -> Self { Self { name, __1, t } }
//     pub fn spawn(
//         name: &'__name str,
//         __1: (i32, i32),
//         t: T
//     ) -> ::procession::Result<::procession::Child<usize>> {
//         ::procession::Process::spawn(Self::new(name, __1, t))
//     }
//     pub fn run(self) -> usize { task::<T>(self.name, self.__1, self.t) }
// }
/// Returns the impl with the methods of the struct. `call` is the body of `run`.
pub(crate) fn inherent(function: &Function, call: &TokenStream) -> TokenStream {
    let Function {
        ident,
        generics,
        output,
        returns,
        ..
    } = function;
    let vis = &function.original.vis;
    let krate = function.args.krate();
    let quiet = quiet();
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let params = function
        .params
        .iter()
        .map(|param| (&param.ident, &param.ty));
    let (names, types) = params.collect::<(Vec<_>, Vec<_>)>();
    let marker = (names.is_empty() && mentions(function).is_some())
        .then(|| quote!(__marker: ::core::marker::PhantomData));

    let link = link(ident);
    let new_doc =
        format!("Builds the process that calls {link} with these arguments, without starting it.");
    let spawn_doc = format!("Starts a process that calls {link} with these arguments.");
    let run_doc = format!("Calls {link} with the arguments here, in this process.");
    quote! {
        #quiet
        impl #impl_generics #ident #ty_generics #where_clause {
            #[doc = #new_doc]
            #vis fn new(#(#names: #types),*) -> Self {
                Self { #(#names,)* #marker }
            }
            #[doc = #spawn_doc]
            #vis fn spawn(#(#names: #types),*) -> #krate::Result<#krate::Child<#output>> {
                #krate::Process::spawn(Self::new(#(#names),*))
            }
            #[doc = #run_doc]
            #vis fn run(self) #returns {
                #call
            }
        }
    }
}

fn link(ident: &Ident) -> String {
    format!("[`{}`](fn@{ident})", ident.unraw())
}

/// Returns the function with its generic types and constants. A call may not name lifetimes.
fn path(function: &Function) -> TokenStream {
    let ident = function.ident;
    let args = function
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
        });
    let args = args.collect::<Vec<_>>();
    if args.is_empty() {
        ident.to_token_stream()
    } else {
        quote!(#ident::<#(#args),*>)
    }
}

/// Returns a tuple that mentions the generic parameters that no field mentions.
fn mentions(function: &Function) -> Option<TokenStream> {
    let unmentioned = function.unmentioned();
    let mentions = unmentioned.iter().filter_map(|param| match param {
        GenericParam::Lifetime(param) => {
            let lifetime = &param.lifetime;
            Some(quote!(&#lifetime ()))
        }
        GenericParam::Type(param) => {
            let ident = &param.ident;
            Some(quote!(::core::marker::PhantomData<#ident>))
        }
        GenericParam::Const(_) => None,
    });
    (!unmentioned.is_empty()).then(|| quote!((#(#mentions,)*)))
}

/// Returns the index of the field that mentions them. A field without generic types is best: its
/// struct literal leaves nothing to infer.
fn host(function: &Function) -> usize {
    let is_plain = |param: &Param| {
        let mentions = crate::types::Mentions::of([&param.ty]);
        let mut types = function.generics.type_params();
        !types.any(|generic| mentions.get(&generic.ident).is_some())
    };
    function.params.iter().position(is_plain).unwrap_or(0)
}

/// Returns the `cfg` attributes of the function. Every generated item gets them too.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    copied(attrs, is_cfg)
}

fn is_cfg(meta: &Meta) -> bool {
    meta.path().is_ident("cfg")
}

fn is_doc_hidden(meta: &Meta) -> bool {
    matches!(meta, Meta::List(list) if list.path.is_ident("doc") && list.tokens.to_string() == "hidden")
}
