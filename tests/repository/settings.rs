//! The parts of each setting, in several files, agree with the table of settings.

use procession::Setting;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use syn::{
    Expr, Ident, Item, Lit, LitStr, Token, braced, parenthesized,
    parse::{Parse, ParseStream, Parser},
};

/// What the sources say about settings.
mod sources {
    use super::*;

    pub(super) fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    pub(super) fn read(path: &str) -> syn::File {
        let text = fs::read_to_string(root().join(path)).unwrap();
        syn::parse_file(&text).unwrap()
    }

    /// A row of the table of settings.
    pub(super) struct Row {
        pub(super) variant: String,
        pub(super) field: String,
        pub(super) arguments: Vec<Argument>,
    }

    /// An argument of the attribute: its name, what it takes and an example.
    pub(super) type Argument = (String, String, String);

    impl Parse for Row {
        fn parse(input: ParseStream) -> syn::Result<Self> {
            let variant = input.parse::<Ident>()?.to_string();
            let field = input.parse::<Ident>()?.to_string();
            input.parse::<Token![:]>()?;
            input.parse::<syn::Type>()?;
            input.parse::<Token![,]>()?;
            input.parse::<LitStr>()?;
            let mut arguments = Vec::new();
            while input.parse::<Option<Token![,]>>()?.is_some() {
                let method = input.parse::<Ident>()?.to_string();
                let content;
                parenthesized!(content in input);
                let takes = content.parse::<LitStr>()?.value();
                content.parse::<Token![,]>()?;
                arguments.push((method, takes, content.parse::<LitStr>()?.value()));
            }
            input.parse::<Token![;]>()?;
            Ok(Self {
                variant,
                field,
                arguments,
            })
        }
    }

    impl Row {
        /// The methods of a builder that set the setting.
        pub(super) fn methods(&self) -> BTreeSet<String> {
            let methods = self.arguments.iter().map(|(method, ..)| method.clone());
            methods.chain([self.field.clone()]).collect()
        }
    }

    /// Parses what stands between the braces of a macro.
    fn inside<T>(file: &str, name: &str, parser: impl Fn(ParseStream) -> syn::Result<T>) -> T {
        let items = read(file).items.into_iter();
        let calls = items.filter_map(|item| match item {
            Item::Macro(item) if item.mac.path.is_ident(name) => Some(item.mac.tokens),
            _ => None,
        });
        let calls: Vec<_> = calls.collect();
        let [tokens] = calls.as_slice() else {
            panic!("`{name}` is called once in {file}");
        };
        parser.parse2(tokens.clone()).unwrap()
    }

    /// The table of settings.
    pub(super) fn table() -> Vec<Row> {
        inside("runtime/src/start/settings.rs", "settings", |input| {
            let mut rows = Vec::new();
            while !input.is_empty() {
                input.parse::<Ident>()?;
                let content;
                braced!(content in input);
                while !content.is_empty() {
                    rows.push(content.parse()?);
                }
            }
            Ok(rows)
        })
    }

    /// The methods that a running process refuses, each with its three texts.
    pub(super) fn refused_after_spawn() -> BTreeMap<String, [String; 3]> {
        let file = "runtime/src/process/misuse.rs";
        inside(file, "refused_after_spawn", |input| {
            let mut rows = BTreeMap::new();
            while !input.is_empty() {
                let method = input.parse::<Ident>()?.to_string();
                let content;
                parenthesized!(content in input);
                content.parse_terminated(Ident::parse, Token![,])?;
                input.parse::<Ident>()?;
                input.parse::<Token![:]>()?;
                let message = input.parse::<LitStr>()?.value();
                input.parse::<Token![,]>()?;
                let label = input.parse::<LitStr>()?.value();
                input.parse::<Token![,]>()?;
                let note = input.parse::<LitStr>()?.value();
                input.parse::<Token![;]>()?;
                rows.insert(method, [message, label, note]);
            }
            Ok(rows)
        })
    }

    /// The public methods of a type, each with its documentation.
    pub(super) fn methods(
        file: &str,
        of: &str,
        is_wanted: fn(&syn::Signature) -> bool,
    ) -> BTreeMap<String, String> {
        let mut methods = BTreeMap::new();
        for item in read(file).items {
            let Item::Impl(item) = item else { continue };
            let syn::Type::Path(ty) = &*item.self_ty else {
                continue;
            };
            let is_it = ty.path.segments.last().is_some_and(|name| name.ident == of);
            if item.trait_.is_some() || !is_it {
                continue;
            }
            for member in item.items {
                if let syn::ImplItem::Fn(method) = member
                    && matches!(method.vis, syn::Visibility::Public(_))
                    && is_wanted(&method.sig)
                {
                    methods.insert(method.sig.ident.to_string(), docs(&method.attrs));
                }
            }
        }
        methods
    }

    /// The documentation of an item. A macro in it is there by its name.
    pub(super) fn docs(attrs: &[syn::Attribute]) -> String {
        let docs = attrs.iter().filter_map(|attr| match &attr.meta {
            syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => Some(&pair.value),
            _ => None,
        });
        let lines = docs.map(|value| match value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => text.value(),
                _ => String::new(),
            },
            Expr::Macro(call) => {
                let name = &call.mac.path.segments.last().unwrap().ident;
                format!("{name}!")
            }
            _ => String::new(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The strings in the rows of a constant list of the macros.
    pub(super) fn list(name: &str) -> Vec<Vec<String>> {
        let items = read("macros/src/args.rs").items.into_iter();
        let mut lists = items.filter_map(|item| match item {
            Item::Const(item) if item.ident == name => Some(*item.expr),
            _ => None,
        });
        let Some(Expr::Reference(list)) = lists.next() else {
            panic!("`{name}` is a list");
        };
        let Expr::Array(list) = *list.expr else {
            panic!("`{name}` is a list");
        };
        let rows = list.elems.into_iter().map(|row| match row {
            Expr::Call(call) => call.args,
            Expr::Tuple(row) => row.elems,
            _ => panic!("a row of `{name}` is something else"),
        });
        let strings = rows.map(|row| {
            let strings = row.into_iter().filter_map(|expr| match expr {
                Expr::Lit(literal) => match literal.lit {
                    Lit::Str(text) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            });
            strings.collect()
        });
        strings.collect()
    }
}

/// The arguments that are no settings.
const NO_SETTINGS: [&str; 4] = ["crate", "output", "struct", "skip"];

/// The settings whose names are those of other methods of a running process: these return the value
/// that was set.
const ASKED_AFTER_SPAWN: [&str; 2] = ["name", "start_method"];

fn all_methods(table: &[sources::Row]) -> BTreeSet<String> {
    table.iter().flat_map(sources::Row::methods).collect()
}

#[test]
fn builder_has_the_settings_of_the_table() {
    let table = sources::table();
    let variants: Vec<_> = table.iter().map(|row| row.variant.clone()).collect();
    let all: Vec<_> = Setting::ALL
        .iter()
        .map(|setting| format!("{setting:?}"))
        .collect();
    assert_eq!(variants, all);
    let mut setters = sources::methods("runtime/src/process/builder.rs", "Builder", |sig| {
        let takes_itself = sig
            .receiver()
            .is_some_and(|this| matches!(this.kind, syn::ReceiverKind::Value));
        let gives_itself =
            |ty: &syn::Type| matches!(ty, syn::Type::Path(ty) if ty.path.is_ident("Self"));
        takes_itself && matches!(&sig.output, syn::ReturnType::Type(_, ty) if gives_itself(ty))
    });
    assert!(setters.remove("reset").is_some());
    assert_eq!(
        setters.keys().cloned().collect::<BTreeSet<_>>(),
        all_methods(&table)
    );
    for (setter, docs) in setters {
        let docs = docs.to_lowercase();
        let docs = docs.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            docs.contains("by default"),
            "the default of `{setter}` is not documented"
        );
    }
}

#[test]
fn attribute_has_the_settings_of_the_table() {
    let table = sources::table();
    let known: Vec<_> = sources::list("ARGUMENTS")
        .into_iter()
        .filter(|row| !NO_SETTINGS.contains(&&*row[0]))
        .map(|row| <[String; 3]>::try_from(row).unwrap())
        .collect();
    let expected: Vec<_> = table.iter().flat_map(|row| row.arguments.clone()).collect();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(method, takes, example)| [method, takes, example])
        .collect();
    assert_eq!(known, expected);
    for [method, _, example] in &known {
        assert!(example.starts_with(method.as_str()), "{example}");
    }
    // A setting that is no argument is refused with a reason.
    let refused: BTreeSet<_> = sources::list("REFUSED")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let without: BTreeSet<_> = table
        .iter()
        .filter(|row| row.arguments.is_empty())
        .map(|row| row.field.clone())
        .collect();
    assert_eq!(refused, without);

    // The documentation has the list that is made of the table, and names the rest.
    let items = sources::read("runtime/src/lib.rs").items.into_iter();
    let docs = items.filter_map(|item| match item {
        Item::Use(item) => Some(sources::docs(&item.attrs)),
        _ => None,
    });
    let lists: Vec<_> = docs
        .filter(|docs| docs.contains("arguments_in_docs!"))
        .collect();
    let [list] = lists.as_slice() else {
        panic!("the list of arguments is there once");
    };
    for setting in refused {
        assert!(
            list.contains(&format!("[`Builder::{setting}`]")),
            "{setting}"
        );
    }
}

#[test]
fn running_process_refuses_the_settings_of_the_table() {
    let mut refused = sources::refused_after_spawn();
    assert!(refused.remove("spawn").is_some());
    let mut expected = all_methods(&sources::table());
    let asked = sources::methods("runtime/src/process/child.rs", "Child", |_| true);
    for method in ASKED_AFTER_SPAWN {
        assert!(
            asked.contains_key(method) && expected.remove(method),
            "{method}"
        );
    }
    assert_eq!(refused.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (method, [message, label, note]) in refused {
        assert!(message.contains(&format!("`{method}`")), "{message}");
        assert!(label.contains(&format!("`{method}`")), "{label}");
        assert!(note.contains(&format!(".{method}(")), "{note}");
        let case = format!("tests/ui/ours/{method}_after_spawn.rs");
        assert!(sources::root().join(&case).exists(), "{case} is missing");
    }
}
