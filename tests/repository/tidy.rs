//! The house in order: what is in a folder is in its manifest, versions agree, and the imports of
//! the runtime go one way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use syn::visit::{self, Visit};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The names of the Rust files in a folder, without their ends.
fn files(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect()
}

/// What a file has between one text and another, once in a line.
fn listed(file: &str, before: &str, after: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let lines = text.lines();
    lines
        .filter_map(|line| line.strip_prefix(before)?.strip_suffix(after))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_file_is_listed_in_its_manifest() {
    let examples = listed("examples/Cargo.toml", "path = \"", ".rs\"");
    assert_eq!(files("examples"), examples);
    let mut helpers = files("tests/helpers");
    // What two of the programs share.
    assert!(helpers.remove("acts"));
    let programs = listed("tests/Cargo.toml", "path = \"helpers/", ".rs\"");
    assert_eq!(helpers, programs);
}

/// Each program of tests is linked with everything: there are few of them, with many files.
#[test]
fn every_file_of_tests_is_a_module_of_a_program() {
    let stray = files("tests");
    assert!(stray.is_empty(), "move {stray:?} to a folder of tests");
    let programs = listed("tests/Cargo.toml", "path = \"", "/main.rs\"");
    assert!(programs.len() <= 10, "{programs:?}");
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        let main = format!("tests/{folder}/main.rs");
        let is_program = root().join(&main).exists();
        assert_eq!(is_program, programs.contains(&folder), "{folder}");
        if is_program {
            let mut modules = listed(&main, "mod ", ";");
            modules.extend(listed(&main, "pub mod ", ";"));
            modules.insert("main".to_owned());
            assert_eq!(files(&format!("tests/{folder}")), modules, "{folder}");
        }
    }
}

#[test]
fn version_is_one_and_in_the_changelog() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = manifest
        .lines()
        .find(|line| line.starts_with("version = "))
        .unwrap();
    let version = line.trim_start_matches("version = ").trim_matches('"');
    assert_eq!(
        manifest
            .matches(&format!("version = \"={version}\""))
            .count(),
        2,
        "the crates pin each other"
    );
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(
        changelog
            .lines()
            .any(|line| line.starts_with("## ") && line.contains(version)),
        "no heading for {version}"
    );
}

/// The floors of the runtime. A file imports from its own floor and from lower ones.
const FLOORS: [&[&str]; 9] = [
    &["sys"],
    &["error"],
    &["wire"],
    &["call"],
    &["start"],
    &["process"],
    &["shm", "death"],
    &["channel", "sync", "net", "trace"],
    &["pool"],
];

/// The files that are no part of a floor: the face of the crate, and what tests and fuzzers enter
/// by.
const FACE: [&str; 3] = ["", "__private", "fuzz"];

fn floor(module: &str) -> Option<usize> {
    let first = module.split("::").next();
    FLOORS
        .iter()
        .position(|floor| floor.iter().any(|name| Some(*name) == first))
}

/// A path in a source, such as `crate::sys::wait` or `super::Line`.
type Names = Vec<String>;

/// What a file mentions of others.
#[derive(Default)]
struct Source {
    paths: BTreeSet<Names>,
    /// What it passes on under a name: the path of what that is.
    passed_on: BTreeMap<String, Names>,
}

impl Source {
    fn take(&mut self, before: &[String], tree: &syn::UseTree, is_passed_on: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let mut found = |names: Names, called: String| {
            if is_passed_on {
                self.passed_on.insert(called, names);
            } else {
                self.paths.insert(names);
            }
        };
        match tree {
            syn::UseTree::Path(path) => self.take(&with(&path.ident), &path.tree, is_passed_on),
            syn::UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.take(before, tree, is_passed_on)),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let called = before.last().expect("it is the self of something").clone();
                found(before.to_vec(), called);
            }
            syn::UseTree::Name(name) => found(with(&name.ident), name.ident.to_string()),
            syn::UseTree::Rename(name) => found(with(&name.ident), name.rename.to_string()),
            syn::UseTree::Glob(_) => found(before.to_vec(), "*".to_owned()),
        }
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Ident>()
                    .is_ok_and(|argument| argument == "test")
        };
        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_passed_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.take(&[], &item.tree, is_passed_on);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|name| name.ident.to_string());
        self.paths.insert(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {
        // That a module may see something is no import of it.
    }
}

/// All files of the runtime by the names of their modules.
struct House(BTreeMap<String, Source>);

impl House {
    fn read() -> Self {
        let mut house = BTreeMap::new();
        Self::read_folder(&root().join("runtime/src"), "", &mut house);
        assert!(house.len() > 50, "the sources are somewhere else");
        Self(house)
    }

    fn read_folder(folder: &Path, module: &str, house: &mut BTreeMap<String, Source>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let inner = if module.is_empty() {
                name.to_owned()
            } else {
                format!("{module}::{name}")
            };
            if path.is_dir() {
                Self::read_folder(&path, &inner, house);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{inner}: {error}"));
            let mut source = Source::default();
            source.visit_file(&file);
            let whole = if matches!(name, "mod" | "lib") {
                module
            } else {
                &inner
            };
            house.insert(whole.to_owned(), source);
        }
    }

    /// The module that a path leads to as far as there are modules, and the name that comes next.
    fn resolve<'p>(&self, from: &str, path: &'p [String]) -> Option<(String, Option<&'p String>)> {
        let mut base: Vec<&str> = from.split("::").filter(|name| !name.is_empty()).collect();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            name => {
                let inner = [&base[..], &[name]].concat().join("::");
                self.0.get(&inner)?;
            }
        }
        while let Some((name, after)) = rest.split_first() {
            let inner = [&base[..], &[name]].concat();
            if !self.0.contains_key(&inner.join("::")) {
                break;
            }
            (base, rest) = (inner, after);
        }
        Some((base.join("::"), rest.first()))
    }

    /// The module in which what a path names is written.
    fn home(&self, from: &str, path: &[String]) -> Option<String> {
        let (module, name) = self.resolve(from, path)?;
        match name.and_then(|name| self.0[&module].passed_on.get(name)) {
            Some(passed_on) if passed_on != path => {
                Some(self.home(&module, passed_on).unwrap_or(module))
            }
            _ => Some(module),
        }
    }

    /// The modules that a module imports from.
    fn imports(&self, module: &str) -> BTreeSet<String> {
        let paths = self.0[module].paths.iter();
        let homes = paths.filter_map(|path| self.home(module, path));
        homes.filter(|home| home != module).collect()
    }

    /// The modules of the floors.
    fn modules(&self) -> impl Iterator<Item = &String> {
        self.0
            .keys()
            .filter(|module| !FACE.contains(&module.as_str()))
    }

    /// Follows the imports from the end of the way; returns one that leads back to where it was.
    fn circle(&self, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let last = way.last().expect("the way begins somewhere").clone();
        for next in self.imports(&last) {
            if let Some(start) = way.iter().position(|module| *module == next) {
                return Some(way[start..].to_vec());
            }
            if !FACE.contains(&next.as_str()) && !done.contains(&next) {
                way.push(next);
                let circle = self.circle(way, done);
                if circle.is_some() {
                    return circle;
                }
                way.pop();
            }
        }
        done.insert(last);
        None
    }
}

#[test]
fn imports_of_the_runtime_go_in_no_circle() {
    let house = House::read();
    let mut done = BTreeSet::new();
    for module in house.modules() {
        let circle = house.circle(&mut vec![module.clone()], &mut done);
        assert_eq!(circle, None, "each of these imports from the next");
    }
}

#[test]
fn imports_of_the_runtime_lead_to_no_higher_floor() {
    let house = House::read();
    for module in house.modules() {
        let own = floor(module).unwrap_or_else(|| panic!("`{module}` is on no floor"));
        let own_folder = module.split("::").next();
        for home in house.imports(module) {
            let is_lower = floor(&home).is_some_and(|floor| floor < own);
            let is_near = home.split("::").next() == own_folder;
            assert!(is_lower || is_near, "`{module}` imports from `{home}`");
        }
        for path in &house.0[module].paths {
            let is_face = house.resolve(module, path).is_some_and(|(home, name)| {
                home.is_empty() && name.is_some_and(|name| house.0[""].passed_on.contains_key(name))
            });
            assert!(!is_face, "`{module}` imports the face: {}", path.join("::"));
        }
    }
}

/// Modules that are compiled for tests only.
const OF_TESTS: [&str; 3] = ["channel::search", "pool::search", "sync::search"];

/// The crate compiles on every system, and `net` on every Unix.
#[test]
fn names_of_systems_are_used_within_sys_alone() {
    let house = House::read();
    let outside = house.modules().filter(|module| {
        let is_of_tests = OF_TESTS.iter().any(|tests| module.starts_with(tests));
        floor(module) != floor("sys") && !is_of_tests
    });
    for module in outside {
        let is_on_unix = module.split("::").next() == Some("net");
        let of_a_system = |path: &&Names| match path.first().map(String::as_str) {
            Some("nix" | "libc") => true,
            Some("std") if path.get(1).is_some_and(|name| name == "os") => {
                !is_on_unix || path.get(2).is_none_or(|name| name != "unix")
            }
            _ => false,
        };
        let found = house.0[module].paths.iter().find(of_a_system);
        assert_eq!(found, None, "in `{module}`");
    }
}
