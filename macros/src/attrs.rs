//! The attributes of an item, with those that stand within `cfg_attr`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::{
    Attribute, Meta, Path, Result, Token,
    parse::{ParseStream, Parser},
    parse_quote,
    punctuated::Punctuated,
};

/// One attribute, and the conditions under which the compiler sees it.
pub(crate) struct Conditional {
    /// The conditions of the `cfg_attr`s around it, from the outside.
    conditions: Vec<TokenStream>,
    pub(crate) meta: Meta,
}

impl Conditional {
    fn new(meta: Meta) -> Self {
        Self {
            conditions: Vec::new(),
            meta,
        }
    }

    /// Returns it as an attribute that says something else under the same conditions.
    fn with(&self, meta: &Meta) -> Attribute {
        let meta = self.conditions.iter().rfold(
            quote!(#meta),
            |meta, condition| quote!(cfg_attr(#condition, #meta)),
        );
        parse_quote!(#[#meta])
    }

    /// Returns what stands within it, if it is a `cfg_attr`.
    fn inner(&self) -> Option<Vec<Self>> {
        let Meta::List(list) = &self.meta else {
            return None;
        };
        if !list.path.is_ident("cfg_attr") {
            return None;
        }
        // The compiler reports an attribute that cannot be parsed.
        let (condition, metas) = split.parse2(list.tokens.clone()).ok()?;
        let inner = metas.into_iter().map(|meta| {
            let mut conditions = self.conditions.clone();
            conditions.push(condition.clone());
            Self { conditions, meta }
        });
        Some(inner.collect())
    }
}

fn split(input: ParseStream) -> Result<(TokenStream, Punctuated<Meta, Token![,]>)> {
    let mut condition = TokenStream::new();
    while !input.peek(Token![,]) {
        condition.extend([input.parse::<TokenTree>()?]);
    }
    input.parse::<Token![,]>()?;
    Ok((condition, Punctuated::parse_terminated(input)?))
}

/// Returns all attributes. Those within a `cfg_attr` stand in its place.
pub(crate) fn all(attrs: &[Attribute]) -> Vec<Conditional> {
    let mut found = Vec::new();
    let mut rest = attrs
        .iter()
        .rev()
        .map(|attr| Conditional::new(attr.meta.clone()))
        .collect::<Vec<_>>();
    while let Some(attr) = rest.pop() {
        match attr.inner() {
            Some(inner) => rest.extend(inner.into_iter().rev()),
            None => found.push(attr),
        }
    }
    found
}

/// Returns the attributes that `pick` makes of those of the user, under the same conditions.
pub(crate) fn copied(attrs: &[Attribute], pick: impl Fn(&Meta) -> Option<Meta>) -> Vec<Attribute> {
    all(attrs)
        .iter()
        .filter_map(|attr| Some(attr.with(&pick(&attr.meta)?)))
        .collect()
}

/// Returns the `cfg` attributes. Every generated item gets them too.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    copied(attrs, |meta| {
        meta.path().is_ident("cfg").then(|| meta.clone())
    })
}

/// Returns the levels of lints that the user has set for an item, for what is generated of it.
///
/// An `expect` becomes an `allow`, because what is expected of the item need not happen there.
/// `dead_code` is left out then: an item whose dead code is allowed counts as used, and so does all
/// that it calls, so that the expectation would not be fulfilled.
pub(crate) fn levels(attrs: &[Attribute]) -> Vec<Attribute> {
    copied(attrs, |meta| {
        let Meta::List(list) = meta else { return None };
        let level = list.path.get_ident()?;
        let is_expected = level == "expect";
        if !is_expected
            && !["allow", "warn", "deny", "forbid"]
                .iter()
                .any(|name| level == name)
        {
            return None;
        }
        let level = if is_expected {
            Ident::new("allow", level.span())
        } else {
            level.clone()
        };
        let lints = Punctuated::<Meta, Token![,]>::parse_terminated
            .parse2(list.tokens.clone())
            .ok()?;
        let lints = lints
            .iter()
            .filter_map(|lint| match lint {
                Meta::Path(path) if !(is_expected && is_about_use(path)) => Some(path),
                _ => None,
            })
            .collect::<Vec<_>>();
        (!lints.is_empty()).then(|| parse_quote!(#level(#(#lints),*)))
    })
}

fn is_about_use(lint: &Path) -> bool {
    ["dead_code", "unused", "warnings"]
        .iter()
        .any(|name| lint.is_ident(name))
}
