//! The arguments of the attributes: parses them into typed options.

use crate::errors::Errors;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Expr, Lit, Meta, Path, Result, Token, Type, UnOp,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser, discouraged::Speculative},
};

/// Which attribute has the arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `#[process(..)]` on a function.
    Function,
    /// `#[process(..)]` below `#[derive(Process)]`.
    Struct,
    /// `#[procession::main(..)]`.
    Main,
}

/// The type of a value, with an example for error messages.
#[derive(Clone, Copy)]
enum Kind {
    Text(&'static str),
    Flag,
    StartMethod,
    Duration,
    Count(&'static str),
    Integer(&'static str),
    Path,
    Type,
}

const ARGUMENTS: &[(&str, Kind)] = &[
    ("name", Kind::Text("\"worker\"")),
    ("daemon", Kind::Flag),
    ("kill_on_drop", Kind::Flag),
    ("backtrace", Kind::Flag),
    ("start_method", Kind::StartMethod),
    ("timeout", Kind::Duration),
    ("memory_limit", Kind::Count("64 << 20")),
    ("cpu_time_limit", Kind::Duration),
    ("open_files_limit", Kind::Count("64")),
    ("nice", Kind::Integer("10")),
    ("crate", Kind::Path),
    ("output", Kind::Type),
];

/// The start methods: the name in the attribute, and the variant of `StartMethod`.
const START_METHODS: &[(&str, &str)] = &[
    ("forkserver", "ForkServer"),
    ("spawn", "Spawn"),
    ("fork", "Fork"),
];

/// The arguments of one item.
#[derive(Default)]
pub(crate) struct Args {
    /// The path of the runtime, if it is not `::procession`.
    pub(crate) krate: Option<Path>,
    /// The type that the method `run` of a struct returns.
    pub(crate) output: Option<Type>,
    /// The setters of a `Builder` to call, in their order.
    pub(crate) settings: Vec<Setting>,
    seen: Vec<String>,
}

/// A default that a `Builder` overrides: the setter and its argument.
pub(crate) struct Setting {
    pub(crate) ident: Ident,
    pub(crate) value: Value,
}

/// The argument of a setter.
pub(crate) enum Value {
    /// An expression, as the user wrote it.
    Expr(Expr),
    /// `true`, for a name without a value.
    Yes,
    /// A variant of `StartMethod`.
    StartMethod(Ident),
}

impl Args {
    /// Parses the arguments of an attribute macro.
    pub(crate) fn parse(tokens: TokenStream, form: Form, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        args.read(tokens, form, errors);
        args
    }

    /// Parses the arguments of all helper attributes of a struct.
    pub(crate) fn from_attributes(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut args = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("process")) {
            match &attr.meta {
                Meta::Path(_) => {}
                Meta::List(list) => args.read(list.tokens.clone(), Form::Struct, errors),
                Meta::NameValue(pair) => {
                    errors.add(pair, "the arguments stand in parentheses: `#[process(..)]`");
                }
            }
        }
        args
    }

    fn read(&mut self, tokens: TokenStream, form: Form, errors: &mut Errors) {
        let read = |input: ParseStream| {
            while !input.is_empty() {
                if let Err(error) = self.argument(input, form) {
                    errors.push(error);
                    skip_to_comma(input)?;
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = read.parse2(tokens) {
            errors.push(error);
        }
    }

    fn argument(&mut self, input: ParseStream, form: Form) -> Result<()> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error(format!("expected {}", one_of(form))));
        }
        let ident = input.call(Ident::parse_any)?;
        let name = ident.to_string();
        if form == Form::Function && name == "output" {
            let message =
                "the return type of the function says its output already: remove `output`";
            return Err(Error::new_spanned(ident, message));
        }
        let Some((_, kind)) = arguments(form).find(|(known, _)| *known == name) else {
            let expected = nearest(&name, form).map_or_else(|| one_of(form), quoted);
            let message = format!("unknown argument `{name}`, expected {expected}");
            return Err(Error::new_spanned(ident, message));
        };
        let result = self.value(&ident, *kind, input);
        // The check comes after the value was parsed, so that the next argument can be parsed too.
        if self.seen.contains(&name) {
            let message = format!("duplicate argument `{name}`: give it once");
            return Err(Error::new_spanned(ident, message));
        }
        self.seen.push(name);
        result
    }

    fn value(&mut self, ident: &Ident, kind: Kind, input: ParseStream) -> Result<()> {
        if input.is_empty() || input.peek(Token![,]) {
            if let Kind::Flag = kind {
                self.set(ident, Value::Yes);
                return Ok(());
            }
            return Err(Error::new_spanned(ident, takes(ident, kind)));
        }
        if !input.peek(Token![=]) {
            let rest = input.cursor().token_stream();
            return Err(Error::new_spanned(first(rest), takes(ident, kind)));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new_spanned(ident, takes(ident, kind)));
        }
        match kind {
            Kind::Path => self.krate = Some(input.call(Path::parse_mod_style)?),
            Kind::Type => self.output = Some(input.parse()?),
            _ => {
                let expr = input.parse()?;
                let value = typed(ident, kind, expr)?;
                self.set(ident, value);
            }
        }
        Ok(())
    }

    fn set(&mut self, ident: &Ident, value: Value) {
        self.settings.push(Setting {
            ident: ident.clone(),
            value,
        });
    }

    /// Returns the path of the runtime.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate
            .as_ref()
            .map_or_else(|| quote!(::procession), ToTokens::to_token_stream)
    }
}

/// Checks the form of a value. The compiler checks its type.
fn typed(ident: &Ident, kind: Kind, expr: Expr) -> Result<Value> {
    let literal = match bare(&expr) {
        Expr::Lit(literal) => Some(&literal.lit),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => match bare(&unary.expr) {
            Expr::Lit(literal) if matches!(kind, Kind::Integer(_)) => Some(&literal.lit),
            _ => None,
        },
        _ => None,
    };
    let fits = match (kind, literal) {
        (Kind::Text(_), Some(Lit::Str(_)))
        | (Kind::Flag, Some(Lit::Bool(_)))
        | (Kind::Count(_) | Kind::Integer(_), Some(Lit::Int(_)) | None)
        | (Kind::Duration, None) => true,
        (Kind::StartMethod, Some(Lit::Str(text))) => {
            let known = START_METHODS.iter().find(|(name, _)| *name == text.value());
            let Some((_, variant)) = known else {
                let names = START_METHODS
                    .iter()
                    .map(|(name, _)| format!("`\"{name}\"`"));
                let names = names.collect::<Vec<_>>().join(", ");
                let message = format!("unknown start method `{}`, expected {names}", text.value());
                return Err(Error::new_spanned(text, message));
            };
            return Ok(Value::StartMethod(Ident::new(variant, text.span())));
        }
        _ => false,
    };
    if fits {
        Ok(Value::Expr(expr))
    } else {
        Err(Error::new_spanned(expr, takes(ident, kind)))
    }
}

/// Returns what an argument takes, in the words of an error message.
fn takes(ident: &Ident, kind: Kind) -> String {
    match kind {
        Kind::Text(example) => format!("`{ident}` takes a string literal: `{ident} = {example}`"),
        Kind::Flag => format!("`{ident}` stands alone or takes a literal: `{ident} = true`"),
        Kind::StartMethod => {
            let names = START_METHODS
                .iter()
                .map(|(name, _)| format!("`{ident} = \"{name}\"`"));
            let names = names.collect::<Vec<_>>().join(", ");
            format!("`{ident}` takes the name of a start method: {names}")
        }
        Kind::Duration => {
            format!("`{ident}` takes a `Duration`: `{ident} = std::time::Duration::from_secs(5)`")
        }
        Kind::Count(example) => format!("`{ident}` takes a `u64`: `{ident} = {example}`"),
        Kind::Integer(example) => format!("`{ident}` takes an `i32`: `{ident} = {example}`"),
        Kind::Path => format!("`{ident}` takes a path: `{ident} = some::path::procession`"),
        Kind::Type => format!("`{ident}` takes a type: `{ident} = usize`"),
    }
}

/// Returns the arguments that a form takes.
fn arguments(form: Form) -> impl Iterator<Item = &'static (&'static str, Kind)> {
    ARGUMENTS.iter().filter(move |(_, kind)| match kind {
        Kind::Path => true,
        Kind::Type => form == Form::Struct,
        _ => form != Form::Main,
    })
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn one_of(form: Form) -> String {
    let names = arguments(form)
        .map(|(name, _)| quoted(name))
        .collect::<Vec<_>>();
    match names.as_slice() {
        [name] => name.clone(),
        names => format!("one of {}", names.join(", ")),
    }
}

/// Returns the argument that the user probably meant: at most a third of its letters differ.
fn nearest(name: &str, form: Form) -> Option<&'static str> {
    arguments(form)
        .map(|(known, _)| (distance(name, known), *known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min()
        .map(|(_, known)| known)
}

/// Returns the edit distance of two words: how many letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let mut row = (0..=b.chars().count()).collect::<Vec<_>>();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

/// Returns the expression without parentheses and without the invisible groups of `macro_rules!`.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        Expr::Paren(paren) => bare(&paren.expr),
        _ => expr,
    }
}

fn first(tokens: TokenStream) -> TokenStream {
    tokens.into_iter().take(1).collect()
}

/// Skips the rest of a wrong argument. Its value may have commas in it:
/// `output = HashMap<String, u8>`.
fn skip_to_comma(input: ParseStream) -> Result<()> {
    let ends = |fork: ParseStream| fork.is_empty() || fork.peek(Token![,]);
    let (as_type, as_expr) = (input.fork(), input.fork());
    if assigned::<Type>(&as_type) && ends(&as_type) {
        input.advance_to(&as_type);
    } else if assigned::<Expr>(&as_expr) && ends(&as_expr) {
        input.advance_to(&as_expr);
    }
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

fn assigned<T: Parse>(input: ParseStream) -> bool {
    input.parse::<Token![=]>().is_ok() && input.parse::<T>().is_ok()
}
