//! The arguments of the attributes: parses them into typed options.

use crate::errors::Errors;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Expr, Lit, Meta, Path, Result, Token, Type, UnOp,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream, Parser, discouraged::Speculative},
    punctuated::Punctuated,
    token::Paren,
};

/// Which attribute has the arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `#[process(..)]` on a function.
    Function,
    /// `#[process(..)]` below `#[derive(Process)]`.
    Struct,
    /// `#[process(..)]` on a field of such a struct.
    Field,
    /// `#[procession::main(..)]` and `#[procession::init(..)]`.
    Bare,
}

/// The form of a value. Where it may be an expression, the compiler checks the type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `= ".."`, or an expression.
    Text,
    /// Nothing, or `= true`, or an expression.
    Flag,
    /// `= ".."` with the name of a start method, or an expression.
    StartMethod,
    /// `= 5`, or an expression.
    Number,
    /// An expression that is no literal.
    Expr,
    /// `(".." = "..", ..)`, where all are text or expressions.
    Pairs,
    /// `("..", ..)`, where all are text or expressions.
    Names,
    /// Nothing.
    Alone,
    Path,
    Type,
    /// `= Name`.
    Name,
    /// Nothing. It is about a field.
    Skip,
}

/// An argument: its name, the form of its value, what it takes in words, and an example.
struct Argument(&'static str, Kind, &'static str, &'static str);

/// All arguments. Those of settings have the order, the words and the examples of the table in
/// `runtime/src/start/settings.rs`, of which the list in the documentation is made.
/// `tests/repository/settings.rs` compares both.
const ARGUMENTS: &[Argument] = &[
    Argument("name", Kind::Text, "a string", r#"name = "worker""#),
    Argument("daemon", Kind::Flag, "a `bool`", "daemon = true"),
    Argument(
        "start_method",
        Kind::StartMethod,
        "a `StartMethod` or its name",
        r#"start_method = "forkserver"`, `start_method = "spawn"`, `start_method = "fork""#,
    ),
    Argument(
        "timeout",
        Kind::Expr,
        "a `Duration`",
        "timeout = std::time::Duration::from_secs(5)",
    ),
    Argument(
        "env",
        Kind::Pairs,
        "variables",
        r#"env("NAME" = "value", ..)"#,
    ),
    Argument(
        "envs",
        Kind::Expr,
        "pairs of names and values",
        r#"envs = [("NAME", "value")]"#,
    ),
    Argument(
        "env_remove",
        Kind::Names,
        "names of variables",
        r#"env_remove("NAME", ..)"#,
    ),
    Argument("env_clear", Kind::Alone, "no value", "env_clear"),
    Argument(
        "stdin",
        Kind::Expr,
        "a `Stdio` or an open file",
        "stdin = procession::Stdio::inherit()",
    ),
    Argument(
        "stdout",
        Kind::Expr,
        "a `Stdio` or an open file",
        "stdout = procession::Stdio::null()",
    ),
    Argument(
        "stderr",
        Kind::Expr,
        "a `Stdio` or an open file",
        "stderr = procession::Stdio::null()",
    ),
    Argument(
        "kill_on_drop",
        Kind::Flag,
        "a `bool`",
        "kill_on_drop = true",
    ),
    Argument(
        "may_have_children",
        Kind::Flag,
        "a `bool`",
        "may_have_children = true",
    ),
    Argument("backtrace", Kind::Flag, "a `bool`", "backtrace = true"),
    Argument("subreaper", Kind::Flag, "a `bool`", "subreaper = true"),
    Argument(
        "current_dir",
        Kind::Text,
        "a path",
        r#"current_dir = "/tmp""#,
    ),
    Argument(
        "memory_limit",
        Kind::Number,
        "a `u64`",
        "memory_limit = 64 << 20",
    ),
    Argument(
        "cpu_time_limit",
        Kind::Expr,
        "a `Duration`",
        "cpu_time_limit = std::time::Duration::from_secs(5)",
    ),
    Argument(
        "open_files_limit",
        Kind::Number,
        "a `u64`",
        "open_files_limit = 64",
    ),
    Argument("nice", Kind::Number, "an `i32`", "nice = 10"),
    Argument(
        "affinity",
        Kind::Expr,
        "the numbers of CPUs",
        "affinity = [0, 1]",
    ),
    Argument(
        "process_group",
        Kind::Number,
        "an `i32`",
        "process_group = 0",
    ),
    Argument("groups", Kind::Expr, "the ids of groups", "groups = [100]"),
    Argument("gid", Kind::Number, "a `u32`", "gid = 1000"),
    Argument("uid", Kind::Number, "a `u32`", "uid = 1000"),
    Argument(
        "crate",
        Kind::Path,
        "a path",
        "crate = some::path::procession",
    ),
    Argument("output", Kind::Type, "a type", "output = usize"),
    Argument(
        "struct",
        Kind::Name,
        "a name for the struct of the function",
        "struct = Worker",
    ),
    Argument("skip", Kind::Skip, "no value", "skip"),
];

/// The arguments that stand elsewhere, and why not there.
const ELSEWHERE: &[(Form, &str, &str)] = &[
    (
        Form::Function,
        "output",
        "the return type of the function says its output already: remove `output`",
    ),
    (
        Form::Function,
        "skip",
        "`skip` goes on a field of a struct with `#[derive(Process)]`: a function has all of its parameters from the caller",
    ),
    (
        Form::Struct,
        "skip",
        "`skip` goes on a field: `#[process(skip)]` above it",
    ),
    (
        Form::Struct,
        "struct",
        "the struct has a name already: remove `struct`",
    ),
];

/// The settings that only a `Builder` has, and why.
const REFUSED: &[(&str, &str)] = &[(
    "authkey",
    "an authentication key in the source is no secret: set it by `Builder::authkey`",
)];

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
    /// The name of the struct of a function, if it is not that of the function.
    pub(crate) structure: Option<Ident>,
    /// Whether a field is not sent.
    pub(crate) is_skipped: bool,
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
    /// Expressions, as the user wrote them.
    Exprs(Vec<Expr>),
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

    /// Parses the arguments of all helper attributes of a struct or of a field.
    pub(crate) fn from_attributes(attrs: &[Attribute], form: Form, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("process")) {
            match &attr.meta {
                Meta::Path(_) => {}
                Meta::List(list) => args.read(list.tokens.clone(), form, errors),
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
        let elsewhere = |(at, known, _): &&(Form, &str, &str)| *at == form && *known == name;
        if let Some((.., reason)) = ELSEWHERE.iter().find(elsewhere) {
            return Err(Error::new_spanned(ident, reason));
        }
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name)
            && matches!(form, Form::Function | Form::Struct)
        {
            return Err(Error::new_spanned(ident, reason));
        }
        let Some(argument) = arguments(form).find(|argument| argument.0 == name) else {
            let expected = nearest(&name, form).map_or_else(|| one_of(form), quoted);
            let message = format!("unknown argument `{name}`, expected {expected}");
            return Err(Error::new_spanned(ident, message));
        };
        let result = self.value(&ident, argument, input);
        // The check comes after the value was parsed, so that the next argument can be parsed too.
        if self.seen.contains(&name) {
            let message = format!("duplicate argument `{name}`: give it once");
            return Err(Error::new_spanned(ident, message));
        }
        self.seen.push(name);
        result
    }

    fn value(&mut self, ident: &Ident, argument: &Argument, input: ParseStream) -> Result<()> {
        let Argument(_, kind, ..) = argument;
        let is_alone = |input: ParseStream| input.is_empty() || input.peek(Token![,]);
        let mut set = |value| self.settings.push(Setting::new(ident, value));
        match kind {
            Kind::Flag if is_alone(input) => set(Value::Yes),
            // `env_clear` is called first. So it does not remove what `env` sets, whatever their
            // order.
            Kind::Alone if is_alone(input) => {
                let setting = Setting::new(ident, Value::Exprs(Vec::new()));
                self.settings.insert(0, setting);
            }
            Kind::Skip if is_alone(input) => self.is_skipped = true,
            _ if is_alone(input) => return Err(Error::new_spanned(ident, argument.takes())),
            Kind::Pairs | Kind::Names if input.peek(Paren) => {
                for values in list(ident, argument, input)? {
                    set(Value::Exprs(values));
                }
            }
            _ if !input.peek(Token![=]) || argument.has_no_equals() => {
                let rest = input.cursor().token_stream();
                return Err(Error::new_spanned(first(rest), argument.takes()));
            }
            _ => {
                input.parse::<Token![=]>()?;
                if is_alone(input) {
                    return Err(Error::new_spanned(ident, argument.takes()));
                }
                match kind {
                    Kind::Path => {
                        let path = input.call(Path::parse_mod_style);
                        self.krate = Some(path.map_err(|error| argument.refuse(&error))?);
                    }
                    Kind::Name => {
                        let name = input.parse();
                        self.structure = Some(name.map_err(|error| argument.refuse(&error))?);
                        if !is_alone(input) {
                            return Err(input.error(argument.takes()));
                        }
                    }
                    Kind::Type => self.output = Some(input.parse()?),
                    _ => set(typed(argument, input.parse()?)?),
                }
            }
        }
        Ok(())
    }

    /// Returns the path of the runtime.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate
            .as_ref()
            .map_or_else(|| quote!(::procession), ToTokens::to_token_stream)
    }
}

impl Setting {
    fn new(ident: &Ident, value: Value) -> Self {
        Self {
            ident: ident.clone(),
            value,
        }
    }
}

impl Argument {
    /// Returns what the argument takes, in the words of an error message.
    fn takes(&self) -> String {
        let Self(name, kind, takes, example) = self;
        let verb = if *kind == Kind::Flag {
            "stands alone or takes"
        } else {
            "takes"
        };
        format!("`{name}` {verb} {takes}: `{example}`")
    }

    /// Returns why the system would not take this text.
    fn unfit(&self, text: &str, position: usize) -> Option<String> {
        let Self(name, kind, ..) = self;
        let is_variable = matches!(kind, Kind::Pairs | Kind::Names) && position == 0;
        if text.contains('\0') {
            Some(format!("`{name}` takes no text with a NUL in it"))
        } else if is_variable && text.contains('=') {
            Some("the name of a variable has no `=` in it".to_owned())
        } else if is_variable && text.is_empty() {
            Some("a variable needs a name".to_owned())
        } else if *kind == Kind::Text && text.is_empty() {
            Some(format!("`{name}` is empty: {}", self.takes()))
        } else {
            None
        }
    }

    /// Returns the error for a value that is something else.
    fn refuse(&self, error: &Error) -> Error {
        Error::new(error.span(), self.takes())
    }

    fn has_no_equals(&self) -> bool {
        matches!(self.1, Kind::Pairs | Kind::Names | Kind::Alone | Kind::Skip)
    }
}

/// Parses a list in parentheses. Returns the arguments of one call for each of its elements.
fn list(ident: &Ident, argument: &Argument, input: ParseStream) -> Result<Vec<Vec<Expr>>> {
    let content;
    parenthesized!(content in input);
    let elements = Punctuated::<Expr, Token![,]>::parse_terminated(&content)?;
    if elements.is_empty() {
        return Err(Error::new_spanned(ident, argument.takes()));
    }
    let mut calls = Vec::new();
    for element in elements {
        let values = match (argument.1, element) {
            (Kind::Pairs, Expr::Assign(pair)) => vec![*pair.left, *pair.right],
            (Kind::Names, name) if !matches!(name, Expr::Assign(_)) => vec![name],
            (_, other) => return Err(Error::new_spanned(other, argument.takes())),
        };
        for (position, value) in values.iter().enumerate() {
            check(argument, value, position)?;
        }
        calls.push(values);
    }
    Ok(calls)
}

/// Checks the form of a value, and finds the start method that it names.
fn typed(argument: &Argument, expr: Expr) -> Result<Value> {
    let (Kind::StartMethod, Some((Lit::Str(text), Sign::None))) = (argument.1, literal(&expr))
    else {
        check(argument, &expr, 0)?;
        return Ok(Value::Exprs(vec![expr]));
    };
    let known = START_METHODS.iter().find(|(name, _)| *name == text.value());
    let Some((_, variant)) = known else {
        let names = START_METHODS
            .iter()
            .map(|(name, _)| format!("`\"{name}\"`"));
        let names = names.collect::<Vec<_>>().join(", ");
        let message = format!("unknown start method `{}`, expected {names}", text.value());
        return Err(Error::new_spanned(text, message));
    };
    Ok(Value::StartMethod(Ident::new(variant, text.span())))
}

/// Checks the form of a value. The compiler checks its type.
///
/// `position` is that of the value among those of one call.
fn check(argument: &Argument, expr: &Expr, position: usize) -> Result<()> {
    let fits = matches!(
        (argument.1, literal(expr)),
        (_, None)
            | (
                Kind::Text | Kind::Pairs | Kind::Names,
                Some((Lit::Str(_), Sign::None))
            )
            | (Kind::Flag, Some((Lit::Bool(_), Sign::None)))
            | (Kind::Number, Some((Lit::Int(_), _)))
    );
    if !fits {
        return Err(Error::new_spanned(expr, argument.takes()));
    }
    if let Some((Lit::Str(text), _)) = literal(expr)
        && let Some(reason) = argument.unfit(&text.value(), position)
    {
        return Err(Error::new_spanned(expr, reason));
    }
    Ok(())
}

/// Whether there is a minus before a literal.
enum Sign {
    None,
    Minus,
}

/// Returns the literal that an expression is, also one behind a minus.
fn literal(expr: &Expr) -> Option<(&Lit, Sign)> {
    match bare(expr) {
        Expr::Lit(literal) => Some((&literal.lit, Sign::None)),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            literal(&unary.expr).map(|(literal, _)| (literal, Sign::Minus))
        }
        _ => None,
    }
}

/// Returns the arguments that a form takes.
fn arguments(form: Form) -> impl Iterator<Item = &'static Argument> {
    ARGUMENTS.iter().filter(move |argument| match argument.1 {
        Kind::Path => form != Form::Field,
        Kind::Type => form == Form::Struct,
        Kind::Name => form == Form::Function,
        Kind::Skip => form == Form::Field,
        _ => matches!(form, Form::Function | Form::Struct),
    })
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn one_of(form: Form) -> String {
    let names = arguments(form)
        .map(|argument| quoted(argument.0))
        .collect::<Vec<_>>();
    match names.as_slice() {
        [name] => name.clone(),
        names => format!("one of {}", names.join(", ")),
    }
}

/// Returns the argument that the user probably meant: at most a third of its letters differ.
fn nearest(name: &str, form: Form) -> Option<&'static str> {
    arguments(form)
        .map(|argument| (distance(name, argument.0), argument.0))
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
