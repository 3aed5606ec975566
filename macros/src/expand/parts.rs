//! The parts that both forms of a process share.

use crate::{
    args::{Args, Setting, Value},
    attrs,
    types::{self, Mentions},
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Generics, Lifetime, Member, Type, parse_quote};

/// The parts of the impls of `Process` and `Call`.
pub(crate) struct Definition<'a> {
    pub(crate) args: &'a Args,
    /// The struct.
    pub(crate) ident: &'a Ident,
    /// What the processes are named after.
    pub(crate) name: String,
    /// The attributes of each impl.
    pub(crate) attrs: &'a [Attribute],
    pub(crate) generics: &'a Generics,
    pub(crate) output: &'a Type,
    pub(crate) output_span: Span,
    /// The place before a `where`, if it is not that behind the generic parameters.
    pub(crate) end: Option<Span>,
    pub(crate) fields: Vec<Field<'a>>,
}

/// A field that the child has too.
pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    /// The name of the field in error messages.
    pub(crate) what: String,
    /// Whether the child has a default value, and not the one of the field.
    pub(crate) is_skipped: bool,
}

impl Definition<'_> {
    // impl<'name> ::procession::Process for task<'name> {
    //     type Output = usize;
    //     fn spawn(self) -> Result<Child<usize>> { Builder::new().spawn(self) }
    // }
    // impl<'name> ::procession::__private::Call for task<'name> {
    //     type Value = usize;
    //     fn __meta() -> &'static Meta { static META: Meta = Meta::new("task"); &META }
    //     fn __send<'___sent>(&'___sent self, __to: &mut Outgoing<'___sent>) -> Result<()> {
    //         __Shape::<&'name str>::NEW.__codec().send(&self.name, "argument `name`", __to)?;
    //         Ok(())
    //     }
    //     fn __run(__from: &mut Incoming) -> Result<usize> {
    //         let mut __0 = __Shape::<&'name str>::NEW.__codec().take(__from)?;
    //         __from.ready()?;
    //         Ok(task(__Shape::<&'name str>::NEW.__codec().lend(&mut __0)))
    //     }
    //     fn __reply<'___sent>(
    //         __output: &'___sent usize,
    //         __to: &mut Outgoing<'___sent>
    //     ) -> Result<()> {
    //         __Shape::<usize>::NEW
    //             .__halves()
    //             .__join(
    //                 __Shape::<usize>::NEW.__halves().__ok().__codec(),
    //                 __Shape::<usize>::NEW.__halves().__err().__err_codec()
    //             )
    //             .send(__output, "the output", __to)
    //     }
    //     fn __receive(__from: &mut Incoming) -> Result<usize> {
    //         .. // the same, with `.own(__from)` at the end
    //     }
    // }
    /// Returns the impls of `Process` and `Call`. `call` runs in the child, and returns a result.
    /// It uses [`Self::received`].
    pub(crate) fn expand(&self, call: &TokenStream) -> TokenStream {
        let krate = self.args.krate();
        let private = quote!(#krate::__private);
        let imports = quote! {
            use #private::{ByNumbers as _, ByParts as _, ByRef as _, ByValue as _, Shape as __Shape};
        };
        let output_imports = quote! {
            use #private::{ByDynErr as _, ByErr as _, ByErrValue as _, ByOk as _, ByWhole as _};
        };
        let skips = self.fields.iter().any(|field| field.is_skipped);
        let import_skipped = skips.then(|| quote!(use #private::skipped as __skipped;));
        let output = self.output;
        let lifetime = sent();
        let defaults = defaults(&krate, &self.args.settings);
        let sent = self.fields.iter().filter(|field| !field.is_skipped);
        let sent = sent.map(
            |Field {
                 member, ty, what, ..
             }| {
                let arguments = quote!(&self.#member, #what, __to);
                let call = codec(ty, types::span(ty), "send", &arguments);
                quote!(#call?;)
            },
        );
        let taken = self.fields.iter().enumerate().map(|(index, field)| {
            let (local, arguments) = (local(index), quote!(__from));
            let receive = |how| codec(field.ty, types::span(field.ty), how, &arguments);
            if field.is_skipped {
                let (ty, span) = (field.ty, types::span(field.ty));
                let default = quote_spanned!(span=> __skipped::<#ty>());
                quote!(let #local = #default;)
            } else if self.lends(field.ty) {
                let take = receive("take");
                quote!(let mut #local = #take?;)
            } else {
                let own = receive("own");
                quote!(let #local = #own?;)
            }
        });
        let reply = self.output_codec("send", &quote!(__output, "the output", __to));
        let receive = self.output_codec("own", &quote!(__from));
        let members = quote! {
            fn __send<#lifetime>(
                &#lifetime self,
                __to: &mut #private::Outgoing<#lifetime>
            ) -> #krate::Result<()> {
                #imports
                #(#sent)*
                ::core::result::Result::Ok(())
            }
            fn __run(__from: &mut #private::Incoming) -> #krate::Result<#output> {
                #imports
                #import_skipped
                #(#taken)*
                __from.ready()?;
                #call
            }
            fn __reply<#lifetime>(
                __output: &#lifetime #output,
                __to: &mut #private::Outgoing<#lifetime>
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
        let Self {
            ident,
            name,
            output,
            attrs,
            ..
        } = self;
        let krate = self.args.krate();
        let meta = quote!(#krate::__private::Meta);
        let spawn = quote! {
            fn spawn(self) -> #krate::Result<#krate::Child<#output>> {
                #krate::Builder::new().spawn(self)
            }
        };
        let value = quote_spanned!(self.output_span=> type Value = #output;);
        let output = quote_spanned!(self.output_span=> type Output = #output;);
        let (impl_generics, ty_generics, where_clause) = self.generics.split_for_impl();
        // Where a bound is missing, the compiler proposes a `where` behind the last token of the
        // type. This one stands where a `where` may be written.
        let mut ty_generics = ty_generics
            .to_token_stream()
            .into_iter()
            .collect::<Vec<_>>();
        if let (Some(last), Some(end)) = (ty_generics.last_mut(), self.end) {
            last.set_span(end);
        }
        quote! {
            #(#attrs)*
            #[automatically_derived]
            impl #impl_generics #krate::Process for #ident #(#ty_generics)* #where_clause {
                #output
                #spawn
                #defaults
            }
            #(#attrs)*
            #[automatically_derived]
            impl #impl_generics #krate::__private::Call for #ident #(#ty_generics)* #where_clause {
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

    /// Returns a call of the codec of the output, which may be a `Result`. An error about one of
    /// its halves is reported at that half, if the tokens show where it is.
    fn output_codec(&self, method: &str, arguments: &TokenStream) -> TokenStream {
        let (output, span) = (self.output, self.output_span);
        let types::Halves { ok, err } = types::halves(output);
        // There are no variables, because the tokens of a type may come from several macros, and
        // then they do not see each other's variables.
        let halves = |span| quote_spanned!(span=> __Shape::<#output>::NEW.__halves());
        let half = |ty: Option<&Type>, half: &str, codec: &str| {
            let span = ty.map_or(span, types::span);
            let (halves, half) = (halves(span), Ident::new(half, span));
            let codec = Ident::new(codec, span);
            quote_spanned!(span=> #halves.#half().#codec())
        };
        let ok = half(ok, "__ok", "__codec");
        let err = half(err, "__err", "__err_codec");
        let (whole, method) = (halves(span), Ident::new(method, span));
        quote_spanned!(span=> #whole.__join(#ok, #err).#method(#arguments))
    }

    /// Returns the fields as expressions for the child. Each may be used once.
    pub(crate) fn received(&self) -> impl Iterator<Item = TokenStream> {
        self.fields.iter().enumerate().map(move |(index, field)| {
            let local = local(index);
            if !field.is_skipped && self.lends(field.ty) {
                let held = quote!(&mut #local);
                codec(field.ty, types::span(field.ty), "lend", &held)
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

/// Returns a call of the codec of a type. All our tokens have the span `span`: the compiler reports
/// an error at the user's type, and the same error at the same place only once.
fn codec(ty: &Type, span: Span, method: &str, arguments: &TokenStream) -> TokenStream {
    let method = Ident::new(method, span);
    quote_spanned!(span=> __Shape::<#ty>::NEW.__codec().#method(#arguments))
}

/// Returns the lifetime parameter of the generated methods. No lifetime of the user's is the same,
/// whatever its name, and none that is made of the name of a parameter: those have two underscores.
pub(crate) fn sent() -> Lifetime {
    Lifetime::new("'___sent", Span::mixed_site())
}

fn local(index: usize) -> Ident {
    format_ident!("__{index}")
}

/// Returns the attributes of everything that is generated of an item: its levels of lints, and that
/// it may name the item although it is deprecated.
pub(crate) fn inherited(attrs: &[Attribute]) -> Vec<Attribute> {
    let deprecated = attrs::copied(attrs, |meta| {
        meta.path()
            .is_ident("deprecated")
            .then(|| parse_quote!(allow(deprecated)))
    });
    let mut inherited = attrs::levels(attrs);
    inherited.extend(deprecated);
    inherited
}
