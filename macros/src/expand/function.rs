//! `#[process]` on a function.

use super::{Definition, inherited, parts::Field};
use crate::{
    ast::{Function, Param},
    attrs::{copied, levels},
    types::{Generated, Rename},
};
use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, GenericParam, Lifetime, Member, Meta, ReturnType, Type, WherePredicate,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    parse_quote,
    visit_mut::VisitMut,
};

/// Returns the function as it is, the struct, and the impls of the struct.
pub(crate) fn expand(function: &Function, item: &TokenStream) -> TokenStream {
    let attrs = inherited(&function.original.attrs);
    let definition = definition(function, &attrs);
    let received = definition.received();
    let path = path(function);
    let call = quote!(#path(#(#received),*));
    // What never returns has no value that could be wrapped.
    let never_returns =
        matches!(&function.returns, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)));
    let process = if never_returns {
        definition.expand(&call)
    } else {
        definition.expand(&quote!(::core::result::Result::Ok(#call)))
    };

    let fields = function.params.iter().map(|param| &param.ident);
    let inherent = inherent(function, &attrs, &quote!(#path(#(self.#fields),*)));
    let common = common(function, &attrs);
    let structure = structure(function, &quote!(#inherent #process #common));
    quote!(#item #structure)
}

/// Returns the parts of the impl of `Process`.
pub(crate) fn definition<'a>(function: &'a Function, attrs: &'a [Attribute]) -> Definition<'a> {
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
            is_skipped: false,
        });
    Definition {
        args: function.args,
        ident: &function.name,
        name: function.ident.unraw().to_string(),
        attrs,
        generics: &function.generics,
        output: &function.output,
        output_span: function.output_span(),
        end: Some(function.end()),
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
        name,
        generics,
        original,
        ..
    } = function;
    let vis = &original.vis;
    let krate = function.args.krate();
    let attrs = copied(&original.attrs, |meta| {
        let path = meta.path();
        let is_copied = path.is_ident("cfg") || path.is_ident("deprecated") || is_doc_hidden(meta);
        is_copied.then(|| meta.clone())
    });
    let levels = levels(&original.attrs);
    // The user's bounds are those of a function. Some are needless for a struct, which is no
    // concern of the user's lints.
    let mut generics = generics.clone();
    Generated.visit_generics_mut(&mut generics);
    let where_clause = &generics.where_clause;

    let mentions = mentions(function);
    let host = host(function);
    let fields = function.params.iter().enumerate().map(|(index, param)| {
        let Param { ident, ty, .. } = param;
        let mut ty = ty.clone();
        Generated.visit_type_mut(&mut ty);
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
            quote!(#[doc(hidden)] #vis #ident: #ty)
        }
    });
    let mut fields = fields.collect::<Vec<_>>();
    if let (true, Some(mentions)) = (fields.is_empty(), &mentions) {
        let marker = quote!(::core::marker::PhantomData<fn() -> #mentions>);
        fields.push(quote!(#[doc(hidden)] #vis __marker: #marker));
    }
    let doc = format!(
        "The process that calls {}: its fields are the arguments.",
        link(ident)
    );
    quote! {
        #[doc = #doc]
        #(#attrs)*
        #(#levels)*
        #[must_use = "a process does nothing until it is spawned"]
        #[derive(#krate::Process)]
        #[process(__impls { #impls })]
        #vis struct #name #generics #where_clause {
            #(#fields,)*
        }
    }
}

/// Returns the impls that the struct of a function hands to its derive. Returns `None` for a struct
/// of the user's.
pub(crate) fn impls(attrs: &[Attribute]) -> Option<TokenStream> {
    let [.., attr] = attrs else { return None };
    match &attr.meta {
        Meta::List(list) if list.path.is_ident("process") => handed_on(&list.tokens),
        _ => None,
    }
}

/// Returns the impls, if these are the arguments by which the struct of a function hands them on.
pub(crate) fn handed_on(args: &TokenStream) -> Option<TokenStream> {
    let impls = |input: ParseStream| {
        let name = input.parse::<Ident>()?;
        if name != "__impls" {
            return Err(input.error("the arguments of a user"));
        }
        input.parse::<Group>()
    };
    let group = impls.parse2(args.clone()).ok()?;
    Some(group.stream())
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
pub(crate) fn inherent(
    function: &Function,
    attrs: &[Attribute],
    call: &TokenStream,
) -> TokenStream {
    let Function {
        ident,
        name,
        generics,
        output,
        returns,
        ..
    } = function;
    let vis = &function.original.vis;
    let krate = function.args.krate();
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let params = function
        .params
        .iter()
        .map(|param| (&param.ident, &param.ty));
    let (names, types) = params.collect::<(Vec<_>, Vec<_>)>();
    let marker = marker(function);

    let link = link(ident);
    let new_doc =
        format!("Builds the process that calls {link} with these arguments, without starting it.");
    let spawn_doc = format!("Starts a process that calls {link} with these arguments.");
    let run_doc = format!("Calls {link} with the arguments here, in this process.");
    quote! {
        #(#attrs)*
        impl #impl_generics #name #ty_generics #where_clause {
            #[doc = #new_doc]
            #vis fn new(#(#names: #types),*) -> Self {
                Self { #(#names,)* #marker }
            }
            #[doc = #spawn_doc]
            #[allow(clippy::same_name_method)]
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

// impl<'__name, T: Transfer> ::core::clone::Clone for task<'__name, T>
// where
//     for<'___any0> &'___any0 str: ::core::clone::Clone,
//     for<'___any> T: ::core::clone::Clone
// {
//     fn clone(&self) -> Self {
//         Self { name: ::core::clone::Clone::clone(&self.name), t: .. }
//     }
// }
// impl<'__name, T: Transfer> ::core::fmt::Debug for task<'__name, T> where .. {
//     fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
//         ::procession::__private::debug(__f, "task", &[("name", &self.name), ..])
//     }
// }
/// Returns the impls of `Clone` and `Debug`. The struct has them if all of its fields have them.
///
/// That is the bound of each impl. A bound that is false without any generic parameter, such as
/// `File: Clone`, is an error. With a lifetime of its own, `for<'___any> File: Clone`, the compiler
/// asks for it only where the impl is used.
///
/// The lifetimes in a type are such ones too, since bounds that differ only in lifetimes are
/// ambiguous. For the same reason there are no impls if the user has such a bound. There are none
/// either if a type leaves out a lifetime: the compiler would report that a second time.
pub(crate) fn common(function: &Function, attrs: &[Attribute]) -> TokenStream {
    let Function { name, generics, .. } = function;
    if function.bounds_a_borrow() || function.hides_lifetimes() {
        return TokenStream::new();
    }
    let (impl_generics, ty_generics, _) = generics.split_for_impl();
    let with_bound = |bound: TokenStream| {
        let bounds = function.params.iter().map(|param| -> WherePredicate {
            let (mut ty, mut lifetimes) = (param.ty.clone(), Vec::new());
            let name = "___any";
            let fresh = &mut lifetimes;
            Rename { name, fresh }.visit_type_mut(&mut ty);
            if lifetimes.is_empty() {
                lifetimes.push(Lifetime::new("'___any", Span::mixed_site()));
            }
            parse_quote!(for<#(#lifetimes),*> #ty: #bound)
        });
        let mut clause = generics.where_clause.clone().unwrap_or(parse_quote!(where));
        clause.predicates.extend(bounds);
        clause
    };
    let (clone, debug) = (quote!(::core::clone::Clone), quote!(::core::fmt::Debug));
    let (if_clone, if_debug) = (with_bound(clone.clone()), with_bound(debug.clone()));
    let fields = function.params.iter().map(|param| &param.ident);
    let fields = fields.collect::<Vec<_>>();
    let marker = marker(function);
    let text = name.unraw().to_string();
    let shown = function.params.iter().map(
        |Param {
             ident, is_named, ..
         }| {
            let text = if *is_named {
                ident.unraw().to_string()
            } else {
                "_".to_owned()
            };
            quote!((#text, &self.#ident))
        },
    );
    let krate = function.args.krate();
    quote! {
        #(#attrs)*
        #[automatically_derived]
        impl #impl_generics #clone for #name #ty_generics #if_clone {
            fn clone(&self) -> Self {
                Self { #(#fields: #clone::clone(&self.#fields),)* #marker }
            }
        }
        #(#attrs)*
        #[automatically_derived]
        impl #impl_generics #debug for #name #ty_generics #if_debug {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #krate::__private::debug(__f, #text, &[#(#shown),*])
            }
        }
    }
}

/// Returns the marker of a struct literal, if the struct has one.
fn marker(function: &Function) -> Option<TokenStream> {
    (function.params.is_empty() && mentions(function).is_some())
        .then(|| quote!(__marker: ::core::marker::PhantomData))
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
            let mut lifetime = param.lifetime.clone();
            Generated.visit_lifetime_mut(&mut lifetime);
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

fn is_doc_hidden(meta: &Meta) -> bool {
    matches!(meta, Meta::List(list) if list.path.is_ident("doc") && list.tokens.to_string() == "hidden")
}
