//! What the tokens of a type tell about it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::{
    BoundLifetimes, Expr, GenericArgument, GenericParam, Generics, Lifetime, Macro,
    ParenthesizedGenericArguments, Path, PathArguments, PathSegment, PredicateType, QSelf,
    TraitBound, Type, TypeFnPtr, TypeInfer, TypeReference,
    spanned::Spanned,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

/// Returns the type without parentheses and without the invisible groups of `macro_rules!`.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        _ => ty,
    }
}

/// Returns the span for errors about a type: that of its last name, such as `Rc` in
/// `&std::rc::Rc<T>`.
pub(crate) fn span(ty: &Type) -> Span {
    match bare(ty) {
        Type::Reference(reference) => span(&reference.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map_or_else(|| ty.span(), |segment| segment.ident.span()),
        ty => ty.span(),
    }
}

/// The halves of a `Result`, as far as its tokens show them.
#[derive(Default)]
pub(crate) struct Halves<'a> {
    pub(crate) ok: Option<&'a Type>,
    pub(crate) err: Option<&'a Type>,
}

/// Returns the halves of a type that is written as `Result<..>`. An alias such as `io::Result<T>`
/// shows only one of them, or none.
pub(crate) fn halves(ty: &Type) -> Halves<'_> {
    let Type::Path(path) = bare(ty) else {
        return Halves::default();
    };
    let Some(last) = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Result")
    else {
        return Halves::default();
    };
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return Halves::default();
    };
    let mut types = args.args.iter().filter_map(|arg| match arg {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Halves {
        ok: types.next(),
        err: types.next(),
    }
}

/// Whether a type is written as a box of a trait object.
pub(crate) fn is_boxed_dyn(ty: &Type) -> bool {
    let Type::Path(path) = bare(ty) else {
        return false;
    };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == "Box") else {
        return false;
    };
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return false;
    };
    let mut args = args.args.iter();
    let content = args.next().zip(Some(args.next()));
    matches!(content, Some((GenericArgument::Type(ty), None)) if matches!(bare(ty), Type::TraitObject(_)))
}

/// Gives a name to every elided lifetime of a type. The names begin with `name`.
///
/// The lifetimes in `fn(&str)` and `Fn(&str)` belong to these types and stay as they are.
pub(crate) struct NameLifetimes<'a> {
    pub(crate) name: &'a str,
    pub(crate) taken: &'a mut BTreeSet<String>,
    pub(crate) fresh: &'a mut Vec<Lifetime>,
}

impl NameLifetimes<'_> {
    fn next(&mut self, span: Span) -> Lifetime {
        let mut name = format!("__{}", self.name);
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        // With the user's own span the compiler would propose further generic parameters here.
        let span = Span::call_site().located_at(span);
        let lifetime = Lifetime::new(&format!("'{name}"), span);
        self.fresh.push(lifetime.clone());
        lifetime
    }
}

impl VisitMut for NameLifetimes<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference.lifetime.is_none() {
            reference.lifetime = Some(self.next(reference.and_token.span()));
        }
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.next(lifetime.span());
        }
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }
    fn visit_expr_mut(&mut self, _: &mut Expr) {}
}

/// The names of the lifetimes and of the generic parameters that a type mentions.
#[derive(Default)]
pub(crate) struct Mentions {
    pub(crate) lifetimes: BTreeSet<Ident>,
    /// The lifetimes that a `for<'a>` in the types declares.
    bound: BTreeSet<Ident>,
    names: BTreeSet<Ident>,
}

impl Mentions {
    pub(crate) fn of<'a>(types: impl IntoIterator<Item = &'a Type>) -> Self {
        let mut mentions = Self::default();
        for ty in types {
            mentions.visit_type(ty);
        }
        mentions
    }

    /// Returns the type parameter or const parameter of this name, or a type that is written as
    /// this one word.
    pub(crate) fn get(&self, name: &Ident) -> Option<&Ident> {
        self.names.get(name)
    }

    /// Returns the lifetimes in the bounds of generic types, such as `'a` in `T: Trait<'a>`.
    pub(crate) fn in_bounds(generics: &Generics) -> Self {
        struct Bounds(Mentions);

        impl Visit<'_> for Bounds {
            fn visit_trait_bound(&mut self, bound: &TraitBound) {
                self.0.visit_trait_bound(bound);
            }

            fn visit_predicate_type(&mut self, predicate: &PredicateType) {
                self.0.visit_type(&predicate.bounded_ty);
                visit::visit_predicate_type(self, predicate);
            }
        }

        let mut bounds = Bounds(Self::default());
        bounds.visit_generics(generics);
        bounds.0
    }

    /// Whether the types have a lifetime other than `'static`.
    pub(crate) fn borrows(&self) -> bool {
        self.lifetimes.iter().any(|lifetime| lifetime != "static")
    }

    /// Returns the lifetimes that are not declared. The compiler reports them where the user wrote
    /// them.
    pub(crate) fn undeclared(&self, generics: &Generics) -> Vec<Lifetime> {
        let declared = generics.lifetimes().map(|param| &param.lifetime.ident);
        let declared = declared.chain(&self.bound).collect::<BTreeSet<_>>();
        let undeclared = self.lifetimes.iter().filter(|lifetime| {
            !declared.contains(lifetime) && *lifetime != "static" && *lifetime != "_"
        });
        undeclared
            .map(|lifetime| {
                let (apostrophe, mut ident) = (Span::call_site(), lifetime.clone());
                ident.set_span(apostrophe);
                Lifetime { apostrophe, ident }
            })
            .collect()
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut after_quote = false;
        for token in tokens {
            let follows_a_quote = after_quote;
            after_quote = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '\'');
            match token {
                TokenTree::Ident(ident) if !follows_a_quote => drop(self.names.insert(ident)),
                TokenTree::Group(group) => self.tokens(group.stream()),
                _ => {}
            }
        }
    }
}

impl Visit<'_> for Mentions {
    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        self.lifetimes.insert(lifetime.ident.clone());
    }

    fn visit_bound_lifetimes(&mut self, bound: &BoundLifetimes) {
        let params = bound.lifetimes.iter().filter_map(|param| match param {
            GenericParam::Lifetime(param) => Some(param.lifetime.ident.clone()),
            _ => None,
        });
        self.bound.extend(params);
    }

    fn visit_path(&mut self, path: &Path) {
        if let (None, Some(first)) = (path.leading_colon, path.segments.first()) {
            self.names.insert(first.ident.clone());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &Macro) {
        self.tokens(mac.tokens.clone());
    }
}

/// Why a type cannot be sent to another process, as far as its tokens tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// `&mut T`, at the top.
    Exclusive,
    /// `&T`, not at the top.
    Nested,
    /// `impl Trait`.
    Impl,
    /// `dyn Trait`.
    Dyn,
}

/// Whether a parameter of this type has no size. The compiler reports the types that this function
/// does not know.
pub(crate) fn is_unsized(ty: &Type) -> bool {
    match bare(ty) {
        Type::TraitObject(_) | Type::Slice(_) => true,
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}

/// Whether a type is written as this one word.
pub(crate) fn is_ident(ty: &Type, name: &Ident) -> bool {
    matches!(bare(ty), Type::Path(path) if path.qself.is_none() && path.path.is_ident(name))
}

/// Whether a type is a reference to a type that is written as this one word.
pub(crate) fn is_reference_to(ty: &Type, name: &Ident) -> bool {
    matches!(bare(ty), Type::Reference(reference) if is_ident(&reference.elem, name))
}

/// Returns the first `_` in a type, which stands for a type or for the length of an array.
pub(crate) fn placeholder(ty: &Type) -> Option<Span> {
    struct Find(Option<Span>);

    impl Visit<'_> for Find {
        fn visit_type_infer(&mut self, infer: &TypeInfer) {
            self.0.get_or_insert(infer.span());
        }

        fn visit_expr(&mut self, length: &Expr) {
            // An `_` deeper in an expression is no placeholder: it may be that of a pattern.
            if let Expr::Infer(infer) = length {
                self.0.get_or_insert(infer.span());
            }
        }
    }

    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

/// Whether there is a macro in a type, or a `Cow` without a lifetime.
pub(crate) fn hides_lifetimes(ty: &Type) -> bool {
    struct Find(bool);

    impl Visit<'_> for Find {
        fn visit_macro(&mut self, _: &Macro) {
            self.0 = true;
        }

        fn visit_path_segment(&mut self, segment: &PathSegment) {
            if segment.ident == "Cow"
                && let PathArguments::AngleBracketed(arguments) = &segment.arguments
            {
                let is_lifetime = |argument| matches!(argument, &GenericArgument::Lifetime(_));
                self.0 |= !arguments.args.iter().any(is_lifetime);
            }
            visit::visit_path_segment(self, segment);
        }
    }

    let mut find = Find(false);
    find.visit_type(ty);
    find.0
}

/// Returns the first obstacle in a type, and the tokens that cause it.
pub(crate) fn obstacle(ty: &Type) -> Option<(Obstacle, TokenStream)> {
    match bare(ty) {
        Type::Reference(reference) => match reference.mutability {
            Some(mutability) => {
                let mut start = reference.and_token.to_token_stream();
                mutability.to_tokens(&mut start);
                Some((Obstacle::Exclusive, start))
            }
            None => nested_obstacle(&reference.elem),
        },
        ty => nested_obstacle(ty),
    }
}

/// Returns the first obstacle in a type that may have no reference at the top either.
pub(crate) fn nested_obstacle(ty: &Type) -> Option<(Obstacle, TokenStream)> {
    let mut find = FindObstacle(None);
    find.visit_type(ty);
    find.0
}

struct FindObstacle(Option<(Obstacle, TokenStream)>);

impl Visit<'_> for FindObstacle {
    fn visit_type(&mut self, ty: &Type) {
        let obstacle = match ty {
            Type::Reference(_) => Obstacle::Nested,
            Type::ImplTrait(_) => Obstacle::Impl,
            Type::TraitObject(_) => Obstacle::Dyn,
            // These types hold no value of the types that they mention.
            Type::FnPtr(_) => return,
            Type::Path(path) if is_phantom(&path.path) => return,
            _ => return visit::visit_type(self, ty),
        };
        self.0.get_or_insert((obstacle, ty.to_token_stream()));
    }

    // An associated type may be any type: `<&str as ToOwned>::Owned`.
    fn visit_qself(&mut self, _: &QSelf) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &ParenthesizedGenericArguments) {}
    fn visit_expr(&mut self, _: &Expr) {}
}

fn is_phantom(path: &Path) -> bool {
    path.segments
        .last()
        .is_some_and(|last| last.ident == "PhantomData")
}

/// Replaces every `impl Trait` and every `_` by another type.
pub(crate) struct ReplaceUnnamed<F>(pub(crate) F);

impl<F: FnMut() -> Type> VisitMut for ReplaceUnnamed<F> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::ImplTrait(_) | Type::Infer(_) => *ty = (self.0)(),
            Type::Array(array) if matches!(array.len, Expr::Infer(_)) => *ty = (self.0)(),
            _ => visit_mut::visit_type_mut(self, ty),
        }
    }
}

/// Makes every lifetime one of this macro's, as `ast::generated` does for identifiers.
pub(crate) struct Generated;

impl VisitMut for Generated {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        lifetime.set_span(Span::call_site().located_at(lifetime.span()));
    }
}

/// Gives every lifetime of a type a name of its own, with a number. The type has no elided ones.
pub(crate) struct Rename<'a> {
    pub(crate) name: &'a str,
    pub(crate) fresh: &'a mut Vec<Lifetime>,
}

impl VisitMut for Rename<'_> {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        let name = format!("'{}{}", self.name, self.fresh.len());
        *lifetime = Lifetime::new(&name, Span::mixed_site());
        self.fresh.push(lifetime.clone());
    }

    // What a `for<'a>` declares belongs to the bound, as the lifetimes of a function pointer do.
    fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
        if bound.lifetimes.is_none() {
            visit_mut::visit_trait_bound_mut(self, bound);
        }
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }
}

/// Makes every elided lifetime `'static`.
pub(crate) struct NameStatic;

impl VisitMut for NameStatic {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let span = reference.and_token.span();
        reference
            .lifetime
            .get_or_insert_with(|| Lifetime::new("'static", span));
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }

    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }
}
