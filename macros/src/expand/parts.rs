//! The parts that both forms of a process share.

use crate::{
    args::{Args, Setting, Value},
    types::{self, Mentions},
};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Generics, Member, Meta, Token, Type,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    parse_quote,
    punctuated::Punctuated,
};

/// The parts of the impls of `Process` and `Call`.
pub(crate) struct Definition<'a> {
    pub(crate) args: &'a Args,
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    pub(crate) output: &'a Type,
    pub(crate) output_span: Span,
    pub(crate) fields: Vec<Field<'a>>,
}

/// A field that is sent to the child.
pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    /// The name of the field in error messages.
    pub(crate) what: String,
}

impl Definition<'_> {
    // impl<'name> ::procession::Process for task<'name> {
    //     type Output = usize;
    //     fn spawn(self) -> Result<Child<usize>> { Builder::new().spawn(self) }
    // }
    // impl<'name> ::procession::__private::Call for task<'name> {
    //     type Value = usize;
    //     fn __meta() -> &'static Meta { static META: Meta = Meta::new("task"); &META }
    //     fn __send<'__sent>(&'__sent self, __to: &mut Outgoing<'__sent>) -> Result<()> {
    //         Shape::<&'name str>::NEW.codec().send(&self.name, "argument `name`", __to)?;
    //         Ok(())
    //     }
    //     fn __run(__from: &mut Incoming) -> Result<usize> {
    //         let mut __0 = Shape::<&'name str>::NEW.codec().take(__from)?;
    //         __from.ready()?;
    //         Ok(task(Shape::<&'name str>::NEW.codec().lend(&mut __0)))
    //     }
    //     fn __reply<'__sent>(
    //         __output: &'__sent usize,
    //         __to: &mut Outgoing<'__sent>
    //     ) -> Result<()> {
    //         Shape::<usize>::NEW
    //             .halves()
    //             .join(
    //                 Shape::<usize>::NEW.halves().ok().codec(),
    //                 Shape::<usize>::NEW.halves().err().err_codec()
    //             )
    //             .send(__output, "the output", __to)
    //     }
    //     fn __receive(__from: &mut Incoming) -> Result<usize> {
    //         .. // the same, with `.own(__from)` at the end
    //     }
    // }
    /// Returns the impls of `Process` and `Call`. `call` is the expression that runs in the child.
    /// It uses [`Self::received`].
    pub(crate) fn expand(&self, call: &TokenStream) -> TokenStream {
        let krate = self.args.krate();
        let private = quote!(#krate::__private);
        let imports = quote!(use #private::{ByDescriptor as _, ByRef as _, ByValue as _};);
        let output_imports = quote! {
            use #private::{ByDynErr as _, ByErr as _, ByErrValue as _, ByOk as _, ByWhole as _};
        };
        let output = self.output;
        let defaults = defaults(&krate, &self.args.settings);
        let sent = self.fields.iter().map(|Field { member, ty, what }| {
            let arguments = quote!((&self.#member, #what, __to));
            let send = codec(&krate, ty, types::span(ty), "send", &arguments);
            quote!(#send?;)
        });
        let taken = self.fields.iter().enumerate().map(|(index, field)| {
            let (local, arguments) = (local(index), quote!((__from)));
            let receive = |how| codec(&krate, field.ty, types::span(field.ty), how, &arguments);
            if self.lends(field.ty) {
                let take = receive("take");
                quote!(let mut #local = #take?;)
            } else {
                let own = receive("own");
                quote!(let #local = #own?;)
            }
        });
        let reply = quote!((__output, "the output", __to));
        let reply = self.output_codec("send", &reply);
        let receive = self.output_codec("own", &quote!((__from)));
        let members = quote! {
            fn __send<'__sent>(&'__sent self, __to: &mut #private::Outgoing<'__sent>) -> #krate::Result<()> {
                #imports
                #(#sent)*
                ::core::result::Result::Ok(())
            }
            fn __run(__from: &mut #private::Incoming) -> #krate::Result<#output> {
                #imports
                #(#taken)*
                __from.ready()?;
                ::core::result::Result::Ok(#call)
            }
            fn __reply<'__sent>(
                __output: &'__sent #output,
                __to: &mut #private::Outgoing<'__sent>
            ) -> #krate::Result<()> {
                #imports
                #output_imports
                #reply
            }
            fn __receive(__from: &mut #private::Incoming) -> #krate::Result<#output> {
                #imports
                #output_imports
                #receive
            }
        };
        self.implement(&defaults, &members)
    }

    /// Returns the impls of `Process` and `Call`, with the given functions. It adds `spawn` and
    /// `__meta`.
    pub(crate) fn implement(&self, defaults: &TokenStream, calls: &TokenStream) -> TokenStream {
        let Self { ident, output, .. } = self;
        let krate = self.args.krate();
        let meta = quote!(#krate::__private::Meta);
        let name = ident.unraw().to_string();
        let quiet = quiet();
        let spawn = quote! {
            fn spawn(self) -> #krate::Result<#krate::Child<#output>> {
                #krate::Builder::new().spawn(self)
            }
        };
        let value = quote_spanned!(self.output_span=> type Value = #output;);
        let output = quote_spanned!(self.output_span=> type Output = #output;);
        let (impl_generics, ty_generics, where_clause) = self.generics.split_for_impl();
        quote! {
            #quiet
            #[automatically_derived]
            impl #impl_generics #krate::Process for #ident #ty_generics #where_clause {
                #output
                #spawn
                #defaults
            }
            #quiet
            #[automatically_derived]
            impl #impl_generics #krate::__private::Call for #ident #ty_generics #where_clause {
                #value
                fn __meta() -> &'static #meta {
                    static META: #meta = #meta::new(#name);
                    &META
                }
                #calls
            }
        }
    }

    /// Whether the child keeps the value, and the function borrows it.
    ///
    /// It cannot do so if a trait bound names the lifetime. That lifetime may be longer than the
    /// call, so such a value is leaked, like a `'static` one.
    fn lends(&self, ty: &Type) -> bool {
        let (mentions, bounds) = (Mentions::of([ty]), Mentions::in_bounds(self.generics));
        mentions.borrows() && mentions.lifetimes.is_disjoint(&bounds.lifetimes)
    }

    /// Returns a call of the codec of the output, which may be a `Result`. An error about one of its
    /// halves is reported at that half, if the tokens show where it is.
    fn output_codec(&self, method: &str, arguments: &TokenStream) -> TokenStream {
        let (output, span) = (self.output, self.output_span);
        let types::Halves { ok, err } = types::halves(output);
        // There are no variables, because the tokens of a type may come from several macros, and
        // then they do not see each other's variables.
        let halves = |span| {
            let krate = spanned(&self.args.krate(), span);
            quote_spanned!(span=> #krate::__private::Shape::<#output>::NEW.halves())
        };
        let half = |ty: Option<&Type>, half: &str, codec: &str| {
            let span = ty.map_or(span, types::span);
            let (halves, half) = (halves(span), Ident::new(half, span));
            let codec = Ident::new(codec, span);
            quote_spanned!(span=> #halves.#half().#codec())
        };
        let ok = half(ok, "ok", "codec");
        let err = half(err, "err", "err_codec");
        let (whole, method) = (halves(span), Ident::new(method, span));
        quote_spanned!(span=> #whole.join(#ok, #err).#method #arguments)
    }

    /// Returns the fields as expressions for the child. Each may be used once.
    pub(crate) fn received(&self) -> impl Iterator<Item = TokenStream> {
        let krate = self.args.krate();
        self.fields.iter().enumerate().map(move |(index, field)| {
            let local = local(index);
            if self.lends(field.ty) {
                let held = quote!((&mut #local));
                codec(&krate, field.ty, types::span(field.ty), "lend", &held)
            } else {
                local.into_token_stream()
            }
        })
    }
}

// #[process(name = "x", daemon, env("A" = "1", "B" = "2"))]
//
// fn __defaults() -> ::procession::__private::Settings {
//     ::procession::Builder::new().name("x").daemon(true).env("A", "1").env("B", "2").__settings()
// }
fn defaults(krate: &TokenStream, settings: &[Setting]) -> TokenStream {
    if settings.is_empty() {
        return TokenStream::new();
    }
    let calls = settings.iter().map(|Setting { ident, value }| match value {
        Value::Exprs(exprs) => quote!(.#ident(#(#exprs),*)),
        Value::Yes => quote!(.#ident(true)),
        Value::StartMethod(variant) => quote!(.#ident(#krate::StartMethod::#variant)),
    });
    quote! {
        fn __defaults() -> #krate::__private::Settings {
            #krate::Builder::new() #(#calls)* .__settings()
        }
    }
}

/// Returns a call of the codec of a type. All our tokens have the span `span`, because the compiler
/// reports the same error at the same place only once.
fn codec(
    krate: &TokenStream,
    ty: &Type,
    span: Span,
    method: &str,
    arguments: &TokenStream,
) -> TokenStream {
    let (krate, method) = (spanned(krate, span), Ident::new(method, span));
    quote_spanned!(span=> #krate::__private::Shape::<#ty>::NEW.codec().#method #arguments)
}

/// Returns the tokens of a path, all with one span.
pub(super) fn spanned(tokens: &TokenStream, span: Span) -> TokenStream {
    let at = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    tokens.clone().into_iter().map(at).collect()
}

fn local(index: usize) -> Ident {
    format_ident!("__{index}")
}

/// Returns an attribute that turns off the user's lints. They have checked the user's item already.
pub(crate) fn quiet() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            explicit_outlives_requirements,
            missing_copy_implementations,
            missing_debug_implementations,
            non_camel_case_types,
            non_snake_case,
            private_bounds,
            private_interfaces,
            redundant_lifetimes,
            single_use_lifetimes,
            trivial_casts,
            trivial_numeric_casts,
            unit_bindings,
            unnameable_types,
            unreachable_code,
            unreachable_pub,
            unused,
            unused_lifetimes,
            unused_qualifications,
            unused_results,
            clippy::all,
            clippy::nursery,
            clippy::pedantic,
            clippy::restriction,
        )]
    }
}

/// Returns the attributes that `is_wanted` selects, also those within `cfg_attr`.
pub(crate) fn copied(attrs: &[Attribute], is_wanted: fn(&Meta) -> bool) -> Vec<Attribute> {
    let mut wanted = Vec::new();
    for attr in attrs {
        if is_wanted(&attr.meta) {
            wanted.push(attr.clone());
        } else if attr.path().is_ident("cfg_attr") {
            let conditional = |input: ParseStream| {
                let mut condition = TokenStream::new();
                while !input.peek(Token![,]) {
                    condition.extend([input.parse::<TokenTree>()?]);
                }
                input.parse::<Token![,]>()?;
                let metas = Punctuated::<Meta, Token![,]>::parse_terminated(input)?;
                Ok((condition, metas))
            };
            // The compiler reports an attribute that cannot be parsed.
            if let Meta::List(list) = &attr.meta
                && let Ok((condition, metas)) = conditional.parse2(list.tokens.clone())
            {
                for meta in metas.iter().filter(|meta| is_wanted(meta)) {
                    wanted.push(parse_quote!(#[cfg_attr(#condition, #meta)]));
                }
            }
        }
    }
    wanted
}
