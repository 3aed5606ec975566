//! The items that the macros are put on, in our own types.

use crate::{
    args::{Args, Form},
    attrs::Conditional,
    errors::Errors,
    types::{Mentions, NameLifetimes},
};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::{
    Attribute, Data, DataStruct, DeriveInput, Error, Field, Fields, FnArg, GenericParam, Generics,
    Item, LifetimeParam, Member, Pat, PatType, Path, Receiver, Result, ReturnType, Signature,
    Token, Type, TypeParam, TypeParamBound, Visibility, WherePredicate,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    parse_quote,
    visit_mut::VisitMut,
};

/// A function as written. Its body is not parsed: the compiler does that.
pub(crate) struct Source {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Parse for Source {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse::<Signature>()?;
        if input.peek(Token![;]) || input.is_empty() {
            let message = "a function without a body has nothing to run";
            return Err(Error::new_spanned(&sig.ident, message));
        }
        let body = braced(input.parse()?)?;
        Ok(Self {
            attrs,
            vis,
            sig,
            body,
        })
    }
}

impl Source {
    /// Parses a function. `attribute` is what the user put on it.
    pub(crate) fn from_tokens(attribute: &str, tokens: &TokenStream) -> Result<Self> {
        syn::parse2(tokens.clone()).map_err(|error| match syn::parse2(tokens.clone()) {
            Ok(item) => not_a_function(attribute, &item).unwrap_or(error),
            Err(_) => error,
        })
    }
}

/// Returns the body of a function. `macro_rules!` may have put it into an invisible group.
fn braced(token: TokenTree) -> Result<Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Ok(group),
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            braced(syn::parse2(group.stream())?)
        }
        token => Err(Error::new(token.span(), "expected the body of a function")),
    }
}

/// Returns an error at the keyword of an item that is not a function.
fn not_a_function(attribute: &str, item: &Item) -> Option<Error> {
    let is_process = attribute == "#[process]";
    let elsewhere = format!("`{attribute}` goes on a function");
    let structure = if is_process {
        format!("{elsewhere}: a struct takes `#[derive(Process)]`, with its `#[process(..)]` below")
    } else {
        elsewhere.clone()
    };
    let methods = if is_process {
        format!("{elsewhere}: put `#[derive(Process)]` on a struct that has a method `run`")
    } else {
        elsewhere.clone()
    };
    Some(match item {
        Item::Struct(item) => Error::new(item.struct_token.span, structure),
        Item::Enum(item) => Error::new(item.enum_token.span, elsewhere),
        Item::Union(item) => Error::new(item.union_token.span, elsewhere),
        Item::Impl(item) => Error::new(item.impl_token.span, methods),
        Item::Trait(item) => Error::new(item.trait_token.span, elsewhere),
        Item::Mod(item) => Error::new(item.mod_token.span, elsewhere),
        Item::Const(item) => Error::new(item.const_token.span, elsewhere),
        Item::Static(item) => Error::new(item.static_token.span, elsewhere),
        Item::Type(item) => Error::new(item.type_token.span, elsewhere),
        Item::Use(item) => Error::new(item.use_token.span, elsewhere),
        Item::ExternCrate(item) => Error::new(item.extern_token.span, elsewhere),
        Item::ForeignMod(item) => Error::new(item.abi.extern_token.span, elsewhere),
        Item::Macro(item) => Error::new_spanned(&item.mac.path, elsewhere),
        _ => return None,
    })
}

/// A function that becomes a process.
pub(crate) struct Function<'a> {
    pub(crate) original: &'a Source,
    pub(crate) attrs: &'a [Conditional],
    pub(crate) args: &'a Args,
    pub(crate) ident: &'a Ident,
    /// The name of the struct: that of the function, if the user gives no other.
    pub(crate) name: Ident,
    pub(crate) receiver: Option<&'a Receiver>,
    pub(crate) params: Vec<Param<'a>>,
    /// The generic parameters of the struct: every lifetime has a name, and no parameter has a
    /// default.
    pub(crate) generics: Generics,
    /// The output of the process. It is `()` for `-> !` too.
    pub(crate) output: Type,
    /// What the function returns, as written.
    pub(crate) returns: ReturnType,
}

/// A parameter, and the field that it becomes.
pub(crate) struct Param<'a> {
    pub(crate) original: &'a PatType,
    pub(crate) ident: Ident,
    /// Whether the field has the name of the parameter. Otherwise its name is made up.
    pub(crate) is_named: bool,
    /// The type, in which every lifetime has a name.
    pub(crate) ty: Type,
}

impl<'a> Function<'a> {
    pub(crate) fn from_syn(args: &'a Args, original: &'a Source, attrs: &'a [Conditional]) -> Self {
        let sig = &original.sig;
        let mut generics = without_defaults(&sig.generics);
        let mut fresh = Vec::new();
        let mut lifetimes = generics
            .lifetimes()
            .map(|param| param.lifetime.ident.to_string())
            .collect();
        let mut fields = BTreeSet::new();

        let typed = sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        // The struct declares these too, so that the compiler reports them in the function alone.
        let mentions = Mentions::of(typed.clone().map(|typed| &*typed.ty));
        fresh.extend(mentions.undeclared(&generics));
        let written: BTreeSet<_> = sig
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Typed(typed) => pattern_name(&typed.pat).map(|name| name.to_string()),
                FnArg::Receiver(_) => None,
            })
            .collect();
        let mut params = Vec::new();
        for (index, typed) in typed.enumerate() {
            let named = pattern_name(&typed.pat).filter(|name| fields.insert(name.to_string()));
            let is_named = named.is_some();
            let ident = named.unwrap_or_else(|| {
                let mut name = format!("__{index}");
                while written.contains(&name) {
                    name.push('_');
                }
                Ident::new(&name, Span::call_site())
            });
            let mut ty = Type::clone(&typed.ty);
            NameLifetimes {
                name: ident.unraw().to_string().trim_start_matches("__"),
                taken: &mut lifetimes,
                fresh: &mut fresh,
            }
            .visit_type_mut(&mut ty);
            params.push(Param {
                original: typed,
                ident,
                is_named,
                ty,
            });
        }

        let declared = generics.lifetimes().count();
        for (index, lifetime) in fresh.into_iter().enumerate() {
            let param = GenericParam::Lifetime(LifetimeParam::new(lifetime));
            generics.params.insert(declared + index, param);
        }
        Self {
            original,
            attrs,
            args,
            ident: &sig.ident,
            name: generated(args.structure.as_ref().unwrap_or(&sig.ident)),
            receiver: sig.receiver(),
            params,
            generics,
            output: match &sig.output {
                ReturnType::Type(_, ty) if !matches!(**ty, Type::Never(_)) => Type::clone(ty),
                _ => parse_quote!(()),
            },
            returns: sig.output.clone(),
        }
    }

    /// Returns the first type with the name of the struct. The compiler would take it for the
    /// struct.
    pub(crate) fn mention_of_itself(&self) -> Option<Ident> {
        let params = self.params.iter().map(|param| &*param.original.ty);
        let mentions = Mentions::of(params.chain([&self.output]));
        mentions.get(&self.name).cloned()
    }

    /// Returns the path of a second `#[process]`.
    pub(crate) fn repeated(&self) -> Option<&Path> {
        let mut paths = self.attrs.iter().map(|attr| attr.meta.path());
        paths.find(|path| match path.segments.iter().collect::<Vec<_>>()[..] {
            [name] => name.ident == "process",
            [krate, name] => krate.ident == "procession" && name.ident == "process",
            _ => false,
        })
    }

    /// Returns what only a method has: a receiver, or a type with `Self`.
    pub(crate) fn sign_of_a_method(&self) -> Option<TokenStream> {
        let params = self.params.iter().map(|param| &*param.original.ty);
        let mentions = Mentions::of(params.chain([&self.output]));
        let this = mentions.get(&Ident::new("Self", Span::call_site()));
        let receiver = self.receiver.map(ToTokens::to_token_stream);
        receiver.or_else(|| this.map(ToTokens::to_token_stream))
    }

    /// Returns the span of the output, or that of the function's name if there is none.
    pub(crate) fn output_span(&self) -> Span {
        match &self.original.sig.output {
            ReturnType::Type(_, ty) => crate::types::span(ty),
            ReturnType::Default => self.ident.span(),
        }
    }

    /// Returns the last token of the signature before a `where`.
    pub(crate) fn end(&self) -> Span {
        let sig = &self.original.sig;
        let last = sig.output.to_token_stream().into_iter().last();
        last.map_or_else(
            || sig.paren_token.span.close(),
            |token| match token {
                TokenTree::Group(group) => group.span_close(),
                token => token.span(),
            },
        )
    }

    /// Whether the user has bounds for a type with a lifetime, such as `&'a T: Trait`.
    pub(crate) fn bounds_a_borrow(&self) -> bool {
        let clause = self.generics.where_clause.iter();
        let mut predicates = clause.flat_map(|clause| &clause.predicates);
        predicates.any(|predicate| match predicate {
            WherePredicate::Type(predicate) => {
                let mentions = Mentions::of([&predicate.bounded_ty]);
                predicate.lifetimes.is_none() && !mentions.lifetimes.is_empty()
            }
            _ => false,
        })
    }

    /// Whether a parameter has a type that may have lifetimes which nobody sees: a macro, or a
    /// `Cow` without one.
    pub(crate) fn hides_lifetimes(&self) -> bool {
        let mut types = self.params.iter().map(|param| &param.ty);
        types.any(crate::types::hides_lifetimes)
    }

    /// Returns the generic lifetimes and types that no field mentions.
    pub(crate) fn unmentioned(&self) -> Vec<&GenericParam> {
        let mentions = Mentions::of(self.params.iter().map(|param| &param.ty));
        let is_unmentioned = |param: &&GenericParam| match param {
            GenericParam::Lifetime(param) => !mentions.lifetimes.contains(&param.lifetime.ident),
            GenericParam::Type(param) => mentions.get(&param.ident).is_none(),
            // The compiler accepts an unused const parameter.
            GenericParam::Const(_) => false,
        };
        self.generics.params.iter().filter(is_unmentioned).collect()
    }
}

/// Returns an identifier as one of this macro's, at the place where the user wrote it. The lints of
/// the user have seen it where it was written, and leave alone what a macro makes.
fn generated(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(Span::call_site().located_at(ident.span()));
    ident
}

/// Returns the name that a pattern gives to the whole parameter.
fn pattern_name(pat: &Pat) -> Option<Ident> {
    match pat {
        Pat::Ident(pat) => Some(generated(&pat.ident)),
        Pat::Paren(pat) => pattern_name(&pat.pat),
        _ => None,
    }
}

/// Removes the defaults: neither a function nor an impl may have defaults for its generic
/// parameters.
fn without_defaults(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    generics
        .type_params_mut()
        .for_each(|param| param.default = None);
    generics
        .const_params_mut()
        .for_each(|param| param.default = None);
    generics
}

/// A struct that becomes a process.
pub(crate) struct Structure<'a> {
    pub(crate) original: &'a DeriveInput,
    pub(crate) args: &'a Args,
    pub(crate) ident: &'a Ident,
    /// Empty if the item is not a struct.
    pub(crate) fields: Vec<Part<'a>>,
    pub(crate) generics: Generics,
    pub(crate) output: Type,
}

/// A field of the struct.
pub(crate) struct Part<'a> {
    pub(crate) original: &'a Field,
    pub(crate) member: Member,
    pub(crate) is_skipped: bool,
}

impl<'a> Structure<'a> {
    pub(crate) fn from_syn(args: &'a Args, original: &'a DeriveInput, errors: &mut Errors) -> Self {
        let fields = match &original.data {
            Data::Struct(data) => data
                .fields
                .members()
                .zip(&data.fields)
                .map(|(member, original)| Part {
                    original,
                    member,
                    is_skipped: Args::from_attributes(&original.attrs, Form::Field, errors)
                        .is_skipped,
                })
                .collect(),
            _ => Vec::new(),
        };
        Self {
            original,
            args,
            ident: &original.ident,
            fields,
            generics: without_defaults(&original.generics),
            output: match &args.output {
                Some(ty) if !matches!(ty, Type::Never(_)) => ty.clone(),
                _ => parse_quote!(()),
            },
        }
    }

    /// Returns the parenthesis before the `where` of a tuple struct.
    pub(crate) fn end(&self) -> Option<Span> {
        match &self.original.data {
            Data::Struct(DataStruct {
                fields: Fields::Unnamed(fields),
                ..
            }) => Some(fields.paren_token.span.close()),
            _ => None,
        }
    }

    /// Whether a field that is sent has the type of a generic parameter without any bound. The
    /// compiler asks for the bound.
    pub(crate) fn lacks_a_bound(&self) -> bool {
        let is_trait = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(_));
        let sends = |param: &TypeParam| {
            let mut sent = self.fields.iter().filter(|part| !part.is_skipped);
            sent.any(|part| crate::types::is_ident(&part.original.ty, &param.ident))
        };
        let mut params = self.generics.type_params();
        self.generics.where_clause.is_none()
            && params.any(|param| !param.bounds.iter().any(is_trait) && sends(param))
    }

    /// Whether a field has a type with `_`, or with a lifetime that is not declared. The compiler
    /// reports both in the struct itself.
    pub(crate) fn is_reported(&self) -> bool {
        let mut types = self.fields.iter().map(|part| &part.original.ty);
        let mentions = Mentions::of(types.clone());
        types.any(|ty| crate::types::placeholder(ty).is_some())
            || !mentions.undeclared(&self.generics).is_empty()
    }

    /// Returns the span of the output, or that of the struct's name if there is none.
    pub(crate) fn output_span(&self) -> Span {
        self.args
            .output
            .as_ref()
            .map_or_else(|| self.ident.span(), crate::types::span)
    }
}
