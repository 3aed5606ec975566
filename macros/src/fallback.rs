//! What the macros generate for a refused item, so that its uses cause no further errors.

use crate::{
    args::{Args, Form},
    ast::{Function, Param, Source, Structure},
    attrs,
    errors::{Errors, report},
    expand::{Definition, function as form, inherited, sent, structure as derive},
    types::{self, NameStatic, ReplaceUnnamed},
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Data, DeriveInput, Error, File, FnArg, Item, ItemImpl, Meta, ReturnType, Signature, Type,
    parse_quote, visit_mut::VisitMut,
};

/// Returns an item that could not be parsed, unchanged.
pub(crate) fn unread(error: Error, item: &TokenStream) -> TokenStream {
    let error = report(error, &[]);
    quote!(#error #item)
}

/// Returns an item that is no function, unchanged. A struct gets the impls of a process too, unless
/// it derives them.
pub(crate) fn no_function(error: Error, args: TokenStream, item: &TokenStream) -> TokenStream {
    match syn::parse2::<DeriveInput>(item.clone()) {
        Ok(input) if is_bare_struct(&input) => {
            let ignored = &mut Errors::default();
            let args = Args::parse(args, Form::Struct, ignored);
            let impls = structure(error, &Structure::from_syn(&args, &input, ignored));
            quote!(#item #impls)
        }
        _ => unread(error, item),
    }
}

fn is_bare_struct(input: &DeriveInput) -> bool {
    let derives = |attr: &attrs::Conditional| match &attr.meta {
        Meta::List(list) if list.path.is_ident("derive") => {
            let mut tokens = list.tokens.clone().into_iter();
            tokens.any(|token| token.to_string() == "Process")
        }
        _ => false,
    };
    matches!(input.data, Data::Struct(_)) && !attrs::all(&input.attrs).iter().any(derives)
}

/// Returns the struct of a function if the path of the crate leads nowhere. The compiler has found
/// no derive there, so it calls the attribute macro with the struct.
///
/// The struct gets its methods, so that a use of them is not a second error. They name the crate
/// too, but the compiler reports the same error at the same place only once. It has several errors
/// for a path that begins in a module, and the struct gets no methods then.
pub(crate) fn without_crate(impls: &TokenStream, structure: &TokenStream) -> TokenStream {
    let items = syn::parse2::<File>(impls.clone()).map(|file| file.items);
    let impls = items.unwrap_or_default().into_iter();
    let (traits, methods) = impls
        .partition::<Vec<_>, _>(|item| matches!(item, Item::Impl(item) if item.trait_.is_some()));
    match traits.first() {
        Some(Item::Impl(process)) if is_global(process) => quote!(#structure #(#methods)*),
        _ => structure.clone(),
    }
}

/// Whether the path of the trait begins with `::`.
fn is_global(item: &ItemImpl) -> bool {
    let path = item.trait_.as_ref().map(|(path, ..)| path);
    path.is_some_and(|path| path.leading_colon.is_some())
}

/// Returns the function and the struct. The types are ones that any struct may have, and the bodies
/// never run.
pub(crate) fn function(error: Error, function: &Function, item: &TokenStream) -> TokenStream {
    let cfgs = attrs::cfgs(&function.original.attrs);
    let error = report(error, &cfgs);
    // A struct cannot stand in an impl, next to a method. And a second `#[process]` is expanded
    // after this one, and generates the struct.
    if function.sign_of_a_method().is_some() || function.repeated().is_some() {
        return quote!(#error #item);
    }
    if function.hides_a_primitive() || function.mention_of_itself().is_some() {
        let anything = anything(function);
        return quote!(#error #item #anything);
    }
    let soft = soften(function);
    let item = plain(&soft).unwrap_or_else(|| item.clone());
    let attrs = inherited(&function.original.attrs);
    let inherent = form::inherent(&soft, &attrs, &quote!(::core::unreachable!()));
    let process = unreachable(&form::definition(&soft, &attrs));
    let common = form::common(&soft, &attrs);
    let structure = form::structure(&soft, &quote!(#inherent #process #common));
    quote!(#error #item #structure)
}

/// Returns the error, and the impls if the struct may have them.
pub(crate) fn structure(error: Error, structure: &Structure) -> TokenStream {
    let error = report(error, &[]);
    // A process has a size.
    if structure
        .fields
        .iter()
        .any(|part| types::is_unsized(&part.original.ty))
    {
        return error;
    }
    let impls = impls(structure);
    quote!(#error #impls)
}

/// Returns the impls of a struct. The bodies never run.
pub(crate) fn impls(structure: &Structure) -> TokenStream {
    let attrs = inherited(&structure.original.attrs);
    let mut definition = derive::definition(structure, &attrs);
    let mut output = structure.output.clone();
    nameable(&mut output);
    definition.output = &output;
    unreachable(&definition)
}

/// Returns a `main` that the compiler accepts.
pub(crate) fn main(error: Error, source: &Source) -> TokenStream {
    let cfgs = attrs::cfgs(&source.attrs);
    let error = report(error, &cfgs);
    let Source {
        attrs,
        vis,
        sig,
        body,
    } = source;
    if sig.ident == "main" && sig.receiver().is_none() {
        let (ident, returns) = (&sig.ident, &sig.output);
        quote!(#error #(#cfgs)* #vis fn #ident() #returns { ::core::unreachable!() })
    } else {
        quote!(#error #(#attrs)* #vis #sig #body)
    }
}

// impl<'x> ::procession::Process for task<'x> { .. }
// impl<'x> ::procession::__private::Call for task<'x> {
//     type Value = usize;
//     fn __send<#sent>(&#sent self, _: &mut Outgoing<#sent>) -> Result<()> {
//         ::core::unreachable!()
//     }
//     ..
// }
fn unreachable(definition: &Definition) -> TokenStream {
    let (krate, output) = (definition.args.krate(), definition.output);
    let private = quote!(#krate::__private);
    let sent = sent();
    definition.implement(&TokenStream::new(), &quote! {
        fn __send<#sent>(&#sent self, _: &mut #private::Outgoing<#sent>) -> #krate::Result<()> {
            ::core::unreachable!()
        }
        fn __run(_: &mut #private::Incoming) -> #krate::Result<#output> {
            ::core::unreachable!()
        }
        fn __reply<#sent>(_: &#sent #output, _: &mut #private::Outgoing<#sent>) -> #krate::Result<()> {
            ::core::unreachable!()
        }
        fn __receive(_: &mut #private::Incoming) -> #krate::Result<#output> {
            ::core::unreachable!()
        }
    })
}

/// Replaces the types that a struct may not have. An `impl Trait` becomes a type parameter, or `()`
/// in the output. A type without a size becomes a reference to it.
fn soften<'a>(function: &Function<'a>) -> Function<'a> {
    let mut generics = function.generics.clone();
    let params = function.params.iter().map(|param| {
        let mut ty = if types::is_unsized(&param.ty) {
            referenced(&param.ty)
        } else {
            param.ty.clone()
        };
        ReplaceUnnamed(|| {
            let fresh = format_ident!("__T{}", generics.params.len());
            generics.params.push(parse_quote!(#fresh));
            parse_quote!(#fresh)
        })
        .visit_type_mut(&mut ty);
        Param {
            original: param.original,
            ident: param.ident.clone(),
            is_named: param.is_named,
            ty,
        }
    });
    let params = params.collect();
    let mut output = function.output.clone();
    nameable(&mut output);
    Function {
        params,
        generics,
        returns: parse_quote!(-> #output),
        output,
        name: function.name.clone(),
        ..*function
    }
}

/// Makes an output of it that a process may have.
fn nameable(output: &mut Type) {
    ReplaceUnnamed(|| parse_quote!(())).visit_type_mut(output);
    NameStatic.visit_type_mut(output);
}

/// Returns the function in a form that the compiler accepts. Returns `None` if it accepts the
/// function as it is.
fn plain(function: &Function) -> Option<TokenStream> {
    let Source {
        attrs, vis, sig, ..
    } = function.original;
    let mut inputs = sig.inputs.clone();
    let mut is_refused = sig.variadic.is_some();
    for input in &mut inputs {
        let FnArg::Typed(typed) = input else { continue };
        let count = typed.attrs.len();
        typed.attrs.retain(|attr| !attr.path().is_ident("process"));
        is_refused |= typed.attrs.len() < count;
        if types::is_unsized(&typed.ty) {
            *typed.ty = referenced(&typed.ty);
            is_refused = true;
        }
        if types::placeholder(&typed.ty).is_some() {
            ReplaceUnnamed(|| parse_quote!(impl ::core::marker::Sized))
                .visit_type_mut(&mut typed.ty);
            is_refused = true;
        }
    }
    let mut output = sig.output.clone();
    if let ReturnType::Type(_, ty) = &mut output
        && types::placeholder(ty).is_some()
    {
        nameable(ty);
        is_refused = true;
    }
    let sig = Signature {
        inputs,
        output,
        variadic: None,
        ..sig.clone()
    };
    is_refused.then(|| {
        quote! {
            #(#attrs)*
            #[allow(unused_variables)]
            #vis #sig {
                ::core::unreachable!()
            }
        }
    })
}

fn referenced(ty: &Type) -> Type {
    parse_quote!(&'static (#ty))
}

// #[process]
// fn task(t: task) {}
//
// mod __task { pub struct task {} }
// use __task::*;
// trait __task_process: Sized { fn new(t: task) -> Self { .. } .. }
// impl<T> __task_process for T {}
/// Gives every type the methods of the struct, because some type has the name that the struct would
/// have. If no such type exists, the glob import provides one. If one exists, the import gives way
/// to it.
fn anything(function: &Function) -> TokenStream {
    let soft = soften(function);
    let Function {
        name,
        generics,
        output,
        ..
    } = &soft;
    let krate = function.args.krate();
    let cfgs = attrs::cfgs(&function.original.attrs);
    let (module, methods) = (format_ident!("__{name}"), format_ident!("__{name}_process"));
    let where_clause = &generics.where_clause;
    let mut sized_where_clause = where_clause.clone().unwrap_or(parse_quote!(where));
    let sized = parse_quote!(Self: ::core::marker::Sized);
    sized_where_clause.predicates.push(sized);
    // A primitive type exists without an import, which would hide it. A type whose name the user
    // gave to the struct exists too.
    let is_there = function.hides_a_primitive() || function.args.structure.is_some();
    let stand_in = (!is_there).then(|| {
        quote! {
            #(#cfgs)*
            mod #module {
                pub struct #name {}
            }
            #(#cfgs)*
            use #module::*;
        }
    });
    let types = soft
        .params
        .iter()
        .map(|param| &param.ty)
        .collect::<Vec<_>>();
    quote! {
        #stand_in
        #(#cfgs)*
        trait #methods {
            fn new #generics (#(_: #types),*) -> Self
            #sized_where_clause
            {
                ::core::unreachable!()
            }
            fn spawn #generics (#(_: #types),*) -> #krate::Result<#krate::Child<#output>> #where_clause {
                ::core::unreachable!()
            }
            fn run(self) -> #output where Self: ::core::marker::Sized {
                ::core::unreachable!()
            }
        }
        #(#cfgs)*
        impl<T: ?::core::marker::Sized> #methods for T {}
    }
}
